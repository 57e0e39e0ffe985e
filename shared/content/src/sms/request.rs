//! A text message as an HTTP request to a provider, as a configuration describes it.
//!
//! This is not the language of contents: it knows the message's few values and nothing else, so that whatever a
//! configuration says can be checked when it is saved.

use std::collections::BTreeMap;

use campaign::configuration::{BodyFormat, HttpSms};
use thiserror::Error;

use crate::error::ContentError;
use crate::template::{push_json_text, push_url};

/// The longest URL, header value or body, in bytes.
const MAX_BYTES: usize = 16 * 1024;
/// The most headers.
const MAX_HEADERS: usize = 20;
/// What only the client that sends the request may say.
const RESERVED: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const NAMES: &str = "the values are to, to_digits, text, from, id and secret.<name>";

/// A request, compiled once to be made for many messages.
#[derive(Debug)]
pub struct SmsRequestTemplate {
    url: Text,
    headers: Vec<(String, Text)>,
    body: Text,
    format: BodyFormat,
    from: String,
}

/// What a request is made from.
#[derive(Clone, Copy)]
pub struct SmsValues<'a> {
    /// The recipient's number, in E.164.
    pub to: &'a str,
    /// The text.
    pub text: &'a str,
    /// The message's name, the same each time it is tried.
    pub id: &'a str,
    /// The configuration's secrets, by name.
    pub secrets: &'a BTreeMap<String, String>,
}

/// A request as it is made, by POST.
#[derive(Clone, PartialEq, Eq)]
pub struct SmsRequest {
    /// The URL.
    pub url: String,
    /// Names and values, the content's type among them. No value has a control character in it.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl std::fmt::Debug for SmsRequest {
    /// Without addresses, text or secrets: this may end in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmsRequest").field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// Why a request can't be made for a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SmsRequestError {
    /// The configuration has no such secret.
    #[error("the configuration has no secret {0}")]
    NoSecret(String),
    /// What a message brings would put a control character into a header.
    #[error("the header {0} would have a control character in it")]
    ControlCharacter(String),
    /// A secret would put a control character into a header.
    #[error("a secret would put a control character into the header {0}")]
    SecretControlCharacter(String),
}

#[derive(Debug)]
enum Piece {
    Literal(Box<str>),
    To,
    ToDigits,
    Text,
    From,
    Id,
    Secret(Box<str>),
}

#[derive(Debug)]
struct Text(Vec<Piece>);

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Url,
    Json,
}

impl SmsRequestTemplate {
    /// Compiles what a configuration says.
    ///
    /// # Errors
    /// Everything that is wrong with it, by its fields.
    pub fn compile(sms: &HttpSms) -> Result<Self, Vec<ContentError>> {
        let mut errors = Vec::new();
        let url = text("url", None, &sms.url, &mut errors);
        check_url(&sms.url, &mut errors);
        if sms.headers.len() > MAX_HEADERS {
            let message = format!("there are {} headers, the limit is {MAX_HEADERS}", sms.headers.len());
            errors.push(ContentError::new("too_large", "headers", message));
        }
        let mut headers = Vec::new();
        for (name, value) in &sms.headers {
            check_header(name, value, &mut errors);
            headers.push((name.clone(), text("headers", Some(name), value, &mut errors)));
        }
        if sms.body.trim().is_empty() {
            errors.push(ContentError::new("empty_body", "body", "the body is empty"));
        }
        let body = text("body", None, &sms.body, &mut errors);
        if sms
            .from
            .as_deref()
            .is_some_and(|from| from.trim().is_empty() || from.chars().any(char::is_control))
        {
            errors.push(ContentError::new("control_character", "from", "must be a number or a name"));
        }
        let is_from = |text: &Text| text.0.iter().any(|piece| matches!(piece, Piece::From));
        let says_from = is_from(&url) || is_from(&body) || headers.iter().any(|(_, value)| is_from(value));
        if sms.from.is_none() && says_from {
            errors.push(ContentError::new("unknown_variable", "from", "is missing: it is used as {{from}}"));
        }
        let from = sms.from.clone().unwrap_or_default();
        let template = Self { url, headers, body, format: sms.format, from };
        if errors.is_empty() && sms.format == BodyFormat::Json {
            let body = template.example().body;
            if serde_json::from_str::<serde::de::IgnoredAny>(&body).is_err() {
                let message = "is not JSON once it is filled in: {{...}} stands inside of quotes";
                errors.push(ContentError::new("syntax", "body", message));
            }
        }
        if errors.is_empty() { Ok(template) } else { Err(errors) }
    }

