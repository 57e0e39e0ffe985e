//! From characters that GSM-7 lacks to the nearest it has.

use std::borrow::Cow;

use super::gsm7;
use super::segments::{Encoding, segments};

/// The text with what GSM-7 lacks replaced by the nearest it has, where that makes it GSM-7 or shorter; else as it is, since
/// a single character that stays (an emoji, another script) makes all of it UCS-2, in which nothing needs replacing. What
/// GSM-7 has is never touched.
pub(super) fn transliterate(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| gsm7::septets(c).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut replaced = String::with_capacity(text.len());
    for c in text.chars() {
        match replacement(c) {
            _ if gsm7::septets(c).is_some() => replaced.push(c),
            Some(nearest) => replaced.push_str(nearest),
            None => match replaced.chars().next_back().and_then(|letter| marked(letter, c)) {
                Some(composed) => {
                    replaced.pop();
                    replaced.push(composed);
                }
                None => replaced.push(c),
            },
        }
    }
    let (before, after) = (segments(text), segments(&replaced));
    let is_better = after.segments < before.segments
        || (after.encoding == Encoding::Gsm7 && after.segments == before.segments);
    if is_better { Cow::Owned(replaced) } else { Cow::Borrowed(text) }
}

/// A letter with a combining mark behind it, as one character of GSM-7: the letter alone where there is none.
const fn marked(letter: char, mark: char) -> Option<char> {
    if !letter.is_ascii_alphabetic() || !matches!(mark, '\u{300}'..='\u{36f}') {
        return None;
    }
    Some(match (letter, mark) {
        ('a', '\u{300}') => 'à',
        ('e', '\u{300}') => 'è',
        ('i', '\u{300}') => 'ì',
        ('o', '\u{300}') => 'ò',
        ('u', '\u{300}') => 'ù',
        ('e', '\u{301}') => 'é',
        ('E', '\u{301}') => 'É',
        ('n', '\u{303}') => 'ñ',
        ('N', '\u{303}') => 'Ñ',
        ('a', '\u{308}') => 'ä',
        ('o', '\u{308}') => 'ö',
        ('u', '\u{308}') => 'ü',
        ('A', '\u{308}') => 'Ä',
        ('O', '\u{308}') => 'Ö',
        ('U', '\u{308}') => 'Ü',
        ('a', '\u{30a}') => 'å',
        ('A', '\u{30a}') => 'Å',
        ('C', '\u{327}') => 'Ç',
        (letter, _) => letter,
    })
}

