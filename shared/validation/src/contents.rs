//! What is sent: it compiles, and it renders for some of those who will get it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use campaign::Profile;
use campaign::content::{Content, EmailBody, OnMissing};
use campaign::lowered::{LoweredContent, LoweredEmail, MAX_LOWERED_BYTES, MAX_LOWERED_TOTAL_BYTES};
use campaign::model::Finding;
use content::{AnyTemplate, CompileOptions, ContentError, Lowered, MAX_PUSH_BYTES, RenderError, Rendered};
use serde_json::{Value, json};

/// Lowers the content of an action.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn lower(content: &Content, index: usize) -> Result<Lowered<LoweredContent>, Vec<Finding>> {
    let field = |name: &str| format!("actions[{index}].content.{name}");
    let lowered = content::lower(content, &CompileOptions::default()).map_err(|errors| -> Vec<Finding> {
        let finding = |error: ContentError| {
            let place = match (error.line, error.column) {
                (Some(line), Some(column)) => format!("line {line}, column {column}: "),
                _ => String::new(),
            };
            Finding::error(error.code, field(&error.path()), format!("{place}{}", error.message))
        };
        errors.into_iter().map(finding).collect()
    })?;
    let bytes = stored_bytes(&lowered.content);
    if bytes > MAX_LOWERED_BYTES {
        let field = format!("actions[{index}].content{}", longest(content, &lowered.content));
        let message = format!(
            "with MJML and CSS worked in, the content has {bytes} bytes; the limit is {MAX_LOWERED_BYTES}"
        );
        return Err(vec![Finding::error("lowered_too_large", field, message)]);
    }
    Ok(lowered)
}

/// Refuses those of a version's lowered contents with which they could not be stored together, in one transaction.
pub(crate) fn limit(contents: &mut [Result<Lowered<LoweredContent>, Vec<Finding>>]) {
    let bytes = |content: &Result<Lowered<LoweredContent>, _>| {
        content.as_ref().map_or(0, |lowered| stored_bytes(&lowered.content))
    };
    let total: usize = contents.iter().map(bytes).sum();
    let mut left = MAX_LOWERED_TOTAL_BYTES;
    for content in contents {
        match left.checked_sub(bytes(content)) {
            Some(still_left) => left = still_left,
            None => {
                let message = format!(
                    "with MJML and CSS worked in, the contents have {total} bytes together; the limit is \
                     {MAX_LOWERED_TOTAL_BYTES}"
                );
                *content = Err(vec![Finding::error("lowered_too_large", "actions", message)]);
            }
        }
    }
}

fn stored_bytes(lowered: &LoweredContent) -> usize {
    serde_json::to_vec(lowered).map_or(0, |json| json.len())
}

/// The field that most of a lowered content comes from, where it is one alone.
fn longest(content: &Content, lowered: &LoweredContent) -> &'static str {
    let (Content::Email(email), LoweredContent::Email(LoweredEmail { html, text, .. })) = (content, lowered)
    else {
        return "";
    };
    match &email.body {
        _ if text.len() > html.len() => ".text",
        EmailBody::Html(_) => ".body.html",
        EmailBody::Mjml(_) => ".body.mjml",
    }
}

/// What a check has to say that renders a content. One that panics would do so each time it is tried, and the activation
/// would never come to an end: the content is what can't be rendered.
pub(crate) fn guarded(index: usize, check: impl FnOnce(&mut Vec<Finding>)) -> Vec<Finding> {
    let checked = catch_unwind(AssertUnwindSafe(|| {
        let mut findings = Vec::new();
        check(&mut findings);
        findings
    }));
    checked.unwrap_or_else(|_| {
        let message = "can't be rendered for a sample profile: the renderer gave up on it";
        vec![Finding::error("render_failed", format!("actions[{index}].content"), message)]
    })
}