    /// The request for a message.
    ///
    /// # Errors
    /// [`SmsRequestError`], whose message holds no value.
    pub fn render(&self, values: &SmsValues<'_>) -> Result<SmsRequest, SmsRequestError> {
        let in_body = match self.format {
            BodyFormat::Json => Form::Json,
            BodyFormat::Form => Form::Url,
        };
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        for (name, value) in &self.headers {
            headers.push((name.clone(), self.header(name, value, values)?));
        }
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            let of_format = match self.format {
                BodyFormat::Json => "application/json",
                BodyFormat::Form => "application/x-www-form-urlencoded",
            };
            headers.push(("content-type".to_owned(), of_format.to_owned()));
        }
        let url = self.write(&self.url, values, Form::Url)?;
        Ok(SmsRequest { url, headers, body: self.write(&self.body, values, in_body)? })
    }

    /// A request as it could be, with values made up.
    pub fn example(&self) -> SmsRequest {
        let texts = [&self.url, &self.body].into_iter().chain(self.headers.iter().map(|(_, value)| value));
        let secrets = texts.flat_map(|text| &text.0).filter_map(|piece| match piece {
            Piece::Secret(name) => Some((name.to_string(), "secret".to_owned())),
            _ => None,
        });
        let secrets = secrets.collect();
        let values =
            SmsValues { to: "+33612345678", text: "Say \"hello\"", id: "example", secrets: &secrets };
        self.render(&values).expect("every secret is there, and nothing has a control character")
    }

    fn header(&self, name: &str, value: &Text, values: &SmsValues<'_>) -> Result<String, SmsRequestError> {
        let value_of = self.write(value, values, Form::Plain)?;
        if !value_of.chars().any(char::is_control) {
            return Ok(value_of);
        }
        let is_broken =
            |secret: &str| values.secrets.get(secret).is_some_and(|it| it.chars().any(char::is_control));
        let of_secret =
            value.0.iter().any(|piece| matches!(piece, Piece::Secret(secret) if is_broken(secret)));
        let name = name.to_owned();
        Err(if of_secret {
            SmsRequestError::SecretControlCharacter(name)
        } else {
            SmsRequestError::ControlCharacter(name)
        })
    }

    fn write(&self, text: &Text, values: &SmsValues<'_>, form: Form) -> Result<String, SmsRequestError> {
        let mut out = String::new();
        for piece in &text.0 {
            let value = match piece {
                Piece::Literal(literal) => {
                    out.push_str(literal);
                    continue;
                }
                Piece::To => values.to,
                Piece::ToDigits => values.to.trim_start_matches('+'),
                Piece::Text => values.text,
                Piece::From => &self.from,
                Piece::Id => values.id,
                Piece::Secret(name) => {
                    let secret = values.secrets.get(&**name);
                    secret.ok_or_else(|| SmsRequestError::NoSecret(name.to_string()))?
                }
            };
            match form {
                Form::Plain => out.push_str(value),
                Form::Url => push_url(&mut out, value),
                Form::Json => push_json_text(&mut out, value),
            }
        }
        Ok(out)
    }
}

/// Scheme and host stand there as they are: nothing that a message brings says where it goes.
fn check_url(url: &str, errors: &mut Vec<ContentError>) {
    let mut refuse = |message: &str| errors.push(ContentError::new("invalid_url", "url", message));
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return refuse("must begin with https://");
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() || host.contains('@') || host.contains("{{") {
        return refuse("must name a host, as it is: without {{...}} and without a user's name or password");
    }
    let mut literal = url;
    let mut outside = String::new();
    while let Some((before, tag)) = literal.split_once("{{") {
        outside.push_str(before);
        literal = tag.split_once("}}").map_or("", |(_, after)| after);
    }
    outside.push_str(literal);
    if !outside.bytes().all(|byte| byte.is_ascii_graphic()) {
        refuse("must be percent-encoded where it is not ASCII: it has white space or other characters in it");
    }
}

fn check_header(name: &str, value: &str, errors: &mut Vec<ContentError>) {
    let mut refuse = |code, message: &str| {
        let mut error = ContentError::new(code, "headers", message);
        error.key = Some(name.to_owned());
        errors.push(error);
    };
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > 100 || !name.bytes().all(is_token) {
        refuse("invalid_header", "is no header's name");
    } else if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        refuse("invalid_header", "is not for a configuration to say");
    }
    if value.chars().any(char::is_control) {
        refuse("control_character", "line breaks and other control characters have no place in a header");
    }
}

/// Reads literals and `{{value}}`s.
fn text(field: &'static str, key: Option<&str>, source: &str, errors: &mut Vec<ContentError>) -> Text {
    let mut refuse = |code, message: String| {
        let mut error = ContentError::new(code, field, message);
        error.key = key.map(str::to_owned);
        errors.push(error);
    };
    if source.len() > MAX_BYTES {
        refuse("too_large", format!("has {} bytes, the limit is {MAX_BYTES}", source.len()));
        return Text(Vec::new());
    }
    let (mut pieces, mut rest) = (Vec::new(), source);
    while let Some((literal, tag)) = rest.split_once("{{") {
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        let Some((name, after)) = tag.split_once("}}") else {
            refuse("syntax", "a {{ is not closed by }}".to_owned());
            return Text(Vec::new());
        };
        match value(name.trim()) {
            Some(piece) => pieces.push(piece),
            None => refuse("unknown_variable", format!("{:?} is unknown: {NAMES}", name.trim())),
        }
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest.into()));
    }
    Text(pieces)
}

fn value(name: &str) -> Option<Piece> {
    Some(match name {
        "to" => Piece::To,
        "to_digits" => Piece::ToDigits,
        "text" => Piece::Text,
        "from" => Piece::From,
        "id" => Piece::Id,
        name => {
            let secret = name.strip_prefix("secret.").filter(|secret| !secret.is_empty())?;
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            secret.bytes().all(is_name).then(|| Piece::Secret(secret.into()))?
        }
    })
}

#[cfg(test)]
mod tests;
