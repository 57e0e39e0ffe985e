//! The template language: Handlebars' syntax, parsed by the `handlebars` crate, run by an interpreter of our own.
//!
//! The crate's own renderer wants to own the data, looks every path up through maps of strings, and can't tell a
//! missing value inside a helper's argument from a present one. Ours resolves scopes, helpers and their arity once, at
//! compile time, and borrows profile and context, so that rendering costs little more than copying the text.

mod bounded;
#[cfg(feature = "lower")]
mod defined;
mod escape;
mod eval;
mod helpers;
pub(crate) mod lex;
mod lower;
mod path;
mod pieces;
mod program;

use campaign::content::OnMissing;
use handlebars::template::Template;
use handlebars::{TemplateError, TemplateErrorReason};
use links::Issuer;
use serde_json::Value;

#[cfg(feature = "lower")]
pub(crate) use escape::push_literal;
pub(crate) use escape::{push_json_text, push_url};
pub(crate) use lower::{Escaping, Language, Links};
#[cfg(feature = "lower")]
pub(crate) use lower::{LINK, OPEN};
pub use program::Ours;
pub(crate) use program::Program;

use crate::error::{ContentError, RenderError};
use crate::position::{line_column, moved};

/// A compiled template together with the variables it mentions.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) program: Program,
    /// Paths from the root, for example `profile.orders[].id`, each once, in order of first mention.
    #[cfg_attr(not(feature = "lower"), expect(dead_code, reason = "only who wrote the content asks"))]
    pub(crate) variables: Vec<String>,
}

/// How deep blocks may nest, the links of an `else if` chain counted: the parser recurses.
pub(crate) const MAX_NESTING: usize = 64;

/// Compiles one field of which nothing has been checked. Gives the first thing that is wrong.
pub(crate) fn compile_checked(
    source: &str,
    field: &'static str,
    language: impl Into<Language>,
) -> Result<Program, ContentError> {
    let language = language.into();
    // What lowering wrote around the author's blocks is one more.
    let most = MAX_NESTING + usize::from(language.links == Links::Lowered);
    lex::tags(source, most).map_err(|refused| refused.in_field(field, source))?;
    compile(source, field, language).map(|compiled| compiled.program).map_err(|errors| {
        let unknown = || ContentError::new("syntax", field, "the template is not valid");
        errors.into_iter().next().unwrap_or_else(unknown)
    })
}

/// Compiles one field. The caller has run [`lex::tags`] over it.
pub(crate) fn compile(
    source: &str,
    field: &'static str,
    language: impl Into<Language>,
) -> Result<Compiled, Vec<ContentError>> {
    compile_in_pieces(source, field, language.into(), pieces::LEAST_BYTES)
}

fn compile_in_pieces(
    source: &str,
    field: &'static str,
    language: Language,
    least_bytes: usize,
) -> Result<Compiled, Vec<ContentError>> {
    let tags = lex::tags(source, usize::MAX).map_err(|refused| vec![refused.in_field(field, source)])?;
    let pieces = pieces::cut(source, &tags, least_bytes, field).map_err(|error| vec![error])?;
    let mut parsed = Vec::with_capacity(pieces.len());
    let mut start = (1, 1);
    for piece in pieces {
        let piece = &source[piece];
        let template =
            Template::compile(piece).map_err(|error| vec![syntax_error(&error, source, field, start)])?;
        parsed.push((start, template));
        start = moved(start, line_column(piece, piece.len()));
    }
    lower::lower(&parsed, field, language)
}

/// Whether the path (without its root) leads to a value.
#[cfg(feature = "lower")]
pub(crate) fn is_defined(root: &Value, path: &str) -> bool {
    defined::is_defined(root, path)
}

impl Program {
    /// Renders into the end of `out`.
    pub(crate) fn render(
        &self,
        profile: &Value,
        context: &Value,
        on_missing: OnMissing,
        out: &mut String,
    ) -> Result<(), RenderError> {
        self.render_with(profile, context, on_missing, None, out)
    }

    /// As [`Self::render`], with links that `links` makes.
    pub(crate) fn render_with(
        &self,
        profile: &Value,
        context: &Value,
        on_missing: OnMissing,
        links: Option<&Issuer<'_>>,
        out: &mut String,
    ) -> Result<(), RenderError> {
        out.reserve(self.text_bytes + self.text_bytes / 8);
        eval::Machine::new(profile, context, on_missing, links).run(&self.nodes, out)
    }
}

/// What is wrong with the piece of `source` that begins at `start`.
fn syntax_error(
    error: &TemplateError,
    source: &str,
    field: &'static str,
    start: (usize, usize),
) -> ContentError {
    let position = || error.pos().map(|within| moved(start, within));
    let (position, message) = match error.reason() {
        // The parser's own text lists grammar rules, which tell a template's author nothing.
        TemplateErrorReason::InvalidSyntax(_) => match lex::explain(source) {
            Some((at, message)) => (Some(line_column(source, at)), message.to_owned()),
            None => (position(), "the tag that ends or begins near here is not well formed".to_owned()),
        },
        TemplateErrorReason::MismatchingClosedHelper(open, close) => {
            let message = format!("{{{{/{close}}}}} closes a block that was opened as {{{{#{open}}}}}");
            (position(), message)
        }
        TemplateErrorReason::InvalidParam(parameter) => {
            (position(), format!("{parameter} is not a valid argument"))
        }
        other => (position(), other.to_string()),
    };
    ContentError::new("syntax", field, message).at(position)
}

#[cfg(test)]
mod tests;
