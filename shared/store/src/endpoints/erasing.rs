//! Erasing what endpoints are still to be told of a person, or could not be told.

use campaign::{EndpointId, ProfileId};
use memchr::memmem;
use platform::{Item, Query, Write};

use super::Endpoints;
use super::parked::{DEAD, WAITS};
use crate::StoreError;
use crate::document::DOCUMENT;
use crate::error::refused;
use crate::tables::{self, CONTROL};

/// How many events are looked at at once: as many as can be removed in one transaction.
const PAGE: usize = platform::table::MAX_TRANSACTION;

impl Endpoints {
    /// Removes, of a page of what waits for an endpoint or was given up, the events about a person. How many, and where to
    /// go on.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn erase(
        &self,
        endpoint: EndpointId,
        person: ProfileId,
        after: Option<String>,
    ) -> Result<(u64, Option<String>), StoreError> {
        let query = Query::of(tables::endpoint(endpoint), PAGE).after(after);
        let page = self.platform.table.query(CONTROL, query).await?;
        let name = person.to_string();
        let writes: Vec<_> = page
            .items
            .into_iter()
            .filter(|item| is_about(item, &name))
            .map(|item| Write::delete(CONTROL, item.key))
            .collect();
        let removed = writes.len() as u64;
        if !writes.is_empty() {
            refused(self.platform.table.transact(writes).await)?;
        }
        Ok((removed, page.next))
    }
}

/// Whether an item is an event that names somebody by this id.
fn is_about(item: &Item, name: &str) -> bool {
    (item.key.sk.starts_with(WAITS) || item.key.sk.starts_with(DEAD))
        && item.bytes(DOCUMENT).is_some_and(|event| memmem::find(event, name.as_bytes()).is_some())
}
