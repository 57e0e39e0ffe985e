//! What is to be said of a push notification before it is sent.

use campaign::content::PushContent;

use super::{CompileOptions, Lowered, Lowering};
use crate::error::ContentError;
use crate::push::PUSH_LINK;
use crate::template::Escaping;

/// The longest that Firebase Cloud Messaging keeps a message for a device that is off: four weeks.
const MAX_TTL_SECONDS: u32 = 2_419_200;
/// The most entries of `data`.
const MAX_DATA: usize = 50;
/// The longest name of an entry of `data`, in bytes.
const MAX_NAME: usize = 100;
/// The longest of what is no template, in bytes.
const MAX_PLAIN: usize = 256;
/// The longest `collapse_key`, in bytes: what Apple takes.
const MAX_COLLAPSE_KEY: usize = 64;
const MAX_URL: usize = 2048;

pub(super) fn lower(
    content: &PushContent,
    options: &CompileOptions,
) -> Result<Lowered<PushContent>, Vec<ContentError>> {
    let mut lowering = Lowering::new(options);
    if content.title.trim().is_empty() && content.body.trim().is_empty() {
        lowering.error("empty_body", "body", "the notification has neither a title nor a text");
    }
    lowering.field("title", &content.title, Escaping::None);
    lowering.field("body", &content.body, Escaping::None);
    if let Some(image) = &content.image {
        lowering.field("image", image, Escaping::None);
        lowering.picture("image", image);
    }
    if let Some(link) = &content.link {
        lowering.field("link", link, Escaping::None);
        lowering.link(link);
    }
    lowering.data(content);
    if content.ttl_seconds.is_some_and(|seconds| seconds > MAX_TTL_SECONDS) {
        let message = format!("is at most {MAX_TTL_SECONDS}: four weeks");
        lowering.error("invalid_ttl", "ttl_seconds", message);
    }
    lowering.plain("collapse_key", content.collapse_key.as_ref(), MAX_COLLAPSE_KEY);
    lowering.platforms(content);
    lowering.finish(content.clone())
}

impl Lowering<'_> {
    fn data(&mut self, content: &PushContent) {
        if content.data.len() > MAX_DATA {
            self.error("too_many_entries", "data", format!("has at most {MAX_DATA} entries"));
        }
        for (name, source) in &content.data {
            self.entry("data", name, source, Escaping::None);
            let message = if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
                format!("a name has 1 to {MAX_NAME} bytes, none of them a control character")
            } else if is_reserved(name) {
                "the name is reserved: from, message_type, aps, and whatever begins with google or gcm"
                    .to_owned()
            } else if name == PUSH_LINK && content.link.is_some() {
                "stands in the content's `link` already, which the app gets by this name".to_owned()
            } else {
                continue;
            };
            self.error("invalid_name", "data", message);
            if let Some(error) = self.errors.last_mut() {
                error.key = Some(name.clone());
            }
        }
    }

    fn platforms(&mut self, content: &PushContent) {
        if let Some(android) = &content.android {
            self.plain("android.channel_id", android.channel_id.as_ref(), MAX_PLAIN);
            self.plain("android.icon", android.icon.as_ref(), MAX_PLAIN);
            self.plain("android.sound", android.sound.as_ref(), MAX_PLAIN);
            if android.color.as_deref().is_some_and(|color| !is_color(color)) {
                self.error("invalid_color", "android.color", "must be #rrggbb, in hexadecimal digits");
            }
        }
        if let Some(ios) = &content.ios {
            if let Some(subtitle) = &ios.subtitle {
                self.field("ios.subtitle", subtitle, Escaping::None);
            }
            self.plain("ios.sound", ios.sound.as_ref(), MAX_PLAIN);
            self.plain("ios.thread_id", ios.thread_id.as_ref(), MAX_PLAIN);
            self.plain("ios.category", ios.category.as_ref(), MAX_PLAIN);
        }
        if let Some(web) = &content.web {
            for (field, url) in [("web.icon", &web.icon), ("web.badge", &web.badge)] {
                if url.as_deref().is_some_and(|url| !is_https(url)) {
                    self.error("invalid_url", field, "must be an https URL; it is no template");
                }
            }
        }
    }

    /// Checks what is sent as it stands.
    fn plain(&mut self, field: &'static str, text: Option<&String>, longest: usize) {
        let Some(text) = text else { return };
        if text.is_empty() || text.len() > longest || text.chars().any(char::is_control) {
            let message = format!("has 1 to {longest} bytes, none of them a control character");
            self.error("invalid_value", field, message);
        } else if is_template(text) {
            self.error("invalid_value", field, "is no template: it is the same for everybody");
        }
    }

    /// Checks the URL of a picture, where it can be known before it is rendered.
    fn picture(&mut self, field: &'static str, url: &str) {
        if !is_template(url) && !url.trim().is_empty() && !is_https(url) {
            self.error("invalid_url", field, "must be an https URL");
        }
    }

    /// Checks a link, where it can be known before it is rendered: on phones, an app may have a scheme of its own.
    fn link(&mut self, link: &str) {
        if is_template(link) || link.trim().is_empty() || is_https(link) || is_of_an_app(link) {
            return;
        }
        let message = "must be an https URL, or one of a scheme of the app's own, such as shop://orders/7";
        self.error("invalid_url", PUSH_LINK, message);
    }
}

