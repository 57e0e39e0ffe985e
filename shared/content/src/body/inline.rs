//! CSS inlining. No network, no files: linked style sheets stay links.

use css_inline::CSSInliner;

use super::protect::{IGNORE, Protected};
use super::tokens::{Token, tokenize};

/// Inlines what the document's style elements say; what can't be inlined (media queries, `:hover`) stays in them.
pub(super) fn own_styles(html: &str) -> Result<String, String> {
    run(html, "")
}

/// Inlines `css` only, and leaves the style elements whole, as MJML wants it.
pub(super) fn given_styles(html: &str, css: &str) -> Result<String, String> {
    run(&html.replace("<style", &format!("<style{IGNORE}")), css)
}

fn run(html: &str, css: &str) -> Result<String, String> {
    CSSInliner::options()
        .load_remote_stylesheets(false)
        .keep_link_tags(true)
        .keep_at_rules(true)
        .keep_style_tags(true)
        .remove_inlined_selectors(true)
        .extra_css((!css.is_empty()).then(|| css.into()))
        .build()
        .inline(html)
        .map_err(|error| format!("the CSS can't be inlined: {error}"))
}

/// Opens the `<tbody>` of each table whose first row comes after a template tag. The HTML parser would make one up
/// behind that tag: inside a loop, for instance.
pub(super) fn open_table_bodies(html: &str, protected: &Protected) -> String {
    let tokens = tokenize(html, &[]);
    let mut out = String::with_capacity(html.len() + 64);
    let mut copied = 0;
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Open(open)
                if html[open.name.clone()].eq_ignore_ascii_case("table")
                    && row_follows_tag(html, &tokens[index + 1..], protected) =>
            {
                out.push_str(&html[copied..open.range.end]);
                out.push_str("<tbody>");
                copied = open.range.end;
            }
            _ => {}
        }
    }
    out.push_str(&html[copied..]);
    out
}

fn row_follows_tag(html: &str, following: &[Token], protected: &Protected) -> bool {
    let mut seen = false;
    for token in following {
        match token {
            Token::Comment(range) => seen |= protected.word(&html[range.clone()]).is_some(),
            Token::Text(range) if html[range.clone()].trim().is_empty() => {}
            Token::Open(open) => return seen && html[open.name.clone()].eq_ignore_ascii_case("tr"),
            _ => return false,
        }
    }
    false
}
