//! One complete email, from the content as a user writes it to the bytes on the wire.

use campaign::content::{EmailBody, EmailContent, OnMissing};
use content::{
    CompileOptions, EmailTemplate, Mailbox, MessageHeaders, RenderedEmail, build_message, lower_email,
};
use serde_json::{Value, json};

/// The email of the demo, which has to work too.
fn welcome() -> EmailContent {
    EmailContent {
        subject: "Welcome, {{default profile.person.name.firstName \"coffee lover\"}}: your first roast"
            .into(),
        preheader: Some("A guest roast is on its way{{#if profile.city}} to {{profile.city}}{{/if}}".into()),
        from_name: Some("Fernweh Coffee".into()),
        reply_to: Some("hello+{{profile.id}}@fernweh-coffee.example".into()),
        body: EmailBody::Html(include_str!("../../../infra/local/demo/welcome.html").into()),
        text: None,
    }
}

fn zofia() -> Value {
    json!({
        "id": "p-17",
        "person": {"name": {"firstName": "Zofia", "lastName": "Żak & Söhne"}},
        "city": "Łódź",
        "interests": ["filter coffee", "espresso", "tea > coffee"],
        "member_since": "2026-03-01",
    })
}

fn render(profile: &Value) -> RenderedEmail {
    let template = EmailTemplate::compile(&welcome(), &CompileOptions::default()).expect("compiles");
    template.render(profile, &json!({}), OnMissing::Blank, None).expect("renders")
}

fn message(rendered: &RenderedEmail) -> Vec<u8> {
    let headers = MessageHeaders {
        from: Mailbox { name: None, address: "news@fernweh-coffee.example" },
        to: Mailbox { name: Some("Zofia Żak"), address: "zofia@xn--kse-qla.example" },
        reply_to: None,
        message_id: "x1.17@mail.fernweh-coffee.example",
        date_unix_seconds: 1_772_323_200,
        list_unsubscribe: &[],
        extra: vec![("X-Campaign", "welcome")],
    };
    build_message(&headers, rendered).expect("a message")
}

/// Row D12: what was once a draft that could be sent is one in every later release. A file here is never changed; a new helper,
/// or a new way to call one, gets a new file.
#[test]
fn drafts_of_earlier_releases_can_still_be_sent() {
    for (name, draft) in [
        ("2026-11-helpers", include_str!("drafts/2026-11-helpers.json")),
        ("2026-11-mjml", include_str!("drafts/2026-11-mjml.json")),
    ] {
        let draft: EmailContent = serde_json::from_str(draft).expect(name);
        let template = EmailTemplate::compile(&draft, &CompileOptions::default()).expect(name);
        let rendered = template.render(&json!({}), &json!({}), OnMissing::Blank, None).expect(name);
        assert!(rendered.html.contains("</a>"), "{name}: {}", rendered.html);
    }
}

/// A preview compiles what is written, a delivery what was stored of it.
#[test]
fn what_is_delivered_is_what_was_previewed() {
    let lowered = lower_email(&welcome(), &CompileOptions::default()).expect("lowers");
    let stored = serde_json::to_string(&lowered.content).expect("JSON");
    let read = serde_json::from_str(&stored).expect("JSON");
    let delivered = EmailTemplate::from_lowered(&read).expect("compiles");
    for profile in [zofia(), json!({}), json!({"city": "<Łódź>", "interests": []})] {
        let one = delivered.render(&profile, &json!({}), OnMissing::Blank, None).expect("renders");
        assert_eq!(one, render(&profile));
    }
    let missing = delivered.render(&json!({}), &json!({}), OnMissing::Skip, None);
    let template = EmailTemplate::compile(&welcome(), &CompileOptions::default()).expect("compiles");
    assert_eq!(missing, template.render(&json!({}), &json!({}), OnMissing::Skip, None));
}

#[test]
fn the_rendered_html_is_as_recorded() {
    insta::assert_snapshot!(render(&zofia()).html);
}

#[test]
fn the_derived_text_is_as_recorded() {
    insta::assert_snapshot!(render(&zofia()).text);
}

#[test]
fn the_derived_text_reads_well_for_a_profile_with_nothing_in_it() {
    insta::assert_snapshot!(render(&json!({})).text);
}

#[test]
fn the_message_is_as_recorded() {
    let rendered = render(&zofia());
    insta::assert_snapshot!(String::from_utf8(message(&rendered)).expect("ASCII"));
}

#[test]
fn the_message_is_the_same_each_time_and_holds_what_was_rendered() {
    let rendered = render(&zofia());
    let bytes = message(&rendered);
    assert_eq!(bytes, message(&render(&zofia())));
    let parsed = mail_parser::MessageParser::default().parse(&bytes).expect("parses");
    assert_eq!(parsed.subject(), Some("Welcome, Zofia: your first roast"));
    assert_eq!(parsed.body_html(0).expect("html").replace("\r\n", "\n"), rendered.html);
    assert_eq!(parsed.body_text(0).expect("text").replace("\r\n", "\n"), rendered.text);
    let reply_to = parsed.reply_to().and_then(|to| to.first()).and_then(|to| to.address());
    assert_eq!(reply_to, Some("hello+p-17@fernweh-coffee.example"));
}
