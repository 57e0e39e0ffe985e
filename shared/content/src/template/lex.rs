//! Finding the `{{tags}}` of a source, exactly as the grammar of the `handlebars` crate delimits them.
//!
//! This runs before that crate sees the source: its parser recurses, so whatever could nest without bound is counted
//! or refused here. Where a tag is malformed the parser stops at the same tag and names the error.

use std::ops::Range;

use crate::error::ContentError;
use crate::position::line_column;

/// How deep subexpressions may nest.
const MAX_PARENTHESES: usize = 16;

/// What a tag does to the structure around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagKind {
    /// Prints something: `{{x}}`, `{{{x}}}`, `{{&x}}`.
    Expression,
    /// Opens a block: `{{#x}}`.
    Open,
    /// `{{else}}`, `{{^}}`.
    Else,
    /// `{{else if x}}`: nests, though it does not look so.
    ElseChain,
    /// Closes a block: `{{/x}}`.
    Close,
    /// `{{! ... }}`.
    Comment,
    /// `\{{`: no tag, but literal braces.
    Escaped,
}

impl TagKind {
    /// Whether the tag is part of a block.
    #[cfg(feature = "lower")]
    pub(crate) fn is_block(self) -> bool {
        matches!(self, Self::Open | Self::Else | Self::ElseChain | Self::Close)
    }
}

/// A tag and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) range: Range<usize>,
    pub(crate) kind: TagKind,
}

/// Syntax we refuse, though `handlebars` knows it, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) at: usize,
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
}

impl Refused {
    pub(crate) fn in_field(self, field: &'static str, source: &str) -> ContentError {
        ContentError::new(self.code, field, self.message).at(Some(line_column(source, self.at)))
    }
}

/// Every tag of `source` up to the first malformed one.
///
/// # Errors
/// Where the source holds what would recurse without bound: partials, decorators, raw blocks, nested literals, or
/// blocks nested deeper than `max_nesting`.
pub(crate) fn tags(source: &str, max_nesting: usize) -> Result<Vec<Tag>, Refused> {
    let mut tags = Vec::new();
    // How many levels each open block adds: one, and one for each `else if` of its chain.
    let mut open: Vec<usize> = Vec::new();
    let mut depth = 0;
    let mut position = 0;
    while let Some(start) = source[position..].find("{{").map(|at| at + position) {
        let bytes = source.as_bytes();
        let backslashes = bytes[position..start].iter().rev().take_while(|&&byte| byte == b'\\').count();
        if backslashes == 1 {
            let end = if source[start..].starts_with("{{{{") { start + 4 } else { start + 2 };
            tags.push(Tag { range: start - 1..end, kind: TagKind::Escaped });
            position = end;
            continue;
        }
        let Some((end, kind)) = tag_at(source, start)? else {
            break;
        };
        match kind {
            TagKind::Open => {
                open.push(1);
                depth += 1;
            }
            TagKind::ElseChain => {
                if let Some(levels) = open.last_mut() {
                    *levels += 1;
                    depth += 1;
                }
            }
            TagKind::Close => depth -= open.pop().unwrap_or(0),
            _ => {}
        }
        if depth > max_nesting {
            return Err(Refused { at: start, code: "too_deep", message: "blocks are nested too deeply" });
        }
        tags.push(Tag { range: start..end, kind });
        position = end;
    }
    Ok(tags)
}

/// Why the parser refused a source, where the tags alone tell: the offset and what is wrong there.
pub(crate) fn explain(source: &str) -> Option<(usize, &'static str)> {
    let tags = tags(source, usize::MAX).ok()?;
    let mut open = Vec::new();
    for tag in &tags {
        match tag.kind {
            TagKind::Open => open.push(tag.range.start),
            TagKind::Else | TagKind::ElseChain if open.is_empty() => {
                return Some((tag.range.start, "this else stands outside of any block"));
            }
            TagKind::Close if open.pop().is_none() => {
                return Some((tag.range.start, "this closes a block that was not opened"));
            }
            _ => {}
        }
    }
    let rest = tags.last().map_or(0, |tag| tag.range.end);
    let malformed =
        source[rest..].find("{{").map(|at| (rest + at, "this tag is not closed or not well formed"));
    malformed.or_else(|| open.pop().map(|at| (at, "this block is not closed")))
}

