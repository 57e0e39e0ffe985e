//! Where a person is reached: email addresses and phone numbers, parsed once and right from then on.
//!
//! The rules are those of SMTP (RFC 5321 and 5322) without its museum: no comments, no address literals, no
//! SMTPUTF8. Neither type shows its text through `Debug`, so neither gets into a log by way of a derived one.

mod country;
mod phone;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use idna::AsciiDenyList;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

pub use country::Country;
pub use phone::{PhoneError, PhoneNumber};

/// The longest address, in octets (RFC 5321 4.5.3.1.3: a path of 256 with its angle brackets).
pub const MAX_ADDRESS_BYTES: usize = 254;
/// The longest local part, in octets (RFC 5321 4.5.3.1.1).
pub const MAX_LOCAL_BYTES: usize = 64;
/// The longest domain, in octets of its ASCII form (RFC 1035 2.3.4, without the root's dot).
pub const MAX_DOMAIN_BYTES: usize = 253;
/// The longest label of a domain, in octets (RFC 1035 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// Why a text is no address. No message repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Nothing, or only white space.
    #[error("the address is empty")]
    Empty,
    /// No `@` between a local part and a domain.
    #[error("the address has no @ with something on both sides")]
    NoAt,
    /// White space (a no-break space among it), an invisible or a control character. A plain space is right only
    /// inside a quoted local part.
    #[error("the address contains white space or an invisible character")]
    Whitespace,
    /// Longer than [`MAX_ADDRESS_BYTES`].
    #[error("the address is longer than {MAX_ADDRESS_BYTES} octets")]
    TooLong,
    /// The part before the `@` is longer than [`MAX_LOCAL_BYTES`].
    #[error("the part before the @ is longer than {MAX_LOCAL_BYTES} octets")]
    LocalPartTooLong,
    /// The part before the `@` is not ASCII: delivering to it takes SMTPUTF8, which few servers and not we speak.
    #[error("the part before the @ is not ASCII, which takes SMTPUTF8")]
    NonAsciiLocalPart,
    /// The part before the `@` breaks the grammar: two dots together, a dot at an end, a special character or a
    /// quote that is not closed.
    #[error("the part before the @ is not well formed")]
    LocalPart,
    /// `x@[192.0.2.1]`: well formed, and refused by policy, because nobody's mailbox is reached that way and such
    /// addresses in a list are mistakes or traps.
    #[error("address literals such as x@[192.0.2.1] are not accepted")]
    AddressLiteral,
    /// The domain is no host name, in ASCII or by IDNA.
    #[error("the domain is not well formed")]
    Domain,
    /// The domain is one label, such as `localhost`.
    #[error("the domain has no dot")]
    NoDot,
    /// A phone number's rules are broken.
    #[error(transparent)]
    Phone(#[from] PhoneError),
}

/// An email address in the form it has on the wire: ASCII, its domain in A-labels and lower case, its local part
/// as given.
///
/// ```
/// use campaign::address::{AddressError, EmailAddress};
///
/// let address = EmailAddress::parse(" Jo.Hn+news@K\u{e4}se.DE ")?;
/// assert_eq!(address.as_str(), "Jo.Hn+news@xn--kse-qla.de");
/// assert_eq!(address.identity(), "jo.hn+news@xn--kse-qla.de");
/// assert_eq!(EmailAddress::parse("a..b@x.io"), Err(AddressError::LocalPart));
/// # Ok::<(), AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailAddress {
    text: Box<str>,
    at: u8,
}

impl EmailAddress {
    /// Parses an address; ASCII white space around it is dropped.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        let (local, domain) = split(text)?;
        check_local(local)?;
        let domain = domain_to_ascii(domain)?;
        if local.len() + 1 + domain.len() > MAX_ADDRESS_BYTES {
            return Err(AddressError::TooLong);
        }
        let at = u8::try_from(local.len()).map_err(|_| AddressError::LocalPartTooLong)?;
        Ok(Self { text: format!("{local}@{domain}").into_boxed_str(), at })
    }

    /// The whole address, as SMTP commands and header fields carry it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `@`, quotes and all.
    pub fn local(&self) -> &str {
        &self.text[..usize::from(self.at)]
    }

    /// The part behind the `@`: A-labels, lower case.
    pub fn domain(&self) -> &str {
        &self.text[usize::from(self.at) + 1..]
    }

    /// The key under which this address is one identity: the whole of it in lower case, because no provider that
    /// matters tells `Ann@x.io` from `ann@x.io`, and mailing both is mailing one person twice.
    pub fn identity(&self) -> Cow<'_, str> {
        if self.local().bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(self.text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(&self.text)
        }
    }
}

/// The text around the last `@`: a quoted local part may hold others.
fn split(text: &str) -> Result<(&str, &str), AddressError> {
    match text.rsplit_once('@') {
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() => Ok((local, domain)),
        _ => Err(AddressError::NoAt),
    }
}

