use proptest::prelude::*;

use super::*;

fn described(change: impl FnOnce(&mut HttpSms)) -> HttpSms {
    let mut sms = HttpSms {
        url: "https://sms.example.org/v1/{{secret.account}}?ref={{id}}".to_owned(),
        headers: BTreeMap::from([("authorization".to_owned(), "Bearer {{secret.token}}".to_owned())]),
        format: BodyFormat::Json,
        body: r#"{"to": "{{to}}", "from": "{{ from }}", "text": "{{text}}"}"#.to_owned(),
        from: Some("Shop".to_owned()),
        answers: Vec::new(),
    };
    change(&mut sms);
    sms
}

fn secrets() -> BTreeMap<String, String> {
    BTreeMap::from([("account".to_owned(), "a/b".to_owned()), ("token".to_owned(), "t0ken".to_owned())])
}

fn rendered(sms: &HttpSms, text: &str) -> Result<SmsRequest, SmsRequestError> {
    let values = SmsValues { to: "+33612345678", text, id: "x-1", secrets: &secrets() };
    SmsRequestTemplate::compile(sms).unwrap().render(&values)
}

fn codes(change: impl FnOnce(&mut HttpSms)) -> Vec<(&'static str, String)> {
    let errors = SmsRequestTemplate::compile(&described(change)).expect_err("is refused");
    errors.into_iter().map(|error| (error.code, error.path())).collect()
}

#[test]
fn values_are_written_in_the_form_of_their_place() {
    let request = rendered(&described(|_| {}), "Say \"hi\"\n& go").unwrap();
    assert_eq!(request.url, "https://sms.example.org/v1/a%2Fb?ref=x-1");
    assert_eq!(request.body, r#"{"to": "+33612345678", "from": "Shop", "text": "Say \"hi\"\n& go"}"#);
    assert_eq!(
        request.headers,
        [
            ("authorization".to_owned(), "Bearer t0ken".to_owned()),
            ("content-type".to_owned(), "application/json".to_owned()),
        ]
    );
    let form = described(|sms| {
        sms.format = BodyFormat::Form;
        sms.body = "to={{to_digits}}&from={{from}}&text={{text}}".to_owned();
        sms.headers = BTreeMap::from([("Content-Type".to_owned(), "text/plain".to_owned())]);
    });
    let request = rendered(&form, "a&b=c + €").unwrap();
    assert_eq!(request.body, "to=33612345678&from=Shop&text=a%26b%3Dc%20%2B%20%E2%82%AC");
    assert_eq!(request.headers, [("Content-Type".to_owned(), "text/plain".to_owned())]);
}

#[test]
fn nothing_that_a_message_brings_ends_a_header() {
    let said = described(|sms| {
        sms.headers = BTreeMap::from([("x-text".to_owned(), "{{text}}".to_owned())]);
    });
    for text in ["a\r\nhost: evil", "a\nb", "a\0b", "a\u{85}b"] {
        assert_eq!(rendered(&said, text), Err(SmsRequestError::ControlCharacter("x-text".to_owned())));
    }
    assert!(rendered(&said, "Zoë’s").is_ok());
    let template = SmsRequestTemplate::compile(&described(|_| {})).unwrap();
    let broken =
        BTreeMap::from([("account".to_owned(), "a".to_owned()), ("token".to_owned(), "t\n".to_owned())]);
    let values = SmsValues { to: "+33612345678", text: "x", id: "x-1", secrets: &broken };
    assert_eq!(
        template.render(&values),
        Err(SmsRequestError::SecretControlCharacter("authorization".to_owned()))
    );
}

#[test]
fn a_secret_that_is_not_there_is_named() {
    let template = SmsRequestTemplate::compile(&described(|_| {})).unwrap();
    let none = BTreeMap::new();
    let values = SmsValues { to: "+33612345678", text: "x", id: "x-1", secrets: &none };
    assert_eq!(template.render(&values), Err(SmsRequestError::NoSecret("token".to_owned())));
    let shown = format!("{:?}", template.example());
    assert!(!shown.contains("secret") && !shown.contains("+33"), "{shown}");
}

#[test]
fn what_is_wrong_is_named_by_its_field() {
    for (url, ok) in [
        ("https://sms.example.org", true),
        ("http://127.0.0.1:8080/send", true),
        ("https://sms.example.org/{{ to }}", true),
        ("ftp://sms.example.org", false),
        ("sms.example.org", false),
        ("https://", false),
        ("https:///x", false),
        ("https://{{to}}.example.org/", false),
        ("https://me:pw@example.org/", false),
        ("https://example.org/a b", false),
        ("https://example.org/é", false),
        ("https://example.org/\r\nx", false),
    ] {
        let result = SmsRequestTemplate::compile(&described(|sms| sms.url = url.to_owned()));
        assert_eq!(result.is_ok(), ok, "{url}: {result:?}");
    }
    for (name, value, code) in [
        ("x y", "v", "invalid_header"),
        ("", "v", "invalid_header"),
        ("x:", "v", "invalid_header"),
        ("Host", "v", "invalid_header"),
        ("content-length", "v", "invalid_header"),
        ("Transfer-Encoding", "v", "invalid_header"),
        ("x", "a\r\nb: c", "control_character"),
        ("x", "{{nobody}}", "unknown_variable"),
    ] {
        let found = codes(|sms| sms.headers = BTreeMap::from([(name.to_owned(), value.to_owned())]));
        assert_eq!(found, [(code, format!("headers.{name}"))], "{name}: {value}");
    }
    assert_eq!(codes(|sms| sms.body = " ".to_owned()), [("empty_body", "body".to_owned())]);
    assert_eq!(codes(|sms| sms.body = "{\"to\": {{to}}}".to_owned()), [("syntax", "body".to_owned())]);
    assert_eq!(codes(|sms| sms.body = "{\"to\": \"{{to\"}".to_owned()), [("syntax", "body".to_owned())]);
    assert_eq!(codes(|sms| sms.body = "{{profile.x}}".to_owned()), [("unknown_variable", "body".to_owned())]);
    assert_eq!(codes(|sms| sms.body = "{{secret.}}".to_owned()), [("unknown_variable", "body".to_owned())]);
    assert_eq!(codes(|sms| sms.body = "x".repeat(MAX_BYTES + 1)), [("too_large", "body".to_owned())]);
    assert_eq!(codes(|sms| sms.from = None), [("unknown_variable", "from".to_owned())]);
    assert_eq!(codes(|sms| sms.from = Some("a\nb".to_owned())), [("control_character", "from".to_owned())]);
}

proptest! {
    #[test]
    fn whatever_the_text_a_body_says_it_and_nothing_else(text in "\\PC{0,60}|[\"\\\\\n\r\t{}&=%+]{0,20}") {
        let request = rendered(&described(|_| {}), &text).unwrap();
        let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        prop_assert_eq!(body, serde_json::json!({ "to": "+33612345678", "from": "Shop", "text": text }));
    }
}
