use std::cell::Cell;
use std::collections::BTreeMap;

use campaign::content::{OnMissing, PushContent};
use serde::Serialize;
use serde_json::Value;

use crate::error::{ContentError, RenderError};
use crate::template::{self, Escaping, Program};

/// The most bytes of a push notification that Firebase Cloud Messaging takes, as [`RenderedPush::payload_bytes`] counts them.
pub const MAX_PUSH_BYTES: usize = 4096;
/// The longest that is rendered at all, all texts together: they are many, and each could be as long as a field may be.
const MOST_RENDERED_BYTES: usize = 64 * MAX_PUSH_BYTES;
/// The name by which the app gets the link.
pub const PUSH_LINK: &str = "link";

/// The texts of a push notification as one recipient gets it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RenderedPush {
    /// The title.
    pub title: String,
    /// The text below it.
    pub body: String,
    /// The URL of a picture, where there is one and it is not blank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What is opened when it is tapped, where there is something and it is not blank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The line below the title on Apple's systems, where there is one and it is not blank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    /// What the app gets beside it.
    pub data: BTreeMap<String, String>,
}

impl RenderedPush {
    /// How large it is for Firebase Cloud Messaging, of which a message may have [`MAX_PUSH_BYTES`]: the names and the values
    /// of what is shown and of what the app gets. What is said to one platform alone, such as a sound, is not counted here.
    pub fn payload_bytes(&self) -> usize {
        let shown =
            [("title", Some(&self.title)), ("body", Some(&self.body)), ("image", self.image.as_ref())];
        let rest = [("subtitle", self.subtitle.as_ref()), (PUSH_LINK, self.link.as_ref())];
        let named = shown.into_iter().chain(rest).filter_map(|(name, value)| Some((name, value?)));
        let named = named.filter(|(_, value)| !value.is_empty());
        let data = self.data.iter().map(|(name, value)| (name.as_str(), value));
        named.chain(data).map(|(name, value)| name.len() + value.len()).sum()
    }

    /// Whether it is larger than a message may be.
    pub fn is_too_large(&self) -> bool {
        self.payload_bytes() > MAX_PUSH_BYTES
    }
}

/// A push notification compiled once, to be rendered for many.
#[derive(Debug)]
pub struct PushTemplate {
    title: Program,
    body: Program,
    image: Option<Program>,
    link: Option<Program>,
    subtitle: Option<Program>,
    data: Vec<(String, Program)>,
}

impl PushTemplate {
    /// Compiles a content.
    ///
    /// # Errors
    /// The first thing that is wrong; nothing is with what [`lower`](crate::lower()) gave.
    pub fn compile(content: &PushContent) -> Result<Self, ContentError> {
        let compile = |field, source: &str| template::compile_checked(source, field, Escaping::None);
        let optional =
            |field, source: Option<&String>| source.map(|source| compile(field, source)).transpose();
        let subtitle = content.ios.as_ref().and_then(|ios| ios.subtitle.as_ref());
        let data = content.data.iter().map(|(name, source)| Ok((name.clone(), compile("data", source)?)));
        Ok(Self {
            title: compile("title", &content.title)?,
            body: compile("body", &content.body)?,
            image: optional("image", content.image.as_ref())?,
            link: optional("link", content.link.as_ref())?,
            subtitle: optional("ios.subtitle", subtitle)?,
            data: data.collect::<Result<_, ContentError>>()?,
        })
    }

