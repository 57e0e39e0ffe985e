//! From the body as it was written to the two templates that are rendered: HTML and text.
//!
//! Everything here happens once a version. The order is: limits, template tags out ([`protect`]), MJML to HTML, CSS
//! inlined, the text part derived, the preheader put in, template tags back, links numbered.

mod inline;
mod limits;
mod links;
mod mjml;
mod protect;
mod text;
mod tokens;

use campaign::content::EmailBody;
use campaign::lowered::LoweredLink;

use self::limits::Markup;
use crate::error::ContentError;
use crate::template::lex::{self, Tag};

/// A body ready for the template compiler.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// The HTML template.
    pub(crate) html: String,
    /// The text template derived from it.
    pub(crate) text: String,
    /// The links of the HTML, by their numbers.
    pub(crate) links: Vec<LoweredLink>,
    /// What looks like a link and lacks its scheme.
    pub(crate) without_scheme: Vec<String>,
}

pub(crate) fn field(body: &EmailBody) -> &'static str {
    match body {
        EmailBody::Html(_) => "body.html",
        EmailBody::Mjml(_) => "body.mjml",
    }
}

/// Prepares a body whose template syntax has been checked. `source` is its text, entities in tags decoded; `tags` are
/// its tags.
pub(crate) fn prepare(
    body: &EmailBody,
    source: &str,
    tags: &[Tag],
    preheader: Option<&str>,
) -> Result<Prepared, ContentError> {
    let field = field(body);
    let markup = if matches!(body, EmailBody::Mjml(_)) { Markup::Mjml } else { Markup::Html };
    let tokens = tokens::tokenize(source, tags);
    limits::check(source, &tokens, markup, field)?;
    let mut protected = protect::protect(source, tags, &tokens, markup);
    let html = match markup {
        Markup::Html => inline::own_styles(&inline::open_table_bodies(&protected.html, &protected)),
        Markup::Mjml => {
            let html = mjml::to_html(&protected, source, field)?;
            inline::given_styles(&inline::open_table_bodies(&html, &protected), &protected.inline_css)
        }
    };
    let mut html = html.map_err(|message| ContentError::new("css", field, message))?;
    let text = protected.restore_some(&text::derive(&html, &protected));
    if let Some(preheader) = preheader.filter(|preheader| !preheader.trim().is_empty()) {
        insert_preheader(&mut html, preheader, &mut protected);
    }
    let html = protected.restore(&html, source, field)?;
    // Where a tag has been torn apart on the way, the compiler is told of it and not this.
    let tags = lex::tags(&html, usize::MAX).unwrap_or_default();
    let links::Marked { html, links, without_scheme } = links::mark(&html, &tags);
    Ok(Prepared { html, text, links, without_scheme })
}

/// Puts the preheader where mail readers look for it and people do not: hidden, before everything else in the body.
fn insert_preheader(html: &mut String, preheader: &str, protected: &mut protect::Protected) {
    let mut hidden = String::from(
        "<div style=\"display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;\
         overflow:hidden;mso-hide:all\">",
    );
    // The preheader is text, so what is literal in it is escaped; its tags have been checked before.
    let mut at = 0;
    for tag in lex::tags(preheader, usize::MAX).unwrap_or_default() {
        push_text(&mut hidden, &preheader[at..tag.range.start]);
        hidden.push_str(&protected.add(&preheader[tag.range.clone()]));
        at = tag.range.end;
    }
    push_text(&mut hidden, &preheader[at..]);
    hidden.push_str("</div>");
    let body = tokens::tokenize(html, &[]).into_iter().find_map(|token| match token {
        tokens::Token::Open(open) if html[open.name.clone()].eq_ignore_ascii_case("body") => {
            Some(open.range.end)
        }
        _ => None,
    });
    html.insert_str(body.unwrap_or(0), &hidden);
}

fn push_text(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(character),
        }
    }
}

#[cfg(test)]
mod tests;
