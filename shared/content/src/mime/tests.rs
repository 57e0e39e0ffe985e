use mail_parser::{HeaderValue, Message, MessageParser, MimeHeaders};
use proptest::prelude::*;

use super::*;

const HTML_FROM_ROW_F1: &str = "<p><a href=\"http://x?a=3D\">link</a> \u{2713}</p>";

fn headers() -> MessageHeaders<'static> {
    MessageHeaders {
        from: Mailbox { name: Some("Sender"), address: "from@x.example" },
        to: Mailbox { name: None, address: "to@y.example" },
        reply_to: None,
        message_id: "abc.1@mail.x.example",
        date_unix_seconds: 1_772_323_199,
        list_unsubscribe: &[],
        extra: Vec::new(),
    }
}

fn email(subject: &str, text: &str, html: &str) -> RenderedEmail {
    RenderedEmail {
        subject: subject.into(),
        text: text.into(),
        html: html.into(),
        ..RenderedEmail::default()
    }
}

fn built(headers: &MessageHeaders<'_>, rendered: &RenderedEmail) -> String {
    let bytes = build_message(headers, rendered).expect("a message");
    let message = String::from_utf8(bytes).expect("ASCII");
    assert!(message.is_ascii());
    for line in message.split("\r\n") {
        assert!(line.len() <= 998 && !line.contains(['\r', '\n']), "{line:?}");
    }
    message
}

fn parse(message: &str) -> Message<'_> {
    MessageParser::default().parse(message).expect("parses")
}

/// Line ends inside a body are CRLF on the wire.
fn canonical(text: &str) -> String {
    text.replace("\r\n", "\n")
}

#[test]
fn the_parts_are_what_their_headers_declare() {
    let message = built(&headers(), &email("Hello", "plain", HTML_FROM_ROW_F1));
    assert!(message.contains("a=3D3D"), "{message}");
    let parsed = parse(&message);
    assert_eq!(parsed.body_html(0).as_deref(), Some(HTML_FROM_ROW_F1));
    assert_eq!(parsed.body_text(0).as_deref(), Some("plain"));
    assert_eq!(
        parsed.content_type().map(|kind| (kind.ctype(), kind.subtype())),
        Some(("multipart", Some("alternative")))
    );
    assert!(message.starts_with(
        "From: Sender <from@x.example>\r\nTo: to@y.example\r\nSubject: Hello\r\nDate: Sat, 28 Feb 2026 23:59:59 +0000\r\nMessage-ID: <abc.1@mail.x.example>\r\nMIME-Version: 1.0\r\n"
    ), "{message}");
}

/// Row F2.
#[test]
fn no_line_of_a_body_starts_with_a_dot() {
    for padding in 60..90 {
        let text = format!("{}www.example.com/path\n.start\n..", "x".repeat(padding));
        let message = built(&headers(), &email("s", &text, "<p>"));
        assert!(!message.contains("\r\n."), "{message}");
        assert_eq!(parse(&message).body_text(0).map(|text| canonical(&text)), Some(text));
    }
}

/// Row F4.
#[test]
fn text_beyond_ascii_is_encoded_everywhere() {
    let polish = "Zażółć gęślą jaźń";
    let mut rendered = email(polish, polish, &format!("<p>{polish}</p>"));
    rendered.from_name = Some(polish.into());
    let message = built(&headers(), &rendered);
    let parsed = parse(&message);
    assert_eq!(parsed.subject(), Some(polish));
    assert_eq!(parsed.from().and_then(|from| from.first()).and_then(|from| from.name()), Some(polish));
    assert_eq!(parsed.body_text(0).as_deref(), Some(polish));
    assert!(message.is_ascii());
}

#[test]
fn base64_is_taken_where_it_is_shorter() {
    let greek = "Καλημέρα κόσμε\n".repeat(20);
    let message = built(&headers(), &email("s", &greek, ""));
    assert!(message.contains("Content-Transfer-Encoding: base64"), "{message}");
    assert_eq!(parse(&message).body_text(0).map(|text| canonical(&text)), Some(greek));
}

#[test]
fn one_part_is_not_made_two() {
    let message = built(&headers(), &email("s", "only text", " "));
    assert!(message.contains("Content-Type: text/plain; charset=utf-8") && !message.contains("multipart"));
    let message = built(&headers(), &email("s", "", "<img>"));
    assert!(message.contains("Content-Type: text/html; charset=utf-8") && !message.contains("multipart"));
    assert_eq!(build_message(&headers(), &email("s", "", " ")), Err(MimeError::Empty));
}

