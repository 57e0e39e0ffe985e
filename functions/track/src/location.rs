//! A target as the value of a `Location` header.

use std::borrow::Cow;

use campaign::address::domain_to_ascii;
use content::WebUrl;
use http::HeaderValue;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// The header that leads to this target exactly as its link in the message would have; `None` where it leads nowhere on the
/// web.
///
/// A header takes what is visible ASCII. All of that stays as it is, brackets and `%` too: a browser sends them as they
/// stand. What else there is, it would write the same way itself (WHATWG URL Standard): the host in its ASCII form, spaces
/// and characters beyond ASCII percent-encoded, tabs and line breaks nowhere.
pub(crate) fn location(target: &str) -> Option<HeaderValue> {
    let target = without_breaks(target.trim_matches(|c: char| c <= ' '));
    let WebUrl { scheme, user, host, rest } = WebUrl::parse(&target)?;
    let mut out = String::with_capacity(target.len() + 16);
    out.push_str(scheme);
    push(user, &mut out);
    if host.is_ascii() {
        push(host, &mut out);
    } else {
        let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
        match domain_to_ascii(name) {
            Ok(name) => out.push_str(&name),
            // Whoever goes there will say that there is no such name.
            Err(_) => push(name, &mut out),
        }
        push(port, &mut out);
    }
    push(rest, &mut out);
    HeaderValue::try_from(out).ok()
}

fn without_breaks(target: &str) -> Cow<'_, str> {
    if target.contains(['\t', '\r', '\n']) {
        return Cow::Owned(target.replace(['\t', '\r', '\n'], ""));
    }
    Cow::Borrowed(target)
}

fn push(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_graphic() {
            out.push(char::from(byte));
        } else {
            let digit = |half: u8| char::from(HEX[usize::from(half)]);
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn led(target: &str) -> Option<String> {
        location(target).map(|value| value.to_str().unwrap().to_owned())
    }

    /// Rows D1, D3, D4, D6, D10: whatever stands in a target arrives.
    #[test]
    fn visible_ascii_stays_as_it_is() {
        for target in [
            "https://x.io/v?a=1&signature=ab",
            "https://x.io/v?a=1&amp;b=2",
            "https://x.io/?utm_source=news&b[]=1&c=%5B2%5D#frag(ment)?x=y",
            "https://buy.x/t?prefilled_email=a+b@x.io",
            "https://ada.example.org/signup",
            "HTTPS://Example.org:8443/A//b/../c;d='e'|{f}^`\\\"<>",
            "http://user:pass@[2001:db8::1]:80/?q",
            "http://x.io",
            "http://a_b.example.com",
        ] {
            assert_eq!(led(target).as_deref(), Some(target));
        }
    }

    #[test]
    fn all_else_is_written_as_a_browser_would() {
        for (target, expected) in [
            ("https://x.io/\u{e4}/%C3%A4?q=\u{17c} \u{f3}", "https://x.io/%C3%A4/%C3%A4?q=%C5%BC%20%C3%B3"),
            ("https://K\u{e4}se.de:81/\u{1F9C0}#\u{e4}", "https://xn--kse-qla.de:81/%F0%9F%A7%80#%C3%A4"),
            (" \n https://x.io/a b\t?\r\nc \u{0}", "https://x.io/a%20b?c"),
            ("https://x.io/\u{7f}\u{1}x", "https://x.io/%7F%01x"),
        ] {
            assert_eq!(led(target).as_deref(), Some(expected));
        }
    }

    #[test]
    fn nothing_but_the_web_is_led_to() {
        for target in [
            "",
            "x",
            "/x",
            "//x.io",
            "https:x.io",
            "https:/x.io",
            "https://",
            "https:///x",
            "https://?x",
            "http://user@/x",
            "http://:80/",
            "javascript:alert(1)//https://x.io",
            "mailto:a@x.io",
            "data:text/html,x",
            "ftp://x.io",
            "\u{e4}https://x.io",
        ] {
            assert_eq!(led(target), None, "{target}");
        }
    }

    proptest! {
        #[test]
        fn a_header_holds_one_line_of_ascii_and_the_target_s_own_scheme(rest in "\\PC{0,40}|(?s).{0,40}") {
            if let Some(led) = led(&format!("https://h/{rest}")) {
                prop_assert!(led.starts_with("https://h/") && led.bytes().all(|byte| byte.is_ascii_graphic()));
                // And is led to exactly, however often it is written.
                prop_assert_eq!(self::led(&led), Some(led));
            }
        }

        #[test]
        fn whatever_is_no_address_of_the_web_leads_nowhere(target in "(?s).{0,60}") {
            if let Some(led) = led(&target) {
                let led = led.to_ascii_lowercase();
                prop_assert!(led.starts_with("http://") || led.starts_with("https://"));
            }
        }
    }
}
