//! A notification in the words of Firebase Cloud Messaging.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use campaign::ProfileId;
use campaign::content::{AndroidPush, InterruptionLevel, IosPush, PushContent, PushPriority};
use content::{PUSH_LINK, RenderedPush};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::device::{Device, Platform};

/// A notification for all devices of one profile, ready to be handed over.
pub struct Push {
    /// Whose tokens those are; `None` where no profile has them.
    pub(crate) profile: Option<ProfileId>,
    pub(crate) parcels: Vec<Parcel>,
}

/// A notification for one device.
pub(crate) struct Parcel {
    pub(crate) token: String,
    /// The request's body.
    pub(crate) body: Bytes,
}

impl fmt::Debug for Push {
    /// Without tokens or text: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push").field("parcels", &self.parcels.len()).finish_non_exhaustive()
    }
}

/// What a notification is made from.
#[derive(Clone, Copy)]
pub(crate) struct Draft<'a> {
    /// What is the same for everybody.
    pub(crate) content: &'a PushContent,
    /// What is the recipient's own.
    pub(crate) rendered: &'a RenderedPush,
    /// The time, in seconds since the Unix epoch.
    pub(crate) now_seconds: i64,
}

#[derive(Serialize)]
struct Body<'a> {
    message: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    token: &'a str,
    notification: Notification<'a>,
    #[serde(skip_serializing_if = "Data::is_empty")]
    data: Data<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    android: Option<Android<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apns: Option<Apns<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webpush: Option<WebPush<'a>>,
}

#[derive(Serialize)]
struct Notification<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    title: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
}

/// What the app gets: the link is one of it.
struct Data<'a> {
    named: &'a BTreeMap<String, String>,
    link: Option<&'a str>,
}

#[derive(Serialize)]
struct Android<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    collapse_key: Option<&'a str>,
    notification: AndroidNotification<'a>,
}

#[derive(Serialize)]
struct AndroidNotification<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sound: Option<&'a str>,
    /// One that is shown is replaced by the next of the same tag; a collapse key only concerns those on their way.
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
}

#[derive(Serialize)]
struct Apns<'a> {
    headers: ApnsHeaders<'a>,
    payload: Payload<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fcm_options: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ApnsHeaders<'a> {
    apns_priority: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    apns_expiration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apns_collapse_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Payload<'a> {
    aps: Aps<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Aps<'a> {
    alert: Alert<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    badge: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sound: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interruption_level: Option<&'static str>,
    /// Has the app's extension fetch the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    mutable_content: Option<u8>,
}

#[derive(Serialize)]
struct Alert<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subtitle: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    body: &'a str,
}

#[derive(Serialize)]
struct WebPush<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Value>,
    #[serde(skip_serializing_if = "WebNotification::is_empty")]
    notification: WebNotification<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fcm_options: Option<Value>,
}

#[derive(Serialize)]
struct WebNotification<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    badge: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
}

impl<'a> Draft<'a> {
    /// The message for one device, with the part of its own platform; with those of all, where that is not known.
    pub(crate) fn parcel(self, device: Device<'_>) -> Parcel {
        let is_for = |platform| [platform, Platform::Unknown].contains(&device.platform);
        let RenderedPush { title, body, image, link, data, .. } = self.rendered;
        let image = image.as_deref();
        let body = Body {
            message: Message {
                token: device.token,
                notification: Notification { title, body, image },
                data: Data { named: data, link: link.as_deref() },
                android: is_for(Platform::Android).then(|| self.android()).flatten(),
                apns: is_for(Platform::Ios).then(|| self.apns()),
                webpush: is_for(Platform::Web).then(|| self.webpush()).flatten(),
            },
        };
        let body = serde_json::to_vec(&body).expect("texts and numbers always serialize");
        Parcel { token: device.token.to_owned(), body: body.into() }
    }

