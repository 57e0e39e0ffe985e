use proptest::prelude::*;

use super::*;
use crate::template::lex;

fn marked(html: &str) -> Marked {
    mark(html, &lex::tags(html, usize::MAX).unwrap_or_default())
}

/// What becomes of HTML, without the picture's place, and the links' URLs and labels.
fn shown(html: &str) -> (String, Vec<(String, String)>) {
    let Marked { html, links, .. } = marked(html);
    let links = links.into_iter().map(|link| (link.url, link.label.unwrap_or_default())).collect();
    (html.replace("{{_open}}", ""), links)
}

fn link(url: &str, label: &str) -> (String, String) {
    (url.to_owned(), label.to_owned())
}

/// Rows D1, D3 and D4.
#[test]
fn targets_are_decoded_once_and_called_what_the_author_wrote() {
    for (href, body, url) in [
        (
            "https://x.io/v?a=1&amp;signature=ab",
            "https://x.io/v?a=1&amp;signature=ab",
            "https://x.io/v?a=1&signature=ab",
        ),
        (
            "https://x.io/v?a=1&signature=ab",
            "https://x.io/v?a=1&amp;signature=ab",
            "https://x.io/v?a=1&signature=ab",
        ),
        ("https://x.io/?a=&amp;amp;b", "https://x.io/?a=&amp;amp;b", "https://x.io/?a=&amp;b"),
        (
            "https://x.io/?a&copy=1&reg;&notit",
            "https://x.io/?a&amp;copy=1®&amp;notit",
            "https://x.io/?a&copy=1®&notit",
        ),
        ("https://x.io/&#x7b;&#123;a}}&#92;", "https://x.io/&#123;&#123;a}}&#92;", "https://x.io/{{a}}\\"),
        (r"https://x.io/\{{a}}", "https://x.io/&#123;&#123;a}}", "https://x.io/{{a}}"),
        ("  HTTPS://x.io/\n a\t", "HTTPS://x.io/ a", "HTTPS://x.io/ a"),
        (
            "https://buy.x/t?e={{profile.email}}",
            "https://buy.x/t?e={{profile.email}}",
            "https://buy.x/t?e={{profile.email}}",
        ),
        ("https://{{p}}.example.org/a", "https://{{p}}.example.org/a", "https://{{p}}.example.org/a"),
        ("http{{#if a}}s{{/if}}://x", "http{{#if a}}s{{/if}}://x", "http{{#if a}}s{{/if}}://x"),
        (
            "{{! why }} {{default profile.u \"https://x\"    }}",
            "{{default profile.u \"https://x\"    }}",
            "{{default profile.u \"https://x\"}}",
        ),
    ] {
        let (html, links) = shown(&format!("<p><a href=\"{href}\" id=\"i\">x</a></p>"));
        assert_eq!(html, format!("<p><a href=\"{{{{#_link 0}}}}{body}{{{{/_link}}}}\" id=\"i\">x</a></p>"));
        assert_eq!(links, [link(url, "")]);
    }
}

/// Row D8.
#[test]
fn what_does_not_lead_into_the_web_is_left_alone() {
    for html in [
        "<a href=\"mailto:a@b.c?subject=x&body=y\">x</a>",
        "<a href=\"tel:+33\">x</a><a href=\"sms:1\">x</a><a href=\"#top\">x</a><a href=\"\">x</a><a name=\"x\">x</a>",
        "<a href=\"data:text/html,x\">x</a><a href=\"javascript:x()\">x</a><a href=\"/x/{{profile.a}}\">x</a>",
        "<a href=\"www.example.org/{{profile.a}}\">x</a><a href=\"mailto:{{profile.a}}\">x</a>",
        "<a href=\"{{links.unsubscribe}}\">x</a><a href=\" {{{ links.view }}} \">x</a>",
        "<link href=\"https://x.io/a.css\"><img src=\"https://x.io/a.png\"><p href=\"https://x.io\">https://x.io</p>",
        "<!-- <a href=\"https://x.io\"> --><style>a{b:url(https://x.io)}</style><title><a href=\"https://x.io\"></title>",
        "<a {{#if a}}href=\"https://a/{{else}}href=\"https://b/{{/if}}\">x</a>",
    ] {
        assert_eq!(shown(html), (html.to_owned(), vec![]));
    }
}

