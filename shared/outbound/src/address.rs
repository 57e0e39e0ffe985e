//! What an IP address is for, and the ways to write one.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not one of the public Internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The machine itself.
    Loopback,
    /// Somebody's own network: RFC 1918, IPv6's unique local and site-local addresses.
    Private,
    /// The same wire: machines' metadata is served there, at 169.254.169.254.
    LinkLocal,
    /// Between a provider and its customers (RFC 6598); clouds serve things there, too.
    Shared,
    /// No address, or "this network".
    Unspecified,
    /// Many machines at once, or all of them.
    Multicast,
    /// Kept for documentation, benchmarks, protocols, tunnels or the future.
    Reserved,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Shared => "shared (100.64.0.0/10)",
            Self::Unspecified => "unspecified",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
        })
    }
}

/// Why an address is not public; `None` for one that is.
pub(crate) fn not_public(address: IpAddr) -> Option<Kind> {
    match plain(address) {
        IpAddr::V4(address) => not_public_v4(address),
        IpAddr::V6(address) => not_public_v6(address),
    }
}

/// An IPv4 address that is written as one of IPv6 leads to the IPv4 address.
pub(crate) fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// By IANA's registry of special-purpose addresses.
fn not_public_v4(address: Ipv4Addr) -> Option<Kind> {
    match address.octets() {
        [0, ..] => Some(Kind::Unspecified),
        [127, ..] => Some(Kind::Loopback),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some(Kind::Private),
        [169, 254, ..] => Some(Kind::LinkLocal),
        [100, 64..=127, ..] => Some(Kind::Shared),
        [224..=239, ..] | [255, 255, 255, 255] => Some(Kind::Multicast),
        // Protocols, documentation, 6to4 relays, benchmarks, the future.
        [192, 0, 0 | 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [240..=255, ..] => Some(Kind::Reserved),
        _ => None,
    }
}

/// Only 2000::/3 is given out for the Internet; all else need not be known by name, but is clearer to be told so.
fn not_public_v6(address: Ipv6Addr) -> Option<Kind> {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        not_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Kind::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Kind::Loopback),
        // Through a NAT64 gateway or 6to4 to an IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        // Protocols, Teredo among them; documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some(Kind::Reserved),
        [0x2000..=0x3fff, ..] => None,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Some(Kind::Private),
        [0xfe80..=0xfebf, ..] => Some(Kind::LinkLocal),
        [0xff00..=0xffff, ..] => Some(Kind::Multicast),
        _ => Some(Kind::Reserved),
    }
}

/// What an address's host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// A name, in lower case and without a dot at its end.
    Name(String),
    /// An address, however it was written.
    Address(IpAddr),
}

impl Host {
    /// Reads the host of a URI as browsers do (the URL standard): an IPv4 address may have fewer than four numbers, and each
    /// may be decimal, octal or hexadecimal. `None` where it is no host.
    pub(crate) fn read(host: &str) -> Option<Self> {
        if let Some(address) = host.strip_prefix('[') {
            let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Address(plain(address.into())));
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let is_name = |label: &str| {
            let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            (1..=63).contains(&label.len()) && label.bytes().all(valid)
        };
        if host.len() > 253 || !host.split('.').all(is_name) {
            return None;
        }
        let last = host.rsplit('.').next()?;
        // No name ends in a number, so what does is an address or nothing.
        if last.bytes().all(|byte| byte.is_ascii_digit()) || number(last).is_some() {
            return Some(Self::Address(ipv4(host)?.into()));
        }
        Some(Self::Name(host.to_ascii_lowercase()))
    }
}

/// One to four numbers, of which the last fills what is left.
fn ipv4(host: &str) -> Option<Ipv4Addr> {
    let mut numbers = host.split('.').map(number).collect::<Option<Vec<u32>>>()?;
    let last = numbers.pop()?;
    if numbers.len() > 3 || numbers.iter().any(|number| *number > 255) {
        return None;
    }
    let places = u32::try_from(4 - numbers.len()).ok()?;
    if u64::from(last) >= 1 << (8 * places) {
        return None;
    }
    let first = numbers.iter().zip([24, 16, 8]).map(|(number, place)| number << place).sum::<u32>();
    Some(Ipv4Addr::from_bits(first + last))
}

/// A number in C's notation; `0x` alone is 0.
fn number(digits: &str) -> Option<u32> {
    if let Some(hexadecimal) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return if hexadecimal.is_empty() { Some(0) } else { in_base(hexadecimal, 16) };
    }
    match digits.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => in_base(octal, 8),
        _ => in_base(digits, 10),
    }
}

