use campaign::content::OnMissing;
use campaign::lowered::LoweredEmail;
use links::Issuer;
use serde_json::Value;
use thiserror::Error;

use crate::error::{ContentError, RenderError};
use crate::template::{self, Escaping, Language, Links, Ours, Program};

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

/// Why a lowered email can't be compiled. What lowering made can be; so it is damaged, or of a later form.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoweredError {
    /// It was written in a form that is not known here.
    #[error("it is written in form {0}, of which this program knows nothing")]
    Format(u32),
    /// One of its templates is none.
    #[error(transparent)]
    Template(#[from] ContentError),
}

/// The HTML as lowering wrote it, and the text.
pub(crate) const HTML: Language = Language { escaping: Escaping::Html, links: Links::Lowered };
pub(crate) const TEXT: Language = Language { escaping: Escaping::None, links: Links::Ours };

/// One of an email's two bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The HTML part.
    Html,
    /// The text part.
    Text,
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
}

impl EmailTemplate {
    /// Lowers a content and compiles what comes of it: the way that a version takes to its recipients, at once.
    ///
    /// # Errors
    /// As [`lower_email`](crate::lower_email()).
    #[cfg(feature = "lower")]
    pub fn compile(
        content: &campaign::content::EmailContent,
        options: &crate::CompileOptions,
    ) -> Result<Self, Vec<ContentError>> {
        let lowered = crate::lower_email(content, options)?;
        Self::of(&lowered.content).map_err(|error| vec![error])
    }

    /// Compiles a lowered email.
    ///
    /// # Errors
    /// [`LoweredError`]; never for what [`lower`](crate::lower()) made in this form.
    pub fn from_lowered(lowered: &LoweredEmail) -> Result<Self, LoweredError> {
        if lowered.is_known() { Ok(Self::of(lowered)?) } else { Err(LoweredError::Format(lowered.format)) }
    }

    fn of(lowered: &LoweredEmail) -> Result<Self, ContentError> {
        let header = |field, source: &Option<String>| {
            source
                .as_deref()
                .map(|source| template::compile_checked(source, field, Escaping::None))
                .transpose()
        };
        Ok(Self {
            subject: template::compile_checked(&lowered.subject, "subject", Escaping::None)?,
            from_name: header("from_name", &lowered.from_name)?,
            reply_to: header("reply_to", &lowered.reply_to)?,
            html: template::compile_checked(&lowered.html, "html", HTML)?,
            text: template::compile_checked(&lowered.text, "text", TEXT)?,
            text_is_derived: lowered.text_is_derived,
        })
    }

    /// Whether a part mentions a link of ours, in whatever branch.
    pub fn mentions(&self, link: Ours, part: Part) -> bool {
        match part {
            Part::Html => self.html.mentions(link),
            Part::Text => self.text.mentions(link),
        }
    }

    /// Renders for one recipient. Nothing of the data is copied but what is printed.
    ///
    /// `links` makes the links of the message: what counts clicks and opens, in the HTML, and what `{{links.unsubscribe}}` and
    /// `{{links.view}}` print. Without, in previews, links lead where they were written to lead, there is no picture, and
    /// what stands for ours is [`Ours::placeholder`].
    ///
    /// # Errors
    /// [`RenderError::MissingValue`] under [`OnMissing::Skip`]; the others where the data does not fit the template.
    pub fn render(
        &self,
        profile: &Value,
        context: &Value,
        on_missing: OnMissing,
        links: Option<&Issuer<'_>>,
    ) -> Result<RenderedEmail, RenderError> {
        let mut rendered = RenderedEmail::default();
        self.render_into(profile, context, on_missing, links, &mut rendered)?;
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
        links: Option<&Issuer<'_>>,
        rendered: &mut RenderedEmail,
    ) -> Result<(), RenderError> {
        let render = |program: &Program, out: &mut String| {
            out.clear();
            program.render_with(profile, context, on_missing, links, out)
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

#[cfg(all(test, feature = "lower"))]
mod tests;
