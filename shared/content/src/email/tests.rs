mod links;

use campaign::content::{EmailBody, EmailContent};
use campaign::lowered::EMAIL_FORMAT;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{CompileOptions, lower_email};

fn email(subject: &str, html: &str) -> EmailContent {
    EmailContent { subject: subject.into(), body: EmailBody::Html(html.into()), ..EmailContent::default() }
}

fn lowered(content: &EmailContent) -> LoweredEmail {
    lower_email(content, &CompileOptions::default()).unwrap_or_else(|errors| panic!("{errors:?}")).content
}

/// By the way that a version takes: lowered, stored, read, compiled.
fn compile(content: &EmailContent) -> EmailTemplate {
    let stored = serde_json::to_vec(&lowered(content)).expect("JSON");
    EmailTemplate::from_lowered(&serde_json::from_slice(&stored).expect("JSON")).expect("compiles")
}

#[test]
fn text_alone_is_a_body() {
    let mut content = email("Hello", "");
    content.text = Some("Dear {{profile.name}} & co".into());
    let rendered = compile(&content)
        .render(&json!({"name": "A&B"}), &json!({}), OnMissing::Blank, None)
        .expect("renders");
    assert_eq!((rendered.html.as_str(), rendered.text.as_str()), ("", "Dear A&B & co"));
}

/// Rows C4 and C5.
#[test]
fn every_field_renders() {
    let content = EmailContent {
        subject: "Order {{context.id}} for {{profile.name}}".into(),
        preheader: Some("Pre {{profile.name}}".into()),
        from_name: Some("{{profile.shop}} & co".into()),
        reply_to: Some("help+{{context.id}}@x.example".into()),
        body: EmailBody::Html("<p>Dear {{profile.name}}</p>".into()),
        text: None,
    };
    let profile = json!({"name": "O'Neil & <Sons>", "shop": "Q&A"});
    let rendered =
        compile(&content).render(&profile, &json!({"id": 17}), OnMissing::Skip, None).expect("renders");
    assert_eq!(rendered.subject, "Order 17 for O'Neil & <Sons>");
    assert_eq!(rendered.from_name.as_deref(), Some("Q&A & co"));
    assert_eq!(rendered.reply_to.as_deref(), Some("help+17@x.example"));
    assert!(rendered.html.contains(">Pre O&#39;Neil &amp; &lt;Sons&gt;</div>"), "{}", rendered.html);
    assert!(rendered.html.contains("<p>Dear O&#39;Neil &amp; &lt;Sons&gt;</p>"), "{}", rendered.html);
    assert_eq!(rendered.text, "Dear O'Neil & <Sons>");
    let constant = compile(&email("Hello", "x"));
    assert_eq!(
        constant.render(&json!({}), &json!({}), OnMissing::Skip, None).expect("renders").subject,
        "Hello"
    );
}

#[test]
fn an_optional_field_that_renders_blank_is_absent() {
    let mut content = email("s", "x");
    content.from_name = Some(" {{profile.none}}".into());
    content.reply_to = Some("{{profile.none}}".into());
    let template = compile(&content);
    let rendered = template.render(&json!({}), &json!({}), OnMissing::Blank, None).expect("renders");
    assert_eq!((rendered.from_name, rendered.reply_to), (None, None));
    let skipped = template.render(&json!({}), &json!({}), OnMissing::Skip, None);
    assert_eq!(skipped, Err(RenderError::MissingValue { variable: "profile.none".into() }));
}

/// Row C2: there is one engine, so a value missing inside a helper is the same to a preview and to a send.
#[test]
fn a_value_missing_inside_a_helper_is_missing() {
    let template = compile(&email("s", "<a href=\"https://x/{{url_encode profile.missing}}\">x</a>"));
    let profile = json!({});
    let shown = template.render(&profile, &json!({}), OnMissing::Blank, None).expect("renders");
    assert!(shown.html.contains("href=\"https://x/\""), "{}", shown.html);
    let skipped = template.render(&profile, &json!({}), OnMissing::Skip, None);
    assert_eq!(skipped, Err(RenderError::MissingValue { variable: "profile.missing".into() }));
}

