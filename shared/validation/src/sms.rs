//! What a text message takes, and what it has to say.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use campaign::configuration::{Configuration, Sender, SmsSender, default_max_segments};
use campaign::content::OnMissing;
use campaign::lowered::LoweredContent;
use campaign::model::Finding;
use campaign::{Category, Profile};
use content::{Encoding, Segments, SmsTemplate, beyond_gsm7, says, segments};
use serde_json::{Value, json};

/// How many of the characters that GSM-7 lacks are named.
const NAMED: usize = 3;

/// Checks a text message as samples get it, or, where there are none, as it is with nothing filled in: no recipient's will
/// be much shorter.
pub(crate) fn check(
    content: &LoweredContent,
    configuration: Option<&Configuration>,
    on_missing: OnMissing,
    samples: &[Profile],
    index: usize,
    findings: &mut Vec<Finding>,
) {
    let LoweredContent::Sms(sms) = content else { return };
    let Ok(template) = SmsTemplate::compile(sms) else { return };
    let settings = configuration.and_then(|found| match &found.sender {
        Sender::Sms(settings) => Some((settings, found.category)),
        _ => None,
    });
    let nobody = [json!({})];
    let profiles: Vec<Value> =
        samples.iter().map(|sample| Value::Object(sample.document().clone())).collect();
    let (profiles, on_missing) = match &profiles[..] {
        [] => (&nobody[..], OnMissing::Blank),
        profiles => (profiles, on_missing),
    };
    let rendered =
        profiles.iter().filter_map(|profile| template.render(profile, &json!({}), on_missing).ok());
    let texts: Vec<String> = rendered.map(|rendered| rendered.text).collect();
    let field = format!("actions[{index}].content.text");
    let whom = Whom { of: if samples.is_empty() { None } else { Some(texts.len()) } };
    let most = sms.max_segments.or(settings.map(|(settings, _)| settings.max_segments));
    findings.extend(too_long(&texts, most.unwrap_or(default_max_segments()), whom, &field));
    findings.extend(beyond(&texts, sms.transliterate, whom, &field));
    if let Some((SmsSender { opt_out_wording: Some(wording), .. }, Category::Marketing)) = settings {
        findings.extend(silent(&texts, wording, whom, &field));
    }
}

/// Of how many samples something is said; of none where nothing is filled in.
#[derive(Clone, Copy)]
struct Whom {
    of: Option<usize>,
}

impl Whom {
    fn for_count(self, count: usize) -> String {
        match self.of {
            Some(of) => format!("for {count} of {of} sample profiles"),
            None => "with nothing filled in".to_owned(),
        }
    }
}

fn too_long(texts: &[String], most: u8, whom: Whom, field: &str) -> Option<Finding> {
    let over: Vec<Segments> =
        texts.iter().map(|text| segments(text)).filter(|taken| taken.segments > usize::from(most)).collect();
    let longest = over.iter().max_by_key(|taken| taken.segments)?;
    let message = format!(
        "{} it takes up to {} segments of {}, and would not be sent: at most {most} are allowed",
        whom.for_count(over.len()),
        longest.segments,
        longest.encoding.name(),
    );
    let finding = if over.len() == texts.len() { Finding::error } else { Finding::warning };
    Some(finding("sms_too_long", field.to_owned(), message))
}

fn beyond(texts: &[String], transliterate: bool, whom: Whom, field: &str) -> Option<Finding> {
    let ucs2: Vec<&String> = texts.iter().filter(|text| segments(text).encoding == Encoding::Ucs2).collect();
    if ucs2.is_empty() {
        return None;
    }
    let mut seen = BTreeSet::new();
    let distinct = ucs2.iter().flat_map(|text| beyond_gsm7(text)).filter(|c| seen.insert(*c));
    let mut characters = String::new();
    for c in distinct.take(NAMED) {
        let before = if characters.is_empty() { "" } else { ", " };
        // Writing to a String never fails.
        let _ = match c.is_control() || c.is_whitespace() {
            true => write!(characters, "{before}U+{:04X}", u32::from(c)),
            false => write!(characters, "{before}{c} (U+{:04X})", u32::from(c)),
        };
    }
    let advice = if transliterate { "" } else { "; `transliterate` replaces what has a near equivalent" };
    let message = format!(
        "{} a segment holds 70 characters in place of 160, for what the GSM-7 alphabet lacks: {characters}{advice}",
        whom.for_count(ucs2.len())
    );
    Some(Finding::warning("sms_ucs2", field.to_owned(), message))
}

fn silent(texts: &[String], wording: &str, whom: Whom, field: &str) -> Option<Finding> {
    let silent = texts.iter().filter(|text| !says(text, wording)).count();
    if silent == 0 {
        return None;
    }
    let message = format!(
        "{} it does not say {wording:?}, which the configuration asks of marketing, and would not be sent",
        whom.for_count(silent)
    );
    // What is filled in may say it.
    let finding = if whom.of.is_some() { Finding::error } else { Finding::warning };
    Some(finding("no_opt_out_wording", field.to_owned(), message))
}