/// The end and the kind of the tag that starts at `start`, or `None` where it is malformed.
fn tag_at(source: &str, start: usize) -> Result<Option<(usize, TagKind)>, Refused> {
    let refused = |message| Err(Refused { at: start, code: "unsupported_syntax", message });
    let rest = &source[start..];
    if rest.starts_with("{{{{") {
        return refused("raw blocks ({{{{...}}}}) are not supported");
    }
    if rest.starts_with("{{!") {
        let long = rest.starts_with("{{!--").then(|| rest[5..].find("--}}").map(|at| at + 9)).flatten();
        let end = long.or_else(|| rest[3..].find("}}").map(|at| at + 5));
        return Ok(end.map(|end| (start + end, TagKind::Comment)));
    }
    let bytes = source.as_bytes();
    let mut at = skip_space(bytes, start + 2, true);
    let triple = bytes.get(at) == Some(&b'{');
    if triple {
        at = skip_space(bytes, at + 1, true);
    }
    let mut kind = TagKind::Expression;
    match bytes.get(at) {
        Some(b'>') => return refused("partials ({{> name}}) are not supported"),
        Some(b'*') => return refused("decorators ({{* name}}) are not supported"),
        Some(b'#') => {
            at = skip_space(bytes, at + 1, false);
            match bytes.get(at) {
                Some(b'>') => return refused("partial blocks ({{#> name}}) are not supported"),
                Some(b'*') => return refused("inline partials ({{#*inline}}) are not supported"),
                _ => kind = TagKind::Open,
            }
        }
        Some(b'/') => kind = TagKind::Close,
        Some(b'^') => {
            kind = else_kind(bytes, at + 1);
            at += 1;
        }
        Some(b'e') if source[at..].starts_with("else") && !continues_symbol(&source[at + 4..]) => {
            kind = else_kind(bytes, at + 4);
            at += 4;
        }
        _ => {}
    }
    let mut parentheses = 0_usize;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => {
                let Some(end) = end_of_string(bytes, at) else {
                    return Ok(None);
                };
                at = end;
            }
            b'[' => {
                let Some(length) = source[at..].find(']') else {
                    return Ok(None);
                };
                if source[at + 1..at + length].contains(['"', '\'', '{', '}', '[']) {
                    return refused("array literals and quotes inside [...] are not supported");
                }
                at += length;
            }
            b'{' => return refused("object literals and braces inside a tag are not supported"),
            b'(' => {
                parentheses += 1;
                if parentheses > MAX_PARENTHESES {
                    return Err(Refused {
                        at: start,
                        code: "too_deep",
                        message: "subexpressions are nested too deeply",
                    });
                }
            }
            b')' => parentheses = parentheses.saturating_sub(1),
            b'}' => {
                let closing = if triple { skip_space(bytes, at + 1, true) } else { at };
                return Ok(source[closing..].starts_with("}}").then_some((closing + 2, kind)));
            }
            _ => {}
        }
        at += 1;
    }
    Ok(None)
}

/// A bare `else`, or one that goes on with a block's name.
fn else_kind(bytes: &[u8], after: usize) -> TagKind {
    match bytes.get(skip_space(bytes, after, true)) {
        Some(b'}') | None => TagKind::Else,
        Some(_) => TagKind::ElseChain,
    }
}

/// Where the string literal that opens at `open` has its closing quote.
fn end_of_string(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            byte if *byte == bytes[open] => return Some(at),
            _ => at += 1,
        }
    }
}

fn skip_space(bytes: &[u8], mut at: usize, tilde_too: bool) -> usize {
    while bytes.get(at).is_some_and(|&byte| byte.is_ascii_whitespace() || (tilde_too && byte == b'~')) {
        at += 1;
    }
    at
}

