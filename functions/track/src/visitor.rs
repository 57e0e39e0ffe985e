//! Who asks: a person, or a program on somebody's behalf.
//!
//! What is known here is what programs say of themselves. Many that scan mail take care to look like a browser; those can
//! only be told by where they come from and when, which nobody keeps here. So what is counted as a person's is at most a
//! little too much.

use campaign::Fact;
use http::header::USER_AGENT;
use http::{HeaderMap, Method};

/// Who has asked for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visitor {
    /// Somebody, as far as can be told.
    Person,
    /// A mail service's proxy, a scanner, a crawler, a script.
    Machine,
}

/// What the User-Agent of programs holds, in lower case.
const PROGRAMS: [&str; 51] = [
    // Mail services that fetch pictures in the reader's stead, and keep when and where. Gmail: "... Firefox/11.0 (via
    // ggpht.com GoogleImageProxy)". Yahoo: "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html".
    "googleimageproxy",
    "ggpht.com",
    "yahoomailproxy",
    // Microsoft: Office looks whether a link is there ("Microsoft Office Existence Discovery", "... Protocol Discovery");
    // Outlook, Teams and Bing show what is behind it ("BingPreview/1.0b", "SkypeUriPreview Preview/0.5",
    // "MicrosoftPreview/2.0"). Outlook itself says "ms-office" where a person reads, and is none of these.
    "existence discovery",
    "protocol discovery",
    "safelinks",
    "preview",
    // Gateways that scan mail and click: "Barracuda Sentinel (EE)", which Braze's documentation names among what it filters,
    // and what other gateways are seen with.
    "barracuda",
    "mimecast",
    "proofpoint",
    "urldefense",
    "ironport",
    "ciscosecureemail",
    "messagelabs",
    "symantec",
    "fireeye",
    "forcepoint",
    "trendmicro",
    "cloudmark",
    "phishtank",
    "virustotal",
    "urlscan",
    // What shows a link in a chat: "facebookexternalhit/1.1", "WhatsApp/2.23", "GoogleMessages/20",
    // "Slackbot-LinkExpanding" (a bot by name, below).
    "facebookexternalhit",
    "whatsapp/",
    "googlemessages/",
    "embedly",
    // Crawlers by their kind.
    "crawl",
    "spider",
    "slurp",
    "scanner",
    "monitor",
    "archive.org",
    // Clients that people program, by the names they give themselves.
    "curl/",
    "wget",
    "python",
    "aiohttp",
    "go-http-client",
    "java/",
    "apache-httpclient",
    "ahc/",
    "libwww-perl",
    "ruby",
    "guzzlehttp",
    "axios/",
    "node-fetch",
    "undici",
    "lua-resty-http",
    "amazon cloudfront",
    // Browsers without anybody before them.
    "headless",
    "phantomjs",
    "puppeteer",
];

/// Headers by which a browser says that nobody has asked yet: `Sec-Purpose: prefetch;prerender` (Fetch Standard), before it
/// `Purpose: prefetch` (Chrome, Safari), `X-Moz: prefetch` (Firefox), `X-Purpose: preview` (Safari).
const PURPOSES: [&str; 4] = ["sec-purpose", "purpose", "x-moz", "x-purpose"];

impl Visitor {
    /// Who makes this request.
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        let says_purpose = |name: &&str| {
            let value = headers.get(*name).map(|value| value.as_bytes().to_ascii_lowercase());
            value.is_some_and(|value| value.starts_with(b"prefetch") || value.starts_with(b"preview"))
        };
        // A person's program never asks for the head alone.
        if *method == Method::HEAD || PURPOSES.iter().any(says_purpose) {
            return Self::Machine;
        }
        let agent = headers.get(USER_AGENT).map(|agent| agent.as_bytes().to_ascii_lowercase());
        let agent = String::from_utf8_lossy(agent.as_deref().unwrap_or_default());
        if is_program(agent.trim()) { Self::Machine } else { Self::Person }
    }

    /// What it means that they have fetched the picture.
    pub(crate) const fn opens(self) -> Fact {
        match self {
            Self::Person => Fact::Opened,
            Self::Machine => Fact::MachineOpened,
        }
    }

    /// What it means that they have followed a link.
    pub(crate) const fn clicks(self) -> Fact {
        match self {
            Self::Person => Fact::Clicked,
            Self::Machine => Fact::MachineClicked,
        }
    }
}

/// Whether this User-Agent, in lower case, is a program's.
fn is_program(agent: &str) -> bool {
    // No browser comes without a name. Apple's Mail Privacy Protection gives no more of one than this.
    if agent.is_empty() || agent == "mozilla/5.0" {
        return true;
    }
    // CUBOT makes phones.
    let is_bot = agent.match_indices("bot").any(|(at, _)| !agent[..at].ends_with("cu"));
    is_bot || PROGRAMS.iter().any(|program| agent.contains(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(method: &Method, headers: &[(&'static str, &str)]) -> Visitor {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        Visitor::of(method, &map)
    }

    const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

    /// Row H11.
    #[test]
    fn programs_are_known_by_what_they_say_of_themselves() {
        for agent in [
            "Mozilla/5.0",
            "",
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
            "Microsoft Office Existence Discovery",
            "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/534+ (KHTML, like Gecko) BingPreview/1.0b",
            "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
            "Barracuda Sentinel (EE)",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "facebookexternalhit/1.1 Facebot Twitterbot/1.0",
            "WhatsApp/2.23.20.0 A",
            "curl/8.5.0",
            "Wget/1.21.4",
            "python-requests/2.32.3",
            "Go-http-client/1.1",
            "Java/17.0.2",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36",
        ] {
            assert_eq!(visitor(&Method::GET, &[("user-agent", agent)]), Visitor::Machine, "{agent}");
        }
        assert_eq!(visitor(&Method::GET, &[]), Visitor::Machine);
    }

    #[test]
    fn people_read_by_many_programs() {
        for agent in [
            BROWSER,
            "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; Microsoft Outlook 16.0.5134; ms-office)",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
            "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.3.1",
            "Outlook-iOS/711.2620504.prod.iphone (3.34.0)",
        ] {
            assert_eq!(visitor(&Method::GET, &[("user-agent", agent)]), Visitor::Person, "{agent}");
        }
    }

    /// Rows E1 and H11.
    #[test]
    fn whoever_asks_for_the_head_alone_or_ahead_of_time_is_none_of_the_people() {
        assert_eq!(visitor(&Method::HEAD, &[("user-agent", BROWSER)]), Visitor::Machine);
        for (name, value) in [
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
            ("x-moz", "Prefetch"),
            ("x-purpose", "preview"),
        ] {
            let headers = [("user-agent", BROWSER), (name, value)];
            assert_eq!(visitor(&Method::GET, &headers), Visitor::Machine, "{name}");
        }
        assert_eq!(visitor(&Method::GET, &[("user-agent", BROWSER), ("purpose", "pay")]), Visitor::Person);
    }

    #[test]
    fn the_table_is_in_lower_case_and_names_each_once() {
        let names: std::collections::BTreeSet<_> = PROGRAMS.into_iter().collect();
        assert_eq!(names.len(), PROGRAMS.len());
        assert!(PROGRAMS.iter().all(|name| name.chars().all(|c| !c.is_ascii_uppercase())));
    }
}
