//! How a text is written where not every character stands for itself.

use std::fmt::Write as _;

/// Appends `text` with the five characters that mean something in HTML text and quoted attributes replaced.
///
/// `=` and the backtick stay: they are harmless inside quotes, and escaping `=` breaks URLs in mail readers that
/// decode entities in attributes only partly.
pub(super) fn push_html(out: &mut String, text: &str) {
    let mut copied = 0;
    for (at, byte) in text.bytes().enumerate() {
        let entity = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\'' => "&#39;",
            _ => continue,
        };
        out.push_str(&text[copied..at]);
        out.push_str(entity);
        copied = at + 1;
    }
    out.push_str(&text[copied..]);
}

/// Appends `text` as it stands inside a JSON string (RFC 8259, section 7). The two line separators that JavaScript took for
/// ends of lines until 2019 are escaped as well, for receivers of that age.
pub(crate) fn push_json_text(out: &mut String, text: &str) {
    let mut copied = 0;
    for (at, character) in text.char_indices() {
        let escaped = match character {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{2028}' => "\\u2028",
            '\u{2029}' => "\\u2029",
            '\0'..='\u{1f}' => "",
            _ => continue,
        };
        out.push_str(&text[copied..at]);
        out.push_str(escaped);
        if escaped.is_empty() {
            // Writing to a String never fails.
            let _ = write!(out, "\\u{:04x}", u32::from(character));
        }
        copied = at + character.len_utf8();
    }
    out.push_str(&text[copied..]);
}

/// Appends `text` with all but RFC 3986's unreserved characters percent-encoded, so that it fits a path's segment or a
/// query's value. What is encoded already is encoded again: a component means itself.
pub(crate) fn push_url(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String never fails.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// What must not stand as it is in the text of an attribute that is part of a template: what ends it, begins an entity or a
/// tag, or turns the tag behind it into text.
const LITERALS: [(char, &str); 7] = [
    ('&', "&amp;"),
    ('<', "&lt;"),
    ('>', "&gt;"),
    ('"', "&quot;"),
    ('\'', "&#39;"),
    ('{', "&#123;"),
    ('\\', "&#92;"),
];

/// Appends `text` as the literal part of a link's target; [`read_literal`] reads it back.
#[cfg(feature = "lower")]
pub(crate) fn push_literal(out: &mut String, text: &str) {
    for next in text.chars() {
        match LITERALS.iter().find(|(character, _)| *character == next) {
            Some((_, entity)) => out.push_str(entity),
            None => out.push(next),
        }
    }
}

/// What [`push_literal`] wrote.
pub(super) fn read_literal(text: &str) -> Box<str> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = LITERALS.iter().find(|(_, entity)| rest.starts_with(entity));
        let (character, length) = known.map_or(('&', 1), |(character, entity)| (*character, entity.len()));
        out.push(character);
        rest = &rest[length..];
    }
    out.push_str(rest);
    out.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(push: fn(&mut String, &str), text: &str) -> String {
        let mut out = String::from("|");
        push(&mut out, text);
        out.split_off(1)
    }

    #[test]
    fn html_escapes_five_characters_and_leaves_urls_alone() {
        assert_eq!(
            with(push_html, "<a href=\"x?a=1&b=ż\">'`"),
            "&lt;a href=&quot;x?a=1&amp;b=ż&quot;&gt;&#39;`"
        );
    }

    #[test]
    fn json_escapes_what_would_end_or_break_a_string() {
        for (text, escaped) in [
            ("say \"hi\"", "say \\\"hi\\\""),
            ("C:\\new", "C:\\\\new"),
            ("a\r\n\tb", "a\\r\\n\\tb"),
            ("\0\u{8}\u{b}\u{1f}", "\\u0000\\u0008\\u000b\\u001f"),
            ("\u{2028}\u{2029}", "\\u2028\\u2029"),
            ("żółć 😀\u{7f}</script>", "żółć 😀\u{7f}</script>"),
            ("", ""),
        ] {
            assert_eq!(with(push_json_text, text), escaped, "{text:?}");
        }
    }

    #[test]
    fn a_component_of_a_url_keeps_nothing_that_is_reserved() {
        for (text, encoded) in [
            ("a b&c=d/ż~", "a%20b%26c%3Dd%2F%C5%BC~"),
            ("a%20b", "a%2520b"),
            ("../..?#@:[]", "..%2F..%3F%23%40%3A%5B%5D"),
            ("日本 😀", "%E6%97%A5%E6%9C%AC%20%F0%9F%98%80"),
            ("Az09-._~", "Az09-._~"),
            ("\0\n\u{7f}", "%00%0A%7F"),
        ] {
            assert_eq!(with(push_url, text), encoded, "{text:?}");
        }
    }

    /// The characters that need care more often than chance would have them.
    fn text() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            any::<char>(),
            prop::char::range('\0', '\u{7f}'),
            prop::sample::select(vec!['"', '\\', '\u{2028}', '\u{2029}', '%'])
        ];
        prop::collection::vec(character, 0..40).prop_map(|characters| characters.into_iter().collect())
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_from_json_as_it_was(text in text()) {
            let written = format!("\"{}\"", with(push_json_text, &text));
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
            let separators = written.contains(['\u{2028}', '\u{2029}']);
            prop_assert!(!separators);
        }

        #[test]
        #[cfg(feature = "lower")]
        fn any_text_is_read_back_from_a_links_target_as_it_was(text in text()) {
            let written = with(push_literal, &text);
            prop_assert_eq!(&*read_literal(&written), &*text);
            let free = written.contains(['"', '\'', '<', '>', '{', '\\']);
            prop_assert!(!free);
        }

        #[test]
        fn any_text_is_read_back_from_a_url_as_it_was(text in text()) {
            let encoded = with(push_url, &text);
            let mut bytes = Vec::new();
            let mut rest = encoded.as_bytes();
            while let Some((&byte, after)) = rest.split_first() {
                rest = after;
                if byte == b'%' {
                    let digits = std::str::from_utf8(&rest[..2]).unwrap();
                    bytes.push(u8::from_str_radix(digits, 16).unwrap());
                    rest = &rest[2..];
                } else {
                    prop_assert!(byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
                    bytes.push(byte);
                }
            }
            prop_assert_eq!(String::from_utf8(bytes).unwrap(), text);
        }
    }
}