    fn android(self) -> Option<Android<'a>> {
        let own = self.content.android.as_ref();
        let text = |of: fn(&AndroidPush) -> Option<&String>| own.and_then(of).map(String::as_str);
        let collapse_key = self.content.collapse_key.as_deref();
        let ttl = self.content.ttl_seconds.map(|seconds| format!("{seconds}s"));
        if own.is_none() && collapse_key.is_none() && ttl.is_none() {
            return None;
        }
        let priority = own.and_then(|own| own.priority).map(|priority| match priority {
            PushPriority::Normal => "NORMAL",
            PushPriority::High => "HIGH",
        });
        let notification = AndroidNotification {
            channel_id: text(|own| own.channel_id.as_ref()),
            icon: text(|own| own.icon.as_ref()),
            color: text(|own| own.color.as_ref()),
            sound: text(|own| own.sound.as_ref()),
            tag: collapse_key,
        };
        Some(Android { priority, ttl, collapse_key, notification })
    }

    fn apns(self) -> Apns<'a> {
        let own = self.content.ios.as_ref();
        let text = |of: fn(&IosPush) -> Option<&String>| own.and_then(of).map(String::as_str);
        let RenderedPush { title, body, image, subtitle, .. } = self.rendered;
        let level = own.and_then(|own| own.interruption_level);
        let headers = ApnsHeaders {
            // What is only to be put into the list may wait for the device's battery.
            apns_priority: if level == Some(InterruptionLevel::Passive) { "5" } else { "10" },
            apns_expiration: self.content.ttl_seconds.map(|seconds| self.expiration(seconds)),
            apns_collapse_id: self.content.collapse_key.as_deref(),
        };
        let aps = Aps {
            alert: Alert { title, subtitle: subtitle.as_deref(), body },
            badge: own.and_then(|own| own.badge),
            sound: text(|own| own.sound.as_ref()),
            thread_id: text(|own| own.thread_id.as_ref()),
            category: text(|own| own.category.as_ref()),
            interruption_level: level.map(|level| match level {
                InterruptionLevel::Passive => "passive",
                InterruptionLevel::Active => "active",
                InterruptionLevel::TimeSensitive => "time-sensitive",
            }),
            mutable_content: image.as_ref().map(|_| 1),
        };
        let fcm_options = image.as_ref().map(|image| json!({ "image": image }));
        Apns { headers, payload: Payload { aps }, fcm_options }
    }

    /// Until when Apple keeps it: an instant, or 0 for not at all.
    fn expiration(self, ttl_seconds: u32) -> String {
        if ttl_seconds == 0 {
            "0".to_owned()
        } else {
            (self.now_seconds + i64::from(ttl_seconds)).to_string()
        }
    }

    fn webpush(self) -> Option<WebPush<'a>> {
        let own = self.content.web.as_ref();
        let notification = WebNotification {
            icon: own.and_then(|own| own.icon.as_deref()),
            badge: own.and_then(|own| own.badge.as_deref()),
            image: self.rendered.image.as_deref(),
            tag: self.content.collapse_key.as_deref(),
        };
        let headers = self.content.ttl_seconds.map(|seconds| json!({ "TTL": seconds.to_string() }));
        // A browser opens nothing else, and FCM refuses the whole message for it.
        let link = self.rendered.link.as_deref().filter(|link| link.starts_with("https://"));
        let fcm_options = link.map(|link| json!({ "link": link }));
        let is_empty = notification.is_empty() && headers.is_none() && fcm_options.is_none();
        (!is_empty).then_some(WebPush { headers, notification, fcm_options })
    }
}

impl Data<'_> {
    fn is_empty(&self) -> bool {
        self.named.is_empty() && self.link.is_none()
    }
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.named {
            map.serialize_entry(name, value)?;
        }
        if let Some(link) = self.link {
            map.serialize_entry(PUSH_LINK, link)?;
        }
        map.end()
    }
}

