use campaign::content::{EmailBody, EmailContent};
use campaign::lowered::LoweredLink;
use serde_json::json;

use super::*;

fn email(subject: &str, html: &str) -> EmailContent {
    EmailContent { subject: subject.into(), body: EmailBody::Html(html.into()), ..EmailContent::default() }
}

fn lowered(content: &EmailContent) -> Lowered<LoweredEmail> {
    lower_email(content, &CompileOptions::default()).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn codes(content: &EmailContent) -> Vec<(&'static str, &'static str)> {
    let errors = lower_email(content, &CompileOptions::default()).expect_err("must not compile");
    errors.into_iter().map(|error| (error.code, error.field)).collect()
}

/// Row C1.
#[test]
fn an_email_without_a_body_or_a_subject_is_refused() {
    for blank in ["", "   ", "\n\t"] {
        assert_eq!(codes(&email("Hello", blank)), [("empty_body", "body.html")]);
        assert_eq!(codes(&email(blank, "<p>x</p>"))[0], ("empty_subject", "subject"));
        let mut blank_text = email("Hello", blank);
        blank_text.text = Some(blank.into());
        assert_eq!(codes(&blank_text), [("empty_body", "body.html")]);
    }
}

/// Rows C11 and C13.
#[test]
fn a_preview_can_list_what_is_undefined() {
    let mut content = email(
        "{{profile.a}} {{context.b}}",
        "{{#each profile.orders}}{{id}}{{sum}}{{/each}}{{#if profile.a}}{{profile.c.d}}{{/if}}",
    );
    content.preheader = Some("{{profile.p}}".into());
    let lowered = lowered(&content);
    let all: Vec<_> =
        lowered.variables.iter().map(|variable| (variable.field, variable.path.as_str())).collect();
    assert_eq!(
        all,
        [
            ("subject", "profile.a"),
            ("subject", "context.b"),
            ("preheader", "profile.p"),
            ("body.html", "profile.orders"),
            ("body.html", "profile.orders[].id"),
            ("body.html", "profile.orders[].sum"),
            ("body.html", "profile.a"),
            ("body.html", "profile.c.d"),
        ]
    );
    let profile = json!({"a": 1, "p": null, "orders": [{"id": 1, "sum": 2}, {"id": 3}]});
    let undefined = lowered.undefined_in(&profile, &json!({"b": ""}));
    let undefined: Vec<_> = undefined.into_iter().map(|variable| variable.path.as_str()).collect();
    assert_eq!(undefined, ["profile.p", "profile.orders[].sum", "profile.c.d"]);
}

#[test]
fn errors_of_all_fields_come_together_with_their_places() {
    let content = EmailContent {
        subject: "{{oops}}".into(),
        preheader: Some("{{> partial}}".into()),
        from_name: Some("a\r\nBcc: x@y.z".into()),
        reply_to: None,
        body: EmailBody::Html("<p>\n  {{shout profile.x}}</p>".into()),
        text: Some("{{#if profile.x}}".into()),
    };
    let errors = lower_email(&content, &CompileOptions::default()).expect_err("wrong");
    let all: Vec<_> =
        errors.iter().map(|error| (error.code, error.field, error.line, error.column)).collect();
    assert_eq!(
        all,
        [
            ("unknown_variable", "subject", Some(1), Some(1)),
            ("control_character", "from_name", None, None),
            ("unsupported_syntax", "preheader", Some(1), Some(1)),
            ("syntax", "text", Some(1), Some(1)),
            ("unknown_helper", "body.html", Some(2), Some(3)),
        ]
    );
    assert_eq!(errors[4].to_string(), "body.html (line 2, column 3): there is no helper \"shout\"");
}

#[test]
fn what_would_overflow_a_stack_is_refused_before_it_is_parsed() {
    let deep = email("s", &"{{#if profile.a}}".repeat(10_000));
    assert_eq!(codes(&deep), [("too_deep", "body.html")]);
    assert_eq!(codes(&email("s", &"<b>".repeat(50_000))), [("too_deep", "body.html")]);
    assert_eq!(codes(&email("s", &"x".repeat(256 * 1024 + 1))), [("too_large", "body.html")]);
    assert_eq!(codes(&email("s", "{{> me}}")), [("unsupported_syntax", "body.html")]);
    let mjml = EmailContent {
        subject: "s".into(),
        body: EmailBody::Mjml(format!("<mjml><mj-body>{}", "<mj-wrapper>".repeat(10_000))),
        ..EmailContent::default()
    };
    assert_eq!(codes(&mjml), [("too_deep", "body.mjml")]);
}

#[test]
fn a_block_across_the_document_s_frame_is_refused() {
    let across =
        email("s", "<html><head>{{#if profile.a}}<title>x</title></head><body><p>y</p>{{/if}}</body></html>");
    assert_eq!(codes(&across), [("misplaced_tag", "body.html")]);
}

#[test]
fn everything_that_can_be_done_once_has_been_done() {
    let content = EmailContent {
        subject: "For {{profile.name}}".into(),
        preheader: Some("Hi {{profile.name}}".into()),
        from_name: Some("{{profile.shop}}".into()),
        reply_to: None,
        body: EmailBody::Mjml(
            "<mjml><mj-body><mj-section><mj-column><mj-text>Dear {{profile.name}}</mj-text><mj-button href=\"https://x\">x</mj-button></mj-column></mj-section></mj-body></mjml>"
                .into(),
        ),
        text: None,
    };
    let LoweredEmail { format, subject, from_name, reply_to, html, text, text_is_derived, links } =
        lowered(&content).content;
    assert_eq!(
        (format, subject.as_str(), from_name.as_deref(), reply_to),
        (EMAIL_FORMAT, "For {{profile.name}}", Some("{{profile.shop}}"), None)
    );
    assert!(html.contains("Hi {{profile.name}}</div>") && html.contains("Dear {{profile.name}}"), "{html}");
    assert!(!html.contains("<mj-"), "{html}");
    assert_eq!((text.as_str(), text_is_derived), ("Dear {{profile.name}}\n\nx (https://x)", true));
    assert_eq!(links, [LoweredLink { url: "https://x".into(), label: None }]);
    let given = lowered(&EmailContent { text: Some("Hello".into()), ..content });
    assert_eq!((given.content.text.as_str(), given.content.text_is_derived), ("Hello", false));
}
