//! Phone numbers.

use std::fmt;

use thiserror::Error;

use super::{AddressError, Country};

/// Why a text is no phone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PhoneError {
    /// Nothing, or only white space.
    #[error("the phone number is empty")]
    Empty,
    /// No country code: neither `+` nor `00` in front, and no country was named that it could be of.
    #[error("the phone number has no country code: write it as +49 170 1234567")]
    National,
    /// Something other than digits, spaces, dashes, dots and parentheses.
    #[error("the phone number contains something other than digits and spaces, dashes, dots, parentheses")]
    Character,
    /// Not [`MIN_DIGITS`](PhoneNumber::MIN_DIGITS) to [`MAX_DIGITS`](PhoneNumber::MAX_DIGITS) digits.
    #[error("a phone number has {min} to {max} digits with its country code",
        min = PhoneNumber::MIN_DIGITS, max = PhoneNumber::MAX_DIGITS)]
    Length,
    /// A country code that begins with 0, which none does.
    #[error("no country code begins with 0")]
    CountryCode,
}

/// A phone number in E.164's form: `+`, country code, number.
///
/// ```
/// use campaign::address::PhoneNumber;
///
/// assert_eq!(PhoneNumber::parse("0049 (170) 123-45.67")?.as_str(), "+491701234567");
/// # Ok::<(), campaign::address::AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhoneNumber(Box<str>);

impl PhoneNumber {
    /// The fewest digits, country code included, that are taken for a number.
    pub const MIN_DIGITS: usize = 8;
    /// The most digits, country code included, that E.164 allows.
    pub const MAX_DIGITS: usize = 15;

    /// Parses a number written internationally, with `+` or `00` in front; spaces, dashes, dots and parentheses are
    /// dropped.
    ///
    /// # Errors
    /// Says which rule the text breaks. A national number (`0170 1234567`) is refused rather than guessed at.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        Self::parse_in(text, None)
    }

    /// As [`parse`](Self::parse), and a number without `+` or `00` in front is one of `country`, where one is named, written as
    /// it is within it.
    ///
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse_in(text: &str, country: Option<Country>) -> Result<Self, AddressError> {
        Ok(Self(e164(text, country)?.into_boxed_str()))
    }

    /// The number: `+` and digits. Also the key under which it is one identity.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn e164(text: &str, country: Option<Country>) -> Result<String, PhoneError> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Err(PhoneError::Empty);
    }
    let is_filler = |c: char| matches!(c, ' ' | '\u{a0}' | '-' | '.' | '(' | ')');
    let mut number: String = text.chars().filter(|c| !is_filler(*c)).collect();
    if number.starts_with("00") {
        number.replace_range(..2, "+");
    }
    if number.starts_with('+') && text.contains("(0)") {
        // `+44 (0)20 ...`: the zero is for whoever calls from within the country.
        let without = text.replacen("(0)", "", 1);
        return e164(&without, country);
    }
    let digits = number.strip_prefix('+').unwrap_or(&number);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PhoneError::Character);
    }
    if digits.is_empty() {
        return Err(PhoneError::Length);
    }
    if digits.len() == number.len() {
        let country = country.ok_or(PhoneError::National)?;
        number.replace_range(.., &format!("+{}", country.internationally(digits).ok_or(PhoneError::Length)?));
    } else if digits.starts_with('0') {
        return Err(PhoneError::CountryCode);
    }
    if !(PhoneNumber::MIN_DIGITS..=PhoneNumber::MAX_DIGITS).contains(&(number.len() - 1)) {
        return Err(PhoneError::Length);
    }
    Ok(number)
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(*)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn international_numbers_are_normalised() {
        for (text, number) in [
            ("+49 170 1234567", "+491701234567"),
            ("0049-170-1234567", "+491701234567"),
            (" +1 (555) 010.9999 ", "+15550109999"),
            ("+44 (0)20 7946 0000", "+442079460000"),
            ("0049 (0) 170 1234567", "+491701234567"),
            ("+12345678", "+12345678"),
            ("+123456789012345", "+123456789012345"),
        ] {
            assert_eq!(PhoneNumber::parse(text).map(|n| n.to_string()), Ok(number.to_owned()), "{text}");
        }
    }

    fn within(country: &str, text: &str) -> Result<String, AddressError> {
        let country = Country::of_letters(country).unwrap();
        PhoneNumber::parse_in(text, Some(country)).map(|number| number.to_string())
    }

    /// Row K6.
    #[test]
    fn a_number_without_a_country_code_is_read_in_the_country_that_is_named() {
        for (country, text, number) in [
            ("DE", "0170 1234567", "+491701234567"),
            ("DE", "170-1234567", "+491701234567"),
            ("FR", "06.12.34.56.78", "+33612345678"),
            ("GB", "(07911) 123456", "+447911123456"),
            // The 0 belongs to the number, and nothing is dialled before it.
            ("IT", "06 6982 1234", "+390669821234"),
            ("IT", "347 123 4567", "+393471234567"),
            ("CI", "07 01 23 45 67", "+2250701234567"),
            ("ES", "612 345 678", "+34612345678"),
            ("US", "(555) 010-9999", "+15550109999"),
            ("US", "1 555 010 9999", "+15550109999"),
            ("HU", "06 30 123 4567", "+36301234567"),
            ("RU", "8 (912) 345-67-89", "+79123456789"),
            ("RU", "800 555 35 35", "+78005553535"),
            ("BY", "8 029 123 45 67", "+375291234567"),
            ("LT", "0 612 34567", "+37061234567"),
            // What is written internationally is what it says, whatever the country.
            ("FR", "+49 170 1234567", "+491701234567"),
            ("US", "0049 170 1234567", "+491701234567"),
        ] {
            assert_eq!(within(country, text), Ok(number.to_owned()), "{country} {text}");
        }
        for (country, text, reason) in [
            ("US", "5550109", PhoneError::Length),
            ("US", "011 49 170 1234567", PhoneError::Length),
            // The prefix of old, which could as well be a part of the number.
            ("LT", "8 612 34567", PhoneError::Length),
            ("FR", "112", PhoneError::Length),
            ("FR", "()", PhoneError::Length),
            ("FR", "06 12 CALLME", PhoneError::Character),
            ("FR", "", PhoneError::Empty),
        ] {
            assert_eq!(within(country, text), Err(AddressError::Phone(reason)), "{country} {text}");
        }
    }

    #[test]
    fn other_numbers_are_refused_with_their_reason() {
        for (text, reason) in [
            ("", PhoneError::Empty),
            ("0170 1234567", PhoneError::National),
            ("5550109999", PhoneError::National),
            ("+1234567", PhoneError::Length),
            ("+1234567890123456", PhoneError::Length),
            ("+0491701234567", PhoneError::CountryCode),
            ("+49 170 CALLME", PhoneError::Character),
            ("++491701234567", PhoneError::Character),
            ("+\u{664}\u{669}1701234567", PhoneError::Character),
        ] {
            assert_eq!(PhoneNumber::parse(text), Err(AddressError::Phone(reason)), "{text}");
        }
    }
}
