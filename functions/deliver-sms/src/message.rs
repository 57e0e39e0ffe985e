//! A text message ready to be handed over, and what it is made from.

use std::fmt;

use campaign::address::PhoneNumber;
use campaign::configuration::Sender;
use campaign::{Category, Code, Profile};
use content::{RenderError, SmsTemplate, segments};
use delivery::{Job, MessageId};
use serde_json::Value;

/// A text message ready to be handed over.
pub struct Text {
    pub(crate) id: MessageId,
    /// In E.164.
    pub(crate) to: String,
    pub(crate) text: String,
    /// What the campaign is: providers treat marketing apart.
    #[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "only AWS is told"))]
    pub(crate) category: Category,
}

impl fmt::Debug for Text {
    /// Without the number or the text: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text")
            .field("id", &self.id)
            .field("text_bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// The profile's number.
pub(crate) fn number_of(profile: &Profile) -> Result<&str, Code> {
    let number = profile.text("phone").ok_or(Code::NoAddress)?;
    PhoneNumber::parse(number).map(|_| number).map_err(|_| Code::InvalidAddress)
}

/// Renders a message and holds it to what the configuration asks of it.
///
/// # Errors
/// The `failed` or `excluded` code, and why.
pub(crate) fn prepare(job: &Job<'_, SmsTemplate>, profile: Profile) -> Result<Text, (Code, String)> {
    let Sender::Sms(sender) = &job.configuration.sender else {
        return Err((Code::Misconfigured, "the configuration is not for text messages".to_owned()));
    };
    let to = match job.to {
        Some(to) => to,
        None => number_of(&profile).map_err(|code| (code, String::new()))?,
    };
    let to = PhoneNumber::parse(to).map_err(|error| (Code::InvalidAddress, error.to_string()))?;
    let profile = Value::Object(profile.into_document());
    let rendered = job.template.render(&profile, job.context, job.on_missing);
    let text = rendered.map_err(|error| (code_of(&error), error.to_string()))?.text;
    if text.trim().is_empty() {
        return Err((Code::RenderFailed, "nothing is left of the text for this recipient".to_owned()));
    }
    let most = job.template.max_segments().unwrap_or(sender.max_segments);
    let taken = segments(&text);
    if taken.segments > usize::from(most) {
        let (count, encoding) = (taken.segments, taken.encoding.name());
        return Err((
            Code::TooLarge,
            format!("it takes {count} segments of {encoding}, at most {most} are allowed"),
        ));
    }
    // A proof is for somebody who knows what it is.
    let is_proof = matches!(job.id, MessageId::Proof { .. });
    if let (Category::Marketing, false, Some(wording)) = (job.category, is_proof, &sender.opt_out_wording)
        && !content::says(&text, wording)
    {
        return Err((Code::Policy, "it does not say how to opt out, as the configuration asks".to_owned()));
    }
    Ok(Text { id: job.id.clone(), to: to.as_str().to_owned(), text, category: job.category })
}

fn code_of(error: &RenderError) -> Code {
    match error {
        RenderError::MissingValue { .. } => Code::MissingValue,
        _ => Code::RenderFailed,
    }
}

#[cfg(test)]
mod tests;