    /// Renders for one recipient.
    ///
    /// # Errors
    /// As [`EmailTemplate::render`](crate::EmailTemplate::render).
    pub fn render(
        &self,
        profile: &Value,
        context: &Value,
        on_missing: OnMissing,
    ) -> Result<RenderedPush, RenderError> {
        let bytes = Cell::new(0);
        let render = |program: &Program| {
            let mut text = String::new();
            program.render(profile, context, on_missing, &mut text)?;
            bytes.set(bytes.get() + text.len());
            if bytes.get() > MOST_RENDERED_BYTES {
                return Err(RenderError::TooLarge {
                    what: "notification in bytes",
                    limit: MOST_RENDERED_BYTES,
                });
            }
            Ok(text)
        };
        let optional = |program: Option<&Program>| {
            let text = program.map(render).transpose()?;
            Ok::<_, RenderError>(text.filter(|text| !text.trim().is_empty()))
        };
        let data = self.data.iter().map(|(name, program)| Ok((name.clone(), render(program)?)));
        Ok(RenderedPush {
            title: render(&self.title)?,
            body: render(&self.body)?,
            image: optional(self.image.as_ref())?,
            link: optional(self.link.as_ref())?,
            subtitle: optional(self.subtitle.as_ref())?,
            data: data.collect::<Result<_, RenderError>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn rendered(content: &PushContent, profile: &Value) -> RenderedPush {
        PushTemplate::compile(content).unwrap().render(profile, &Value::Null, OnMissing::Blank).unwrap()
    }

    #[test]
    fn every_text_is_the_recipients_own_and_what_is_blank_is_left_out() {
        let content: PushContent = serde_json::from_value(json!({
            "title": "Hello {{profile.name}}", "body": "{{profile.city}} & more",
            "image": "{{profile.picture}}", "link": "shop://orders/{{profile.order}}",
            "data": { "order": "{{profile.order}}", "kind": "" }, "ios": { "subtitle": " {{profile.nothing}} " },
        }))
        .unwrap();
        let got = rendered(&content, &json!({ "name": "Zoë", "city": "Łódź", "order": 7 }));
        assert_eq!(
            serde_json::to_value(&got).unwrap(),
            json!({
                "title": "Hello Zoë", "body": "Łódź & more", "link": "shop://orders/7",
                "data": { "order": "7", "kind": "" },
            })
        );
        // title 5+10, body 4+14, link 4+15, order 5+1, kind 4+0
        assert_eq!(got.payload_bytes(), 15 + 18 + 19 + 6 + 4);
    }

    proptest! {
        #[test]
        fn names_and_values_count_in_bytes(
            title in ".{0,40}", body in ".{0,40}", link in proptest::option::of("[a-z]{1,20}"),
            data in proptest::collection::btree_map("[a-z]{1,9}", ".{0,40}", 0..5),
        ) {
            let push = RenderedPush { title, body, link, data, ..RenderedPush::default() };
            // Counted once more, from what it is written as.
            let Value::Object(mut fields) = serde_json::to_value(&push).unwrap() else { panic!("an object") };
            let Some(Value::Object(data)) = fields.remove("data") else { panic!("an object") };
            let expected: usize = fields
                .iter()
                .filter(|(_, value)| value != &"")
                .chain(data.iter())
                .map(|(name, value)| name.len() + value.as_str().unwrap().len())
                .sum();
            prop_assert_eq!(push.payload_bytes(), expected);
        }
    }

    #[test]
    fn many_long_texts_are_not_rendered_to_the_last() {
        let data = (0..20).map(|number| (format!("d{number}"), "{{profile.long}}".to_owned())).collect();
        let template = PushTemplate::compile(&PushContent { data, ..PushContent::default() }).unwrap();
        let render = |bytes: usize| {
            template.render(&json!({ "long": "x".repeat(bytes) }), &Value::Null, OnMissing::Blank)
        };
        assert!(render(MOST_RENDERED_BYTES / 20).is_ok_and(|push| push.is_too_large()));
        assert!(matches!(render(MOST_RENDERED_BYTES / 20 + 1), Err(RenderError::TooLarge { .. })));
    }

    #[test]
    fn one_byte_more_than_it_may_have_is_too_large() {
        let body = |bytes| RenderedPush { body: "x".repeat(bytes), ..RenderedPush::default() };
        assert!(!body(MAX_PUSH_BYTES - 4).is_too_large());
        assert!(body(MAX_PUSH_BYTES - 3).is_too_large());
    }
}