impl WebNotification<'_> {
    fn is_empty(&self) -> bool {
        self.icon.is_none() && self.badge.is_none() && self.image.is_none() && self.tag.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn message(content: &Value, rendered: &RenderedPush, platform: Platform) -> Value {
        let content = serde_json::from_value(content.clone()).unwrap();
        let draft = Draft { content: &content, rendered, now_seconds: NOW };
        let parcel = draft.parcel(Device { platform, token: "t" });
        assert_eq!(parcel.token, "t");
        let mut body: Value = serde_json::from_slice(&parcel.body).unwrap();
        body["message"].take()
    }

    fn rendered() -> RenderedPush {
        RenderedPush {
            title: "Hello".to_owned(),
            body: "\"Łódź\"".to_owned(),
            image: Some("https://x.example.com/a.png".to_owned()),
            link: Some("https://x.example.com/7".to_owned()),
            subtitle: Some("News".to_owned()),
            data: BTreeMap::from([("order".to_owned(), "7".to_owned())]),
        }
    }

    fn whole() -> Value {
        json!({
            "ttl_seconds": 3600, "collapse_key": "news",
            "android": { "channel_id": "c", "priority": "high", "icon": "i", "color": "#00ff00", "sound": "s" },
            "ios": {
                "badge": 3, "sound": "default", "thread_id": "t", "category": "k",
                "interruption_level": "time_sensitive",
            },
            "web": { "icon": "https://x.example.com/i.png", "badge": "https://x.example.com/b.png" },
        })
    }

    fn shared() -> Value {
        json!({
            "token": "t",
            "notification": { "title": "Hello", "body": "\"Łódź\"", "image": "https://x.example.com/a.png" },
            "data": { "order": "7", "link": "https://x.example.com/7" },
        })
    }

    fn with(mut message: Value, name: &str, part: &Value) -> Value {
        message[name] = part.clone();
        message
    }

    #[test]
    fn each_platform_gets_its_own_part_and_an_unknown_one_all() {
        let android = json!({
            "priority": "HIGH", "ttl": "3600s", "collapse_key": "news",
            "notification": { "channel_id": "c", "icon": "i", "color": "#00ff00", "sound": "s", "tag": "news" },
        });
        let apns = json!({
            "headers": { "apns-priority": "10", "apns-expiration": "1800003600", "apns-collapse-id": "news" },
            "payload": { "aps": {
                "alert": { "title": "Hello", "subtitle": "News", "body": "\"Łódź\"" }, "badge": 3, "sound": "default",
                "thread-id": "t", "category": "k", "interruption-level": "time-sensitive", "mutable-content": 1,
            } },
            "fcm_options": { "image": "https://x.example.com/a.png" },
        });
        let webpush = json!({
            "headers": { "TTL": "3600" },
            "notification": {
                "icon": "https://x.example.com/i.png", "badge": "https://x.example.com/b.png",
                "image": "https://x.example.com/a.png", "tag": "news",
            },
            "fcm_options": { "link": "https://x.example.com/7" },
        });
        let of = |platform| message(&whole(), &rendered(), platform);
        assert_eq!(of(Platform::Android), with(shared(), "android", &android));
        assert_eq!(of(Platform::Ios), with(shared(), "apns", &apns));
        assert_eq!(of(Platform::Web), with(shared(), "webpush", &webpush));
        let all = with(with(with(shared(), "android", &android), "apns", &apns), "webpush", &webpush);
        assert_eq!(of(Platform::Unknown), all);
    }

    #[test]
    fn what_is_not_said_is_not_sent() {
        let rendered = RenderedPush { body: "b".to_owned(), ..RenderedPush::default() };
        let plain = json!({ "token": "t", "notification": { "body": "b" } });
        let of = |platform| message(&json!({}), &rendered, platform);
        assert_eq!(of(Platform::Android), plain);
        assert_eq!(of(Platform::Web), plain);
        let apns = json!({
            "headers": { "apns-priority": "10" }, "payload": { "aps": { "alert": { "body": "b" } } },
        });
        assert_eq!(of(Platform::Ios), with(plain, "apns", &apns));
        let passive = json!({ "ttl_seconds": 0, "ios": { "interruption_level": "passive" } });
        let headers = json!({ "apns-priority": "5", "apns-expiration": "0" });
        assert_eq!(message(&passive, &rendered, Platform::Ios)["apns"]["headers"], headers);
    }

    #[test]
    fn a_link_into_an_app_is_not_given_to_a_browser() {
        let rendered = RenderedPush { link: Some("shop://7".to_owned()), ..rendered() };
        let message = message(&json!({}), &rendered, Platform::Unknown);
        assert_eq!(message["data"]["link"], "shop://7");
        assert_eq!(message["webpush"], json!({ "notification": { "image": "https://x.example.com/a.png" } }));
    }
}
