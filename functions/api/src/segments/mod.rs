//! Segments: who.

mod count;
mod create;
mod delete;
mod get;
mod import;
mod list;
mod members;
mod patch;
mod sample;

use std::time::Duration;

use campaign::segment::{Rule, RuleError, SegmentKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::Segment;
use utoipa::ToSchema;

use crate::error::{FieldError, Kind, Problem, Result};
use crate::operations::{Collect, routes};
use crate::schema;
pub(crate) use count::{CountOut, begin as begin_count};

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(
        into,
        create::create_segment,
        list::list_segments,
        get::get_segment,
        patch::patch_segment,
        delete::delete_segment,
        count::count_segment,
        sample::sample_segment,
        members::add_members,
        members::remove_members,
        import::import_members,
    )
}

/// The longest name, in characters.
const MAX_NAME: usize = 200;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 2000;
/// How long a count or a sample may read: API Gateway gives up after 30 seconds.
const LONGEST_READ: Duration = Duration::from_secs(20);
/// How many profiles are read at once.
const PAGE: usize = 1000;

/// The kinds of segment: a rule over profiles, or a list of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SegmentKind)]
pub(crate) enum Kinds {
    Rule,
    List,
}

/// A segment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SegmentOut {
    #[schema(value_type = schema::Id)]
    id: String,
    name: String,
    description: String,
    kind: Kinds,
    /// The rule, for a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<String>,
    /// How many members, for a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<u64>,
    #[schema(value_type = schema::Instant)]
    created_at: Timestamp,
    #[schema(value_type = schema::Instant)]
    modified_at: Timestamp,
}

impl From<Segment> for SegmentOut {
    fn from(segment: Segment) -> Self {
        let (kind, expression, members) = match segment.kind {
            SegmentKind::Rule { expression } => (Kinds::Rule, Some(expression), None),
            SegmentKind::List { members, .. } => (Kinds::List, None, Some(members)),
        };
        Self {
            id: segment.id.to_string(),
            name: segment.name,
            description: segment.description,
            kind,
            expression,
            members,
            created_at: segment.created_at,
            modified_at: segment.modified_at,
        }
    }
}

/// Checks what the types can't.
fn check(segment: &Segment) -> Result<()> {
    let mut errors = Vec::new();
    if segment.name.trim().is_empty() || segment.name.chars().count() > MAX_NAME {
        errors.push(FieldError::new("name", format!("has 1 to {MAX_NAME} characters")));
    }
    if segment.description.chars().count() > MAX_DESCRIPTION {
        errors.push(FieldError::new("description", format!("has at most {MAX_DESCRIPTION} characters")));
    }
    if !errors.is_empty() {
        return Err(Problem::fields(Kind::InvalidField, errors));
    }
    if let SegmentKind::Rule { expression } = &segment.kind {
        compile(expression)?;
    }
    Ok(())
}

/// Compiles a rule, or says where it is wrong.
fn compile(expression: &str) -> Result<Rule> {
    Rule::compile(expression).map_err(|RuleError { line, column, message }| {
        let place = |number: u32| usize::try_from(number).ok();
        let error =
            FieldError { line: place(line), column: place(column), ..FieldError::new("expression", message) };
        Problem::fields(Kind::InvalidRule, vec![error]).with("line", line).with("column", column)
    })
}

/// The generation and the partitions of a list.
pub(crate) fn list_of(kind: &SegmentKind) -> Result<(u32, u32)> {
    match kind {
        SegmentKind::List { generation, partitions, .. } => Ok((*generation, *partitions)),
        SegmentKind::Rule { .. } => Err(Problem::new(Kind::NotAList, "only a list has members")),
    }
}
