use campaign::content::{EmailBody, EmailContent, OnMissing};
use serde::Serialize;
use serde_json::Value;

use crate::body;
use crate::error::{ContentError, RenderError};
use crate::template::lex::{self, Tag};
use crate::template::{self, Compiled, Escaping, Program};

/// Limits of what is compiled.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CompileOptions {
    /// The longest field, in bytes.
    pub max_field_bytes: usize,
    /// How deep blocks may nest, the links of an `else if` chain counted.
    pub max_nesting: usize,
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self { max_field_bytes: 256 * 1024, max_nesting: 64 }
    }
}

/// A variable that a content mentions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Variable {
    /// The path from the root: `profile.person.name.firstName`; `profile.orders[].id` for the `id` of each order.
    pub path: String,
    /// The field it stands in, as in [`ContentError::field`].
    pub field: &'static str,
}

/// An email as one recipient gets it, before it becomes a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RenderedEmail {
    /// The subject.
    pub subject: String,
    /// The sender's display name, where the content has one and it is not blank.
    pub from_name: Option<String>,
    /// The address for answers, where the content has one and it is not blank. Not validated yet.
    pub reply_to: Option<String>,
    /// The HTML part, the preheader in it; blank for an email of text only.
    pub html: String,
    /// The text part; blank where the HTML holds no text.
    pub text: String,
}

/// An email compiled once, to be rendered for many.
#[derive(Debug)]
pub struct EmailTemplate {
    subject: Program,
    from_name: Option<Program>,
    reply_to: Option<Program>,
    html: Program,
    text: Program,
    /// Whether the text was derived, and so may be tidied.
    text_is_derived: bool,
    variables: Vec<Variable>,
}

/// Collects what compiling the fields yields.
struct Compiling<'o> {
    options: &'o CompileOptions,
    errors: Vec<ContentError>,
    variables: Vec<Variable>,
}

impl EmailTemplate {
    /// Compiles a content: checks limits and syntax, turns MJML into HTML, inlines CSS, derives the text part.
    ///
    /// # Errors
    /// Everything that is wrong, in all fields, with positions in the text as the user wrote it.
    pub fn compile(content: &EmailContent, options: &CompileOptions) -> Result<Self, Vec<ContentError>> {
        let mut compiling = Compiling { options, errors: Vec::new(), variables: Vec::new() };
        if content.subject.trim().is_empty() {
            compiling.errors.push(ContentError::new("empty_subject", "subject", "the subject is empty"));
        }
        let subject = compiling.header("subject", &content.subject);
        let from_name = content.from_name.as_deref().map(|name| compiling.header("from_name", name));
        let reply_to = content.reply_to.as_deref().map(|address| compiling.header("reply_to", address));
        let preheader = content.preheader.as_deref();
        if let Some(preheader) = preheader {
            compiling.field("preheader", preheader, Escaping::Html);
        }
        let given_text = content.text.as_deref().filter(|text| !text.trim().is_empty());
        let text = given_text.map(|text| compiling.field("text", text, Escaping::None));

        let (EmailBody::Html(source) | EmailBody::Mjml(source)) = &content.body;
        let field = body::field(&content.body);
        let mut bodies = None;
        if !source.trim().is_empty() {
            let source = lex::decode_entities(source);
            if let Some(tags) = compiling.check(field, &source, Escaping::Html)
                && compiling.errors.is_empty()
            {
                bodies = compiling.body(&content.body, &source, &tags, preheader);
            }
        } else if text.is_none() {
            compiling.errors.push(ContentError::new(
                "empty_body",
                field,
                "the email has neither HTML nor text",
            ));
        }
        if !compiling.errors.is_empty() {
            return Err(compiling.errors);
        }
        let (html, derived) = bodies.unwrap_or_default();
        let text_is_derived = text.is_none();
        Ok(Self {
            subject: subject.unwrap_or_default(),
            from_name: from_name.map(Option::unwrap_or_default),
            reply_to: reply_to.map(Option::unwrap_or_default),
            html,
            text: text.map_or(derived, Option::unwrap_or_default),
            text_is_derived,
            variables: compiling.variables,
        })
    }

    /// Renders for one recipient. Nothing of the data is copied but what is printed.
    ///
    /// # Errors
    /// [`RenderError::MissingValue`] under [`OnMissing::Skip`]; the others where the data does not fit the template.
    pub fn render(
        &self,
        profile: &Value,
        context: &Value,
        on_missing: OnMissing,
    ) -> Result<RenderedEmail, RenderError> {
        let mut rendered = RenderedEmail::default();
        self.render_into(profile, context, on_missing, &mut rendered)?;
        Ok(rendered)
    }

