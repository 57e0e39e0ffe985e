//! The OpenAPI document: generated from the operations, completed with what all of them have in common.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use utoipa::OpenApi;

/// What the document says beside the operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Envoi",
        description = "Campaigns to people over several channels, with a ledger that accounts for every recipient. Errors \
            are problems after RFC 9457. Lists are paged by an opaque cursor. A POST may carry an Idempotency-Key: its \
            answer is kept for a day and given again to whoever repeats the call.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(crate::schema::Problem)),
    tags(
        (name = "profiles", description = "The people a campaign may reach"),
        (name = "segments", description = "Who: a rule over profiles, or a list of members"),
        (name = "configurations", description = "How a channel sends"),
        (name = "campaigns", description = "What is sent, to whom and when"),
        (name = "executions", description = "The runs of a campaign, and what became of each recipient"),
        (name = "reports", description = "Counts and rates that add up, over any period, as JSON and CSV"),
        (name = "jobs", description = "Imports of files of any size, counts over everybody, exports and erasures of people: work that takes longer than a call"),
        (name = "webhook endpoints", description = "Callers' addresses that are told what became of messages"),
        (name = "suppressions", description = "Addresses and domains that nothing is sent to"),
        (name = "allowed lists", description = "To whom alone messages may go, where that is limited"),
        (name = "topics", description = "What marketing is about, as far as people may choose"),
        (name = "delivery rules", description = "Frequency caps and quiet hours: what holds for marketing as a whole"),
        (name = "keys", description = "API keys"),
        (name = "service", description = "The service itself"),
    ),
)]
pub(crate) struct Document;

/// The OpenAPI document itself
#[utoipa::path(
    get, path = "/openapi.json", tag = "service",
    responses((status = 200, description = "The document", body = Object)),
    security(()),
)]
pub(crate) async fn get_openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], COMMITTED).into_response()
}

/// The document's text.
pub(crate) const COMMITTED: &str = include_str!("../openapi.json");

/// What `If-Match` may hold: any, or a list of entity tags.
const ENTITY_TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#;

/// Adds to every operation what holds for all: the ways to give a key, and the problems any of them may answer.
pub(crate) fn complete(document: &utoipa::openapi::OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["components"]["securitySchemes"] = json!({
        "bearer": { "type": "http", "scheme": "bearer", "description": "An API key. The roles are viewer, manager, publisher, admin." },
        "api_key": { "type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same API key." },
    });
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        let path = path.clone();
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            complete_operation(&path, method, operation);
        }
    }
    for schema in
        document["components"]["schemas"].as_object_mut().into_iter().flat_map(|all| all.values_mut())
    {
        close_variants(schema);
    }
    document
}

/// A variant that is named by its only member has no other.
fn close_variants(schema: &mut Value) {
    let variants = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    for variant in variants.into_iter().flatten() {
        let members = variant.get("properties").and_then(Value::as_object);
        if members.is_some_and(|members| members.len() == 1) {
            variant["additionalProperties"] = json!(false);
        }
    }
}

/// Whether an answer holds a secret, which is never kept: no Idempotency-Key is taken.
pub(crate) fn shows_secret(path: &str) -> bool {
    let rotates = ["/rotate-secret", "/rotate-signing-key"].iter().any(|end| path.ends_with(end));
    path == "/keys" || path == "/webhook-endpoints" || rotates
}

fn complete_operation(path: &str, method: &str, operation: &mut Value) {
    let role = operation["security"][0]["bearer"].clone();
    if role.is_null() {
        return;
    }
    operation["security"] = json!([{ "bearer": role }, { "api_key": role }]);
    let mut common = vec![
        ("401", "No API key, or one that is not known"),
        ("403", "The key's role does not allow this"),
        ("500", "Something went wrong on our side"),
        ("503", "A part of the service is not available; try again"),
    ];
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        if parameter["name"] == "If-Match" {
            parameter["schema"] = json!({ "type": "string", "pattern": ENTITY_TAGS });
        }
        if parameter["in"] == "query" {
            common.push(("400", "A parameter is not valid"));
        }
    }
    let has_body = operation["requestBody"].is_object();
    let is_import = path.ends_with("/import") || path.ends_with("/file");
    if has_body && !is_import {
        common.push(("413", "The body has more than 4 MiB"));
        common.push(("415", "The body is not application/json"));
    }
    if method == "post" && !is_import && !shows_secret(path) {
        common.push(("400", "The request is not valid"));
        // Whatever comes along is read, since a repeat must bring the same.
        common.push(("413", "The body has more than 4 MiB"));
        common.push(("409", "The first call with this Idempotency-Key is under way"));
        common.push((
            "410",
            "The answer to the first call with this Idempotency-Key showed a person who was erased since",
        ));
        common.push(("422", "The Idempotency-Key was used with another body"));
        let parameter = json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": "Names this call: repeated with the same key and body it is not carried out again, and gets the first answer.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
        });
        match operation["parameters"].as_array_mut() {
            Some(parameters) => parameters.push(parameter),
            None => operation["parameters"] = json!([parameter]),
        }
    }
    for (status, description) in common {
        if operation["responses"][status].is_null() {
            operation["responses"][status] = json!({
                "description": description,
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            });
        }
    }
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        // Problems have a media type of their own, which the attribute of each response would have to repeat.
        if status.starts_with(['4', '5'])
            && let Some(schema) =
                response["content"].as_object_mut().and_then(|content| content.remove("application/json"))
        {
            response["content"] = json!({ "application/problem+json": schema });
        }
    }
}