#[test]
fn buffers_can_be_used_again() {
    let mut content = email("{{profile.a}}", "<p>{{profile.a}}</p>");
    content.from_name = Some("{{profile.b}}".into());
    let template = compile(&content);
    let mut rendered = RenderedEmail::default();
    for profile in [json!({"a": 1, "b": "x"}), json!({"a": "two"}), json!({"b": "y"})] {
        template.render_into(&profile, &json!({}), OnMissing::Blank, None, &mut rendered).expect("renders");
        assert_eq!(rendered, template.render(&profile, &json!({}), OnMissing::Blank, None).expect("renders"));
    }
}

#[test]
fn branches_not_taken_leave_no_holes_in_the_text() {
    let template = compile(&email(
        "s",
        "<p>A</p><p>{{#if profile.x}}B{{/if}}</p><p>{{profile.y}}</p>{{#if profile.z}}<p>C</p>{{/if}}<p>D</p><p>{{profile.y}}</p>",
    ));
    let text =
        |profile: &Value| template.render(profile, &json!({}), OnMissing::Blank, None).expect("renders").text;
    assert_eq!(text(&json!({})), "A\n\nD");
    assert_eq!(text(&json!({"x": 1, "y": "Y", "z": 1})), "A\n\nB\n\nY\n\nC\n\nD\n\nY");
}

#[test]
fn what_was_not_made_by_lowering_is_refused() {
    let good = lowered(&email("s", "<p>x</p>"));
    let later = LoweredEmail { format: EMAIL_FORMAT + 1, ..good.clone() };
    assert_eq!(EmailTemplate::from_lowered(&later).expect_err("later"), LoweredError::Format(3));
    let first =
        LoweredEmail { format: 1, html: "<a href=\"https://x\">x</a>".into(), ..LoweredEmail::default() };
    let first = EmailTemplate::from_lowered(&first).expect("the first form is known");
    let rendered = first.render(&json!({}), &json!({}), OnMissing::Skip, None).expect("renders");
    assert_eq!(rendered.html, "<a href=\"https://x\">x</a>");
    for (html, code) in [
        ("{{#if profile.a}}", "syntax"),
        ("{{shout profile.a}}", "unknown_helper"),
        (&"{{#if profile.a}}".repeat(10_000), "too_deep"),
    ] {
        let damaged = LoweredEmail { html: html.to_owned(), ..good.clone() };
        let refused = EmailTemplate::from_lowered(&damaged).expect_err("damaged");
        assert!(
            matches!(&refused, LoweredError::Template(error) if (error.code, error.field) == (code, "html")),
            "{refused:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_body_makes_the_compiler_panic(pieces in prop::collection::vec(prop::sample::select(vec![
        "<", ">", "<p", "</p>", "<a href=", "\"", "'", "<!--", "-->", "<table>", "<tr>", "<td>", "</table>", "<style>", "</style>",
        "p{color:red}", "<b style=\"", "<select>", "<li>", "<body>", "<html>", "<head>", "</head>", "&amp;", "&#123;{", "\\{{", "ż", " ", "x",
        "{{#if profile.a}}", "{{else}}", "{{/if}}", "{{#each profile.l}}", "{{/each}}", "{{profile.a}}", "{{! c }}", "hbs0x", "=", "/>", "<mj-text>",
        "<mjml>", "<mj-body>", "<mj-section>", "<mj-column>", "</mj-text>", "</mjml>", "</mj-body>", "</mj-section>", "</mj-column>",
    ]), 0..32)) {
        let source = pieces.concat();
        for body in [EmailBody::Html(source.clone()), EmailBody::Mjml(source)] {
            let content = EmailContent { subject: "s".into(), body, preheader: Some("p".into()), ..EmailContent::default() };
            if let Ok(lowered) = lower_email(&content, &CompileOptions::default()) {
                let template = EmailTemplate::from_lowered(&lowered.content).expect("lowering checks what it makes");
                template.render(&json!({"a": "A", "l": ["B", "C"]}), &json!({}), OnMissing::Skip, None).expect("all there");
            }
        }
    }
}
