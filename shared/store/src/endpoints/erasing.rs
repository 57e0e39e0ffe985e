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
/// What is walked through, in this order.
const WALKS: [&str; 3] = [WAITS, DEAD, WAITS];

impl Endpoints {
    /// Removes, of a page of what waits for an endpoint or was given up, the events about a person. How many, and where to
    /// go on.
    ///
    /// An event that is moved meanwhile is met where it goes to, for that lies behind: what waits comes to wait longer, or is given
    /// up. What was given up and is told to wait again is met by the last walk.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn erase(
        &self,
        endpoint: EndpointId,
        person: ProfileId,
        after: Option<String>,
    ) -> Result<(u64, Option<String>), StoreError> {
        let (walk, after) = place(after.as_deref());
        let query = Query::of(tables::endpoint(endpoint), PAGE).prefix(WALKS[walk]).after(after);
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
        let next = match page.next {
            Some(next) => Some(format!("{walk}:{next}")),
            None => Some(walk + 1).filter(|walk| *walk < WALKS.len()).map(|walk| format!("{walk}:")),
        };
        Ok((removed, next))
    }
}

/// In which walk to go on, and behind which key.
fn place(after: Option<&str>) -> (usize, Option<String>) {
    let place = after.and_then(|after| {
        let (walk, key) = after.split_once(':')?;
        let walk = walk.parse().ok().filter(|walk| *walk < WALKS.len())?;
        Some((walk, Some(key.to_owned()).filter(|key| !key.is_empty())))
    });
    place.unwrap_or((0, None))
}

/// Whether an event names somebody by this id.
fn is_about(event: &Item, name: &str) -> bool {
    event.bytes(DOCUMENT).is_some_and(|event| memmem::find(event, name.as_bytes()).is_some())
}
