use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use campaign::address::domain_to_ascii;
use campaign::suppression::SuppressionReason;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::suppression::SuppressedDomain;
use utoipa::ToSchema;

use super::addresses::manual;
use super::check_source;
use crate::error::{Kind, Problem, ProblemSchema, Result};
use crate::extract::Body;
use crate::{Context, schema};

/// Why a domain is suppressed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DomainIn {
    /// Why; `manual` where absent.
    #[serde(default = "manual")]
    reason: SuppressionReason,
    /// Who or what it comes from, for people.
    #[schema(max_length = 200)]
    source: Option<String>,
}

/// A suppressed domain.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainOut {
    domain: String,
    /// Why. `complaint` and `unsubscribed` are about marketing alone, the others stop everything.
    reason: SuppressionReason,
    #[schema(required)]
    source: Option<String>,
    /// Since when.
    #[schema(value_type = schema::Instant)]
    at: Timestamp,
}

/// The suppressed domains.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainsOut {
    items: Vec<DomainOut>,
}

impl DomainOut {
    fn new((domain, found): (String, SuppressedDomain)) -> Self {
        Self { domain, reason: found.reason, source: found.source, at: found.at }
    }
}

/// List suppressed domains
#[utoipa::path(
    get, path = "/suppressions/domains", tag = "suppressions",
    responses((status = 200, description = "All of them, by name", body = DomainsOut)),
    security(("bearer" = ["viewer"])),
)]
pub(crate) async fn list_domains(State(context): State<Context>) -> Result<Json<DomainsOut>> {
    let domains = context.store.suppressions.domains().await?;
    Ok(Json(DomainsOut { items: domains.into_iter().map(DomainOut::new).collect() }))
}

/// Suppress a domain
///
/// No email goes to any address of it, those of its subdomains not included. At most 1,000 domains.
#[utoipa::path(
    put, path = "/suppressions/domains/{domain}", tag = "suppressions",
    params(("domain" = String, Path, example = "example.org")),
    request_body = DomainIn,
    responses(
        (status = 204, description = "It is suppressed"),
        (status = 400, description = "It is no domain, or there are too many", body = ProblemSchema),
        (status = 404, description = "There is no such path", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn put_domain(
    State(context): State<Context>,
    Path(domain): Path<String>,
    Body(body): Body<DomainIn>,
) -> Result<StatusCode> {
    check_source(body.source.as_deref())?;
    let name = domain_to_ascii(&domain).map_err(|error| Problem::field("domain", error.to_string()))?;
    let name = name.into_owned();
    let new = SuppressedDomain { reason: body.reason, source: body.source, at: context.now() };
    let put = |domains: &mut BTreeMap<String, SuppressedDomain>| {
        domains.insert(name.clone(), new.clone());
        true
    };
    context.store.suppressions.change_domains(put).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let a domain be written to again
#[utoipa::path(
    delete, path = "/suppressions/domains/{domain}", tag = "suppressions",
    params(("domain" = String, Path, example = "example.org")),
    responses(
        (status = 204, description = "It is no longer suppressed"),
        (status = 404, description = "It was not suppressed", body = ProblemSchema),
    ),
    security(("bearer" = ["manager"])),
)]
pub(crate) async fn delete_domain(
    State(context): State<Context>,
    Path(domain): Path<String>,
) -> Result<StatusCode> {
    // What is no domain is none that is suppressed.
    let name = domain_to_ascii(&domain).unwrap_or_default();
    if context.store.suppressions.change_domains(|domains| domains.remove(&*name).is_some()).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(Kind::NotFound, "the domain is not suppressed"))
    }
}
