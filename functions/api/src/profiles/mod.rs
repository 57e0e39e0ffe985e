//! Profiles: the people a campaign may reach.

mod batch;
mod body;
mod create;
mod delete;
mod erase;
mod export;
mod find;
mod get;
mod import;
mod put;

use campaign::Profile;
use campaign::profile::ProfileError;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub(crate) use body::{Identity, ProfileIn, ProfileInSchema};

use crate::error::{FieldError, Kind, Problem};
use crate::operations::{Collect, routes};
pub(crate) use import::{RowFaultOut, answer as import_answer, check_csv, problem as import_problem};

pub(crate) fn routes<C: Collect>(into: C) -> C {
    routes!(
        into,
        create::create_profile,
        find::find_profiles,
        batch::upsert_profiles,
        import::import_profiles,
        get::get_profile,
        put::put_profile,
        delete::delete_profile,
        export::export_profile,
        erase::erase_profile,
    )
}

/// A profile.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProfileOut {
    #[schema(value_type = crate::schema::Id)]
    id: String,
    /// The fields that have a meaning of their own, as far as it has them.
    #[serde(flatten)]
    #[schema(value_type = body::ReservedFields)]
    reserved: Map<String, Value>,
    /// Everything else that is kept of the person: what rules and templates see as `profile.<name>`.
    attributes: Map<String, Value>,
}

impl ProfileOut {
    pub(crate) fn new(profile: Profile) -> Self {
        let id = profile.id().to_string();
        let (mut reserved, mut attributes) = (Map::new(), Map::new());
        for (name, value) in profile.into_document() {
            if name == "id" {
                continue;
            }
            let to = if campaign::profile::RESERVED.contains(&name.as_str()) {
                &mut reserved
            } else {
                &mut attributes
            };
            to.insert(name, value);
        }
        Self { id, reserved, attributes }
    }
}

/// What is wrong with a profile, in the fields of the API.
pub(crate) fn problem(error: &ProfileError) -> Problem {
    match error {
        ProfileError::Field { field, message } => Problem::field(field.clone(), message.clone()),
        ProfileError::TooLarge(_) => {
            Problem::fields(Kind::InvalidField, vec![FieldError::new("attributes", error.to_string())])
        }
    }
}
