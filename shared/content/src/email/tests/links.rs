//! Links as recipients get them, read the way browsers read: by html5ever, of which the tokenizer that finds them knows nothing.

use std::cell::RefCell;

use ::links::{Issuer, Kind, Link, LinkKey, LinkKeys, target_of};
use campaign::link::{Member, Recipient};
use campaign::{ExecutionId, ProfileId};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use super::*;
use crate::url;

const BASE: &str = "https://links.example.org";
const DAY: u16 = 20_000;

fn keys() -> LinkKeys {
    LinkKeys::new(&[LinkKey { id: 1, secret: [3; 32] }]).expect("a key")
}

fn issuer(keys: &LinkKeys) -> Issuer<'_> {
    Issuer {
        base: BASE,
        keys,
        member: Member {
            execution: ExecutionId::from_bytes([7; 16]),
            shard: 3,
            action: 1,
            chunk: 42,
            index: 9,
        },
        recipient: Some(Recipient::Profile(ProfileId::from_bytes([5; 16]))),
        day: DAY,
        opens: false,
        clicks: true,
    }
}

fn render(html: &str, profile: &Value, links: Option<&Issuer<'_>>) -> RenderedEmail {
    let template = compile(&email("s", html));
    template
        .render(profile, &json!({"q": "ä b"}), OnMissing::Skip, links)
        .unwrap_or_else(|error| panic!("{html}: {error}"))
}

/// Where the links of HTML lead, as a browser reads it.
fn hrefs(html: &str) -> Vec<String> {
    struct Hrefs(RefCell<Vec<String>>);

    impl TokenSink for Hrefs {
        type Handle = ();

        fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
            if let Token::TagToken(tag) = token
                && tag.kind == TagKind::StartTag
                && matches!(&*tag.name, "a" | "area")
                && let Some(href) = tag.attrs.iter().find(|attribute| &*attribute.name.local == "href")
            {
                let mut buffer = String::new();
                self.0.borrow_mut().push(url::as_browsers_read(&href.value, &mut buffer).to_owned());
            }
            TokenSinkResult::Continue
        }
    }

    let input = BufferQueue::default();
    input.push_back(StrTendril::from(html));
    let tokenizer = Tokenizer::new(Hrefs(RefCell::default()), TokenizerOpts::default());
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner()
}

/// Where a link that leads past us leads in the end, and its number, checked as whoever counts it does.
fn followed(href: &str) -> Option<(String, u16)> {
    let (token, segment) = href.strip_prefix(BASE)?.strip_prefix("/t/c/")?.split_once('/')?;
    let target = target_of(segment)?;
    let link = Link::read(Kind::Click, token, &target, &keys(), DAY).expect("signed");
    let ::links::About::Click(number) = link.about else { panic!("{link:?}") };
    Some((target, number))
}

/// Where the links lead in the end: those that are counted, each with its number, and those that are not.
fn ends(html: &str, profile: &Value) -> Vec<(String, Option<u16>)> {
    let keys = keys();
    let rendered = render(html, profile, Some(&issuer(&keys)));
    let end = |href: String| match followed(&href) {
        Some((target, number)) => (target, Some(number)),
        None => (href, None),
    };
    hrefs(&rendered.html).into_iter().map(end).collect()
}

fn counted(target: &str) -> (String, Option<u16>) {
    (target.to_owned(), Some(0))
}

fn plain(target: &str) -> (String, Option<u16>) {
    (target.to_owned(), None)
}