/// Whether a character has no business in an address: white space of any script, controls, and what is not seen.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn check_local(local: &str) -> Result<(), AddressError> {
    if let Some(rest) = local.strip_prefix('"') {
        let inner = rest.strip_suffix('"').ok_or(AddressError::LocalPart)?;
        check_quoted(inner)?;
    } else {
        if local.chars().any(is_blank) {
            return Err(AddressError::Whitespace);
        }
        if !local.is_ascii() {
            return Err(AddressError::NonAsciiLocalPart);
        }
        let is_atom = |atom: &str| !atom.is_empty() && atom.bytes().all(is_atext);
        if !local.split('.').all(is_atom) {
            return Err(AddressError::LocalPart);
        }
    }
    if local.len() > MAX_LOCAL_BYTES { Err(AddressError::LocalPartTooLong) } else { Ok(()) }
}

/// RFC 5322's `atext`.
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// The inside of a quoted local part: printable ASCII and spaces, `"` and `\` behind a `\`.
fn check_quoted(inner: &str) -> Result<(), AddressError> {
    if inner.is_empty() {
        return Err(AddressError::LocalPart);
    }
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        let c = match c {
            '\\' => characters.next().ok_or(AddressError::LocalPart)?,
            '"' => return Err(AddressError::LocalPart),
            c => c,
        };
        match c {
            ' '..='~' => {}
            c if is_blank(c) => return Err(AddressError::Whitespace),
            _ => return Err(AddressError::NonAsciiLocalPart),
        }
    }
    Ok(())
}

/// The ASCII form of an address's domain: lower case, and A-labels for what is not ASCII (UTS 46).
///
/// # Errors
/// Where the text is no host name of two labels or more.
///
/// ```
/// # use campaign::address::domain_to_ascii;
/// assert_eq!(domain_to_ascii("K\u{e4}se.de")?, "xn--kse-qla.de");
/// # Ok::<(), campaign::address::AddressError>(())
/// ```
pub fn domain_to_ascii(domain: &str) -> Result<Cow<'_, str>, AddressError> {
    if domain.starts_with('[') {
        return Err(AddressError::AddressLiteral);
    }
    if domain.chars().any(is_blank) {
        return Err(AddressError::Whitespace);
    }
    let ascii = if is_plain(domain) {
        Cow::Borrowed(domain)
    } else {
        idna::domain_to_ascii_cow(domain.as_bytes(), AsciiDenyList::STD3).map_err(|_| AddressError::Domain)?
    };
    if ascii.len() > MAX_DOMAIN_BYTES || !ascii.split('.').all(is_label) {
        return Err(AddressError::Domain);
    }
    let last = ascii.rsplit('.').next().unwrap_or_default();
    if last.len() == ascii.len() {
        return Err(AddressError::NoDot);
    }
    // No top-level domain is a number; an IPv4 address without its brackets ends in one.
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AddressError::Domain);
    }
    Ok(ascii)
}

