//! A page of a list.

use serde::Serialize;
use utoipa::ToSchema;

/// Some items of a list, and where it goes on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// Give this back as `cursor` for what follows; `null` at the end. A page may be short and still have one.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

/// Which page.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// The `next_cursor` of the page before.
    #[param(min_length = 1)]
    pub(crate) cursor: Option<String>,
    /// How many items at most: 1 to 100, 50 where absent.
    #[param(minimum = 1, maximum = 100, default = 50)]
    pub(crate) limit: Option<usize>,
}
