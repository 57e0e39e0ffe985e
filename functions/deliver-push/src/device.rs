//! The devices of a profile: its push tokens.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// The most tokens of a profile that are sent to: the first of them.
pub(crate) const MOST: usize = 20;

/// What a token's device runs. Another word than these, in any case, is none of them, and gets what there is for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    Android,
    Ios,
    Web,
    Unknown,
}

/// One device of a profile, by its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Device<'p> {
    pub(crate) platform: Platform,
    pub(crate) token: &'p str,
}

impl Platform {
    fn read(name: &str) -> Self {
        let known = [("android", Self::Android), ("ios", Self::Ios), ("web", Self::Web)];
        known
            .into_iter()
            .find(|(of, _)| name.eq_ignore_ascii_case(of))
            .map_or(Self::Unknown, |(_, platform)| platform)
    }
}

/// The devices of a profile on which it has this app, or any; each token once, at most [`MOST`].
pub(crate) fn of<'p>(
    profile: &'p Map<String, Value>,
    app: Option<&'p str>,
) -> impl Iterator<Item = Device<'p>> {
    let tokens = profile.get("push_tokens").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut seen = HashSet::new();
    let device = move |entry: &'p Value| {
        let text = |name| entry.get(name).and_then(Value::as_str);
        let token = text("token").filter(|token| !token.is_empty())?;
        let is_wanted = app.is_none_or(|app| text("app_id") == Some(app));
        (is_wanted && seen.insert(token))
            .then(|| Device { platform: text("platform").map_or(Platform::Unknown, Platform::read), token })
    };
    tokens.iter().filter_map(device).take(MOST)
}

/// Whether [`of`] gives any.
pub(crate) fn has_any(profile: &Map<String, Value>, app: Option<&str>) -> bool {
    of(profile, app).next().is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tokens(tokens: &Value, app: Option<&str>) -> Vec<(Platform, String)> {
        let Value::Object(profile) = json!({ "push_tokens": tokens }) else { panic!("an object") };
        of(&profile, app).map(|device| (device.platform, device.token.to_owned())).collect()
    }

    #[test]
    fn those_of_the_app_are_chosen_each_once() {
        let all = json!([
            { "app_id": "a", "platform": "Android", "token": "1" },
            { "app_id": "b", "platform": "ios", "token": "2" },
            { "app_id": "a", "platform": "web", "token": "3" },
            { "app_id": "a", "platform": "android", "token": "1" },
            { "app_id": "a", "platform": "windows", "token": "4" },
            { "app_id": "a", "platform": "ios", "token": "" },
            "nothing",
        ]);
        let named = |pairs: &[(Platform, &str)]| -> Vec<_> {
            pairs.iter().map(|(platform, token)| (*platform, (*token).to_owned())).collect()
        };
        use Platform::{Android, Ios, Unknown, Web};
        assert_eq!(tokens(&all, Some("a")), named(&[(Android, "1"), (Web, "3"), (Unknown, "4")]));
        let any = named(&[(Android, "1"), (Ios, "2"), (Web, "3"), (Unknown, "4")]);
        assert_eq!(tokens(&all, None), any);
        assert_eq!(tokens(&all, Some("c")), []);
        assert_eq!(tokens(&json!("none"), None), []);
        assert_eq!(of(&Map::new(), None).count(), 0);
    }

    #[test]
    fn there_are_so_many_at_most() {
        let many: Vec<_> =
            (0..50).map(|n| json!({ "app_id": "a", "platform": "ios", "token": n.to_string() })).collect();
        let chosen = tokens(&many.into(), None);
        assert_eq!((chosen.len(), &*chosen[MOST - 1].1), (MOST, "19"));
    }
}
