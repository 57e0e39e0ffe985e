use proptest::prelude::*;
use serde_json::json;

use super::*;

fn email(subject: &str, html: &str) -> EmailContent {
    EmailContent { subject: subject.into(), body: EmailBody::Html(html.into()), ..EmailContent::default() }
}

fn compile(content: &EmailContent) -> EmailTemplate {
    EmailTemplate::compile(content, &CompileOptions::default()).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn codes(content: &EmailContent) -> Vec<(&'static str, &'static str)> {
    let errors = EmailTemplate::compile(content, &CompileOptions::default()).expect_err("must not compile");
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

#[test]
fn text_alone_is_a_body() {
    let mut content = email("Hello", "");
    content.text = Some("Dear {{profile.name}} & co".into());
    let rendered =
        compile(&content).render(&json!({"name": "A&B"}), &json!({}), OnMissing::Blank).expect("renders");
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
    let rendered = compile(&content).render(&profile, &json!({"id": 17}), OnMissing::Skip).expect("renders");
    assert_eq!(rendered.subject, "Order 17 for O'Neil & <Sons>");
    assert_eq!(rendered.from_name.as_deref(), Some("Q&A & co"));
    assert_eq!(rendered.reply_to.as_deref(), Some("help+17@x.example"));
    assert!(rendered.html.contains(">Pre O&#39;Neil &amp; &lt;Sons&gt;</div>"), "{}", rendered.html);
    assert!(rendered.html.contains("<p>Dear O&#39;Neil &amp; &lt;Sons&gt;</p>"), "{}", rendered.html);
    assert_eq!(rendered.text, "Dear O'Neil & <Sons>");
    let constant = compile(&email("Hello", "x"));
    assert_eq!(constant.render(&json!({}), &json!({}), OnMissing::Skip).expect("renders").subject, "Hello");
}

#[test]
fn an_optional_field_that_renders_blank_is_absent() {
    let mut content = email("s", "x");
    content.from_name = Some(" {{profile.none}}".into());
    content.reply_to = Some("{{profile.none}}".into());
    let template = compile(&content);
    let rendered = template.render(&json!({}), &json!({}), OnMissing::Blank).expect("renders");
    assert_eq!((rendered.from_name, rendered.reply_to), (None, None));
    let skipped = template.render(&json!({}), &json!({}), OnMissing::Skip);
    assert_eq!(skipped, Err(RenderError::MissingValue { variable: "profile.none".into() }));
}

/// Row C2: there is one engine, so a value missing inside a helper is the same to a preview and to a send.
#[test]
fn a_value_missing_inside_a_helper_is_missing() {
    let template = compile(&email("s", "<a href=\"https://x/{{url_encode profile.missing}}\">x</a>"));
    let profile = json!({});
    let shown = template.render(&profile, &json!({}), OnMissing::Blank).expect("renders");
    assert!(shown.html.contains("href=\"https://x/\""), "{}", shown.html);
    let skipped = template.render(&profile, &json!({}), OnMissing::Skip);
    assert_eq!(skipped, Err(RenderError::MissingValue { variable: "profile.missing".into() }));
}

#[test]
fn buffers_can_be_used_again() {
    let mut content = email("{{profile.a}}", "<p>{{profile.a}}</p>");
    content.from_name = Some("{{profile.b}}".into());
    let template = compile(&content);
    let mut rendered = RenderedEmail::default();
    for profile in [json!({"a": 1, "b": "x"}), json!({"a": "two"}), json!({"b": "y"})] {
        template.render_into(&profile, &json!({}), OnMissing::Blank, &mut rendered).expect("renders");
        assert_eq!(rendered, template.render(&profile, &json!({}), OnMissing::Blank).expect("renders"));
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
    let template = compile(&content);
    let all: Vec<_> =
        template.variables().iter().map(|variable| (variable.field, variable.path.as_str())).collect();
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
    let undefined = template.undefined_in(&profile, &json!({"b": ""}));
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
    let errors = EmailTemplate::compile(&content, &CompileOptions::default()).expect_err("wrong");
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
fn branches_not_taken_leave_no_holes_in_the_text() {
    let template = compile(&email(
        "s",
        "<p>A</p><p>{{#if profile.x}}B{{/if}}</p><p>{{profile.y}}</p>{{#if profile.z}}<p>C</p>{{/if}}<p>D</p><p>{{profile.y}}</p>",
    ));
    let text =
        |profile: &Value| template.render(profile, &json!({}), OnMissing::Blank).expect("renders").text;
    assert_eq!(text(&json!({})), "A\n\nD");
    assert_eq!(text(&json!({"x": 1, "y": "Y", "z": 1})), "A\n\nB\n\nY\n\nC\n\nD\n\nY");
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
            if let Ok(template) = EmailTemplate::compile(&content, &CompileOptions::default()) {
                template.render(&json!({"a": "A", "l": ["B", "C"]}), &json!({}), OnMissing::Skip).expect("all there");
            }
        }
    }
}
