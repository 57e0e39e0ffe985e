//! What a text message takes on its way: it is paid for by the segment.

use serde::Serialize;

use super::gsm7;

/// The most septets of a message of one segment.
const SEPTETS_ALONE: usize = 160;
/// The most septets of one of several segments: each carries a header that says how they belong together.
const SEPTETS_EACH: usize = 153;
/// The most UTF-16 code units of a message of one segment.
const UNITS_ALONE: usize = 70;
/// The most UTF-16 code units of one of several segments.
const UNITS_EACH: usize = 67;

/// How a text message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// In the 7-bit alphabet of GSM 03.38, counted in septets.
    Gsm7,
    /// In UTF-16, counted in its code units: where the alphabet lacks a single character.
    Ucs2,
}

impl Encoding {
    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gsm7 => "GSM-7",
            Self::Ucs2 => "UCS-2",
        }
    }
}

/// What a text takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Segments {
    /// How it is written.
    pub encoding: Encoding,
    /// How long it is, in septets or UTF-16 code units.
    pub units: usize,
    /// How many segments it takes; none for an empty text.
    pub segments: usize,
}

/// Counts what a text takes: exactly, since neither a septet behind its escape nor the second half of a surrogate pair goes
/// into another segment than the first.
///
/// ```
/// use content::{Encoding, segments};
///
/// assert_eq!(segments(&"a".repeat(161)).segments, 2);
/// let one_character_too_many = segments(&format!("{}’", "a".repeat(70)));
/// assert_eq!((one_character_too_many.encoding, one_character_too_many.segments), (Encoding::Ucs2, 2));
/// ```
pub fn segments(text: &str) -> Segments {
    count(text, Encoding::Gsm7, SEPTETS_ALONE, SEPTETS_EACH, gsm7::septets)
        .or_else(|| count(text, Encoding::Ucs2, UNITS_ALONE, UNITS_EACH, |c| Some(c.len_utf16())))
        .expect("UTF-16 has every character")
}

/// The characters, in their order, that make a text UCS-2.
pub fn beyond_gsm7(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|c| gsm7::septets(*c).is_none())
}

