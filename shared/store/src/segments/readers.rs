//! Who still reads a list, or is about to.

use campaign::model::CampaignType;
use campaign::row::CampaignRow;
use campaign::{CallScheduleId, CampaignId, ExecutionId, SegmentId, Status};

use crate::campaigns::{Direction, RowQuery, Sort, Span};
use crate::ledger::{Audience, State};
use crate::{Store, StoreError};

/// How many entries of a list are asked for at once.
const PAGE: usize = 100;

/// Whether a campaign may have open executions: one that calls start is completed at its end, whatever it still sends.
fn may_have_open(row: &CampaignRow) -> bool {
    matches!(row.status, Status::Scheduled | Status::Live) || row.kind == CampaignType::ApiTriggered
}

impl Store {
    /// An execution that is open and was started for the members of this list. One that is started in this very moment may not
    /// be seen.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn open_reader(&self, list: SegmentId) -> Result<Option<ExecutionId>, StoreError> {
        // One status after the other, in the life's order: who goes on from one to the next meanwhile is met there.
        let mut query = RowQuery {
            statuses: vec![Status::Scheduled, Status::Live, Status::Completed, Status::Archived],
            sort: Sort::Status,
            direction: Direction::Ascending,
            span: Span::default(),
            after: None,
            limit: PAGE,
        };
        loop {
            let page = self.campaigns.rows(&query, may_have_open).await?;
            for row in &page.rows {
                if let Some(execution) = self.open_reader_of(row.id, list).await? {
                    return Ok(Some(execution));
                }
            }
            if page.next.is_none() {
                return Ok(None);
            }
            query.after = page.next;
        }
    }

    /// The same, of one campaign.
    async fn open_reader_of(
        &self,
        campaign: CampaignId,
        list: SegmentId,
    ) -> Result<Option<ExecutionId>, StoreError> {
        let mut open = match self.campaigns.get(campaign).await {
            Err(StoreError::NotFound { .. }) => return Ok(None),
            campaign => campaign?.open_executions,
        };
        let mut after = None;
        // The latest come first, and so do those that are open: what lies behind them need not be read.
        while open > 0 {
            let (page, next) = self.ledger.executions(campaign, after, PAGE).await?;
            for summary in page.iter().filter(|summary| summary.ended_at.is_none()) {
                let Some(head) = self.ledger.head(summary.id).await? else { continue };
                let is_of = matches!(&head.audience, Audience::List { segment, .. } if *segment == list);
                if is_of && State::OPEN.contains(&head.state) {
                    return Ok(Some(head.id));
                }
                open -= 1;
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        Ok(None)
    }

    /// A call to a segment that is planned for an instant to come.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn planned_call_to(&self, segment: SegmentId) -> Result<Option<CallScheduleId>, StoreError> {
        let mut after = None;
        loop {
            let (calls, next) = self.planned_calls(after, PAGE).await?;
            if let Some(call) = calls.iter().find(|planned| planned.call.segment == Some(segment)) {
                return Ok(Some(call.id));
            }
            after = next;
            if after.is_none() {
                return Ok(None);
            }
        }
    }
}
