//! What is to be said of a text message before it is sent.

use campaign::configuration::MAX_SEGMENTS;
use campaign::content::SmsContent;

use super::{CompileOptions, Lowered, Lowering};
use crate::error::ContentError;
use crate::template::Escaping;

pub(super) fn lower(
    content: &SmsContent,
    options: &CompileOptions,
) -> Result<Lowered<SmsContent>, Vec<ContentError>> {
    let mut lowering = Lowering::new(options);
    if content.text.trim().is_empty() {
        lowering.error("empty_text", "text", "the text is empty");
    }
    if content.max_segments.is_some_and(|most| !(1..=MAX_SEGMENTS).contains(&most)) {
        let message = format!("must be between 1 and {MAX_SEGMENTS}");
        lowering.error("out_of_range", "max_segments", message);
    }
    lowering.field("text", &content.text, Escaping::None);
    lowering.finish(content.clone())
}