/// The nearest that GSM-7 has: punctuation by its meaning, letters without their marks.
const fn replacement(c: char) -> Option<&'static str> {
    Some(match c {
        '‘' | '’' | '‚' | '‛' | '′' | 'ʼ' | '´' | '`' | '‹' | '›' => "'",
        '“' | '”' | '„' | '‟' | '″' | '«' | '»' => "\"",
        '\u{2010}'..='\u{2015}' | '−' | '⁃' => "-",
        '…' => "...",
        '•' | '‣' | '◦' => "*",
        '·' => ".",
        '⁄' | '÷' => "/",
        '×' => "x",
        '\t' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => " ",
        '\u{2028}' | '\u{2029}' => "\n",
        // Seen by nobody, and joining nothing.
        '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' => "",
        '¹' => "1",
        '²' => "2",
        '³' => "3",
        '¼' => "1/4",
        '½' => "1/2",
        '¾' => "3/4",
        '©' => "(c)",
        '®' => "(R)",
        '™' => "TM",
        '№' => "No",
        'ª' => "a",
        'º' => "o",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'À' | 'Á' | 'Â' | 'Ã' | 'Ā' | 'Ă' | 'Ą' | 'Ǎ' | 'Ȁ' | 'Ạ' | 'Ả' | 'Ấ' | 'Ầ' | 'Ẩ' | 'Ẫ' | 'Ậ'
        | 'Ắ' | 'Ằ' | 'Ẳ' | 'Ẵ' | 'Ặ' => "A",
        'á' | 'â' | 'ã' | 'ā' | 'ă' | 'ą' | 'ǎ' | 'ȁ' | 'ạ' | 'ả' | 'ấ' | 'ầ' | 'ẩ' | 'ẫ' | 'ậ' | 'ắ'
        | 'ằ' | 'ẳ' | 'ẵ' | 'ặ' => "a",
        'Ć' | 'Ĉ' | 'Ċ' | 'Č' => "C",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'Ð' | 'Ď' | 'Đ' | 'Ḍ' => "D",
        'ð' | 'ď' | 'đ' | 'ḍ' => "d",
        'È' | 'Ê' | 'Ë' | 'Ē' | 'Ĕ' | 'Ė' | 'Ę' | 'Ě' | 'Ẹ' | 'Ẻ' | 'Ẽ' | 'Ế' | 'Ề' | 'Ể' | 'Ễ' | 'Ệ' => {
            "E"
        }
        'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' | 'ẹ' | 'ẻ' | 'ẽ' | 'ế' | 'ề' | 'ể' | 'ễ' | 'ệ' => {
            "e"
        }
        'Ĝ' | 'Ğ' | 'Ġ' | 'Ģ' | 'Ǧ' => "G",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' | 'ǧ' => "g",
        'Ĥ' | 'Ħ' | 'Ḥ' => "H",
        'ĥ' | 'ħ' | 'ḥ' => "h",
        'Ì' | 'Í' | 'Î' | 'Ï' | 'Ĩ' | 'Ī' | 'Ĭ' | 'Į' | 'İ' | 'Ǐ' | 'Ỉ' | 'Ị' => "I",
        'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' | 'ǐ' | 'ỉ' | 'ị' => "i",
        'Ĵ' => "J",
        'ĵ' => "j",
        'Ķ' => "K",
        'ķ' | 'ĸ' => "k",
        'Ĺ' | 'Ļ' | 'Ľ' | 'Ŀ' | 'Ł' => "L",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'Ń' | 'Ņ' | 'Ň' | 'Ŋ' => "N",
        'ń' | 'ņ' | 'ň' | 'ŋ' => "n",
        'Ò' | 'Ó' | 'Ô' | 'Õ' | 'Ō' | 'Ŏ' | 'Ő' | 'Ơ' | 'Ǒ' | 'Ọ' | 'Ỏ' | 'Ố' | 'Ồ' | 'Ổ' | 'Ỗ' | 'Ộ'
        | 'Ớ' | 'Ờ' | 'Ở' | 'Ỡ' | 'Ợ' => "O",
        'ó' | 'ô' | 'õ' | 'ō' | 'ŏ' | 'ő' | 'ơ' | 'ǒ' | 'ọ' | 'ỏ' | 'ố' | 'ồ' | 'ổ' | 'ỗ' | 'ộ' | 'ớ'
        | 'ờ' | 'ở' | 'ỡ' | 'ợ' => "o",
        'Ŕ' | 'Ŗ' | 'Ř' => "R",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'Ś' | 'Ŝ' | 'Ş' | 'Š' | 'Ș' | 'Ṣ' => "S",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' | 'ṣ' | 'ſ' => "s",
        'Ţ' | 'Ť' | 'Ŧ' | 'Ț' | 'Ṭ' => "T",
        'ţ' | 'ť' | 'ŧ' | 'ț' | 'ṭ' => "t",
        'Ù' | 'Ú' | 'Û' | 'Ũ' | 'Ū' | 'Ŭ' | 'Ů' | 'Ű' | 'Ų' | 'Ư' | 'Ǔ' | 'Ụ' | 'Ủ' | 'Ứ' | 'Ừ' | 'Ử'
        | 'Ữ' | 'Ự' => "U",
        'ú' | 'û' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' | 'ư' | 'ǔ' | 'ụ' | 'ủ' | 'ứ' | 'ừ' | 'ử' | 'ữ'
        | 'ự' => "u",
        'Ŵ' => "W",
        'ŵ' => "w",
        'Ý' | 'Ŷ' | 'Ÿ' | 'Ỳ' | 'Ỵ' | 'Ỷ' | 'Ỹ' => "Y",
        'ý' | 'ŷ' | 'ÿ' | 'ỳ' | 'ỵ' | 'ỷ' | 'ỹ' => "y",
        'Ź' | 'Ż' | 'Ž' => "Z",
        'ź' | 'ż' | 'ž' => "z",
        'Œ' => "OE",
        'œ' => "oe",
        'Ĳ' => "IJ",
        'ĳ' => "ij",
        'Þ' => "Th",
        'þ' => "th",
        'ẞ' => "SS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_gsm7_lacks_becomes_the_nearest_it_has() {
        for (text, nearest) in [
            ("“Hello” – it’s 5\u{a0}€…", "\"Hello\" - it's 5 €..."),
            ("Garçon, ça coûte 3 € à Kraków", "Garcon, ca coute 3 € à Krakow"),
            ("Zażółć gęślą jaźń", "Zazolc gesla jazn"),
            ("Tiếng Việt, Ðorđe, Þór", "Tieng Viet, Dorde, Thor"),
            // Composed and decomposed are one; marks that GSM-7 has none for go.
            ("e\u{301}te\u{301} a\u{30a} c\u{327} z\u{307}", "été å c z"),
            ("soft\u{ad}hyphen\tand \u{feff}tab", "softhyphen and tab"),
        ] {
            assert_eq!(transliterate(text), nearest, "{text}");
            assert_eq!(segments(nearest).encoding, Encoding::Gsm7);
        }
    }

    #[test]
    fn a_text_stays_as_it_is_where_nothing_is_won() {
        // Other scripts and emoji make it UCS-2 whatever becomes of the rest, and `…` takes one unit there, not three.
        for text in [
            "“Hello” \u{1f60e}",
            "Привет… „мир“",
            "Ünïcödé \u{2764}\u{fe0f}",
            "été à l'Øresund",
            "1\u{fe0f}\u{20e3}",
        ] {
            assert_eq!(transliterate(text), text);
        }
        // 70 of these are one segment in UCS-2, and 210 septets are two.
        let dots = "…".repeat(70);
        assert_eq!(transliterate(&dots), dots.as_str());
    }

    #[test]
    fn what_is_shorter_in_ucs2_too_is_taken() {
        let text = format!("{}{}", "\u{1f60e}".repeat(35), "\u{200b}");
        assert_eq!(transliterate(&text), "\u{1f60e}".repeat(35));
    }

    proptest! {
        #[test]
        fn it_never_takes_more_segments_and_touches_nothing_of_the_alphabet(
            text in "[a-zé€çłŁ’“”…\u{a0}\u{1f60e}я\u{301}]{0,200}|\\PC{0,80}|[a-z€\\]]{0,200}"
        ) {
            let result = transliterate(&text);
            prop_assert!(segments(&result).segments <= segments(&text).segments);
            if segments(&text).encoding == Encoding::Gsm7 {
                prop_assert_eq!(&*result, text.as_str());
            }
            prop_assert_eq!(transliterate(&result).into_owned(), result.clone().into_owned());
        }

        #[test]
        fn every_replacement_is_of_the_alphabet(c in any::<char>()) {
            if let Some(nearest) = replacement(c) {
                prop_assert!(nearest.chars().all(|c| gsm7::septets(c) == Some(1)));
            }
        }
    }
}
