//! Which campaigns take calls now, remembered for a moment: a stop or a new version is seen within two seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use campaign::address::Country;
use campaign::configuration::Sender;
use campaign::model::{Campaign, CampaignType};
use campaign::{CampaignId, Channel, Status, Version};
use jiff::Timestamp;
use store::StoreError;
use store::calls::{Opening, opening};

use crate::Context;
use crate::error::{Kind, Problem, Result};

/// How long what was read is taken to hold.
const REMEMBER: Duration = Duration::from_secs(1);
/// The most campaigns that are remembered.
const MOST: usize = 1000;

/// A campaign and its live version.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) campaign: Campaign,
    pub(super) version: Version,
    /// Of which country phone numbers are that are given without a country code: that of its channel configuration for SMS,
    /// where it has one.
    pub(super) country: Option<Country>,
}

/// Campaigns, remembered for a moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveCampaigns {
    kept: Arc<Mutex<Kept>>,
}

/// Campaigns, and until when what was read is taken to hold.
type Kept = HashMap<CampaignId, (Duration, Arc<Live>)>;

impl LiveCampaigns {
    /// The campaign, where it takes calls now.
    pub(super) async fn get(&self, context: &Context, id: CampaignId) -> Result<Arc<Live>> {
        self.get_for(context, id, context.now()).await
    }

    /// The campaign, where it is live now and takes calls at `at`.
    pub(super) async fn get_for(
        &self,
        context: &Context,
        id: CampaignId,
        at: Timestamp,
    ) -> Result<Arc<Live>> {
        let clock = &*context.store.platform.clock;
        let now = clock.monotonic();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let live = match kept {
            Some((until, live)) if now < until => live,
            _ => {
                let live = Arc::new(read(context, id).await?);
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() >= MOST {
                    kept.clear();
                }
                kept.insert(id, (now + REMEMBER, Arc::clone(&live)));
                live
            }
        };
        match opening(&live.campaign, &live.version, at)? {
            Opening::Open => Ok(live),
            Opening::From(opens) => Err(too_early(id, opens)),
            Opening::Until(closes) => Err(too_late(id, closes)),
        }
    }
}

async fn read(context: &Context, id: CampaignId) -> Result<Live> {
    let campaigns = &context.store.campaigns;
    let campaign = match campaigns.get(id).await {
        Err(StoreError::NotFound { .. }) => return Err(Problem::not_found("campaign", id)),
        campaign => campaign?,
    };
    if campaign.kind != CampaignType::ApiTriggered {
        let detail = format!("campaign {id} is started by its schedule, not by calls");
        return Err(Problem::new(Kind::NotApiTriggered, detail));
    }
    match campaign.live_version {
        Some(number) if campaign.status == Status::Live => {
            let version = campaigns.version(id, number).await?;
            let country = country(context, &version).await?;
            Ok(Live { campaign, version, country })
        }
        _ => Err(not_live(&campaign)),
    }
}

async fn country(context: &Context, version: &Version) -> Result<Option<Country>> {
    let mut by_sms = version.actions.iter().filter(|action| action.channel == Channel::Sms);
    // Where there are several, none says it for the call.
    let (Some(action), None) = (by_sms.next(), by_sms.next()) else { return Ok(None) };
    let Some(id) = action.configuration else { return Ok(None) };
    match context.store.configurations.get(id).await {
        Err(StoreError::NotFound { .. }) => Ok(None),
        found => Ok(match &found?.value.sender {
            Sender::Sms(sms) => sms.default_country.as_deref().and_then(Country::of_letters),
            _ => None,
        }),
    }
}

fn not_live(campaign: &Campaign) -> Problem {
    let detail = format!("campaign {} is {}: it takes calls while it is live", campaign.id, campaign.status);
    Problem::new(Kind::CampaignNotLive, detail).with("campaign_status", campaign.status.name())
}

/// A call for an instant before the campaign's start.
pub(super) fn too_early(id: CampaignId, opens: Timestamp) -> Problem {
    let detail = format!("campaign {id} takes calls from its start at {opens} on");
    Problem::new(Kind::CampaignNotStarted, detail).with("starts_at", opens.to_string())
}

/// A call for an instant at which the campaign has ended.
pub(super) fn too_late(id: CampaignId, closes: Timestamp) -> Problem {
    let detail = format!("campaign {id} takes calls until its end at {closes}");
    Problem::new(Kind::CampaignEnded, detail).with("ended_at", closes.to_string())
}
