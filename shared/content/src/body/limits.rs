//! The scan that keeps hostile nesting away from parsers that recurse: an overflowing stack aborts the process.

use super::tokens::{Token, VOID, is_one_of};
use crate::error::ContentError;
use crate::position::line_column;

/// How deep elements may nest. The MJML parser overflows a 2 MB stack somewhere above 300 in a debug build.
const MAX_ELEMENT_DEPTH: usize = 100;
/// How deep brackets may nest in CSS.
const MAX_CSS_DEPTH: usize = 32;

/// Elements that browsers close by themselves, so that a missing end tag says nothing.
const OPTIONAL_END: [&str; 19] = [
    "p", "li", "td", "th", "tr", "tbody", "thead", "tfoot", "option", "optgroup", "dt", "dd", "colgroup",
    "rb", "rt", "rp", "html", "head", "body",
];
/// Elements that a browser opens again after a block closed over them, so that only their own end tag ends them.
const FORMATTING: [&str; 14] =
    ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];

/// The language of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Markup {
    Html,
    Mjml,
}

pub(super) fn check(
    source: &str,
    tokens: &[Token],
    markup: Markup,
    field: &'static str,
) -> Result<(), ContentError> {
    let too_deep = |at: usize, what: &str| {
        ContentError::new("too_deep", field, format!("{what} are nested too deeply"))
            .at(Some(line_column(source, at)))
    };
    let mut open: Vec<&str> = Vec::new();
    for token in tokens {
        match token {
            Token::Open(tag) => {
                let name = &source[tag.name.clone()];
                let ends_itself = is_one_of(name, &VOID)
                    || tag.self_closing && markup == Markup::Mjml
                    || markup == Markup::Html && is_one_of(name, &OPTIONAL_END);
                if !ends_itself {
                    open.push(name);
                }
                if open.len() > MAX_ELEMENT_DEPTH {
                    return Err(too_deep(tag.range.start, "elements"));
                }
                for attribute in &tag.attributes {
                    if source[attribute.name.clone()].eq_ignore_ascii_case("style")
                        && css_depth(&source[attribute.value.clone()]) > MAX_CSS_DEPTH
                    {
                        return Err(too_deep(attribute.value.start, "brackets in CSS"));
                    }
                }
            }
            Token::Close { name, .. } => close(&mut open, &source[name.clone()]),
            Token::Raw { range, .. } if css_depth(&source[range.clone()]) > MAX_CSS_DEPTH => {
                return Err(too_deep(range.start, "brackets in CSS"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Closes the innermost element of that name and what is open inside it, save formatting elements. A stray end tag
/// closes nothing, or it would hide real depth.
fn close(open: &mut Vec<&str>, name: &str) {
    let Some(at) = open.iter().rposition(|known| known.eq_ignore_ascii_case(name)) else {
        return;
    };
    let inside = open.split_off(at);
    open.extend(inside.into_iter().skip(1).filter(|inner| is_one_of(inner, &FORMATTING)));
}

fn css_depth(css: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in css.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokenize;
    use super::*;

    fn verdict(source: &str, markup: Markup) -> Option<&'static str> {
        check(source, &tokenize(source, &[]), markup, "body.html").err().map(|error| error.code)
    }

    #[test]
    fn real_depth_is_seen_through_unclosed_and_stray_tags() {
        assert_eq!(verdict(&"<div>".repeat(101), Markup::Html), Some("too_deep"));
        assert_eq!(verdict(&"<b></i>".repeat(101), Markup::Html), Some("too_deep"));
        assert_eq!(verdict(&"<div><b id=1></div>".repeat(101), Markup::Html), Some("too_deep"));
        assert_eq!(verdict(&"<p>".repeat(101), Markup::Mjml), Some("too_deep"));
        let css = format!("<style>{}</style>", "a(".repeat(40));
        assert_eq!(verdict(&css, Markup::Html), Some("too_deep"));
    }

    #[test]
    fn long_flat_documents_pass() {
        assert_eq!(verdict(&"<p>a<br><img src=x><li>b".repeat(1000), Markup::Html), None);
        assert_eq!(verdict(&"<div><b>x</b></div>".repeat(1000), Markup::Html), None);
        assert_eq!(verdict(&"<mj-image src=\"x\" />".repeat(1000), Markup::Mjml), None);
    }
}
