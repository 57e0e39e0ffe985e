//! Topics: what marketing may be about, as far as people may choose.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use campaign::topic::{MAX_LANGUAGES, MAX_TOPIC_NAME};
use campaign::{Topic, TopicId};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::error::{Problem, ProblemSchema, Result};
use crate::extract::Body;
use crate::operations::{Collect, routes};
use crate::{Context, schema, usage};

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(into, list_topics, put_topic, delete_topic,)
}

/// What people see a topic called, by language.
pub(crate) struct TopicNames;

impl PartialSchema for TopicNames {
    fn schema() -> RefOr<Schema> {
        let name = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_TOPIC_NAME))
            .pattern(Some(r"\S"));
        let language = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Za-z0-9-]{2,35}$"));
        ObjectBuilder::new()
            .description(Some(
                "What people see it called, by language: `en`, `pt-BR`. Who has none of them sees the English one.",
            ))
            .property_names(Some(language.build()))
            .additional_properties(Some(name))
            .min_properties(Some(1))
            .max_properties(Some(MAX_LANGUAGES))
            .examples([serde_json::json!({ "en": "Newsletter", "fr": "Lettre d'information" })])
            .into()
    }
}

impl ToSchema for TopicNames {}

/// A topic to be stored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicIn {
    #[schema(value_type = TopicNames)]
    names: BTreeMap<String, String>,
}

/// A topic.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopicOut {
    #[schema(value_type = schema::TopicId)]
    id: TopicId,
    #[schema(value_type = TopicNames)]
    names: BTreeMap<String, String>,
}

impl From<Topic> for TopicOut {
    fn from(Topic { id, names }: Topic) -> Self {
        Self { id, names }
    }
}

/// The topics.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopicsOut {
    items: Vec<TopicOut>,
}

/// List topics
#[utoipa::path(
    get, path = "/topics", tag = "topics",
    responses((status = 200, description = "All of them, by id", body = TopicsOut)),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn list_topics(State(context): State<Context>) -> Result<Json<TopicsOut>> {
    let topics = context.store.topics.list().await?;
    Ok(Json(TopicsOut { items: topics.into_iter().map(TopicOut::from).collect() }))
}

/// Put a topic
///
/// A marketing campaign may say that it is about it; then it goes to nobody whose profile says `out` to it in `topics`. At
/// most 50 topics.
#[utoipa::path(
    put, path = "/topics/{id}", tag = "topics",
    params(("id" = schema::TopicId, Path)),
    request_body = TopicIn,
    responses(
        (status = 200, description = "It was there, and is as given now", body = TopicOut),
        (status = 201, description = "Made", body = TopicOut),
        (status = 400, description = "A field is not valid, or there are too many", body = ProblemSchema),
        (status = 404, description = "There is no such path", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn put_topic(
    State(context): State<Context>,
    Path(id): Path<String>,
    Body(body): Body<TopicIn>,
) -> Result<Response> {
    let id = id
        .parse()
        .map_err(|error: campaign::topic::InvalidTopicId| Problem::field("id", error.to_string()))?;
    let topic = Topic { id, names: body.names };
    let is_new = context.store.topics.put(&topic).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(TopicOut::from(topic))).into_response())
}

/// Delete a topic
///
/// Refused while a campaign that is activating, scheduled or live is about it. What profiles say of it stays with them.
#[utoipa::path(
    delete, path = "/topics/{id}", tag = "topics",
    params(("id" = schema::TopicId, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "There is no such topic", body = ProblemSchema),
        (status = 409, description = "A campaign is about it", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn delete_topic(
    State(context): State<Context>,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let Ok(id) = id.parse::<TopicId>() else { return Err(Problem::not_found("topic", id)) };
    if context.store.topics.find(&id).await?.is_some() {
        usage::refuse_in_use(&context, |version| version.topic.as_ref() == Some(&id)).await?;
    }
    context.store.topics.delete(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
