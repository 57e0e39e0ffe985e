//! Instants and durations as CEL writes them.

use jiff::{SignedDuration, Timestamp};

/// An RFC 3339 instant: a date, a time and an offset.
pub(super) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// A duration: numbers with a unit each (`h`, `m`, `s`, `ms`, `us`, `ns`), one after the other, perhaps a sign in
/// front: `1h30m`, `-1.5s`. A day is no unit, because not every day has 24 hours.
pub(super) fn parse_duration(text: &str) -> Option<SignedDuration> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds: i128 = 0;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(number_len);
        let unit_len = behind.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at(unit_len);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60 * 1_000_000_000,
            "h" => 3_600 * 1_000_000_000,
            _ => return None,
        };
        nanoseconds = nanoseconds.checked_add(times(number, unit)?)?;
        rest = next;
    }
    let seconds = i64::try_from(nanoseconds / 1_000_000_000).ok()?;
    let subseconds = i32::try_from(nanoseconds % 1_000_000_000).ok()?;
    SignedDuration::new(seconds, subseconds).checked_mul(sign)
}

/// A decimal number times a unit in nanoseconds, cut to whole ones.
fn times(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // Eighteen digits count in an hour's nanoseconds or i64's range; more are no duration anyone means.
    if whole.len() > 18 || fraction.len() > 18 || whole.is_empty() || fraction.contains('.') {
        return None;
    }
    let mut nanoseconds = whole.parse::<i128>().ok()?.checked_mul(unit)?;
    if !fraction.is_empty() {
        let digits = u32::try_from(fraction.len()).ok()?;
        nanoseconds += fraction.parse::<i128>().ok()? * unit / 10_i128.pow(digits);
    }
    Some(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_add_up_their_parts() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("-0", 0),
            ("0s", 0),
            ("1h", 3_600_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1h30m1s", 5_401_000_000_000),
            ("-1.5s", -1_500_000_000),
            ("1ms2us3ns", 1_002_003),
            ("1.5ns", 1),
        ] {
            assert_eq!(parse_duration(text).map(|d| d.as_nanos()), Some(nanoseconds), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_durations() {
        for text in [
            "",
            "-",
            "1",
            "h",
            "1d",
            "1 h",
            "1h ",
            "1.h.5",
            "1..5h",
            ".5h",
            "--1h",
            "+1h",
            "9999999999999999999h",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