/// Rows D1, D4, D6, D10 and D11: what is followed is what was written.
#[test]
fn targets_survive_exactly() {
    let profile = json!({
        "email": "a+b@x.io", "host": "shop", "url": "https://x.io/?a=1&b=<\"'>#f", "path": "/ż ó", "n": 7, "blank": "",
    });
    for (href, target) in [
        ("https://x.io/v?a=1&amp;signature=ab", "https://x.io/v?a=1&signature=ab"),
        ("https://x.io/v?a=1&signature=ab", "https://x.io/v?a=1&signature=ab"),
        ("https://x.io/?a=&amp;amp;b", "https://x.io/?a=&amp;b"),
        ("https://buy.x/t?prefilled_email={{profile.email}}", "https://buy.x/t?prefilled_email=a+b@x.io"),
        ("https://buy.x/t?e={{url_encode profile.email}}", "https://buy.x/t?e=a%2Bb%40x.io"),
        ("https://{{profile.host}}.example.org/signup", "https://shop.example.org/signup"),
        (
            "https://x.io/?a=1&amp;utm_source=n&amp;utm_campaign={{context.q}}#top",
            "https://x.io/?a=1&utm_source=n&utm_campaign=ä b#top",
        ),
        ("{{profile.url}}", "https://x.io/?a=1&b=<\"'>#f"),
        ("{{{profile.url}}}", "https://x.io/?a=1&b=<\"'>#f"),
        (" {{profile.url}} ", "https://x.io/?a=1&b=<\"'>#f"),
        ("{{default profile.blank &quot;https://x.io/?a=1&amp;b&quot;}}", "https://x.io/?a=1&b"),
        ("https://x.io{{profile.path}}/(a)[b]{c}?ż=%C5%BC#ó", "https://x.io/ż ó/(a)[b]{c}?ż=%C5%BC#ó"),
        ("{{#if profile.n}} https://x.io/{{profile.n}} {{else}}/x{{/if}}", "https://x.io/7"),
        ("http://x.io:8080/a?a=3D", "http://x.io:8080/a?a=3D"),
        (r"https://x.io/\{{a}}", "https://x.io/{{a}}"),
        ("https://x.io/&#123;&#123;profile.n}}", "https://x.io/{{profile.n}}"),
        ("https://x.io/&#92;{{profile.n}}", "https://x.io/\\7"),
    ] {
        let html = format!("<p><a href=\"{href}\">x</a></p>");
        assert_eq!(ends(&html, &profile), [counted(target)], "{href}");
        // And it is the same target where clicks are not counted, and in a preview.
        let keys = keys();
        let uncounted = Issuer { clicks: false, ..issuer(&keys) };
        for links in [None, Some(&uncounted)] {
            assert_eq!(hrefs(&render(&html, &profile, links).html), [target], "{href}");
        }
    }
}

/// Row D8: even where that comes to light late.
#[test]
fn only_the_web_is_counted() {
    let profile = json!({"mail": "mailto:a@b.c?subject=x&body=y", "tel": "tel:+33", "script": "javascript:x('<')", "top": "#top"});
    for name in ["mail", "tel", "script", "top"] {
        let target = profile[name].as_str().expect("a text");
        assert_eq!(ends(&format!("<a href=\"{{{{profile.{name}}}}}\">x</a>"), &profile), [plain(target)]);
        assert_eq!(
            ends(&format!("<a href=\"{}\">x</a>", target.replace('&', "&amp;")), &profile),
            [plain(target)]
        );
    }
}

/// Row D3, and what stands in the text is nobody's link.
#[test]
fn text_stays_text() {
    let html = "<p>test http://example.net here<a href=\"https://example.net/\">T</a></p>";
    let keys = keys();
    let rendered = render(html, &json!({}), Some(&issuer(&keys)));
    assert!(
        rendered.html.contains("<p>test http://example.net here<a href=\"https://links.example.org/t/c/")
    );
    assert_eq!(rendered.text, "test http://example.net hereT (https://example.net/)");
    assert_eq!(ends(html, &json!({})), [counted("https://example.net/")]);
}

#[test]
fn a_link_in_a_loop_is_one_link() {
    let profile = json!({"l": ["a", "b&c"]});
    let html = "{{#each profile.l}}<a href=\"https://x/{{this}}\">x</a>{{/each}}<a href=\"https://y\">y</a>";
    let expected = [
        ("https://x/a".to_owned(), Some(0)),
        ("https://x/b&c".to_owned(), Some(0)),
        ("https://y".to_owned(), Some(1)),
    ];
    assert_eq!(ends(html, &profile), expected);
    let links = lowered(&email("s", html)).links;
    assert_eq!(links[0].url, "https://x/{{this}}");
}

#[test]
fn opens_are_told_by_a_picture_where_they_are_counted() {
    let keys = keys();
    let of = |opens| {
        let links = Issuer { opens, ..issuer(&keys) };
        render("<p>x</p>", &json!({}), Some(&links)).html
    };
    assert!(of(true).contains("<p>x</p><img src=\"https://links.example.org/t/o/"), "{}", of(true));
    assert!(of(true).ends_with("\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;border:0;width:1px;height:1px\"></body></html>"));
    assert_eq!(of(false), render("<p>x</p>", &json!({}), None).html);
    assert!(!of(false).contains("<img"));
    let mut content = email("s", "");
    content.text = Some("x".into());
    let links = Issuer { opens: true, ..issuer(&keys) };
    let text =
        compile(&content).render(&json!({}), &json!({}), OnMissing::Skip, Some(&links)).expect("renders");
    assert_eq!((text.html.as_str(), text.text.as_str()), ("", "x"));
}

