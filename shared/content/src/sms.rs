//! Text messages: what they say, what they take, and how they are put to a provider by HTTP.

mod gsm7;
mod request;
mod segments;
mod transliterate;

use campaign::content::{OnMissing, SmsContent};
use serde::Serialize;
use serde_json::Value;

pub use self::request::{SmsRequest, SmsRequestError, SmsRequestTemplate, SmsValues};
pub use self::segments::{Encoding, Segments, beyond_gsm7, segments};
use crate::error::{ContentError, RenderError};
use crate::template::{self, Escaping, Program};

/// A text message as one recipient gets it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RenderedSms {
    /// The text.
    pub text: String,
}

/// A text message compiled once, to be rendered for many.
#[derive(Debug)]
pub struct SmsTemplate {
    text: Program,
    transliterate: bool,
    max_segments: Option<u8>,
}

impl SmsTemplate {
    /// Compiles a content.
    ///
    /// # Errors
    /// The first thing that is wrong; nothing is with what [`lower`](crate::lower()) gave.
    pub fn compile(content: &SmsContent) -> Result<Self, ContentError> {
        Ok(Self {
            text: template::compile_checked(&content.text, "text", Escaping::None)?,
            transliterate: content.transliterate,
            max_segments: content.max_segments,
        })
    }

    /// The most segments that the content allows itself, where it says so.
    pub const fn max_segments(&self) -> Option<u8> {
        self.max_segments
    }

    /// Renders for one recipient, and replaces what GSM-7 lacks where the content says so.
    ///
    /// # Errors
    /// As [`EmailTemplate::render`](crate::EmailTemplate::render).
    pub fn render(
        &self,
        profile: &Value,
        context: &Value,
        on_missing: OnMissing,
    ) -> Result<RenderedSms, RenderError> {
        let mut text = String::new();
        self.text.render(profile, context, on_missing, &mut text)?;
        if self.transliterate
            && let std::borrow::Cow::Owned(nearest) = transliterate::transliterate(&text)
        {
            text = nearest;
        }
        Ok(RenderedSms { text })
    }
}

/// Whether a text has this wording in it, in whatever case.
pub fn says(text: &str, wording: &str) -> bool {
    text.to_lowercase().contains(&wording.to_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(change: impl FnOnce(&mut SmsContent)) -> SmsTemplate {
        let mut content =
            SmsContent { text: "“Hello” {{profile.name}}…".to_owned(), ..SmsContent::default() };
        change(&mut content);
        SmsTemplate::compile(&content).unwrap()
    }

    #[test]
    fn what_gsm7_lacks_is_replaced_where_the_content_says_so() {
        let render = |template: &SmsTemplate, name: &str| {
            let profile = json!({ "name": name });
            template.render(&profile, &Value::Null, OnMissing::Blank).unwrap().text
        };
        assert_eq!(render(&template(|_| {}), "Łukasz"), "“Hello” Łukasz…");
        let transliterating = template(|content| content.transliterate = true);
        assert_eq!(render(&transliterating, "Łukasz"), "\"Hello\" Lukasz...");
        assert_eq!(render(&transliterating, "\u{1f60e}"), "“Hello” \u{1f60e}…");
    }

    #[test]
    fn a_wording_is_found_in_any_case() {
        assert!(says("Reply stop to end", "STOP") && says("ÉCRIVEZ ARRÊT", "arrêt"));
        assert!(!says("Reply S.T.O.P", "STOP"));
    }
}
