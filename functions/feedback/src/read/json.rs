//! What is read of the JSON, in one pass: all the fields of every dialect and envelope that say anything to us. Texts are
//! borrowed, and one of another type than expected counts as absent: providers add and change.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Ours;

/// What comes: perhaps an envelope of EventBridge.
pub(super) type Outer<'a> = Wire<'a, Option<Box<Inner<'a>>>>;
/// What lies in one of EventBridge. Such an envelope in such an envelope is none: nobody makes any, and a thousand of them
/// would take the whole stack to be read.
pub(super) type Inner<'a> = Wire<'a, IgnoredAny>;

/// An envelope or an event.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "D: Deserialize<'de> + Default"))]
pub(super) struct Wire<'a, D> {
    /// Ours.
    pub(super) feedback: Option<Ours>,

    // SNS.
    #[serde(rename = "Type", borrow)]
    pub(super) kind: Text<'a>,
    #[serde(rename = "Message", borrow)]
    pub(super) message: Text<'a>,

    // EventBridge.
    pub(super) detail: D,

    // Amazon SES, by a configuration set and by an identity.
    #[serde(borrow)]
    pub(super) event_type: Text<'a>,
    #[serde(borrow)]
    pub(super) notification_type: Text<'a>,
    #[serde(borrow)]
    pub(super) mail: Option<Mail<'a>>,
    #[serde(borrow)]
    pub(super) bounce: Option<Bounce<'a>>,
    #[serde(borrow)]
    pub(super) complaint: Option<Complaint<'a>>,
    #[serde(borrow)]
    pub(super) delivery: Option<Delivery<'a>>,
    #[serde(borrow)]
    pub(super) delivery_delay: Option<Delay<'a>>,
    #[serde(borrow)]
    pub(super) subscription: Option<Subscription<'a>>,

    // AWS End User Messaging.
    pub(super) event_timestamp: Number,
    pub(super) is_final: Option<bool>,
    #[serde(borrow)]
    pub(super) message_id: Text<'a>,
    #[serde(borrow)]
    pub(super) destination_phone_number: Text<'a>,
    #[serde(borrow)]
    pub(super) context: Option<HashMap<Cow<'a, str>, Text<'a>>>,
}

/// What SES says of the message.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Mail<'a> {
    #[serde(borrow)]
    pub(super) timestamp: Text<'a>,
    #[serde(borrow)]
    pub(super) message_id: Text<'a>,
    #[serde(borrow)]
    pub(super) destination: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    pub(super) tags: Option<HashMap<Cow<'a, str>, Vec<Text<'a>>>>,
    #[serde(borrow)]
    pub(super) headers: Option<Vec<Header<'a>>>,
    #[serde(borrow)]
    pub(super) common_headers: Option<CommonHeaders<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Header<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) value: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CommonHeaders<'a> {
    #[serde(borrow)]
    pub(super) message_id: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Bounce<'a> {
    #[serde(borrow)]
    pub(super) bounce_type: Text<'a>,
    #[serde(borrow)]
    pub(super) bounce_sub_type: Text<'a>,
    #[serde(borrow)]
    pub(super) bounced_recipients: Option<Vec<Recipient<'a>>>,
    #[serde(borrow)]
    pub(super) timestamp: Text<'a>,
}

/// One that a message bounced of, was called unwanted by, or is late for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Recipient<'a> {
    #[serde(borrow)]
    pub(super) email_address: Text<'a>,
    #[serde(borrow)]
    pub(super) action: Text<'a>,
    #[serde(borrow)]
    pub(super) status: Text<'a>,
    #[serde(borrow)]
    pub(super) diagnostic_code: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Complaint<'a> {
    #[serde(borrow)]
    pub(super) complaint_sub_type: Text<'a>,
    #[serde(borrow)]
    pub(super) complaint_feedback_type: Text<'a>,
    #[serde(borrow)]
    pub(super) complained_recipients: Option<Vec<Recipient<'a>>>,
    #[serde(borrow)]
    pub(super) timestamp: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delivery<'a> {
    #[serde(borrow)]
    pub(super) timestamp: Text<'a>,
    #[serde(borrow)]
    pub(super) recipients: Option<Vec<Text<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Delay<'a> {
    #[serde(borrow)]
    pub(super) timestamp: Text<'a>,
    #[serde(borrow)]
    pub(super) delayed_recipients: Option<Vec<Recipient<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Subscription<'a> {
    #[serde(borrow)]
    pub(super) timestamp: Text<'a>,
    pub(super) new_topic_preferences: Option<Preferences>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Preferences {
    pub(super) unsubscribe_all: Option<bool>,
}

/// A text; nothing where something else stands there.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Text<'a>(Option<Cow<'a, str>>);

impl Text<'_> {
    pub(super) fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub(super) const fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

/// A whole number; nothing where something else stands there.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) Option<i64>);

macro_rules! others_are_nothing {
    ($($name:ident($type:ty)),+) => {
        $(
            fn $name<E>(self, _: $type) -> Result<Self::Value, E> {
                Ok(Self::Value::default())
            }
        )+

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_string<E>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(text))))
            }

            others_are_nothing!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64));
        }

        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
                Ok(Number(Some(number)))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
                Ok(Number(i64::try_from(number).ok()))
            }

            others_are_nothing!(visit_bool(bool), visit_f64(f64), visit_str(&str));
        }

        deserializer.deserialize_any(Reader)
    }
}
