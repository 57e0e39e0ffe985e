use serde_json::json;

use super::*;

fn content(url: &str, body: Option<&str>) -> WebhookContent {
    WebhookContent { url: url.to_owned(), body: body.map(str::to_owned), ..WebhookContent::default() }
}

fn rendered(content: &WebhookContent, profile: &Value) -> Result<RenderedWebhook, RenderError> {
    WebhookTemplate::compile(content).expect("compiles").render(profile, &Value::Null, OnMissing::Blank)
}

fn not_valid(content: &WebhookContent, profile: &Value) -> String {
    match rendered(content, profile) {
        Err(error @ RenderError::NotValid { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_are_written_as_their_place_wants_them() {
    let mut content = content(
        "https://hooks.example.org/p/{{profile.id}}?n={{profile.name}}",
        Some(
            r#"{"name": "{{profile.name}}", "tags": {{json profile.tags}}, "raw": {{{profile.raw}}}, "none": "{{profile.none}}"}"#,
        ),
    );
    content.headers.insert("X-Name".to_owned(), " {{profile.name}} ".to_owned());
    let profile = json!({ "id": "a/b", "name": "Zoë \"Z\" & Co", "tags": ["x\n", 1], "raw": "[1]" });
    let call = rendered(&content, &profile).unwrap();
    assert_eq!(call.url, "https://hooks.example.org/p/a%2Fb?n=Zo%C3%AB%20%22Z%22%20%26%20Co");
    assert_eq!(call.headers["X-Name"], "Zoë \"Z\" & Co");
    let body: Value = serde_json::from_str(call.body.as_deref().unwrap()).unwrap();
    assert_eq!(body, json!({ "name": "Zoë \"Z\" & Co", "tags": ["x\n", 1], "raw": [1], "none": "" }));
}

#[test]
fn a_body_that_is_not_json_says_where_and_not_what() {
    let broken = content("https://h.example/", Some("{\n  \"age\": {{profile.age}}\n}"));
    assert!(rendered(&broken, &json!({ "age": 7 })).is_ok());
    let error = not_valid(&broken, &json!({ "age": "secret" }));
    assert_eq!(error, "body: it is not JSON: expected value at line 2 column 10");
    assert!(not_valid(&broken, &json!({})).contains("line 3 column 1"));
    let large = content("https://h.example/", Some("\"{{profile.text}}\""));
    let text = |length| json!({ "text": "x".repeat(length) });
    assert!(rendered(&large, &text(256 * 1024 - 2)).is_ok());
    assert!(not_valid(&large, &text(256 * 1024 - 1)).contains("262145 bytes"));
}

#[test]
fn a_url_that_can_not_be_called_is_an_error() {
    let raw = content("{{{profile.url}}}", None);
    let error = |url: &str| not_valid(&raw, &json!({ "url": url }));
    for url in ["https://h.example/", "http://h.example:8080?x", "HTTPS://[::1]/", "https://h.example/#part"]
    {
        assert!(rendered(&raw, &json!({ "url": url })).is_ok(), "{url}");
    }
    for (url, part) in [
        ("", "it is not a URL"),
        ("/path", "does not begin"),
        ("h.example", "does not begin"),
        ("ftp://h.example/", "does not begin"),
        ("https:///path", "it is not a URL"),
        ("https://user:secret@h.example/", "password"),
        ("https://h.example@127.0.0.1/", "password"),
        ("https://h.example/a b", "character 20"),
        ("https://h.example/\r\nX: y", "character 19"),
        ("https://h.example/ż", "character 19"),
        ("javascript:alert(1)", "does not begin"),
    ] {
        let error = error(url);
        assert!(
            error.contains(part) || part == "does not begin" && error.contains("not a URL"),
            "{url}: {error}"
        );
        assert!(url.is_empty() || !error.contains(url), "{error}");
    }
    assert!(error(&format!("https://h.example/{}", "x".repeat(8 * 1024))).contains("8192 bytes"));
}

#[test]
fn a_header_can_not_be_broken_by_data() {
    let mut content = content("https://h.example/", None);
    content.headers.insert("X-Name".to_owned(), "{{profile.name}}".to_owned());
    for name in ["a\r\nHost: evil", "a\tb", "\0"] {
        let error = not_valid(&content, &json!({ "name": name }));
        assert!(error.starts_with("headers.X-Name: the value has a line break"), "{error}");
    }
}

#[test]
fn a_host_is_fixed_only_where_no_data_can_reach_it() {
    for (url, host) in [
        ("https://h.example/x", "h.example"),
        ("http://h.example:8080", "h.example:8080"),
        ("HTTPS://H.example?x", "H.example"),
    ] {
        assert_eq!(Destination::of(url), (Destination::OneUrl, Some(host)));
    }
    for url in
        ["https://h.example/{{profile.id}}", "https://h.example?{{profile.id}}", "https://h.example#{{{x}}}"]
    {
        assert_eq!(Destination::of(url), (Destination::OneHost, Some("h.example")), "{url}");
    }
    for url in [
        "{{profile.url}}",
        "https://{{profile.host}}/",
        "https://h.example{{profile.rest}}",
        "https://h.example:{{profile.port}}/",
        "https://h.example{{profile.rest}}/path",
        "{{profile.scheme}}://h.example/",
        "https://{{profile.user}}@h.example/",
        "ftp://h.example/{{profile.id}}",
        "h.example/{{profile.id}}",
        "",
    ] {
        assert_eq!(Destination::of(url), (Destination::AnyHost, None), "{url}");
    }
}

#[cfg(feature = "lower")]
mod lowered {
    use campaign::content::{Content, Method};

    use super::*;
    use crate::{CompileOptions, lower};

    fn codes(content: &WebhookContent) -> Vec<(&'static str, String)> {
        match lower(&Content::Webhook(content.clone()), &CompileOptions::default()) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(|error| (error.code, error.path())).collect(),
        }
    }

    fn found(code: &'static str, path: &str) -> Vec<(&'static str, String)> {
        vec![(code, path.to_owned())]
    }

    #[test]
    fn what_data_can_not_mend_is_an_error_when_it_is_written() {
        assert_eq!(codes(&content("https://h.example/{{profile.id}}", Some("{{json profile.x}}"))), []);
        assert_eq!(codes(&content("https://h.example:8443/{{profile.id}}", None)), []);
        assert_eq!(codes(&content("https://[::1]:65535", None)), []);
        assert_eq!(codes(&content(" ", None)), found("empty_url", "url"));
        for url in [
            "h.example",
            "ftp://h.example/{{profile.id}}",
            "https://u:p@h.example/{{profile.id}}",
            "https://h.example/a b/{{profile.id}}",
            "https://h.example:99999/{{profile.id}}",
            "https://h.example:0/{{profile.id}}",
            "https://h.example:a/",
            "https://h.example:/",
        ] {
            assert_eq!(codes(&content(url, None)), found("not_valid", "url"), "{url}");
        }
        assert_eq!(codes(&content("https://h.example/", Some("{]"))), found("not_valid", "body"));
        assert_eq!(
            codes(&content("https://h.example/", Some("{\"a\": {{#if profile.a}}}"))),
            found("syntax", "body")
        );
        for method in [Method::Get, Method::Delete] {
            let call = WebhookContent { method, ..content("https://h.example/", Some("{}")) };
            assert_eq!(codes(&call), found("body_not_allowed", "body"));
        }
    }

    #[test]
    fn header_names_are_tokens_and_the_connection_s_own_are_refused() {
        let with = |names: &[&str]| {
            let headers = names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
            codes(&WebhookContent { headers, ..content("https://h.example/", None) })
        };
        assert_eq!(with(&["Authorization", "X-a_b.c~1", "Content-Type", "user-agent"]), []);
        for name in [
            "",
            "a b",
            "a:b",
            "żółw",
            "a\r\nb",
            "Host",
            "content-LENGTH",
            "Connection",
            "Transfer-Encoding",
            "Upgrade",
            "TE",
            "Keep-Alive",
            "Expect",
            "Webhook-Id",
            "webhook-signature",
            "webhook-x",
        ] {
            assert_eq!(with(&[name]), found("header_name", &format!("headers.{name}")), "{name}");
        }
        assert_eq!(with(&["X-A", "x-a"]), found("header_name", "headers.x-a"));
        let many: Vec<String> = (0..51).map(|number| format!("x-{number}")).collect();
        assert_eq!(
            with(&many.iter().map(String::as_str).collect::<Vec<_>>()),
            found("too_many_headers", "headers")
        );
        let mut broken = content("https://h.example/", None);
        broken.headers.insert("x-a".to_owned(), "a\nb".to_owned());
        assert_eq!(codes(&broken), found("not_valid", "headers.x-a"));
    }
}