#[test]
fn a_line_break_in_any_header_is_refused() {
    let evil = "x\r\nBcc: all@y.example";
    let refused =
        |headers: &MessageHeaders<'_>, rendered: &RenderedEmail| match build_message(headers, rendered) {
            Err(MimeError::ControlCharacter { header }) => header,
            other => panic!("{other:?}"),
        };
    let good = email("s", "t", "");
    assert_eq!(refused(&headers(), &email(evil, "t", "")), "Subject");
    for control in ["a\nb", "a\rb", "a\tb", "a\0b", "a\u{7f}b", "a\u{85}b"] {
        assert_eq!(refused(&headers(), &email(control, "t", "")), "Subject");
    }
    let named = |name| Mailbox { name, address: "a@b.example" };
    assert_eq!(refused(&MessageHeaders { from: named(Some(evil)), ..headers() }, &good), "From");
    assert_eq!(refused(&MessageHeaders { to: named(Some(evil)), ..headers() }, &good), "To");
    assert_eq!(
        refused(&MessageHeaders { reply_to: Some(named(Some(evil))), ..headers() }, &good),
        "Reply-To"
    );
    assert_eq!(
        refused(&MessageHeaders { to: Mailbox { name: None, address: evil }, ..headers() }, &good),
        "To"
    );
    assert_eq!(refused(&MessageHeaders { message_id: evil, ..headers() }, &good), "Message-ID");
    assert_eq!(
        refused(&MessageHeaders { list_unsubscribe: &[evil], ..headers() }, &good),
        "List-Unsubscribe"
    );
    assert_eq!(refused(&MessageHeaders { extra: vec![("X-A", evil)], ..headers() }, &good), "X-A");
    assert_eq!(refused(&headers(), &RenderedEmail { from_name: Some(evil.into()), ..good.clone() }), "From");
    assert_eq!(
        refused(&headers(), &RenderedEmail { reply_to: Some(evil.into()), ..good.clone() }),
        "Reply-To"
    );
    let name = MessageHeaders { extra: vec![("X: y\r\nBcc", "z")], ..headers() };
    assert!(matches!(build_message(&name, &good), Err(MimeError::Invalid { .. })));
}

#[test]
fn what_is_no_address_or_id_is_refused() {
    let good = email("s", "t", "");
    for address in
        ["", "a", "a@", "@b", "a@b,c@d", "a@b>c", "a b@c", "zoë@x.example", "a@käse.example", "a@b@c"]
    {
        let headers = MessageHeaders { to: Mailbox { name: None, address }, ..headers() };
        assert!(matches!(build_message(&headers, &good), Err(MimeError::Invalid { .. })), "{address}");
        let rendered = RenderedEmail { reply_to: Some(address.into()), ..good.clone() };
        let replied = build_message(&self::headers(), &rendered);
        assert!(
            matches!(replied, Err(MimeError::Invalid { .. })) || address == "a@käse.example",
            "{address}"
        );
    }
    for message_id in ["", "a", "a@", "<a@b>", "a@b c"] {
        let headers = MessageHeaders { message_id, ..headers() };
        assert!(matches!(build_message(&headers, &good), Err(MimeError::Invalid { .. })), "{message_id}");
    }
    for address in ["o'brien+x@x.ie", "\"john doe\"@x.io"] {
        let headers = MessageHeaders { to: Mailbox { name: None, address }, ..headers() };
        assert!(build_message(&headers, &good).is_ok(), "{address}");
    }
}

