//! What is sent: it compiles, and it renders for some of those who will get it.

use std::collections::BTreeMap;

use campaign::Profile;
use campaign::content::{Content, EmailContent, OnMissing};
use campaign::model::Finding;
use content::{CompileOptions, EmailTemplate, RenderError};
use serde_json::{Value, json};

pub(crate) fn check(
    content: &Content,
    index: usize,
    on_missing: OnMissing,
    samples: &[Profile],
    findings: &mut Vec<Finding>,
) {
    match content {
        Content::Email(email) => check_email(email, index, on_missing, samples, findings),
    }
}

fn check_email(
    email: &EmailContent,
    index: usize,
    on_missing: OnMissing,
    samples: &[Profile],
    findings: &mut Vec<Finding>,
) {
    let field = |name: &str| format!("actions[{index}].content.{name}");
    let template = match EmailTemplate::compile(email, &CompileOptions::default()) {
        Ok(template) => template,
        Err(errors) => {
            findings.extend(errors.into_iter().map(|error| {
                let place = match (error.line, error.column) {
                    (Some(line), Some(column)) => format!("line {line}, column {column}: "),
                    _ => String::new(),
                };
                Finding::error(error.code, field(error.field), format!("{place}{}", error.message))
            }));
            return;
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
        for variable in template.undefined_in(&profile, &context) {
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
}
