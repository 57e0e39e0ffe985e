//! Calls to an audience: at once, or at an instant that the call names.

use std::sync::Arc;

use campaign::call::Call;
use campaign::model::{Actor, CampaignType};
use campaign::segment::SegmentKind;
use campaign::{CallScheduleId, Campaign, CampaignId, ExecutionId, SegmentId, Status, Version};
use jiff::{SignedDuration, Timestamp};
use platform::{Change, Condition, Consistency, Due, Item, Key, Query, WakeUp as Alarm, Write};
use serde::{Deserialize, Serialize};

use crate::document::{self, DOCUMENT};
use crate::error::refused;
use crate::ledger::{Audience, CallRequest, Head, Placed, plan_write};
use crate::messages::WakeUp;
use crate::tables::{self, CONTROL};
use crate::{Store, StoreError};

const WHAT: &str = "call schedule";
const STATE: &str = "state";
const EXECUTION: &str = "execution";
const WHY: &str = "why";
/// How often a start is tried anew when others change the campaign at the same time.
const TRIES: usize = 10;
/// How soon a call that could not be made is looked at again.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);
/// How long a schedule can be read after its time, in seconds.
const KEEP_SECONDS: i64 = 120 * 24 * 3600;

/// What a call to an audience asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudienceCall {
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Who gets it; the segment of the live version where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<SegmentId>,
    /// The call as it was made.
    pub request: CallRequest,
    /// What templates see as `context`.
    #[serde(default)]
    pub call: Call,
}

/// What starting a call to an audience came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It runs.
    New(Box<Head>),
    /// It was started before.
    Before(Box<Head>),
    /// Under its name something else was asked for before.
    Other,
    /// The campaign takes no calls now.
    NotLive(Box<Campaign>),
    /// The campaign is live, and its start lies ahead.
    TooEarly(Timestamp),
    /// The campaign is live, and its end has passed.
    TooLate(Timestamp),
    /// There is no such campaign.
    NoCampaign,
    /// The segment is not named or not there.
    NoSegment,
}

/// Whether a live version takes calls at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// It does.
    Open,
    /// Not before this one.
    From(Timestamp),
    /// Only before this one.
    Until(Timestamp),
}

/// Whether a campaign's live version takes calls at an instant.
///
/// # Errors
/// [`StoreError::Invalid`] where its schedule can't be read.
pub fn opening(campaign: &Campaign, version: &Version, at: Timestamp) -> Result<Opening, StoreError> {
    if let Some(closes) = campaign.closes.filter(|closes| *closes <= at) {
        return Ok(Opening::Until(closes));
    }
    let opens = version.opens().map_err(|error| StoreError::invalid("schedule", error.to_string()))?;
    Ok(opens.filter(|opens| *opens > at).map_or(Opening::Open, Opening::From))
}

/// What planning a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Planned {
    /// It is the first under its name.
    New,
    /// It was planned before, as this.
    Before(Box<CallSchedule>),
    /// It was planned before, and taken back.
    TakenBack,
    /// Under its name something else was asked for before.
    Other,
}

/// Where a scheduled call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallState {
    /// Its time is to come.
    Scheduled,
    /// Its time has come.
    Triggered,
}

/// A call to an audience that is made at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSchedule {
    /// Its id.
    pub id: CallScheduleId,
    /// What is asked for.
    pub call: AudienceCall,
    /// When.
    pub execute_at: Timestamp,
    /// When that was asked.
    pub created_at: Timestamp,
    /// Where it stands.
    #[serde(skip, default = "scheduled")]
    pub state: CallState,
    /// Its execution, once it runs.
    #[serde(skip)]
    pub execution: Option<ExecutionId>,
    /// Why it does not run though its time has come.
    #[serde(skip)]
    pub why: Option<String>,
}

const fn scheduled() -> CallState {
    CallState::Scheduled
}