#[test]
fn an_https_unsubscribe_link_is_one_click() {
    let url = format!("https://x.example/u/{}", "t".repeat(200));
    let message = built(&MessageHeaders { list_unsubscribe: &[&url], ..headers() }, &email("s", "t", ""));
    assert!(
        message.contains(&format!(
            "List-Unsubscribe:\r\n <{url}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        )),
        "{message}"
    );
    let mailto = MessageHeaders { list_unsubscribe: &["mailto:u@x.example"], ..headers() };
    let message = built(&mailto, &email("s", "t", ""));
    assert!(message.contains("List-Unsubscribe: <mailto:u@x.example>\r\n") && !message.contains("One-Click"));
    // One click takes HTTPS.
    let local = MessageHeaders { list_unsubscribe: &["http://localhost:8080/t/u/x"], ..headers() };
    let message = built(&local, &email("s", "t", ""));
    assert!(
        message.contains("List-Unsubscribe: <http://localhost:8080/t/u/x>\r\n")
            && !message.contains("One-Click")
    );
}

/// Rows E3 and F1: the URLs are whole and as they are, whatever the body is encoded in.
#[test]
fn unsubscribe_urls_are_neither_encoded_nor_folded() {
    let (url, mailto) = (
        format!("https://x.example/u/{}", "t".repeat(100)),
        format!("mailto:u@x.example?subject=unsubscribe%20{}", "t".repeat(90)),
    );
    let urls = [url.as_str(), &mailto];
    let html = "<a href=\"http://x?a=3D\">ż</a>";
    let message = built(&MessageHeaders { list_unsubscribe: &urls, ..headers() }, &email("s", "t", html));
    assert!(
        message.contains(&format!(
            "\r\nList-Unsubscribe:\r\n <{url}>,\r\n <{mailto}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        )),
        "{message}"
    );
    let parsed = parse(&message);
    assert_eq!(parsed.body_html(0).as_deref(), Some(html));
    let short =
        MessageHeaders { list_unsubscribe: &["https://x.example/u", "mailto:u@x.example"], ..headers() };
    let message = built(&short, &email("s", "t", ""));
    assert!(
        message.contains("List-Unsubscribe: <https://x.example/u>, <mailto:u@x.example>\r\n"),
        "{message}"
    );
    for url in ["javascript:x", "https://x.example/ü", "https://x.example/>", "https://x.example/a b", "x"] {
        let headers = MessageHeaders { list_unsubscribe: &["https://x.example", url], ..headers() };
        assert!(
            matches!(build_message(&headers, &email("s", "t", "")), Err(MimeError::Invalid { .. })),
            "{url}"
        );
    }
}

#[test]
fn the_boundary_is_the_message_s_own_and_the_same_each_time() {
    let rendered = email("s", "t", "<p>h</p>");
    let first = built(&headers(), &rendered);
    assert_eq!(first, built(&headers(), &rendered));
    let other = built(&MessageHeaders { message_id: "abc.2@mail.x.example", ..headers() }, &rendered);
    let boundary = |message: &str| message.split("boundary=\"").nth(1).map(|rest| rest[..18].to_owned());
    assert_ne!(boundary(&first), boundary(&other));
}

#[test]
fn long_headers_are_folded_and_come_back_whole() {
    for subject in [
        "word ".repeat(60).trim_end().to_owned(),
        "x".repeat(500),
        format!("{} ünd {}", "long ".repeat(30), "y".repeat(90)),
        "  two  spaces ".to_owned(),
        "=?utf-8?Q?not_encoded?=".to_owned(),
        "😀".repeat(60),
    ] {
        let message = built(&headers(), &email(&subject, "t", ""));
        let header = &message[..message.find("\r\nDate:").expect("a date")];
        assert!(header.split("\r\n").all(|line| line.len() <= 76), "{header}");
        assert_eq!(parse(&message).subject(), Some(&*subject), "{header}");
    }
}

fn display_name(message: &Message<'_>) -> Option<String> {
    message.to().and_then(|to| to.first()).and_then(|to| to.name()).map(str::to_owned)
}

#[test]
fn display_names_come_back_whole() {
    for name in ["Plain", "Doe, John", "a \"b\" \\c", "Zoë (née X) <z@y>", "=?x?=", "a@b.c", "名前"] {
        let to = Mailbox { name: Some(name), address: "to@y.example" };
        let message = built(&MessageHeaders { to, ..headers() }, &email("s", "t", ""));
        assert_eq!(display_name(&parse(&message)).as_deref(), Some(name), "{message}");
    }
}

#[test]
fn extra_headers_follow_in_their_order() {
    let message = built(
        &MessageHeaders { extra: vec![("X-One", "1"), ("Comments", "zwei ö")], ..headers() },
        &email("s", "t", ""),
    );
    assert!(message.contains("X-One: 1\r\nComments: =?utf-8?"), "{message}");
    let parsed = parse(&message);
    assert_eq!(parsed.header("Comments").and_then(HeaderValue::as_text), Some("zwei ö"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_body_comes_back_as_it_went_in(text in "\\PC{1,40}([ \t.=\r\n]{0,3}\\PC{0,120}){0,6}", html in ".{0,300}(\n.{0,30}){0,5}") {
        let html = format!("<p>{html}");
        // A carriage return is no text of its own at a line's end.
        prop_assume!(!text.trim().is_empty() && !html.ends_with('\r') && !text.ends_with('\r'));
        let message = built(&headers(), &email("s", &text, &html));
        let parsed = parse(&message);
        prop_assert_eq!(parsed.body_text(0).map(|body| canonical(&body)), Some(canonical(&text)));
        prop_assert_eq!(parsed.body_html(0).map(|body| canonical(&body)), Some(canonical(&html)));
        prop_assert!(message.split("\r\n").skip_while(|line| !line.is_empty()).all(|line| line.len() <= 76));
    }

    #[test]
    fn any_subject_comes_back_as_it_went_in(subject in "\\PC{0,200}") {
        let message = built(&headers(), &email(&subject, "t", ""));
        let parsed = parse(&message);
        prop_assert_eq!(parsed.subject().unwrap_or_default(), &subject);
    }

    #[test]
    fn any_ascii_subject_comes_back_as_it_went_in(subject in "[ -~]{0,200}") {
        let message = built(&headers(), &email(&subject, "t", ""));
        let parsed = parse(&message);
        prop_assert_eq!(parsed.subject().unwrap_or_default(), &subject);
    }

    #[test]
    fn any_display_name_comes_back_as_it_went_in(name in "\\PC{1,80}") {
        let name = name.trim();
        prop_assume!(!name.is_empty());
        let to = Mailbox { name: Some(name), address: "to@y.example" };
        let message = built(&MessageHeaders { to, ..headers() }, &email("s", "t", ""));
        prop_assert_eq!(display_name(&parse(&message)), Some(name.to_owned()));
    }
}
