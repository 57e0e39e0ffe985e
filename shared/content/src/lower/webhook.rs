//! What is to be said of an HTTP call before it is made.

use campaign::content::{Method, WebhookContent};

use super::{CompileOptions, Lowered, Lowering};
use crate::error::ContentError;
use crate::template::Escaping;
use crate::webhook::check::{self, MOST_HEADERS};

pub(super) fn lower(
    content: &WebhookContent,
    options: &CompileOptions,
) -> Result<Lowered<WebhookContent>, Vec<ContentError>> {
    let mut lowering = Lowering::new(options);
    url(&content.url, &mut lowering);
    headers(content, &mut lowering);
    if let Some(source) = &content.body {
        if matches!(content.method, Method::Get | Method::Delete) {
            let message = "a GET or DELETE has no body: many servers refuse one";
            lowering.error("body_not_allowed", "body", message);
        } else if lowering.field("body", source, Escaping::Json).is_some_and(|tags| tags.is_empty())
            && let Err(message) = check::body(source)
        {
            lowering.error("not_valid", "body", message);
        }
    }
    lowering.finish(content.clone())
}

/// What stands before the first tag has to be the beginning of a URL, unless a tag is the first of all.
fn url(source: &str, lowering: &mut Lowering<'_>) {
    if source.trim().is_empty() {
        lowering.error("empty_url", "url", "the URL is empty");
        return;
    }
    let Some(tags) = lowering.field("url", source, Escaping::Url) else { return };
    let written = &source[..tags.first().map_or(source.len(), |tag| tag.range.start)];
    let is_whole = written.len() == source.len();
    let has_host = written.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?', '#']));
    let checked = if is_whole || has_host {
        check::url(written)
    } else if ["https://", "http://"].iter().any(|scheme| {
        let length = written.len().min(scheme.len());
        written.get(..length).is_some_and(|begun| begun.eq_ignore_ascii_case(&scheme[..length]))
    }) {
        Ok(())
    } else {
        Err("it does not begin with https:// and a host".to_owned())
    };
    if let Err(message) = checked {
        lowering.error("not_valid", "url", message);
    }
}

fn headers(content: &WebhookContent, lowering: &mut Lowering<'_>) {
    if content.headers.len() > MOST_HEADERS {
        lowering.error("too_many_headers", "headers", format!("there are more than {MOST_HEADERS} headers"));
        return;
    }
    let mut names: Vec<&str> = Vec::new();
    for (name, source) in &content.headers {
        let mut error = |code, message: String| {
            let key = Some(name.clone());
            lowering.errors.push(ContentError { key, ..ContentError::new(code, "headers", message) });
        };
        if let Err(message) = check::header_name(name) {
            error("header_name", message);
            continue;
        }
        if names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            error("header_name", "is there twice: case makes no difference".to_owned());
            continue;
        }
        names.push(name);
        // A line break that is written out stays one, whatever data is filled in.
        if let Err(message) = check::header_value(source) {
            error("not_valid", message);
            continue;
        }
        lowering.entry("headers", name, source, Escaping::None);
    }
}
