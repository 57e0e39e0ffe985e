//! MJML to HTML.

use mrml::prelude::parser::Error;
use mrml::prelude::render::RenderOptions;

use super::protect::Protected;
use crate::error::ContentError;
use crate::position::{line_column, offset_of};

/// Compiles the protected source. Includes are refused, so nothing is read from anywhere.
pub(super) fn to_html(
    protected: &Protected,
    source: &str,
    field: &'static str,
) -> Result<String, ContentError> {
    let mjml = protected.html.as_str();
    let failed = |error: &Error| {
        let (offset, message) = explain(error, mjml);
        let position = offset.map(|offset| line_column(source, protected.source_offset(offset)));
        ContentError::new("mjml", field, message).at(position)
    };
    let parsed = mrml::parse(mjml).map_err(|error| failed(&error))?;
    parsed
        .element
        .render(&RenderOptions::default())
        .map_err(|error| ContentError::new("mjml", field, format!("the MJML can't be rendered: {error}")))
}

/// Where in `mjml` the error is, if it says so, and what it means.
fn explain(error: &Error, mjml: &str) -> (Option<usize>, String) {
    match error {
        Error::UnexpectedElement { position, .. } => {
            (Some(position.start), "this element has no place here".into())
        }
        Error::UnexpectedToken { position, .. } => {
            (Some(position.start), "this has no place here, or an element is not closed".into())
        }
        Error::MissingAttribute { name, position, .. } => {
            (Some(position.start), format!("the attribute \"{name}\" is missing"))
        }
        Error::InvalidAttribute { position, .. } => {
            (Some(position.start), "this attribute is not valid".into())
        }
        Error::InvalidFormat { position, .. } => (Some(position.start), "this value is not valid".into()),
        Error::IncludeLoaderError { position, .. } => {
            (Some(position.start), "mj-include is not supported".into())
        }
        Error::EndOfStream { .. } => (None, "an element is not closed".into()),
        Error::NoRootNode => (None, "there is no <mjml> element".into()),
        Error::ParserError { source, .. } => {
            let at = source.pos();
            let offset = offset_of(mjml, at.row as usize, at.col as usize);
            (Some(offset), "the markup is not well formed: MJML is XML, so attributes are quoted".into())
        }
        Error::SizeLimit { .. } => (None, error.to_string()),
    }
}
