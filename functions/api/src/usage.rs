//! Whether a campaign under way uses something.

use campaign::{ConfigurationId, Status, Version};
use store::StoreError;
use store::campaigns::{Direction, RowQuery, Sort, Span};

use crate::Context;
use crate::error::{Kind, Problem, Result};

/// How many campaigns are read at once.
const PAGE: usize = 100;

/// [`refuse_in_use`] of a channel configuration.
pub(crate) async fn refuse_configuration_in_use(context: &Context, id: ConfigurationId) -> Result<()> {
    refuse_in_use(context, |version| version.actions.iter().any(|action| action.configuration == Some(id)))
        .await
}

/// Refuses where a campaign that is activating, scheduled or live has a version that `uses` it. One that is activated in
/// this very moment is not seen; its start or its next chunk finds the thing gone and says so.
pub(crate) async fn refuse_in_use(context: &Context, uses: impl Fn(&Version) -> bool) -> Result<()> {
    let campaigns = &context.store.campaigns;
    // One status after the other, in the life's order: who goes on from one to the next meanwhile is met there.
    let mut query = RowQuery {
        statuses: vec![Status::Activating, Status::Scheduled, Status::Live],
        sort: Sort::Status,
        direction: Direction::Ascending,
        span: Span::default(),
        after: None,
        limit: PAGE,
    };
    loop {
        let page = campaigns.rows(&query, |_| true).await?;
        for row in &page.rows {
            let under_check = row.draft_version.filter(|_| row.activating_since.is_some());
            for number in row.live_version.into_iter().chain(under_check) {
                let version = match campaigns.version(row.id, number).await {
                    Err(StoreError::NotFound { .. }) => continue,
                    version => version?,
                };
                if uses(&version) {
                    let detail = format!("campaign {} uses it and is {}", row.id, row.status);
                    return Err(Problem::new(Kind::InUse, detail).with("campaign_id", row.id.to_string()));
                }
            }
        }
        if page.next.is_none() {
            return Ok(());
        }
        query.after = page.next;
    }
}
