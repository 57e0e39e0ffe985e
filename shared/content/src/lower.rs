//! Lowering: whatever can be done with a content once a version, so that what sends it has nothing left to do but to fill
//! in what is about the recipient.

mod push;
mod sms;
mod webhook;

use campaign::content::{Content, EmailBody, EmailContent};
use campaign::lowered::{EMAIL_FORMAT, LoweredContent, LoweredEmail};
use serde::Serialize;
use serde_json::Value;

use crate::body::{self, Prepared};
use crate::email::{HTML, TEXT};
use crate::error::ContentError;
use crate::template::lex::{self, Tag};
use crate::template::{self, Escaping, Language, Links, MAX_NESTING};

/// Limits of what is lowered.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CompileOptions {
    /// The longest field, in bytes.
    pub max_field_bytes: usize,
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self { max_field_bytes: 256 * 1024 }
    }
}

/// A variable that a content mentions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Variable {
    /// The path from the root: `profile.person.name.firstName`; `profile.orders[].id` for the `id` of each order.
    pub path: String,
    /// The field it stands in, as in [`ContentError::field`].
    pub field: &'static str,
    /// Which of the field's entries, as in [`ContentError::key`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Variable {
    /// The path of the field it stands in, its entry in it.
    pub fn field_path(&self) -> String {
        crate::error::path(self.field, self.key.as_deref())
    }
}

/// A content lowered, and what is known of it as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lowered<T> {
    /// What is stored and sent from.
    pub content: T,
    /// Every variable, by field, each once a field, in order of first mention.
    pub variables: Vec<Variable>,
    /// What is not wrong, and most likely not meant: `link_without_scheme`, a link to `www.example.org` where
    /// `https://www.example.org` is meant.
    pub warnings: Vec<ContentError>,
}

/// Lowers a content of any channel: checks limits and syntax, and does what can be done once a version.
///
/// # Errors
/// Everything that is wrong, in all fields, with positions in the text as the user wrote it.
pub fn lower(
    content: &Content,
    options: &CompileOptions,
) -> Result<Lowered<LoweredContent>, Vec<ContentError>> {
    match content {
        Content::Email(email) => Ok(lower_email(email, options)?.map(LoweredContent::Email)),
        Content::Sms(sms) => Ok(sms::lower(sms, options)?.map(LoweredContent::Sms)),
        Content::Push(push) => {
            Ok(push::lower(push, options)?.map(|push| LoweredContent::Push(Box::new(push))))
        }
        Content::Webhook(webhook) => Ok(webhook::lower(webhook, options)?.map(LoweredContent::Webhook)),
    }
}

/// Lowers an email: checks limits and syntax, turns MJML into HTML, inlines CSS, puts the preheader in, derives the text
/// part, numbers the links.
///
/// # Errors
/// As [`lower`].
pub fn lower_email(
    content: &EmailContent,
    options: &CompileOptions,
) -> Result<Lowered<LoweredEmail>, Vec<ContentError>> {
    let mut lowering = Lowering::new(options);
    if content.subject.trim().is_empty() {
        lowering.errors.push(ContentError::new("empty_subject", "subject", "the subject is empty"));
    }
    lowering.header("subject", &content.subject);
    if let Some(name) = &content.from_name {
        lowering.header("from_name", name);
    }
    if let Some(address) = &content.reply_to {
        lowering.header("reply_to", address);
    }
    let preheader = content.preheader.as_deref();
    if let Some(preheader) = preheader {
        lowering.field("preheader", preheader, Escaping::Html);
    }
    let text = content.text.as_deref().filter(|text| !text.trim().is_empty());
    if let Some(text) = text {
        lowering.field("text", text, TEXT);
    }

    let (EmailBody::Html(source) | EmailBody::Mjml(source)) = &content.body;
    let field = body::field(&content.body);
    let mut prepared = None;
    if !source.trim().is_empty() {
        let source = lex::decode_entities(source);
        if let Some(tags) =
            lowering.field(field, &source, Language { escaping: Escaping::Html, links: Links::Ours })
            && lowering.errors.is_empty()
        {
            prepared = lowering.body(&content.body, &source, &tags, preheader);
        }
    } else if text.is_none() {
        let message = "the email has neither HTML nor text";
        lowering.errors.push(ContentError::new("empty_body", field, message));
    }
    if !lowering.errors.is_empty() {
        return Err(lowering.errors);
    }
    let Prepared { html, text: derived, links, without_scheme } = prepared.unwrap_or_default();
    let warning = |link| {
        let message = format!("the link to {link} leads nowhere: it lacks https:// before it");
        ContentError::new("link_without_scheme", field, message)
    };
    let warnings = without_scheme.into_iter().map(warning).collect();
    let email = LoweredEmail {
        format: EMAIL_FORMAT,
        subject: content.subject.clone(),
        from_name: content.from_name.clone(),
        reply_to: content.reply_to.clone(),
        html,
        text_is_derived: text.is_none(),
        text: text.map_or(derived, str::to_owned),
        links,
    };
    Ok(Lowered { content: email, variables: lowering.variables, warnings })
}