#[test]
fn the_same_url_and_label_are_the_same_link() {
    let (html, links) = shown(
        "<a href=\"https://x\">1</a><a href='https://x' data-envoi-label=\"a &amp; b\">2</a><area href=\"https://x\">\
         <a data-envoi-label='a &#38; b' href=https://x >4</a><a href=\"https://x\" data-envoi-track=\"OFF\">5</a>\
         <a href=\"https://y\" data-envoi-track>6</a>",
    );
    assert_eq!(
        html,
        "<a href=\"{{#_link 0}}https://x{{/_link}}\">1</a><a href='{{#_link 1}}https://x{{/_link}}'>2</a>\
         <area href=\"{{#_link 0}}https://x{{/_link}}\"><a href=\"{{#_link 1}}https://x{{/_link}}\" >4</a>\
         <a href=\"https://x\">5</a><a href=\"{{#_link 2}}https://y{{/_link}}\">6</a>"
    );
    assert_eq!(links, [link("https://x", ""), link("https://x", "a & b"), link("https://y", "")]);
}

#[test]
fn attributes_that_a_tag_divides_have_links_too() {
    let (html, links) = shown(
        "<a {{#if a}}href=\"https://a\"{{else}}href=https://b/{{c}}{{/if}} data-envoi-label=\"l\" class=\"k\">x</a>",
    );
    // Where no quotes end it, a value goes on as far as a browser would have it.
    assert_eq!(
        html,
        "<a {{#if a}}href=\"{{#_link 0}}https://a{{/_link}}\"{{else}}href=https://b/{{c}}{{/if}} class=\"k\">x</a>"
    );
    assert_eq!(links, [link("https://a", "l")]);
}

#[test]
fn the_end_of_a_block_stays_where_an_attribute_of_ours_runs_into_it() {
    let html = "{{#if profile.a}}<area href=https://x.io data-envoi-track=off{{/if}} >";
    assert_eq!(
        marked(html).html,
        "{{#if profile.a}}<area href=\"{{#_link 0}}https://x.io{{/_link}}\" data-envoi-track=off{{/if}} >{{_open}}"
    );
}

#[test]
fn outlooks_own_markup_has_links_too() {
    let (html, links) = shown(
        "<!--[if mso]><v:roundrect href=\"https://x?a&amp;b\"><![endif]--><!--[if !mso]><!--><a href=\"https://x?a&b\">x</a><!--<![endif]-->",
    );
    assert_eq!(
        html,
        "<!--[if mso]><v:roundrect href=\"{{#_link 0}}https://x?a&amp;b{{/_link}}\"><![endif]-->\
         <!--[if !mso]><!--><a href=\"{{#_link 0}}https://x?a&amp;b{{/_link}}\">x</a><!--<![endif]-->"
    );
    assert_eq!(links, [link("https://x?a&b", "")]);
}

#[test]
fn what_lacks_its_scheme_is_noticed() {
    let html = "<a href=\" www.example.org/{{profile.a}}\">x</a><a href=WWW.x.io>x</a><a href=\"www.x.io/\">x</a><a href=\"/www.\">x</a>";
    assert_eq!(marked(html).without_scheme, ["www.example.org/{{profile.a}}", "WWW.x.io", "www.x.io/"]);
}

#[test]
fn the_picture_stands_at_the_end_of_the_body() {
    assert_eq!(marked("<body><p>x</p></body></html>").html, "<body><p>x</p>{{_open}}</body></html>");
    assert_eq!(marked("<p>x").html, "<p>x{{_open}}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// What compiles still does once its links are marked, and marking changes nothing where there are none.
    #[test]
    fn marking_breaks_nothing(pieces in prop::collection::vec(prop::sample::select(vec![
        "<a href=\"", "<a href='", "<a href=", "\"", "'", ">", "</a>", " ", "https://x.io", "http://", "?a=1", "&amp;", "&copy", "&#123;", "{", "}", "\\",
        "<!--[if mso]>", "<![endif]-->", "<!-- ", "-->", " data-envoi-track=off", " data-envoi-label=\"l\"", "</body>", "mailto:a@b.c", "ż", "\n",
        "{{#if profile.a}}", "{{else}}", "{{/if}}", "{{profile.a}}", "{{links.view}}", "{{! c }}", "\\{{", "{{#_link 0}}", "<area href=", "/", "=",
    ]), 0..24)) {
        let source = pieces.concat();
        let Ok(tags) = lex::tags(&source, 64) else { return Ok(()) };
        let Marked { html, links, .. } = mark(&source, &tags);
        let author = crate::template::Language {
            escaping: crate::template::Escaping::Html,
            links: crate::template::Links::Ours,
        };
        if crate::template::compile_checked(&source, "html", author).is_ok() {
            crate::template::compile_checked(&html, "html", crate::email::HTML)
                .map_err(|error| TestCaseError::fail(format!("{html}: {error}")))?;
        }
        if !source.to_ascii_lowercase().contains("href") {
            prop_assert!(links.is_empty());
        }
        if links.is_empty() && !source.contains("data-envoi") {
            let picture = if html.contains("<!---->{{_open}}") && !source.contains("<!---->") { "<!---->{{_open}}" } else { "{{_open}}" };
            prop_assert_eq!(html.replacen(picture, "", 1), source);
        }
    }
}
