//! What is sent: it compiles, and it renders for some of those who will get it.

use std::collections::BTreeMap;

use campaign::Profile;
use campaign::content::{Content, EmailBody, EmailContent, OnMissing};
use campaign::lowered::{LoweredContent, LoweredEmail, MAX_LOWERED_BYTES, MAX_LOWERED_TOTAL_BYTES};
use campaign::model::Finding;
use content::{CompileOptions, EmailTemplate, RenderError};
use serde_json::{Value, json};

/// Gives the lowered content, where there is one.
pub(crate) fn check(
    content: &Content,
    index: usize,
    on_missing: OnMissing,
    samples: &[Profile],
    findings: &mut Vec<Finding>,
) -> Option<LoweredContent> {
    let Content::Email(email) = content;
    let lowered = LoweredContent::Email(check_email(email, index, on_missing, samples, findings)?);
    let bytes = stored_bytes(&lowered);
    if bytes > MAX_LOWERED_BYTES {
        let field = format!("actions[{index}].content.{}", longest(content, &lowered));
        let message = format!(
            "with MJML and CSS worked in, the content has {bytes} bytes; the limit is {MAX_LOWERED_BYTES}"
        );
        findings.push(Finding::error("lowered_too_large", field, message));
    }
    Some(lowered)
}

/// Checks that the lowered contents of a version can be stored together, in one transaction.
pub(crate) fn check_total(lowered: &[LoweredContent], findings: &mut Vec<Finding>) {
    let total: usize = lowered.iter().map(stored_bytes).sum();
    if total > MAX_LOWERED_TOTAL_BYTES {
        let message = format!(
            "with MJML and CSS worked in, the contents have {total} bytes together; the limit is \
             {MAX_LOWERED_TOTAL_BYTES}"
        );
        findings.push(Finding::error("lowered_too_large", "actions", message));
    }
}

fn stored_bytes(lowered: &LoweredContent) -> usize {
    serde_json::to_vec(lowered).map_or(0, |json| json.len())
}

/// The field that most of a lowered content comes from.
fn longest(content: &Content, lowered: &LoweredContent) -> &'static str {
    let (Content::Email(email), LoweredContent::Email(LoweredEmail { html, text, .. })) = (content, lowered);
    match &email.body {
        _ if text.len() > html.len() => "text",
        EmailBody::Html(_) => "body.html",
        EmailBody::Mjml(_) => "body.mjml",
    }
}

fn check_email(
    email: &EmailContent,
    index: usize,
    on_missing: OnMissing,
    samples: &[Profile],
    findings: &mut Vec<Finding>,
) -> Option<LoweredEmail> {
    let field = |name: &str| format!("actions[{index}].content.{name}");
    let lowered = match content::lower(email, &CompileOptions::default()) {
        Ok(lowered) => lowered,
        Err(errors) => {
            findings.extend(errors.into_iter().map(|error| {
                let place = match (error.line, error.column) {
                    (Some(line), Some(column)) => format!("line {line}, column {column}: "),
                    _ => String::new(),
                };
                Finding::error(error.code, field(error.field), format!("{place}{}", error.message))
            }));
            return None;
        }
    };
    let template = match EmailTemplate::from_lowered(&lowered.email) {
        Ok(template) => template,
        Err(error) => {
            let message = format!("can't be compiled once it is lowered: {error}");
            findings.push(Finding::error("render_failed", format!("actions[{index}].content"), message));
            return None;
        }
    };
    let context = json!({});
    // Each message once, however many samples it is true of.
    let mut failed: BTreeMap<String, usize> = BTreeMap::new();
    let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
    let mut undefined: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for sample in samples {
        let profile = Value::Object(sample.document().clone());
        match template.render(&profile, &context, on_missing) {
            Ok(_) => {}
            Err(RenderError::MissingValue { variable }) => *skipped.entry(variable).or_default() += 1,
            Err(error) => *failed.entry(error.to_string()).or_default() += 1,
        }
        for variable in lowered.undefined_in(&profile, &context) {
            *undefined.entry((variable.field, &variable.path)).or_default() += 1;
        }
    }
    let of = samples.len();
    for (message, count) in failed {
        let message = format!("can't be rendered for {count} of {of} sample profiles: {message}");
        findings.push(Finding::error("render_failed", format!("actions[{index}].content"), message));
    }
    for (variable, count) in skipped {
        let message = format!("{count} of {of} sample profiles would be left out: {variable} has no value");
        findings.push(Finding::warning("missing_value", format!("actions[{index}].content"), message));
    }
    for ((in_field, variable), count) in undefined {
        if count == of {
            let message = format!("{variable} has no value in any of {of} sample profiles");
            findings.push(Finding::warning("undefined_variable", field(in_field), message));
        }
    }
    Some(lowered.email)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut findings = Vec::new();
        for (index, content) in contents.iter().enumerate() {
            check(content, index, OnMissing::Blank, &[], &mut findings);
        }
        findings.into_iter().map(|finding| (finding.code, finding.field)).collect()
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
            vec![LoweredContent::Email(email); count]
        };
        let mut findings = Vec::new();
        check_total(&lowered(9), &mut findings);
        assert_eq!(findings, []);
        check_total(&lowered(10), &mut findings);
        assert_eq!((findings[0].code.as_str(), findings[0].field.as_str()), ("lowered_too_large", "actions"));
    }
}
