//! Which addresses may be called.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;
use thiserror::Error;

use crate::address::{self, Host, Kind};

/// Why an address is not called. Says of what kind it is, never which one a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It is neither `https` nor an `http` that the policy allows.
    #[error("only https is allowed")]
    Scheme,
    /// It has no host, or none that is a name or an address.
    #[error("the host is neither a name nor an address")]
    Host,
    /// It carries a user's name or password.
    #[error("an address may not carry a user's name or password")]
    Credentials,
    /// It leads to what is not of the public Internet.
    #[error("it leads to a {0} address")]
    NotPublic(Kind),
}

/// Why a policy's list can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is neither a host, an address nor a network, with or without http:// before it")]
pub struct BadEntry(pub String);

/// Which addresses may be called: those of the public Internet by https, and what an operator allows besides.
#[derive(Clone, Default)]
pub struct Policy {
    allowed: Arc<[Allowed]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Allowed {
    what: What,
    /// `http` beside `https`.
    in_the_clear: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// A host by its name, wherever it leads.
    Host(String),
    /// Addresses whose first bits are the same.
    Network { address: IpAddr, bits: u8 },
}

impl Policy {
    /// The public Internet by https, and nothing else.
    pub fn public_only() -> Self {
        Self::default()
    }

    /// The public Internet by https, and what `list` names, separated by commas or white space: hosts (`sms.internal`),
    /// addresses (`10.1.2.3`) and networks (`10.0.0.0/8`, `fd00::/8`). One with `http://` before it may be called in the
    /// clear, too.
    ///
    /// # Errors
    /// [`BadEntry`] names what can't be read.
    pub fn allowing(list: &str) -> Result<Self, BadEntry> {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        let allowed = entries.map(Allowed::read).collect::<Result<_, _>>()?;
        Ok(Self { allowed })
    }

    /// Says of an address as it stands, without asking where its name leads, whether it will surely be refused: for whoever
    /// takes it from a user. That it is well is not said for good; the client looks again whenever it connects.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub fn examine(&self, address: &Uri) -> Result<(), Refusal> {
        let target = Target::read(address)?;
        match &target.host {
            Host::Address(ip) => self.admit(&target, &[*ip]),
            // A name may lead into any network that is allowed.
            Host::Name(name) => {
                let may_be_in_the_clear = |allowed: &Allowed| {
                    allowed.in_the_clear
                        && match &allowed.what {
                            What::Host(host) => host == name,
                            What::Network { .. } => true,
                        }
                };
                if target.is_https || self.allowed.iter().any(may_be_in_the_clear) {
                    Ok(())
                } else {
                    Err(Refusal::Scheme)
                }
            }
        }
    }

    /// Whether all of the addresses that a host leads to may be called. One that may not be spoils the others: who gives
    /// such an answer wants us to try them in turn.
    pub(crate) fn admit(&self, target: &Target, addresses: &[IpAddr]) -> Result<(), Refusal> {
        addresses.iter().try_for_each(|address| self.admit_one(target, address::plain(*address)))
    }

    fn admit_one(&self, target: &Target, address: IpAddr) -> Result<(), Refusal> {
        let mut in_the_clear = false;
        let mut named = false;
        for allowed in self.allowed.iter().filter(|allowed| allowed.what.matches(&target.host, address)) {
            named = true;
            in_the_clear |= allowed.in_the_clear;
        }
        match address::not_public(address) {
            Some(kind) if !named => Err(Refusal::NotPublic(kind)),
            _ if target.is_https || in_the_clear => Ok(()),
            _ => Err(Refusal::Scheme),
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Policy").field(&self.allowed.len()).finish()
    }
}

impl Allowed {
    fn read(entry: &str) -> Result<Self, BadEntry> {
        let (what, in_the_clear) = match entry.strip_prefix("http://") {
            Some(what) => (what, true),
            None => (entry, false),
        };
        let what = What::read(what).ok_or_else(|| BadEntry(entry.to_owned()))?;
        Ok(Self { what, in_the_clear })
    }
}

impl What {
    fn read(text: &str) -> Option<Self> {
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.parse().ok()?;
            let bits = bits.parse().ok().filter(|bits| *bits <= width(address))?;
            return Some(Self::Network { address, bits });
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            let address = address::plain(address);
            return Some(Self::Network { address, bits: width(address) });
        }
        match Host::read(text)? {
            Host::Name(name) => Some(Self::Host(name)),
            Host::Address(address) => Some(Self::Network { address, bits: width(address) }),
        }
    }

    fn matches(&self, host: &Host, address: IpAddr) -> bool {
        match (self, address) {
            (Self::Host(allowed), _) => matches!(host, Host::Name(name) if name == allowed),
            (Self::Network { address: IpAddr::V4(network), bits }, IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= u32::from(*bits)
            }
            (Self::Network { address: IpAddr::V6(network), bits }, IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.leading_zeros() >= u32::from(*bits)
            }
            (Self::Network { .. }, _) => false,
        }
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Where an address leads, as far as it says so itself.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) is_https: bool,
}