#[test]
fn our_own_links_are_never_counted() {
    let html = "<a href=\"{{links.unsubscribe}}\">u</a><a href=\"{{#if profile.a}}{{links.view}}{{else}}https://x{{/if}}\">v</a>\
                <a href=\"https://x.io/?u={{url_encode links.view}}\">w</a>";
    let keys = keys();
    let links = issuer(&keys);
    let (mut unsubscribe, mut view) = (String::new(), String::new());
    links.push_unsubscribe(&mut unsubscribe);
    links.push_view(&mut view);
    let found = ends(html, &json!({"a": 1}));
    let mut encoded = "https://x.io/?u=".to_owned();
    template::push_url(&mut encoded, &view);
    // The second might have led elsewhere, so it has a number of its own.
    assert_eq!(found, [plain(&unsubscribe), plain(&view), (encoded, Some(1))]);
    let rendered = render(html, &json!({"a": 1}), Some(&links));
    assert!(rendered.text.starts_with(&format!("u ({unsubscribe})v ({view})")), "{}", rendered.text);
    // In a preview, nothing that could be followed by mistake.
    let rendered = render(html, &json!({"a": 1}), None);
    assert_eq!(
        hrefs(&rendered.html)[..2],
        ["https://links.invalid/unsubscribe", "https://links.invalid/view"]
    );
    assert!(rendered.text.starts_with("u (https://links.invalid/unsubscribe)"), "{}", rendered.text);
    let unknown = Issuer { recipient: None, ..links };
    let rendered = render(html, &json!({"a": 1}), Some(&unknown));
    assert_eq!(hrefs(&rendered.html)[..2], ["https://links.invalid/unsubscribe", &view]);
    let template = compile(&email("s", html));
    assert!(template.mentions(Ours::Unsubscribe, Part::Html) && template.mentions(Ours::View, Part::Text));
    assert!(!compile(&email("s", "<p>x</p>")).mentions(Ours::Unsubscribe, Part::Html));
}

#[test]
fn our_own_links_are_no_variables_and_have_their_places() {
    let good = lower_email(
        &email("s", "<a href=\"{{links.unsubscribe}}\">{{profile.a}}</a>"),
        &CompileOptions::default(),
    );
    let paths: Vec<_> = good.expect("fine").variables.into_iter().map(|variable| variable.path).collect();
    assert_eq!(paths, ["profile.a"]);
    let refused = |content: &EmailContent| {
        let errors = lower_email(content, &CompileOptions::default()).expect_err("refused");
        (errors[0].code, errors[0].field)
    };
    assert_eq!(refused(&email("{{links.view}}", "x")), ("unknown_variable", "subject"));
    assert_eq!(refused(&email("s", "{{links.else}}")), ("unknown_variable", "body.html"));
    assert_eq!(refused(&email("s", "{{#with links}}x{{/with}}")), ("unknown_variable", "body.html"));
    let preheader = EmailContent { preheader: Some("{{links.view}}".into()), ..email("s", "x") };
    assert_eq!(refused(&preheader), ("unknown_variable", "preheader"));
    // What lowering writes, no author can.
    assert_eq!(
        refused(&email("s", "<a href=\"{{#_link 0}}x{{/_link}}\">x</a>")),
        ("unknown_helper", "body.html")
    );
    assert_eq!(refused(&email("s", "{{_open}}")), ("unknown_variable", "body.html"));
    let text = EmailContent { text: Some("{{#_link 0}}x{{/_link}}".into()), ..email("s", "x") };
    assert_eq!(refused(&text), ("unknown_helper", "text"));
}

#[test]
fn mjml_has_links_too() {
    let mjml = "<mjml><mj-body><mj-section><mj-column><mj-button href=\"https://x/?a&amp;b={{profile.a}}\">x</mj-button>\
                <mj-text><a href=\"https://y\" data-envoi-label=\"l\">y</a><a href=\"https://z\" data-envoi-track=\"off\">z</a></mj-text>\
                <mj-button href=\"https://y\" data-envoi-label=\"a &amp; b\">x</mj-button>\
                <mj-image src=\"https://i/i.png\" alt=\"i\" data-envoi-track=\"off\" href=\"https://z\" />\
                </mj-column></mj-section></mj-body></mjml>";
    let content =
        EmailContent { subject: "s".into(), body: EmailBody::Mjml(mjml.into()), ..EmailContent::default() };
    let links = lowered(&content).links;
    let shown: Vec<_> = links.iter().map(|link| (link.url.as_str(), link.label.as_deref())).collect();
    assert_eq!(
        shown,
        [("https://x/?a&b={{profile.a}}", None), ("https://y", Some("l")), ("https://y", Some("a & b"))]
    );
    let keys = keys();
    let rendered = compile(&content)
        .render(&json!({"a": "é&"}), &json!({}), OnMissing::Skip, Some(&issuer(&keys)))
        .expect("renders");
    let found: Vec<_> = hrefs(&rendered.html)
        .into_iter()
        .map(|href| followed(&href).map_or(href, |(target, _)| target))
        .collect();
    assert_eq!(found, ["https://x/?a&b=é&", "https://y", "https://z", "https://y", "https://z"]);
    assert!(!rendered.html.contains("data-envoi"), "{}", rendered.html);
}

