/// Appends `text` with the five characters that mean something in HTML text and quoted attributes replaced.
///
/// `=` and the backtick stay: they are harmless inside quotes, and escaping `=` breaks URLs in mail readers that
/// decode entities in attributes only partly.
pub(super) fn push_escaped(out: &mut String, text: &str) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_five_characters_and_leaves_urls_alone() {
        let mut out = String::new();
        push_escaped(&mut out, "<a href=\"x?a=1&b=ż\">'`");
        assert_eq!(out, "&lt;a href=&quot;x?a=1&amp;b=ż&quot;&gt;&#39;`");
    }
}