/// Checks that a lowered content can be rendered for samples of those who get it.
pub(crate) fn check_renders(
    lowered: &Lowered<LoweredContent>,
    index: usize,
    on_missing: OnMissing,
    samples: &[Profile],
    findings: &mut Vec<Finding>,
) {
    let field = |name: &str| format!("actions[{index}].content.{name}");
    for warning in &lowered.warnings {
        findings.push(Finding::warning(warning.code, field(&warning.path()), warning.message.clone()));
    }
    let template = match AnyTemplate::from_lowered(&lowered.content) {
        Ok(template) => template,
        Err(error) => {
            let message = format!("can't be compiled once it is lowered: {error}");
            findings.push(Finding::error("render_failed", format!("actions[{index}].content"), message));
            return;
        }
    };
    let context = json!({});
    // Each message once, however many samples it is true of.
    let mut failed: BTreeMap<String, usize> = BTreeMap::new();
    let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
    // For how many a push notification is too large, and the largest of those.
    let mut too_large = (0, 0);
    let mut undefined: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for sample in samples {
        let profile = Value::Object(sample.document().clone());
        match template.render(&profile, &context, on_missing) {
            Ok(Rendered::Push(push)) if push.is_too_large() => {
                too_large = (too_large.0 + 1, push.payload_bytes().max(too_large.1));
            }
            Ok(_) => {}
            Err(RenderError::MissingValue { variable }) => *skipped.entry(variable).or_default() += 1,
            Err(error) => *failed.entry(error.to_string()).or_default() += 1,
        }
        for variable in lowered.undefined_in(&profile, &context) {
            *undefined.entry((variable.field_path(), &variable.path)).or_default() += 1;
        }
    }
    let of = samples.len();
    for (message, count) in failed {
        let message = format!("can't be rendered for {count} of {of} sample profiles: {message}");
        findings.push(Finding::error("render_failed", format!("actions[{index}].content"), message));
    }
    if let (count @ 1.., bytes) = too_large {
        let message = format!(
            "for {count} of {of} sample profiles it has up to {bytes} bytes; the limit is {MAX_PUSH_BYTES}"
        );
        findings.push(Finding::error("push_too_large", format!("actions[{index}].content"), message));
    }
    for (variable, count) in skipped {
        let message = format!("{count} of {of} sample profiles would be left out: {variable} has no value");
        findings.push(Finding::warning("missing_value", format!("actions[{index}].content"), message));
    }
    for ((in_field, variable), count) in undefined {
        if count == of {
            let message = format!("{variable} has no value in any of {of} sample profiles");
            findings.push(Finding::warning("undefined_variable", field(&in_field), message));
        }
    }
}

#[cfg(test)]
mod tests {
    use campaign::content::EmailContent;

    use super::*;

    #[test]
    fn a_content_that_panics_the_renderer_is_refused() {
        let findings = guarded(3, |findings| {
            findings.push(Finding::warning("missing_value", "actions[3].content", "half said"));
            panic!("as the test wants it");
        });
        let said = [("render_failed", "actions[3].content")];
        assert!(findings.iter().map(|found| (found.code.as_str(), found.field.as_str())).eq(said));
        let warning = Finding::warning("missing_value", "actions[3].content", "said");
        assert_eq!(guarded(3, |findings| findings.push(warning.clone())), [warning]);
    }

    /// An email that grows when its CSS is inlined: so many paragraphs get so many bytes of style.
    fn growing(paragraphs: usize, style: usize) -> Content {
        let family = "x".repeat(style);
        let html = format!("<style>p{{font-family:{family}}}</style>{}", "<p>a</p>".repeat(paragraphs));
        Content::Email(EmailContent {
            subject: "s".to_owned(),
            body: EmailBody::Html(html),
            ..EmailContent::default()
        })
    }

    fn found(contents: &[Content]) -> Vec<(String, String)> {
        let refused = contents.iter().enumerate().filter_map(|(index, content)| lower(content, index).err());
        refused.flatten().map(|finding| (finding.code, finding.field)).collect()
    }

    fn too_large(field: &str) -> (String, String) {
        ("lowered_too_large".to_owned(), field.to_owned())
    }

    #[test]
    fn a_content_that_grows_beyond_an_item_is_an_error_with_its_field() {
        assert_eq!(found(&[growing(1000, 300)]), []);
        assert_eq!(
            found(&[growing(10, 10), growing(1000, 400)]),
            [too_large("actions[1].content.body.html")]
        );
        let text = Content::Email(EmailContent {
            subject: "s".to_owned(),
            // As JSON it has six times the bytes.
            text: Some("\u{1}".repeat(100_000)),
            ..EmailContent::default()
        });
        assert_eq!(found(&[text]), [too_large("actions[0].content.text")]);
    }

    #[test]
    fn contents_that_grow_beyond_a_transaction_are_an_error() {
        let lowered = |count| {
            let html = "x".repeat(370_000);
            let email = LoweredEmail { html, ..LoweredEmail::default() };
            vec![
                Ok(Lowered {
                    content: LoweredContent::Email(email),
                    variables: Vec::new(),
                    warnings: Vec::new(),
                });
                count
            ]
        };
        let mut contents = lowered(9);
        limit(&mut contents);
        assert_eq!(contents, lowered(9));
        let mut contents = lowered(10);
        limit(&mut contents);
        assert_eq!(contents[..9], lowered(9));
        let findings = contents[9].as_ref().unwrap_err();
        assert_eq!((findings[0].code.as_str(), findings[0].field.as_str()), ("lowered_too_large", "actions"));
    }
}
