//! How a campaign is called: a request that is ready to be sent, with every variable that its templates use.

use campaign::CampaignId;
use campaign::content::Content;
use content::CompileOptions;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// How to trigger a campaign by a call.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TriggerOut {
    /// The path to POST to.
    #[schema(example = "/im/executions/unitary")]
    path: &'static str,
    /// A body that names every `profile` and `context` variable of the templates, each with its own name for a value.
    #[schema(value_type = Object)]
    body: Value,
    /// The same as a command for a shell in which `ENVOI_URL` and `ENVOI_KEY` are set.
    curl: String,
}

/// How to trigger the campaign with these contents. What does not compile is left out: validation says so.
pub(super) fn trigger(id: CampaignId, contents: &[Content]) -> TriggerOut {
    let (mut profile, mut context) = (Map::new(), Map::new());
    for content in contents {
        let Ok(lowered) = content::lower(content, &CompileOptions::default()) else { continue };
        for variable in lowered.variables {
            match variable.path.split_once('.') {
                Some(("profile", rest)) => place(&mut profile, rest),
                Some(("context", rest)) => place(&mut context, rest),
                _ => {}
            }
        }
    }
    // Who a profile is and where it is reached is named otherwise.
    for name in campaign::call::NOT_OVERLAID {
        profile.remove(name);
    }
    let mut recipient = json!({ "type": "aep", "userId": "ada@example.com", "namespace": "email" });
    if !profile.is_empty() {
        recipient["profile"] = Value::Object(profile);
    }
    if !context.is_empty() {
        recipient["context"] = Value::Object(context);
    }
    let body = json!({ "requestId": "request-1", "campaignId": id, "recipients": [recipient] });
    let path = "/im/executions/unitary";
    // Inside single quotes a shell takes everything as it stands but the quote itself.
    let quoted = format!("{body:#}").replace('\'', r"'\''");
    let curl = format!(
        "curl -sS \"$ENVOI_URL{path}\" -H \"Authorization: Bearer $ENVOI_KEY\" -H 'Content-Type: application/json' -d '{quoted}'"
    );
    TriggerOut { path, body, curl }
}

/// Puts a value at a path such as `orders[].id` where nothing stands yet: the path's last name.
fn place(into: &mut Map<String, Value>, path: &str) {
    let (step, rest) = match path.split_once('.') {
        Some((step, rest)) => (step, Some(rest)),
        None => (path, None),
    };
    let name = step.trim_end_matches("[]");
    if name.is_empty() {
        return;
    }
    let is_list = step.len() > name.len();
    let leaf = || Value::String(name.to_owned());
    let slot = into.entry(name.to_owned()).or_insert(Value::Null);
    if is_list {
        if !slot.is_array() {
            *slot = json!([Value::Null]);
        }
        let item = &mut slot[0];
        match rest {
            Some(rest) => within(item, rest),
            None if item.is_null() => *item = leaf(),
            None => {}
        }
    } else {
        match rest {
            Some(rest) => within(slot, rest),
            None if slot.is_null() => *slot = leaf(),
            None => {}
        }
    }
}

/// A path within an object, which is made of whatever stood there.
fn within(slot: &mut Value, path: &str) {
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    if let Value::Object(inner) = slot {
        place(inner, path);
    }
}

#[cfg(test)]
mod tests {
    use campaign::content::{EmailBody, EmailContent};

    use super::*;

    fn email(subject: &str, html: &str) -> Content {
        Content::Email(EmailContent {
            subject: subject.to_owned(),
            body: EmailBody::Html(html.to_owned()),
            ..EmailContent::default()
        })
    }

    #[test]
    fn every_variable_of_the_templates_is_in_the_request() {
        let html = "<p>{{profile.email}} {{profile.person.name.firstName}} {{context.order.id}} \
                    {{#each context.order.items}}{{this.name}}{{/each}}</p>";
        let id = CampaignId::from_bytes([1; 16]);
        let trigger = trigger(id, &[email("{{context.subject}}", html)]);
        let recipient = &trigger.body["recipients"][0];
        assert_eq!(recipient["profile"], json!({ "person": { "name": { "firstName": "firstName" } } }));
        assert_eq!(
            recipient["context"],
            json!({ "subject": "subject", "order": { "id": "id", "items": [{ "name": "name" }] } })
        );
        assert_eq!(trigger.body["campaignId"], json!(id));
        assert!(trigger.curl.contains("/im/executions/unitary") && trigger.curl.contains("\"firstName\""));
    }

    #[test]
    fn a_path_goes_deeper_where_a_shorter_one_stood() {
        let mut found = Map::new();
        for path in ["a", "a.b", "a.b.c", "l[]", "l[].x", "a.b"] {
            place(&mut found, path);
        }
        assert_eq!(Value::Object(found), json!({ "a": { "b": { "c": "c" } }, "l": [{ "x": "x" }] }));
    }
}