/// Older mail programs and gateways take no URL of much over 2,000 bytes.
#[test]
fn what_is_too_long_to_lead_past_us_is_left_alone() {
    let html = "<body><p><a href=\"https://x.io/{{profile.rest}}\">x</a></p></body>";
    for (length, is_counted) in [(1400, true), (1401, false)] {
        let rest = "r".repeat(length - "https://x.io/".len());
        let keys = keys();
        let rendered = render(html, &json!({ "rest": rest }), Some(&issuer(&keys)));
        let href = &hrefs(&rendered.html)[0];
        let expected = format!("https://x.io/{rest}");
        match followed(href) {
            Some((target, _)) => assert!(is_counted && target == expected && href.len() < 2_048),
            None => assert!(!is_counted && *href == expected),
        }
    }
}

/// Browsers find a host in some that nobody else does; those are left alone.
#[test]
fn what_can_not_be_led_to_is_left_alone() {
    let html = "<body><p><a href=\"{{profile.url}}\">x</a></p></body>";
    for url in ["https:///x.io", "https://\\x.io", "http://user@/x", "https://:80/"] {
        let keys = keys();
        let rendered = render(html, &json!({ "url": url }), Some(&issuer(&keys)));
        assert_eq!(hrefs(&rendered.html), [url]);
    }
}

/// Attributes as people and editors write them, and worse.
fn attributes() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "https://x.io",
        "http://",
        "HTTPS://y",
        "mailto:a@b.c",
        "#top",
        "/a",
        "?a=1",
        "&",
        "&amp;",
        "&amp;amp;",
        "&copy",
        "&copy;",
        "&notit;",
        "&#x26;",
        "&#0;",
        "&#123;",
        "{",
        "}",
        "\\",
        "ż",
        "😀",
        "\u{a0}",
        " ",
        "\t",
        "\n",
        "\r\n",
        "'",
        "&quot;",
        "<",
        ">",
        "=",
        "`",
        "%20",
        "(",
        "]",
    ]);
    let value = prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat());
    let quoted = prop_oneof![
        value.clone().prop_map(|value| format!("\"{value}\"")),
        value.clone().prop_map(|value| format!("'{}'", value.replace('\'', "&#39;"))),
        value
            .prop_map(|value| value
                .replace(|next: char| next.is_ascii_whitespace() || "\"'=<>`".contains(next), "")),
    ];
    let name = prop::sample::select(vec!["href", "HREF", "class", "title", "data-x", "href "]);
    let attribute = (name, quoted).prop_map(|(name, value)| format!(" {name}={value}"));
    prop::collection::vec(attribute, 0..4).prop_map(|attributes| attributes.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a browser would have followed is where the link leads in the end, counted if it is in the web.
    #[test]
    fn a_click_leads_where_a_browser_would_have_gone(soup in attributes()) {
        // Double braces would be tags, and a backslash may come to stand before one.
        let soup = soup.replace("{{", "{(").replace('\\', "/");
        let html = format!("<body><p><a{soup} >x</a></p></body>");
        let before = hrefs(&html);
        let found = ends(&html, &json!({}));
        prop_assert_eq!(found.len(), before.len());
        for ((target, number), href) in found.into_iter().zip(before) {
            prop_assert_eq!(number.is_some(), url::is_web(&href), "{}", html);
            prop_assert_eq!(target, href);
        }
    }

    /// So it is with what data brings, whatever that is.
    #[test]
    fn what_data_brings_survives(value in any::<String>()) {
        let html = "<p><a title=\"{{profile.v}}\" href=\"https://x.io/{{profile.v}}\">x</a></p>";
        let expected = url::as_browsers_read(&format!("https://x.io/{value}"), &mut String::new()).to_owned();
        prop_assert_eq!(ends(html, &json!({"v": value})), [counted(&expected)]);
    }
}