impl Store {
    /// Who a segment holds as it stands now, and about how many they are; `None` where it is gone.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn audience(&self, segment: SegmentId) -> Result<Option<(Audience, u64)>, StoreError> {
        let found = match self.segments.get(segment).await {
            Err(StoreError::NotFound { .. }) => return Ok(None),
            found => found?.value,
        };
        Ok(Some(match found.kind {
            SegmentKind::Rule { expression } => {
                (Audience::Rule { segment, expression }, self.profiles.estimate().await?)
            }
            SegmentKind::List { generation, partitions, members } => {
                (Audience::List { segment, generation, partitions }, members)
            }
        }))
    }

    /// Starts a call to an audience as execution `id`, together with `further` writes, however often it is asked to.
    ///
    /// # Errors
    /// [`StoreError::Contended`], or as the engine's.
    pub async fn start_call(
        &self,
        id: ExecutionId,
        call: &AudienceCall,
        further: &[Write],
    ) -> Result<Started, StoreError> {
        for _ in 0..TRIES {
            let mut campaign = match self.campaigns.get(call.campaign).await {
                Err(StoreError::NotFound { .. }) => return Ok(Started::NoCampaign),
                campaign => campaign?,
            };
            match self.ledger.placed_before(id, Some(&call.request)).await? {
                Placed::New | Placed::Planned => {}
                Placed::Before(head) => return Ok(Started::Before(head)),
                Placed::Other => return Ok(Started::Other),
            }
            let now = self.platform.clock.now();
            let live = campaign.live_version.filter(|_| campaign.status == Status::Live);
            let (Some(live), CampaignType::ApiTriggered) = (live, campaign.kind) else {
                return Ok(Started::NotLive(Box::new(campaign)));
            };
            let version = self.campaigns.version(campaign.id, live).await?;
            match opening(&campaign, &version, now)? {
                Opening::Open => {}
                Opening::From(opens) => return Ok(Started::TooEarly(opens)),
                Opening::Until(closes) => return Ok(Started::TooLate(closes)),
            }
            let audience = match call.segment.or(version.segment) {
                Some(segment) => self.audience(segment).await?,
                None => None,
            };
            let Some((audience, size)) = audience else { return Ok(Started::NoSegment) };
            let head = Head {
                request: Some(call.request.clone()),
                call: Some(Arc::new(call.call.clone())),
                ..Head::new(id, &campaign, &version, audience, size, now)
            };
            campaign.open_executions += 1;
            if self.ledger.start(&campaign, &head, further.to_vec()).await? {
                return Ok(Started::New(Box::new(head)));
            }
        }
        Err(StoreError::Contended { what: "campaign" })
    }

    /// What was planned or made under a call's name before, held against what is asked for now. [`Planned::New`] where
    /// nothing was.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn planned_before(&self, call: &AudienceCall) -> Result<Planned, StoreError> {
        let id = call_schedule_id(call.campaign, &call.request.id);
        match self.call_schedule(id).await {
            Ok(before) if before.call.request.hash == call.request.hash => {
                return Ok(Planned::Before(Box::new(before)));
            }
            Ok(_) => return Ok(Planned::Other),
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(match self.ledger.placed_before(execution_of(id), Some(&call.request)).await? {
            Placed::New => Planned::New,
            Placed::Planned => Planned::TakenBack,
            Placed::Before(_) | Placed::Other => Planned::Other,
        })
    }

    /// Plans a call, and takes the name of its execution for it. Asking again under the same id changes nothing.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn plan_call(&self, schedule: &CallSchedule) -> Result<Planned, StoreError> {
        let mut item = Item::new(tables::call_schedule(schedule.id))
            .with(DOCUMENT, document::encode(WHAT, schedule)?)
            .with(STATE, CallState::Scheduled.name());
        let at_ms = schedule.execute_at.as_millisecond();
        item.due = Some(Due { bucket: tables::bucket(schedule.id.as_bytes()), at_ms });
        let expires = schedule.execute_at.as_second() + KEEP_SECONDS;
        item.expires = Some(expires);
        let writes = vec![
            Write::put(CONTROL, item).when(Condition::NotExists),
            plan_write(execution_of(schedule.id), &schedule.call.request, expires),
        ];
        // Whoever gets this message asks to be woken. If it is lost, the sweep finds the schedule by its due time.
        let messages = vec![WakeUp::Call { schedule: schedule.id }.message()];
        if refused(self.platform.commit(writes, messages).await)?.is_some() {
            return self.planned_before(&schedule.call).await;
        }
        Ok(Planned::New)
    }

    /// A planned call.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn call_schedule(&self, id: CallScheduleId) -> Result<CallSchedule, StoreError> {
        let item = self.platform.table.get(CONTROL, &tables::call_schedule(id), Consistency::Strong).await?;
        item.as_ref().map_or_else(|| Err(StoreError::not_found("schedule", id)), read)
    }

    /// Planned calls whose time has come by then, at most `limit` of each due bucket.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn due_calls(&self, until: Timestamp, limit: usize) -> Result<Vec<CallScheduleId>, StoreError> {
        let mut due = Vec::new();
        for bucket in 0..platform::table::DUE_BUCKETS {
            let items = self.platform.table.query_due(CONTROL, bucket, until.as_millisecond(), limit).await?;
            due.extend(items.iter().filter_map(|item| schedule_of(&item.key)));
        }
        Ok(due)
    }

    /// A page of the planned calls whose time has not come, and where to go on.
    pub(crate) async fn planned_calls(
        &self,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<CallSchedule>, Option<String>), StoreError> {
        let query = Query::of(tables::CALL_SCHEDULES, limit).after(after);
        let page = self.platform.table.query(CONTROL, query).await?;
        let calls: Vec<_> = page.items.iter().map(read).collect::<Result<_, _>>()?;
        Ok((calls.into_iter().filter(|call| call.state == CallState::Scheduled).collect(), page.next))
    }

    /// Takes a planned call back. False where its time has come. The name of its execution stays taken for as long as the
    /// plan would have been kept, so that a late repeat of the request plans nothing anew.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn cancel_call(&self, id: CallScheduleId) -> Result<bool, StoreError> {
        let delete = Write::delete(CONTROL, tables::call_schedule(id)).when(still_scheduled());
        Ok(refused(self.platform.table.transact(vec![delete]).await)?.is_none())
    }

    /// Looks at a planned call again later, so that others are looked at before it.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn postpone_call(&self, id: CallScheduleId) -> Result<(), StoreError> {
        let at_ms = (self.platform.clock.now() + PATIENCE).as_millisecond();
        let changes = vec![Change::Due(Some(Due { bucket: tables::bucket(id.as_bytes()), at_ms }))];
        let key = tables::call_schedule(id);
        self.platform.table.update(CONTROL, &key, Some(still_scheduled()), changes).await?;
        Ok(())
    }

    /// Makes a planned call whose time has come; asks to be woken for one whose has not. What can't be started is marked with the reason, and not tried again.
    ///
    /// # Errors
    /// As [`start_call`](Self::start_call).
    pub async fn make_call(&self, id: CallScheduleId) -> Result<(), StoreError> {
        let schedule = match self.call_schedule(id).await {
            Err(StoreError::NotFound { .. }) => return Ok(()),
            schedule => schedule?,
        };
        if schedule.state != CallState::Scheduled {
            return Ok(());
        }
        if schedule.execute_at > self.platform.clock.now() {
            let body = WakeUp::Call { schedule: id }.body();
            let alarm = Alarm { name: format!("call-{id}"), at: schedule.execute_at, body };
            return Ok(self.platform.scheduler.put(alarm).await?);
        }
        let execution = execution_of(id);
        // From now on the execution holds what templates need, as long as it needs it.
        let bare = AudienceCall { call: Call::default(), ..schedule.call.clone() };
        let bare = document::encode(WHAT, &CallSchedule { call: bare, ..schedule.clone() })?;
        let triggered = |name: &str, value: String| {
            let changes = vec![
                Change::set(DOCUMENT, bare.clone()),
                Change::set(STATE, CallState::Triggered.name()),
                Change::set(name, value.as_str()),
                Change::Due(None),
            ];
            Write::update(CONTROL, tables::call_schedule(id), changes).when(still_scheduled())
        };
        let further = triggered(EXECUTION, execution.to_string());
        let why = match self.start_call(execution, &schedule.call, &[further]).await {
            Ok(Started::New(_) | Started::Before(_)) => return Ok(()),
            Ok(Started::NotLive(campaign)) => format!("the campaign was {}", campaign.status),
            Ok(Started::TooEarly(opens)) => format!("the campaign was to start at {opens}"),
            Ok(Started::TooLate(closes)) => format!("the campaign had ended at {closes}"),
            Ok(Started::NoCampaign) => "the campaign was gone".to_owned(),
            Ok(Started::NoSegment) => "the segment was gone".to_owned(),
            Ok(Started::Other) => "its execution is another's".to_owned(),
            Err(error) => {
                // A cancel that was faster makes the start fail, too.
                return match self.call_schedule(id).await {
                    Err(StoreError::NotFound { .. }) => Ok(()),
                    _ => Err(error),
                };
            }
        };
        refused(self.platform.table.transact(vec![triggered(WHY, why)]).await).map(|_| ())
    }
}