impl Target {
    pub(crate) fn read(address: &Uri) -> Result<Self, Refusal> {
        let is_https = match address.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(Refusal::Scheme),
        };
        let authority = address.authority().ok_or(Refusal::Host)?;
        if authority.as_str().contains('@') {
            return Err(Refusal::Credentials);
        }
        let host = Host::read(authority.host()).ok_or(Refusal::Host)?;
        // What stands behind the host and is no port is none of ours to guess.
        let port = match authority.port_u16() {
            Some(0) => return Err(Refusal::Host),
            Some(port) => port,
            None if authority.as_str() != authority.host() => return Err(Refusal::Host),
            None if is_https => 443,
            None => 80,
        };
        Ok(Self { host, port, is_https })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examine(policy: &Policy, address: &str) -> Result<(), Refusal> {
        policy.examine(&address.parse().unwrap())
    }

    #[test]
    fn by_itself_only_the_internet_and_only_by_https_is_allowed() {
        let policy = Policy::public_only();
        for address in ["https://example.com/x?y", "https://8.8.8.8", "https://[2606:4700::1111]:8443/"] {
            assert_eq!(examine(&policy, address), Ok(()), "{address}");
        }
        for (address, refusal) in [
            ("http://example.com", Refusal::Scheme),
            ("ftp://example.com", Refusal::Scheme),
            ("http://8.8.8.8/", Refusal::Scheme),
            ("/path", Refusal::Scheme),
            ("https://user:secret@example.com/", Refusal::Credentials),
            ("https://example.com@127.0.0.1/", Refusal::Credentials),
            ("https://1.2.3.4.5/", Refusal::Host),
            ("https://example.com:0/", Refusal::Host),
            ("https://127.0.0.1/", Refusal::NotPublic(Kind::Loopback)),
            ("https://0x7f.1:8443/", Refusal::NotPublic(Kind::Loopback)),
            ("https://2852039166/latest/meta-data", Refusal::NotPublic(Kind::LinkLocal)),
            ("https://[::ffff:10.0.0.1]/", Refusal::NotPublic(Kind::Private)),
            ("https://[64:ff9b::7f00:1]/", Refusal::NotPublic(Kind::Loopback)),
            ("https://[::1]/", Refusal::NotPublic(Kind::Loopback)),
        ] {
            assert_eq!(examine(&policy, address), Err(refusal), "{address}");
        }
    }

    #[test]
    fn an_operator_allows_hosts_and_networks() {
        let policy = Policy::allowing("10.0.0.0/8, sms.internal  http://127.0.0.1\nfd00::/8,").unwrap();
        for address in [
            "https://10.200.1.1/",
            "https://[::ffff:10.1.1.1]/",
            "https://[fd12::1]/",
            "http://127.0.0.1:8080/",
            "https://127.0.0.1/",
            "https://example.com/",
        ] {
            assert_eq!(examine(&policy, address), Ok(()), "{address}");
        }
        for (address, refusal) in [
            ("http://10.1.1.1/", Refusal::Scheme),
            ("http://8.8.8.8/", Refusal::Scheme),
            ("https://11.1.1.1@x/", Refusal::Credentials),
            ("http://127.0.0.2/", Refusal::NotPublic(Kind::Loopback)),
            ("https://192.168.0.1/", Refusal::NotPublic(Kind::Private)),
            ("https://[fe80::1]/", Refusal::NotPublic(Kind::LinkLocal)),
        ] {
            assert_eq!(examine(&policy, address), Err(refusal), "{address}");
        }
        let leads = |host: &str, addresses: &[&str]| {
            let target = Target::read(&format!("https://{host}/").parse().unwrap()).unwrap();
            let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
            policy.admit(&target, &addresses)
        };
        assert_eq!(leads("sms.internal", &["192.168.0.1", "8.8.8.8"]), Ok(()));
        assert_eq!(leads("SMS.internal.", &["192.168.0.1"]), Ok(()));
        assert_eq!(leads("evil.example", &["8.8.8.8"]), Ok(()));
        // One bad address among good ones is enough.
        let mixed = leads("evil.example", &["8.8.8.8", "192.168.0.1"]);
        assert_eq!(mixed, Err(Refusal::NotPublic(Kind::Private)));
    }

    #[test]
    fn a_list_that_can_t_be_read_is_refused_whole() {
        for list in [
            "10.0.0.0/33",
            "fd00::/129",
            "10.0.0/8",
            "a b/8",
            "https://sms.internal",
            "sms.internal:8080",
            "1.2.3.4.5",
        ] {
            let error = Policy::allowing(list).unwrap_err();
            assert!(list.contains(&error.0), "{list}: {error}");
        }
        assert!(Policy::allowing(" , ").is_ok());
        let everything = Policy::allowing("http://0.0.0.0/0").unwrap();
        assert_eq!(examine(&everything, "http://127.0.0.1/"), Ok(()));
    }
}