fn continues_symbol(rest: &str) -> bool {
    rest.chars().next().is_some_and(|next| {
        next.is_ascii_alphanumeric() || matches!(next, '-' | '_' | '$' | ':' | '.' | '/') || !next.is_ascii()
    })
}

/// `source` with the entities inside its tags decoded, and each such tag filled up with spaces to its old length, so
/// that every offset stays what it was. Editors write `{{default x &quot;y&quot;}}`, and in an attribute must.
#[cfg(feature = "lower")]
pub(crate) fn decode_entities(source: &str) -> String {
    let mut decoded = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{{") {
        let Some(length) = rest[start..].find("}}") else {
            break;
        };
        let (tag, end) = (&rest[start..start + length], start + length);
        decoded.push_str(&rest[..start]);
        if tag.contains('&') && !tag.starts_with("{{!") {
            let mut plain = tag.to_owned();
            for (entity, character) in [
                ("&quot;", "\""),
                ("&#34;", "\""),
                ("&#39;", "'"),
                ("&apos;", "'"),
                ("&lt;", "<"),
                ("&gt;", ">"),
                ("&amp;", "&"),
            ] {
                plain = plain.replace(entity, character);
            }
            decoded.push_str(&plain);
            decoded.extend(std::iter::repeat_n(' ', tag.len() - plain.len()));
        } else {
            decoded.push_str(tag);
        }
        rest = &rest[end..];
    }
    decoded.push_str(rest);
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<(&str, TagKind)> {
        tags(source, 64).expect("accepted").into_iter().map(|tag| (&source[tag.range], tag.kind)).collect()
    }

    #[test]
    fn tags_end_where_the_grammar_says() {
        assert_eq!(
            kinds(
                r#"a {{default x "}}"}} {{{ y }}} {{!-- }} --}}{{! z }}{{~#if (eq a 'b')~}}{{else}}{{^}}{{else if c}}{{/if}}"#
            ),
            [
                (r#"{{default x "}}"}}"#, TagKind::Expression),
                ("{{{ y }}}", TagKind::Expression),
                ("{{!-- }} --}}", TagKind::Comment),
                ("{{! z }}", TagKind::Comment),
                ("{{~#if (eq a 'b')~}}", TagKind::Open),
                ("{{else}}", TagKind::Else),
                ("{{^}}", TagKind::Else),
                ("{{else if c}}", TagKind::ElseChain),
                ("{{/if}}", TagKind::Close),
            ]
        );
        assert_eq!(kinds(r"\{{x}} \\{{y}}"), [(r"\{{", TagKind::Escaped), ("{{y}}", TagKind::Expression)]);
        assert_eq!(kinds("{{elsewhere}}"), [("{{elsewhere}}", TagKind::Expression)]);
    }

    #[test]
    fn what_recurses_without_bound_is_refused() {
        for source in [
            "{{> x}}",
            "{{#> x}}{{/x}}",
            "{{* x}}",
            "{{#*inline \"x\"}}{{/inline}}",
            "{{{{raw}}}}{{{{/raw}}}}",
            "{{a [\"b\"]}}",
            "{{a {}}}",
        ] {
            assert_eq!(tags(source, 64).expect_err(source).code, "unsupported_syntax", "{source}");
        }
        assert_eq!(tags(&"{{#if a}}".repeat(65), 64).expect_err("deep").code, "too_deep");
        let chain = format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if a}}".repeat(64));
        assert_eq!(tags(&chain, 64).expect_err("deep").code, "too_deep");
        assert_eq!(tags(&format!("{{{{a {}", "(b ".repeat(17)), 64).expect_err("deep").code, "too_deep");
        assert!(tags(&"{{#if a}}{{/if}}".repeat(1000), 64).is_ok());
    }

    #[test]
    fn entities_in_tags_are_decoded_in_place() {
        let source = "a &amp; {{default x &quot;y&quot;}} b";
        let decoded = decode_entities(source);
        assert_eq!(decoded, "a &amp; {{default x \"y\"          }} b");
        assert_eq!(decoded.len(), source.len());
    }
}