impl CallState {
    const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Triggered => "triggered",
        }
    }
}

/// The id of a planned call: the same however often it is asked for.
pub fn call_schedule_id(campaign: CampaignId, request: &str) -> CallScheduleId {
    CallScheduleId::from_bytes(*crate::ledger::call_id(campaign, request).as_bytes())
}

/// The id of the execution of a planned call.
fn execution_of(id: CallScheduleId) -> ExecutionId {
    ExecutionId::from_bytes(*id.as_bytes())
}

/// A request under a name that nobody gave.
pub fn unnamed(by: Actor, hash: String) -> CallRequest {
    CallRequest { id: format!("envoi-{}", ExecutionId::random()), by, hash }
}

fn still_scheduled() -> Condition {
    Condition::equals(STATE, CallState::Scheduled.name())
}

/// The id in the key of a planned call; `None` where the key is another thing's.
pub(crate) fn schedule_of(key: &Key) -> Option<CallScheduleId> {
    if key.pk == tables::CALL_SCHEDULES { key.sk.parse().ok() } else { None }
}

fn read(item: &Item) -> Result<CallSchedule, StoreError> {
    let mut schedule: CallSchedule = document::decode(WHAT, item)?;
    if item.text(STATE) == Some(CallState::Triggered.name()) {
        schedule.state = CallState::Triggered;
    }
    schedule.execution = item.text(EXECUTION).and_then(|id| id.parse().ok());
    schedule.why = item.text(WHY).map(str::to_owned);
    Ok(schedule)
}