/// Whether IDNA would return the domain as it stands: what nearly every address's is.
fn is_plain(domain: &str) -> bool {
    domain.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        && !domain.contains("xn--")
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress(*@{})", self.domain())
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = AddressError;
            fn from_str(text: &str) -> Result<Self, AddressError> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(EmailAddress);
as_text!(PhoneNumber);

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> AddressError {
        EmailAddress::parse(text).expect_err(text)
    }

    #[test]
    fn unusual_but_right_addresses_are_accepted() {
        for text in ["a+b@x.io", "o'brien@x.ie", "\"john doe\"@x.io", "\"a@b\\\"\"@x.io", "a@b.c.d.museum"] {
            assert_eq!(EmailAddress::parse(text).map(|a| a.to_string()), Ok(text.to_owned()), "{text}");
        }
    }

    #[test]
    fn wrong_addresses_are_refused_with_their_reason() {
        for (text, reason) in [
            ("", AddressError::Empty),
            (" \t ", AddressError::Empty),
            ("a", AddressError::NoAt),
            ("@x.io", AddressError::NoAt),
            ("a@", AddressError::NoAt),
            ("a@b", AddressError::NoDot),
            ("user@localhost", AddressError::NoDot),
            ("a..b@x.io", AddressError::LocalPart),
            (".a@x.io", AddressError::LocalPart),
            ("a.@x.io", AddressError::LocalPart),
            ("a@b@x.io", AddressError::LocalPart),
            ("a,b@x.io", AddressError::LocalPart),
            ("Ann <ann@x.io>", AddressError::Whitespace),
            ("<ann@x.io>", AddressError::LocalPart),
            ("\"a@x.io", AddressError::LocalPart),
            ("\"\"@x.io", AddressError::LocalPart),
            ("\"a\"b\"@x.io", AddressError::LocalPart),
            ("\"a\\\"@x.io", AddressError::LocalPart),
            ("\"a\r\nb\"@x.io", AddressError::Whitespace),
            ("a@x.io.", AddressError::Domain),
            ("a@x..io", AddressError::Domain),
            ("a@-x.io", AddressError::Domain),
            ("a@x-.io", AddressError::Domain),
            ("a@x_y.io", AddressError::Domain),
            ("a@192.0.2.1", AddressError::Domain),
            ("a@xn--a.io", AddressError::Domain),
            ("x@[192.0.2.1]", AddressError::AddressLiteral),
            ("x@[IPv6:2001:db8::1]", AddressError::AddressLiteral),
            ("a\u{a0}b@x.io", AddressError::Whitespace),
            ("a@x\u{a0}y.io", AddressError::Whitespace),
            ("\u{a0}a@x.io", AddressError::Whitespace),
            ("a\tb@x.io", AddressError::Whitespace),
            ("a b@x.io", AddressError::Whitespace),
            ("a@x.io\r\nRCPT TO:<b@x.io>", AddressError::Whitespace),
            ("a@x\u{200b}y.io", AddressError::Whitespace),
            ("a\0@x.io", AddressError::Whitespace),
        ] {
            assert_eq!(refusal(text), reason, "{text:?}");
        }
    }

    #[test]
    fn lengths_count_octets_of_the_ascii_form() {
        let local = "a".repeat(64);
        assert!(EmailAddress::parse(&format!("{local}@x.io")).is_ok());
        assert_eq!(refusal(&format!("{local}a@x.io")), AddressError::LocalPartTooLong);
        let label = "b".repeat(61);
        let domain = format!("{label}.{label}.{label}.io");
        assert_eq!(domain.len(), 188);
        let fits = format!("{local}@{domain}");
        assert_eq!(fits.len(), 253);
        assert!(EmailAddress::parse(&fits).is_ok());
        assert!(EmailAddress::parse(&fits.replace(".io", ".com")).is_ok());
        assert_eq!(refusal(&fits.replace(".io", ".info")), AddressError::TooLong);
        assert_eq!(refusal(&format!("a@{}.io", "b".repeat(64))), AddressError::Domain);
    }

    #[test]
    fn an_international_domain_becomes_a_labels() {
        assert_eq!(domain_to_ascii("k\u{e4}se.de").as_deref(), Ok("xn--kse-qla.de"));
        let address = EmailAddress::parse("info@K\u{c4}SE.de").unwrap();
        assert_eq!((address.local(), address.domain()), ("info", "xn--kse-qla.de"));
        assert_eq!(EmailAddress::parse("info@xn--kse-qla.de"), Ok(address));
    }

    #[test]
    fn a_local_part_beyond_ascii_is_refused_by_name() {
        assert_eq!(refusal("h\u{e4}hnchen@k\u{e4}se.de"), AddressError::NonAsciiLocalPart);
        assert_eq!(refusal("\"h\u{e4}hnchen\"@k\u{e4}se.de"), AddressError::NonAsciiLocalPart);
    }

    #[test]
    fn the_domain_is_lower_cased_and_the_local_part_kept() {
        let address = EmailAddress::parse("  Ann.Lee@Example.COM\n").unwrap();
        assert_eq!(address.as_str(), "Ann.Lee@example.com");
        assert_eq!(address.identity(), "ann.lee@example.com");
        assert_eq!(address.identity(), EmailAddress::parse("ANN.LEE@EXAMPLE.COM").unwrap().identity());
    }

    #[test]
    fn debug_hides_the_person() {
        let shown = format!("{:?}", EmailAddress::parse("ann@x.io").unwrap());
        assert_eq!(shown, "EmailAddress(*@x.io)");
        assert_eq!(format!("{:?}", PhoneNumber::parse("+491701234567").unwrap()), "PhoneNumber(*)");
    }

    #[test]
    fn json_carries_the_text_and_is_checked_on_the_way_in() {
        let address: EmailAddress = serde_json::from_str("\"A@X.io\"").unwrap();
        assert_eq!(serde_json::to_string(&address).unwrap(), "\"A@x.io\"");
        assert!(serde_json::from_str::<EmailAddress>("\"a@b\"").is_err());
        let phone: PhoneNumber = serde_json::from_str("\"+49 170 1234567\"").unwrap();
        assert_eq!(serde_json::to_string(&phone).unwrap(), "\"+491701234567\"");
    }

    proptest! {
        /// The `email_address` crate implements the RFCs in full: whatever we accept must be right by it.
        #[test]
        fn whatever_is_accepted_is_right_by_the_rfcs(text in "[ -~]{0,12}@[ -~]{0,12}|[a-zA-Z.\"+@ -]{1,20}@[a-zA-Z0-9.-]{1,20}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert!(email_address::EmailAddress::from_str(address.as_str()).is_ok(), "{}", address);
                prop_assert_eq!(EmailAddress::parse(address.as_str()), Ok(address.clone()));
                prop_assert_eq!(format!("{}@{}", address.local(), address.domain()), address.as_str());
            }
        }

        #[test]
        fn any_text_is_accepted_or_refused_without_a_panic(text in "\\PC*|.*@.*\\..*") {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert!(address.as_str().is_ascii());
            }
            if let Ok(phone) = PhoneNumber::parse(&text) {
                let digits = phone.as_str().strip_prefix('+').unwrap();
                prop_assert!(digits.bytes().all(|byte| byte.is_ascii_digit()));
            }
        }
    }
}