fn count(
    text: &str,
    encoding: Encoding,
    alone: usize,
    each: usize,
    width: impl Fn(char) -> Option<usize>,
) -> Option<Segments> {
    let (mut units, mut segments, mut room) = (0, 0, 0);
    for c in text.chars() {
        let width = width(c)?;
        if width > room {
            segments += 1;
            room = each;
        }
        room -= width;
        units += width;
    }
    let segments = if units <= alone { segments.min(1) } else { segments };
    Some(Segments { encoding, units, segments })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(text: &str) -> (Encoding, usize, usize) {
        let Segments { encoding, units, segments } = segments(text);
        (encoding, units, segments)
    }

    /// Row K5.
    #[test]
    fn a_text_is_counted_as_it_is_and_not_as_it_is_escaped() {
        assert_eq!(taken(&"æ".repeat(160)), (Encoding::Gsm7, 160, 1));
        assert_eq!(taken(&"øåÆØÅ".repeat(32)), (Encoding::Gsm7, 160, 1));
        assert_eq!(taken(&"a".repeat(160)), (Encoding::Gsm7, 160, 1));
        assert_eq!(taken(&"a".repeat(161)), (Encoding::Gsm7, 161, 2));
        assert_eq!(taken("€"), (Encoding::Gsm7, 2, 1));
        assert_eq!(taken(&"€".repeat(80)), (Encoding::Gsm7, 160, 1));
        assert_eq!(taken("“Hello”"), (Encoding::Ucs2, 7, 1));
        assert_eq!(taken("100% & more"), (Encoding::Gsm7, 11, 1));
    }

    /// Row K2.
    #[test]
    fn an_escape_and_its_septet_are_not_split() {
        assert_eq!(taken(&"]".repeat(153)), (Encoding::Gsm7, 306, 3));
        // Two segments would have room for 306 septets, were it not for the pair at the seam.
        assert_eq!(taken(&format!("{}{}", "a".repeat(152), "]".repeat(77))), (Encoding::Gsm7, 306, 3));
        assert_eq!(taken(&format!("{}{}", "a".repeat(153), "]".repeat(76))), (Encoding::Gsm7, 305, 2));
    }

    /// Row K3.
    #[test]
    fn a_surrogate_pair_is_not_split() {
        assert_eq!(taken(&"\u{1f60e}".repeat(70)), (Encoding::Ucs2, 140, 3));
        assert_eq!(taken(&"\u{1f60e}".repeat(35)), (Encoding::Ucs2, 70, 1));
        assert_eq!(taken(&"\u{1f60e}".repeat(36)), (Encoding::Ucs2, 72, 2));
    }

    #[test]
    fn the_seams_of_both_encodings_are_where_they_are() {
        for (text, segments) in [
            (String::new(), 0),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("я".repeat(70), 1),
            ("я".repeat(71), 2),
            ("я".repeat(134), 2),
            ("я".repeat(135), 3),
        ] {
            assert_eq!(super::segments(&text).segments, segments, "{} characters", text.chars().count());
        }
    }

    #[test]
    fn only_the_capital_of_the_c_with_a_cedilla_is_of_the_alphabet() {
        assert_eq!(segments("Ç").encoding, Encoding::Gsm7);
        assert_eq!(segments("ç").encoding, Encoding::Ucs2);
        assert_eq!(beyond_gsm7("Ça va, garçon? “Ça”\t`").collect::<String>(), "ç“”\t`");
    }

    /// The two tables as the standard prints them, by their codes; none of this is of the code above.
    const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                         ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    const EXTENSION: [(u8, char); 10] = [
        (0x0a, '\u{c}'),
        (0x14, '^'),
        (0x28, '{'),
        (0x29, '}'),
        (0x2f, '\\'),
        (0x3c, '['),
        (0x3d, '~'),
        (0x3e, ']'),
        (0x40, '|'),
        (0x65, '€'),
    ];
    const ESCAPE: u8 = 0x1b;

    /// The text as messages that a phone could show: septets, or UTF-16, cut where they may be.
    fn encoded(text: &str) -> (Encoding, Vec<Vec<u16>>) {
        let mut characters: Vec<Vec<u16>> = Vec::new();
        for c in text.chars() {
            let basic = BASIC.chars().position(|of| of == c).filter(|code| *code != usize::from(ESCAPE));
            let extended = EXTENSION.iter().find(|(_, of)| *of == c);
            match (basic, extended) {
                (Some(code), _) => characters.push(vec![u16::try_from(code).unwrap()]),
                (None, Some((code, _))) => characters.push(vec![ESCAPE.into(), (*code).into()]),
                (None, None) => {
                    let characters = text.chars().map(|c| c.encode_utf16(&mut [0; 2]).to_vec());
                    return (Encoding::Ucs2, cut(&characters.collect::<Vec<_>>(), 70, 67));
                }
            }
        }
        (Encoding::Gsm7, cut(&characters, 160, 153))
    }

    fn cut(characters: &[Vec<u16>], alone: usize, each: usize) -> Vec<Vec<u16>> {
        let whole = characters.concat();
        if whole.is_empty() {
            return Vec::new();
        }
        if whole.len() <= alone {
            return vec![whole];
        }
        let mut messages = vec![Vec::new()];
        for character in characters {
            if messages.last().unwrap().len() + character.len() > each {
                messages.push(Vec::new());
            }
            messages.last_mut().unwrap().extend(character);
        }
        messages
    }

    #[test]
    fn the_table_is_that_of_the_standard() {
        assert_eq!(BASIC.chars().count(), 128);
        for c in ('\0'..=char::MAX).filter(|c| (*c as u32) < 0x2_0000) {
            let (encoding, messages) = encoded(&c.to_string());
            let counted = segments(&c.to_string());
            assert_eq!((counted.encoding, counted.units), (encoding, messages[0].len()), "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_counted_is_what_is_sent(
            text in prop_oneof![
                "[a-zA-Zé€\\]\\[{}|~ \n]{0,500}",
                "[a-z]{140,170}[€\\]]{0,4}[a-z]{0,200}",
                "[a-z\u{1f60e}я]{0,250}",
                "[\u{1f60e}a]{60,80}",
                "\\PC{0,100}",
            ]
        ) {
            let (encoding, messages) = encoded(&text);
            let units = messages.iter().map(Vec::len).sum();
            prop_assert_eq!(segments(&text), Segments { encoding, units, segments: messages.len() });
        }

        #[test]
        fn a_longer_text_takes_no_fewer_segments_of_its_encoding(text in "[a-z€\\]]{0,400}", more in "[a-z€]{0,20}") {
            let longer = format!("{text}{more}");
            prop_assert!(segments(&text).segments <= segments(&longer).segments);
        }
    }
}