impl<T> Lowered<T> {
    fn map<U>(self, into: impl FnOnce(T) -> U) -> Lowered<U> {
        Lowered { content: into(self.content), variables: self.variables, warnings: self.warnings }
    }

    /// The variables that have no value in this data, for previews. For `profile.orders[].id`, one order without an
    /// `id` is enough. Branches are not followed: what an untaken `{{#if}}` would print is listed too.
    pub fn undefined_in(&self, profile: &Value, context: &Value) -> Vec<&Variable> {
        let is_undefined = |variable: &&Variable| {
            let (root, rest) = match variable.path.split_once('.') {
                Some((root, rest)) => (root, rest),
                None => (variable.path.as_str(), ""),
            };
            !template::is_defined(if root == "profile" { profile } else { context }, rest)
        };
        self.variables.iter().filter(is_undefined).collect()
    }
}

/// Collects what the fields yield.
struct Lowering<'o> {
    options: &'o CompileOptions,
    errors: Vec<ContentError>,
    variables: Vec<Variable>,
}

impl<'o> Lowering<'o> {
    const fn new(options: &'o CompileOptions) -> Self {
        Self { options, errors: Vec::new(), variables: Vec::new() }
    }

    /// The content as it is, where nothing was found wrong with it.
    fn finish<T>(self, content: T) -> Result<Lowered<T>, Vec<ContentError>> {
        if self.errors.is_empty() {
            Ok(Lowered { content, variables: self.variables, warnings: Vec::new() })
        } else {
            Err(self.errors)
        }
    }

    fn error(&mut self, code: &'static str, field: &'static str, message: impl Into<String>) {
        self.errors.push(ContentError::new(code, field, message));
    }

    /// As [`field`](Self::field), for one entry of a field that has names and values.
    fn entry(&mut self, field: &'static str, key: &str, source: &str, escaping: Escaping) {
        let (errors, variables) = (self.errors.len(), self.variables.len());
        self.field(field, source, escaping);
        self.errors[errors..].iter_mut().for_each(|error| error.key = Some(key.to_owned()));
        self.variables[variables..].iter_mut().for_each(|variable| variable.key = Some(key.to_owned()));
    }

    /// Checks what becomes a header line, and notes its variables.
    fn header(&mut self, field: &'static str, source: &str) {
        if source.chars().any(char::is_control) {
            let message = "line breaks, tabs and other control characters have no place in a header";
            self.errors.push(ContentError::new("control_character", field, message));
            return;
        }
        self.field(field, source, Escaping::None);
    }

    /// Checks a field as it was written, so that errors point into it, and notes its variables. Gives its tags; `None`
    /// where an error was noted.
    fn field(
        &mut self,
        field: &'static str,
        source: &str,
        language: impl Into<Language>,
    ) -> Option<Vec<Tag>> {
        let limit = self.options.max_field_bytes;
        if source.len() > limit {
            let message = format!("the field has {} bytes, the limit is {limit}", source.len());
            self.errors.push(ContentError::new("too_large", field, message));
            return None;
        }
        let parsed = lex::tags(source, MAX_NESTING)
            .map_err(|refused| vec![refused.in_field(field, source)])
            .and_then(|tags| Ok((template::compile(source, field, language)?, tags)));
        match parsed {
            Ok((compiled, tags)) => {
                let new = compiled.variables.into_iter().map(|path| Variable { path, field, key: None });
                self.variables.extend(new);
                Some(tags)
            }
            Err(errors) => {
                self.errors.extend(errors);
                None
            }
        }
    }

    /// The HTML and the text derived from it, both checked again: their parts may have moved.
    fn body(
        &mut self,
        body: &EmailBody,
        source: &str,
        tags: &[Tag],
        preheader: Option<&str>,
    ) -> Option<Prepared> {
        let field = body::field(body);
        let prepared = match body::prepare(body, source, tags, preheader) {
            Ok(prepared) => prepared,
            Err(error) => {
                self.errors.push(error);
                return None;
            }
        };
        let parts = [("document", &prepared.html, HTML), ("text derived from it", &prepared.text, TEXT)];
        for (what, source, language) in parts {
            if let Err(error) = template::compile_checked(source, field, language) {
                if error.code == "too_large" {
                    // Links and inlined styles have made it longer.
                    self.errors.push(ContentError::new(error.code, field, error.message));
                    return None;
                }
                // The source itself is well formed, so blocks have come apart: opened where the document keeps them
                // and closed where it does not, or the other way round.
                let message = format!(
                    "a block begins and ends in places that don't belong together in the {what}: {}",
                    error.message
                );
                self.errors.push(ContentError::new("misplaced_tag", field, message));
                return None;
            }
        }
        Some(prepared)
    }
}

#[cfg(test)]
mod tests;