/// Digits alone: no sign, which `from_str_radix` would take.
fn in_base(digits: &str, base: u32) -> Option<u32> {
    let valid = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base));
    valid.then(|| u32::from_str_radix(digits, base).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_not_of_the_internet_is_known() {
        for (text, kind) in [
            ("0.0.0.0", Kind::Unspecified),
            ("0.1.2.3", Kind::Unspecified),
            ("127.0.0.1", Kind::Loopback),
            ("127.255.255.255", Kind::Loopback),
            ("10.0.0.1", Kind::Private),
            ("172.16.0.1", Kind::Private),
            ("172.31.255.255", Kind::Private),
            ("192.168.1.1", Kind::Private),
            ("169.254.169.254", Kind::LinkLocal),
            ("100.64.0.1", Kind::Shared),
            ("100.127.255.255", Kind::Shared),
            ("192.0.0.8", Kind::Reserved),
            ("192.0.2.1", Kind::Reserved),
            ("198.51.100.7", Kind::Reserved),
            ("203.0.113.7", Kind::Reserved),
            ("192.88.99.1", Kind::Reserved),
            ("198.18.0.1", Kind::Reserved),
            ("198.19.255.255", Kind::Reserved),
            ("224.0.0.1", Kind::Multicast),
            ("239.255.255.255", Kind::Multicast),
            ("240.0.0.1", Kind::Reserved),
            ("255.255.255.255", Kind::Multicast),
            ("::", Kind::Unspecified),
            ("::1", Kind::Loopback),
            ("::ffff:127.0.0.1", Kind::Loopback),
            ("::ffff:169.254.169.254", Kind::LinkLocal),
            ("::127.0.0.1", Kind::Reserved),
            ("::8.8.8.8", Kind::Reserved),
            ("64:ff9b::10.0.0.1", Kind::Private),
            ("64:ff9b::a9fe:a9fe", Kind::LinkLocal),
            ("64:ff9b:1::1", Kind::Reserved),
            ("2002:7f00:1::", Kind::Loopback),
            ("2002:c0a8:101::1", Kind::Private),
            ("2001::1", Kind::Reserved),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Kind::Reserved),
            ("2001:db8::1", Kind::Reserved),
            ("3fff::1", Kind::Reserved),
            ("fc00::1", Kind::Private),
            ("fd00:ec2::254", Kind::Private),
            ("fe80::1", Kind::LinkLocal),
            ("fec0::1", Kind::Private),
            ("ff02::1", Kind::Multicast),
            ("100::1", Kind::Reserved),
            ("5f00::1", Kind::Reserved),
        ] {
            assert_eq!(not_public(address(text)), Some(kind), "{text}");
        }
    }

    #[test]
    fn what_is_of_the_internet_is_not_in_the_way() {
        for text in [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "169.253.0.1",
            "192.0.1.1",
            "198.17.255.255",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "2001:4860:4860::8888",
        ] {
            assert_eq!(not_public(address(text)), None, "{text}");
        }
    }

    #[test]
    fn every_way_to_write_an_ipv4_address_is_read_as_it_is_meant() {
        for text in [
            "127.0.0.1",
            "127.0.0.1.",
            "2130706433",
            "0x7f000001",
            "0X7F.1",
            "017700000001",
            "0177.0.0.1",
            "127.1",
            "127.0.1",
            "0x7f.0x0.0x0.0x1",
            "00000177.1",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
        ] {
            assert_eq!(Host::read(text), Some(Host::Address(address("127.0.0.1"))), "{text}");
        }
        for text in [
            "",
            ".",
            "a..b",
            "1.2.3.4.5",
            "256.1.1.1",
            "1.2.3.256",
            "4294967296",
            "09",
            "127.0.0.0x100",
            "a.1",
            "1.0x",
            "[::1",
            "[fe80::1%25eth0]",
            "[127.0.0.1]",
            "a b",
            "a%2eb",
            "é.example",
            "1.2.3.08",
            "99999999999999999999",
        ] {
            let read = Host::read(text);
            // `1.0x` is 1.0.0.0, as in a browser.
            let expected = (text == "1.0x").then(|| Host::Address(address("1.0.0.0")));
            assert_eq!(read, expected, "{text}");
        }
        for text in ["Example.COM.", "example.com"] {
            assert_eq!(Host::read(text), Some(Host::Name("example.com".to_owned())));
        }
        assert!(matches!(Host::read("0xcafe.example"), Some(Host::Name(_))));
        assert!(matches!(Host::read("xn--bcher-kva.example"), Some(Host::Name(_))));
    }

    /// One number, as decimal, octal or hexadecimal.
    fn written(number: u32, how: u8) -> String {
        match how % 4 {
            0 => number.to_string(),
            1 => format!("0{number:o}"),
            2 => format!("0x{number:x}"),
            _ => format!("0X{number:08X}"),
        }
    }

    proptest! {
        #[test]
        fn no_spelling_changes_what_an_address_is(bits: u32, how: [u8; 4], parts in 1_usize..=4) {
            let meant = Ipv4Addr::from_bits(bits);
            let octets = meant.octets();
            let mut numbers: Vec<u32> = octets[..parts - 1].iter().map(|octet| u32::from(*octet)).collect();
            let kept = 8 * (5 - u32::try_from(parts).unwrap());
            numbers.push(if kept >= 32 { bits } else { bits & ((1 << kept) - 1) });
            let text = numbers.iter().zip(how).map(|(number, how)| written(*number, how)).collect::<Vec<_>>().join(".");
            prop_assert_eq!(Host::read(&text), Some(Host::Address(meant.into())), "{}", text);
        }

        #[test]
        fn an_ipv4_address_inside_of_an_ipv6_address_is_judged_as_itself(bits: u32) {
            let inner = Ipv4Addr::from_bits(bits);
            let expected = not_public(inner.into());
            let [a, b, c, d] = inner.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for outer in [
                inner.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 1, 2, 3, 4, 5),
            ] {
                prop_assert_eq!(not_public(outer.into()), expected, "{}", outer);
            }
            prop_assert!(not_public(Ipv6Addr::from_bits(u128::from(bits)).into()).is_some());
        }

        #[test]
        fn only_addresses_that_are_given_out_are_public(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            let nat64 = address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
            if not_public(address.into()).is_none() && !nat64 && address.to_ipv4_mapped().is_none() {
                prop_assert_eq!(address.segments()[0] >> 13, 1);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = Host::read(&text);
        }

        #[test]
        fn what_the_standard_library_reads_is_read_the_same(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            prop_assert_eq!(Host::read(&format!("[{address}]")), Some(Host::Address(plain(address.into()))));
        }
    }
}
