//! The languages that pages are in.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// English: whoever reads neither.
    English,
    /// French.
    French,
}

impl Language {
    /// Its tag.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }

    /// The one that this tag is of, such as `fr-CA`.
    fn of_tag(tag: &str) -> Option<Self> {
        let general = tag.split(['-', '_']).next().unwrap_or(tag).trim();
        [Self::English, Self::French].into_iter().find(|known| known.tag().eq_ignore_ascii_case(general))
    }

    /// The one for somebody: their profile's, where that is known and one of ours, else the one their browser asks for most,
    /// else English.
    pub(crate) fn of(profile: Option<&str>, headers: &HeaderMap) -> Self {
        profile.and_then(Self::of_tag).or_else(|| asked(headers)).unwrap_or(Self::English)
    }
}

/// What `Accept-Language` asks for most, of ours.
fn asked(headers: &HeaderMap) -> Option<Language> {
    let mut most: Option<(Language, f32)> = None;
    for value in headers.get_all(ACCEPT_LANGUAGE) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';');
            let Some(language) = parts.next().and_then(Language::of_tag) else { continue };
            let weight = parts.find_map(|part| part.trim().strip_prefix("q="));
            let weight = weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
            if weight > 0.0 && most.is_none_or(|(_, before)| weight > before) {
                most = Some((language, weight));
            }
        }
    }
    most.map(|(language, _)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(profile: Option<&str>, accept: &str) -> Language {
        let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, accept.parse().unwrap())]);
        Language::of(profile, &headers)
    }

    #[test]
    fn the_profile_goes_before_the_browser() {
        assert_eq!(language(Some("fr-CA"), "en"), Language::French);
        assert_eq!(language(Some("EN"), "fr"), Language::English);
        assert_eq!(language(Some("de"), "fr"), Language::French);
        assert_eq!(language(Some(""), "it"), Language::English);
        assert_eq!(Language::of(None, &HeaderMap::new()), Language::English);
    }

    #[test]
    fn of_what_a_browser_asks_for_the_most_wanted_is_taken() {
        for (accept, expected) in [
            ("fr", Language::French),
            ("fr-CH, fr;q=0.9, en;q=0.8, *;q=0.5", Language::French),
            ("de, en;q=0.7, fr;q=0.9", Language::French),
            ("fr;q=0, en;q=0.1", Language::English),
            ("fr;q=x", Language::English),
            ("*", Language::English),
            (",;, ;q=1", Language::English),
        ] {
            assert_eq!(language(None, accept), expected, "{accept}");
        }
    }
}
