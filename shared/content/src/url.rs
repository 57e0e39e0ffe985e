//! URLs as they stand in a link, read as browsers read them (the URL Standard, "basic URL parser").

/// A URL of the web, in its parts: together they are the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebUrl<'u> {
    /// `https://` or `http://`, in whatever case.
    pub scheme: &'u str,
    /// Who asks, with the `@` behind it; mostly nothing.
    pub user: &'u str,
    /// The host, and its port where it says one; never without a name.
    pub host: &'u str,
    /// Path, query and fragment.
    pub rest: &'u str,
}

impl<'u> WebUrl<'u> {
    /// Reads a URL without spaces around it or line breaks in it; `None` where it leads nowhere on the web. The only links whose
    /// clicks are counted are these, and the only ones that are led to.
    pub fn parse(url: &'u str) -> Option<Self> {
        let is_of =
            |scheme: &&str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        let scheme = ["https://", "http://"].into_iter().find(is_of)?;
        let (scheme, rest) = url.split_at(scheme.len());
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
        let (user, host) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let has_name = !host.is_empty() && !host.starts_with(':');
        has_name.then_some(Self { scheme, user, host, rest })
    }
}

/// Whether it leads into the web.
pub(crate) fn is_web(url: &str) -> bool {
    WebUrl::parse(url).is_some()
}

/// Whether a URL that begins like this, and goes on with what is filled in, may lead into the web.
#[cfg(feature = "lower")]
pub(crate) fn may_become_web(start: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| {
        let length = start.len().min(scheme.len());
        start.get(..length).is_some_and(|start| start.eq_ignore_ascii_case(&scheme[..length]))
    })
}

/// What a browser makes of the text of an attribute: control characters and spaces at both ends do not count, tabs and line
/// breaks nowhere. `buffer` is empty, and is used where something is taken out of the middle.
pub(crate) fn as_browsers_read<'t>(text: &'t str, buffer: &'t mut String) -> &'t str {
    let trimmed = trim(text);
    if !trimmed.contains(is_passed_over) {
        return trimmed;
    }
    buffer.extend(trimmed.chars().filter(|next| !is_passed_over(*next)));
    buffer
}

/// As [`as_browsers_read`], of a text of one's own.
pub(crate) fn tidy(text: &mut String) -> &str {
    if text.contains(is_passed_over) {
        text.retain(|next| !is_passed_over(next));
    }
    trim(text)
}

fn trim(text: &str) -> &str {
    text.trim_matches(|next| next <= ' ')
}

const fn is_passed_over(next: char) -> bool {
    matches!(next, '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_what_browsers_make_of_it() {
        for (text, url) in [
            ("  https://x.io/a b \n", "https://x.io/a b"),
            ("\u{1}ht\ntps://x\t.io\r\n", "https://x.io"),
            ("\u{a0}https://x.io", "\u{a0}https://x.io"),
            ("", ""),
        ] {
            assert_eq!(as_browsers_read(text, &mut String::new()), url, "{text:?}");
            assert_eq!(tidy(&mut text.to_owned()), url, "{text:?}");
        }
    }

    /// Row D8.
    #[test]
    fn only_http_and_https_lead_into_the_web() {
        for url in ["https://x.io", "HTTP://x.io/?a", "https://[::1]/", "https://ż.pl"] {
            assert!(is_web(url), "{url}");
        }
        for url in [
            "",
            "#top",
            "mailto:a@b.c?subject=x",
            "tel:+33",
            "sms:1",
            "data:text/html,x",
            "javascript:x()",
            "/a",
            "//x.io",
            "www.x.io",
            "https:",
            "https://",
            "ftp://x",
            "żhttps://x",
            "https:///x",
            "https://\\x",
            "https://?x",
            "http://user@/x",
            "http://:80/",
        ] {
            assert!(!is_web(url), "{url}");
        }
    }
}