    /// As [`Self::render`], into buffers that keep their capacity from one recipient to the next.
    ///
    /// # Errors
    /// As [`Self::render`]; `rendered` then holds nothing of use.
    pub fn render_into(
        &self,
        profile: &Value,
        context: &Value,
        on_missing: OnMissing,
        rendered: &mut RenderedEmail,
    ) -> Result<(), RenderError> {
        let render = |program: &Program, out: &mut String| {
            out.clear();
            program.render(profile, context, on_missing, out)
        };
        let optional = |program: Option<&Program>, out: &mut Option<String>| match program {
            None => {
                *out = None;
                Ok(())
            }
            Some(program) => {
                let mut text = out.take().unwrap_or_default();
                render(program, &mut text)?;
                *out = (!text.trim().is_empty()).then_some(text);
                Ok(())
            }
        };
        render(&self.subject, &mut rendered.subject)?;
        optional(self.from_name.as_ref(), &mut rendered.from_name)?;
        optional(self.reply_to.as_ref(), &mut rendered.reply_to)?;
        render(&self.html, &mut rendered.html)?;
        render(&self.text, &mut rendered.text)?;
        if self.text_is_derived {
            tidy(&mut rendered.text);
        }
        Ok(())
    }

    /// Every variable of the content, by field, each once a field, in order of first mention.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
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

impl Compiling<'_> {
    /// Compiles one field and notes its variables. `None` where an error was noted.
    fn field(&mut self, field: &'static str, source: &str, escaping: Escaping) -> Option<Program> {
        let (compiled, _) = self.parse(field, source, escaping)?;
        Some(compiled.program)
    }

    /// As [`Self::field`], for what becomes a header line.
    fn header(&mut self, field: &'static str, source: &str) -> Option<Program> {
        if source.chars().any(char::is_control) {
            let message = "line breaks, tabs and other control characters have no place in a header";
            self.errors.push(ContentError::new("control_character", field, message));
            return None;
        }
        self.field(field, source, Escaping::None)
    }

    /// Checks a body as it was written, so that errors point into it. Gives its tags.
    fn check(&mut self, field: &'static str, source: &str, escaping: Escaping) -> Option<Vec<Tag>> {
        self.parse(field, source, escaping).map(|(_, tags)| tags)
    }

    fn parse(
        &mut self,
        field: &'static str,
        source: &str,
        escaping: Escaping,
    ) -> Option<(Compiled, Vec<Tag>)> {
        let limit = self.options.max_field_bytes;
        if source.len() > limit {
            let message = format!("the field has {} bytes, the limit is {limit}", source.len());
            self.errors.push(ContentError::new("too_large", field, message));
            return None;
        }
        let parsed = lex::tags(source, self.options.max_nesting)
            .map_err(|refused| vec![refused.in_field(field, source)])
            .and_then(|tags| Ok((template::compile(source, field, escaping)?, tags)));
        match parsed {
            Ok((compiled, tags)) => {
                let new = compiled.variables.iter().map(|path| Variable { path: path.clone(), field });
                self.variables.extend(new);
                Some((compiled, tags))
            }
            Err(errors) => {
                self.errors.extend(errors);
                None
            }
        }
    }

    /// The programs of the HTML and of the text derived from it.
    fn body(
        &mut self,
        body: &EmailBody,
        source: &str,
        tags: &[Tag],
        preheader: Option<&str>,
    ) -> Option<(Program, Program)> {
        let field = body::field(body);
        let prepared = match body::prepare(body, source, tags, preheader) {
            Ok(prepared) => prepared,
            Err(error) => {
                self.errors.push(error);
                return None;
            }
        };
        let mut again = |what: &str, source: &str, escaping| {
            let nested = lex::tags(source, self.options.max_nesting)
                .map_err(|refused| vec![refused.in_field(field, source)])
                .and_then(|_| template::compile(source, field, escaping));
            nested.map(|compiled| compiled.program).map_err(|errors| {
                // The source itself is well formed, so blocks have come apart: opened where the document keeps them
                // and closed where it does not, or the other way round.
                let why = errors.into_iter().next().map(|error| error.message).unwrap_or_default();
                let message = format!(
                    "a block begins and ends in places that don't belong together in the {what}: {why}"
                );
                self.errors.push(ContentError::new("misplaced_tag", field, message));
            })
        };
        let html = again("document", &prepared.html, Escaping::Html).ok()?;
        let text = again("text derived from it", &prepared.text, Escaping::None).ok()?;
        Some((html, text))
    }
}

/// Takes out what branches not taken leave behind: runs of empty lines, and white space at both ends.
fn tidy(text: &mut String) {
    let trimmed = text.trim_end().len();
    text.truncate(trimmed);
    let start = text.len() - text.trim_start().len();
    if start > 0 {
        text.drain(..start);
    }
    if text.contains("\n\n\n") {
        let mut newlines = 0;
        text.retain(|next| {
            newlines = if next == '\n' { newlines + 1 } else { 0 };
            newlines <= 2
        });
    }
}

#[cfg(test)]
mod tests;