#[cfg(test)]
mod tests {
    use campaign::configuration::{AwsSms, SmsProvider};
    use campaign::content::SmsContent;
    use campaign::model::Severity;
    use campaign::{ConfigurationId, ProfileId};

    use super::*;

    fn found(
        content: SmsContent,
        (category, most, wording): (Category, u8, Option<&str>),
        names: &[&str],
    ) -> Vec<(String, Severity, String)> {
        let sender = SmsSender {
            provider: SmsProvider::Aws(AwsSms::default()),
            default_country: None,
            max_segments: most,
            opt_out_wording: wording.map(str::to_owned),
        };
        let configuration = Configuration {
            id: ConfigurationId::from_bytes([1; 16]),
            name: "SMS".to_owned(),
            category,
            rate_per_second: None,
            retry_period_seconds: 60,
            disabled: false,
            ignores_suppression: false,
            sender: Sender::Sms(sender),
        };
        let samples: Vec<Profile> = names
            .iter()
            .map(|name| {
                let document = json!({ "name": name }).as_object().unwrap().clone();
                Profile::from_stored(ProfileId::from_bytes([2; 16]), document)
            })
            .collect();
        let mut findings = Vec::new();
        let content = LoweredContent::Sms(content);
        check(&content, Some(&configuration), OnMissing::Skip, &samples, 1, &mut findings);
        let parts = |finding: Finding| {
            assert_eq!(finding.field, "actions[1].content.text");
            (finding.code, finding.severity, finding.message)
        };
        findings.into_iter().map(parts).collect()
    }

    fn text(text: &str) -> SmsContent {
        SmsContent { text: text.to_owned(), ..SmsContent::default() }
    }

    const PLAIN: (Category, u8, Option<&str>) = (Category::Transactional, 1, None);

    #[test]
    fn a_text_that_is_too_long_for_all_is_an_error_and_for_some_a_warning() {
        let long = "n".repeat(156);
        let dear = || text("Dear {{profile.name}}");
        assert_eq!(found(dear(), PLAIN, &["Ann", "Bob"]), []);
        let [(code, severity, message)] = &found(dear(), PLAIN, &["Ann", &long])[..] else { panic!("one") };
        assert_eq!((code.as_str(), *severity), ("sms_too_long", Severity::Warning));
        assert_eq!(
            message,
            "for 1 of 2 sample profiles it takes up to 2 segments of GSM-7, and would not be sent: at most 1 are allowed"
        );
        let all = found(dear(), PLAIN, &[&long]);
        assert_eq!((all[0].0.as_str(), all[0].1), ("sms_too_long", Severity::Error));
        // The content's own limit goes before the configuration's, and those who are left out don't count.
        assert_eq!(found(SmsContent { max_segments: Some(2), ..dear() }, PLAIN, &[&long]), []);
        let nothing = found(text(&long.repeat(2)), PLAIN, &[]);
        assert!(nothing[0].2.starts_with("with nothing filled in it takes up to 3 "), "{nothing:?}");
    }

    #[test]
    fn the_characters_that_make_it_ucs2_are_named() {
        let quoted = || text("“Hi” {{profile.name}}\u{a0}!");
        let [(code, severity, message)] = &found(quoted(), PLAIN, &["Ann"])[..] else { panic!("one") };
        assert_eq!((code.as_str(), *severity), ("sms_ucs2", Severity::Warning));
        assert!(message.contains("“ (U+201C), ” (U+201D), U+00A0; `transliterate`"), "{message}");
        let near = || SmsContent { transliterate: true, ..quoted() };
        assert_eq!(found(near(), PLAIN, &["Ann", "Łukasz"]), []);
        let emoji = found(near(), PLAIN, &["Ann", "\u{1f60e}"]);
        assert!(emoji[0].2.starts_with("for 1 of 2 ") && !emoji[0].2.contains("transliterate"), "{emoji:?}");
    }

    #[test]
    fn marketing_has_to_say_how_to_opt_out_where_the_configuration_asks_for_it() {
        let marketing = (Category::Marketing, 1, Some("STOP"));
        let severities = |content, how, names: &[&str]| -> Vec<(String, Severity)> {
            found(content, how, names).into_iter().map(|(code, severity, _)| (code, severity)).collect()
        };
        let missing = |severity| vec![("no_opt_out_wording".to_owned(), severity)];
        assert_eq!(severities(text("Sale!"), marketing, &["Ann"]), missing(Severity::Error));
        assert_eq!(severities(text("Sale!"), marketing, &[]), missing(Severity::Warning));
        assert_eq!(severities(text("Sale! stop: 36111"), marketing, &["Ann"]), []);
        assert_eq!(
            severities(text("{{profile.name}}"), marketing, &["Ann", "stop"]),
            missing(Severity::Error)
        );
        assert_eq!(severities(text("Sale!"), (Category::Transactional, 1, Some("STOP")), &["Ann"]), []);
        assert_eq!(severities(text("Sale!"), (Category::Marketing, 1, None), &["Ann"]), []);
    }
}