fn is_template(text: &str) -> bool {
    text.contains("{{")
}

fn is_plain_url(url: &str) -> bool {
    url.len() <= MAX_URL && !url.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_https(url: &str) -> bool {
    let host = |rest: &str| rest.split(['/', '?', '#']).next().is_some_and(|host| !host.is_empty());
    is_plain_url(url) && url.strip_prefix("https://").is_some_and(host)
}

/// A URI of a scheme that no browser has.
fn is_of_an_app(link: &str) -> bool {
    const BROWSERS: [&str; 6] = ["http", "https", "javascript", "data", "file", "blob"];
    let Some((scheme, rest)) = link.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme
        && !rest.is_empty()
        && is_plain_url(link)
        && !BROWSERS.iter().any(|browser| scheme.eq_ignore_ascii_case(browser))
}

fn is_color(color: &str) -> bool {
    color.len() == 7 && color.starts_with('#') && color[1..].bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What Firebase Cloud Messaging keeps for itself, and Apple.
fn is_reserved(name: &str) -> bool {
    ["from", "message_type", "aps"].contains(&name) || name.starts_with("google") || name.starts_with("gcm")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn errors(content: Value) -> Vec<(&'static str, String)> {
        let content = serde_json::from_value(content).unwrap();
        match lower(&content, &CompileOptions::default()) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(|error| (error.code, error.path())).collect(),
        }
    }

    #[test]
    fn a_whole_notification_is_well_and_its_variables_are_known() {
        let content = serde_json::from_value(json!({
            "title": "{{profile.name}}", "body": "", "image": "https://x.example.com/{{profile.id}}.png",
            "link": "https://x.example.com/a?b#c", "data": { "order": "{{context.order}}", "collapse_key": "k" },
            "ttl_seconds": 2_419_200, "collapse_key": "news",
            "android": { "channel_id": "c", "priority": "high", "icon": "i", "color": "#00FFaa", "sound": "default" },
            "ios": { "subtitle": "{{profile.city}}", "badge": 0, "interruption_level": "time_sensitive" },
            "web": { "icon": "https://x.example.com/i.png" },
        }))
        .unwrap();
        let lowered = lower(&content, &CompileOptions::default()).unwrap();
        let fields: Vec<_> = lowered.variables.iter().map(crate::Variable::field_path).collect();
        assert_eq!(fields, ["title", "image", "data.order", "ios.subtitle"]);
        for link in ["shop://orders/7", "com.example.shop:orders", "", "{{profile.link}}"] {
            assert_eq!(errors(json!({ "body": "b", "link": link })), [], "{link}");
        }
    }

    #[test]
    fn what_a_provider_would_refuse_is_refused_before() {
        let is = |code, field: &str| vec![(code, field.to_owned())];
        let cases = [
            (json!({ "title": " " }), is("empty_body", "body")),
            (json!({ "body": "b", "image": "http://x.example.com/a.png" }), is("invalid_url", "image")),
            (json!({ "body": "b", "image": "https:///a.png" }), is("invalid_url", "image")),
            (json!({ "body": "b", "link": "http://x.example.com" }), is("invalid_url", "link")),
            (json!({ "body": "b", "link": "JavaScript:alert(1)" }), is("invalid_url", "link")),
            (json!({ "body": "b", "link": "orders/7" }), is("invalid_url", "link")),
            (json!({ "body": "b", "web": { "icon": "{{x}}" } }), is("invalid_url", "web.icon")),
            (json!({ "body": "b", "web": { "badge": "i.png" } }), is("invalid_url", "web.badge")),
            (json!({ "body": "b", "android": { "color": "red" } }), is("invalid_color", "android.color")),
            (json!({ "body": "b", "android": { "color": "#ff000é" } }), is("invalid_color", "android.color")),
            (json!({ "body": "b", "android": { "icon": "{{x}}" } }), is("invalid_value", "android.icon")),
            (json!({ "body": "b", "ios": { "thread_id": "" } }), is("invalid_value", "ios.thread_id")),
            (json!({ "body": "b", "ttl_seconds": 2_419_201 }), is("invalid_ttl", "ttl_seconds")),
            (json!({ "body": "b", "collapse_key": "k".repeat(65) }), is("invalid_value", "collapse_key")),
            (
                json!({ "body": "b", "link": "shop://1", "data": { "link": "" } }),
                is("invalid_name", "data.link"),
            ),
        ];
        for (content, expected) in cases {
            assert_eq!(errors(content.clone()), expected, "{content}");
        }
        for name in ["from", "message_type", "google.x", "gcm.notification.y", "gcm", "aps", "", "a\nb"] {
            let content = json!({ "body": "b", "data": { name: "v" } });
            assert_eq!(errors(content), is("invalid_name", &format!("data.{name}")), "{name}");
        }
        let many: serde_json::Map<_, _> = (0..51).map(|n| (format!("k{n}"), json!(""))).collect();
        assert_eq!(errors(json!({ "body": "b", "data": many })), is("too_many_entries", "data"));
    }
}
