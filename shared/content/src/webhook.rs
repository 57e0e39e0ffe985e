pub(crate) mod check;

use std::collections::BTreeMap;

use campaign::content::{Method, OnMissing, WebhookContent};
use serde::Serialize;
use serde_json::Value;

use crate::error::{ContentError, RenderError};
use crate::template::{self, Escaping, Program};

/// An HTTP call as it is made for one recipient.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RenderedWebhook {
    /// The method.
    pub method: Method,
    /// The URL: a whole one of `http` or `https`, without a user's name or password.
    pub url: String,
    /// Header values by name, without control characters.
    pub headers: BTreeMap<String, String>,
    /// The body, which is JSON, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// How far the calls of one content may go apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The URL is written out: what it answers to one is of interest to all.
    OneUrl,
    /// The host is written out, and the rest may differ.
    OneHost,
    /// Data chooses the host.
    AnyHost,
}

impl Destination {
    /// Where the calls of a URL's template go, and its host and port where they are written out.
    pub fn of(url: &str) -> (Self, Option<&str>) {
        let tag = url.find("{{");
        let written = &url[..tag.unwrap_or(url.len())];
        let authority = written.split_once("://").and_then(|(scheme, rest)| {
            let is_http = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
            // What a tag stands right behind may go on.
            let end = rest.find(['/', '?', '#']).or_else(|| tag.is_none().then_some(rest.len()))?;
            is_http.then(|| &rest[..end])
        });
        match (authority, tag) {
            (None, _) => (Self::AnyHost, None),
            (Some(_), None) => (Self::OneUrl, authority),
            (Some(_), Some(_)) => (Self::OneHost, authority),
        }
    }
}

/// An HTTP call compiled once, to be rendered for many.
#[derive(Debug)]
pub struct WebhookTemplate {
    method: Method,
    destination: Destination,
    url: Program,
    headers: Vec<(String, Program)>,
    body: Option<Program>,
}

impl WebhookTemplate {
    /// Compiles a content.
    ///
    /// # Errors
    /// The first thing that is wrong; nothing is with what [`lower`](crate::lower()) gave.
    pub fn compile(content: &WebhookContent) -> Result<Self, ContentError> {
        let header = |(name, source): (&String, &String)| {
            Ok((name.clone(), template::compile_checked(source, "headers", Escaping::None)?))
        };
        let body = |source: &String| template::compile_checked(source, "body", Escaping::Json);
        Ok(Self {
            method: content.method,
            destination: Destination::of(&content.url).0,
            url: template::compile_checked(&content.url, "url", Escaping::Url)?,
            headers: content.headers.iter().map(header).collect::<Result<_, ContentError>>()?,
            body: content.body.as_ref().map(body).transpose()?,
        })
    }

    /// How far its calls may go apart.
    pub const fn destination(&self) -> Destination {
        self.destination
    }

    /// Renders for one recipient, and checks that what comes of it can be sent.
    ///
    /// # Errors
    /// As [`EmailTemplate::render`](crate::EmailTemplate::render), and [`RenderError::NotValid`].
    pub fn render(
        &self,
        profile: &Value,
        context: &Value,
        on_missing: OnMissing,
    ) -> Result<RenderedWebhook, RenderError> {
        let render = |program: &Program| {
            let mut text = String::new();
            program.render(profile, context, on_missing, &mut text).map(|()| text)
        };
        let not_valid = |field: String, message: String| RenderError::NotValid { field, message };
        let url = render(&self.url)?;
        check::url(&url).map_err(|message| not_valid("url".to_owned(), message))?;
        let mut headers = BTreeMap::new();
        for (name, program) in &self.headers {
            let value = render(program)?;
            check::header_value(&value).map_err(|message| not_valid(format!("headers.{name}"), message))?;
            headers.insert(name.clone(), value.trim().to_owned());
        }
        let body = self.body.as_ref().map(render).transpose()?;
        if let Some(body) = &body {
            check::body(body).map_err(|message| not_valid("body".to_owned(), message))?;
        }
        Ok(RenderedWebhook { method: self.method, url, headers, body })
    }
}

#[cfg(test)]
mod tests;
