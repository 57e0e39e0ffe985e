//! Pages: plain HTML that needs nothing from anywhere, and works without scripts and cookies.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use links::TokenError;
use platform::batch;
use sha2::{Digest, Sha256};
use tracing::error;

use crate::context::Broken;
use crate::language::Language;
use crate::texts::Texts;

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{margin:0;font:1.125rem/1.5 system-ui,sans-serif;background:Canvas;color:CanvasText}\
main{max-width:34rem;margin:0 auto;padding:2rem 1.25rem}\
h1{font-size:1.6rem;line-height:1.25;margin:0 0 1rem}\
fieldset{border:0;margin:0;padding:0}legend{padding:0}\
pre{font:inherit;white-space:pre-wrap;overflow-wrap:anywhere}\
label{display:flex;gap:.75rem;align-items:baseline;padding:.5rem 0;overflow-wrap:anywhere}\
button{font:inherit;margin-top:1rem;min-height:3rem;padding:.5rem 1.5rem;border:2px solid ButtonText;\
border-radius:.5rem;background:ButtonFace;color:ButtonText;cursor:pointer}";

/// Nothing is loaded, nothing runs, and forms lead to where they came from. The one style is named by its hash.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = BASE64.encode(&Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("a hash in base64 is visible ASCII")
});

/// Why somebody gets nothing but a page that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The link is none of ours, or it was changed.
    Invalid,
    /// The link is too old.
    Expired,
    /// The message can't be shown any more.
    Gone,
    /// It can't be taken back any more.
    TooLate,
    /// It is we who can't.
    Trouble,
}

impl Refusal {
    const fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Expired | Self::Gone | Self::TooLate => StatusCode::GONE,
            Self::Trouble => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn says(self, texts: &Texts) -> [&'static str; 2] {
        match self {
            Self::Invalid => texts.invalid,
            Self::Expired => texts.expired,
            Self::Gone => texts.gone,
            Self::TooLate => texts.too_late,
            Self::Trouble => texts.trouble,
        }
    }
}

/// A page that says no, in the language of whoever asked.
pub(crate) fn refuse(refusal: Refusal, headers: &HeaderMap) -> Response {
    let language = Language::of(None, headers);
    let mut response = say(refusal.status(), language, refusal.says(Texts::of(language)));
    if refusal == Refusal::Trouble {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

/// The same for a link that can't be followed; where that is our own fault it is logged.
pub(crate) fn refuse_broken(broken: &Broken, headers: &HeaderMap) -> Response {
    match broken {
        Broken::Token(TokenError::Invalid) => refuse(Refusal::Invalid, headers),
        Broken::Token(TokenError::Expired) => refuse(Refusal::Expired, headers),
        Broken::Store(error) => {
            error!(error = %batch::chain(error), "a link can't be followed");
            refuse(Refusal::Trouble, headers)
        }
    }
}

/// A page of a title and a paragraph.
pub(crate) fn say(status: StatusCode, language: Language, [title, text]: [&str; 2]) -> Response {
    page(status, language, title, &format!("<p>{text}</p>"))
}

/// A page of this title and what stands below it, which is HTML.
pub(crate) fn page(status: StatusCode, language: Language, title: &str, body: &str) -> Response {
    let lang = language.tag();
    let html = format!(
        "<!doctype html>\n<html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
        <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
        <meta name=\"robots\" content=\"noindex, nofollow\">\
        <title>{title}</title><style>{STYLE}</style></head>\
        <body><main><h1>{title}</h1>{body}</main></body></html>\n"
    );
    document(status, html, POLICY.clone())
}

/// HTML that no cache keeps, no search engine lists and no page that it leads to is told of, under this policy.
pub(crate) fn document(status: StatusCode, html: String, policy: HeaderValue) -> Response {
    let fixed = HeaderValue::from_static;
    let headers = [
        (CONTENT_TYPE, fixed("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, fixed("no-store, private")),
        (REFERRER_POLICY, fixed("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        (HeaderName::from_static("x-robots-tag"), fixed("noindex, nofollow")),
    ];
    (status, headers, html).into_response()
}

/// A text as HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            _ => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_its_one_style_and_nothing_from_elsewhere() {
        let response = say(StatusCode::OK, Language::French, ["A", "B"]);
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"));
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store, private");
        // What would end the style's element, or would have to be fetched.
        assert!(!STYLE.contains('<') && !STYLE.contains("url(") && !STYLE.contains("@import"));
    }

    #[test]
    fn what_people_have_written_is_text() {
        assert_eq!(escape("<b a=\"1\" c='2'>&é"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;é");
    }
}
