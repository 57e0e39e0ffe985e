//! What is to be said of a version before it is activated: errors, which stop it, and warnings, which do not.
//!
//! The API answers with it when asked, and activation asks by itself.

mod audience;
mod calls;
mod contents;
mod links;
mod lowering;
mod rate;
mod schedule;
mod sms;
mod topic;
mod waves;
mod webhook;

use campaign::model::Finding;
use campaign::version::Action;
use campaign::{Campaign, CampaignType, Configuration, Version};
use store::{Store, StoreError};

use crate::audience::Audience;

pub use self::lowering::{Lowering, ask_activation};
pub use self::rate::Estimate;
use self::rate::Rated;

/// What is to be said of a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validation {
    /// Everything there is to say, in the order of the version's fields.
    pub findings: Vec<Finding>,
    /// About how long it takes to be sent; `None` where no configuration has a rate.
    pub estimate: Option<Estimate>,
}

/// Everything that is to be said of a version.
///
/// | code | severity | |
/// |---|---|---|
/// | `no_audience` | error | no segment is named |
/// | `segment_missing` | error | there is no such segment |
/// | `invalid_rule` | error | the segment's rule does not compile |
/// | `empty_segment` | warning | nobody was found in it |
/// | `no_actions` | error | nothing is to be sent |
/// | `no_configuration`, `configuration_missing` | error | an action does not say how to send |
/// | `configuration_channel`, `configuration_category` | error | the configuration is of another channel or category |
/// | `unknown_time_zone`, `invalid_time` | error | the schedule or the campaign's end names no instant |
/// | `start_in_past` | error | the start is further back than the misfire grace |
/// | `no_occurrence_left` | error | the last occurrence of a recurring schedule has passed |
/// | `ends_in_past` | error | the campaign's end has passed |
/// | `ends_before_start` | error | the campaign ends before its next start |
/// | `hour_passed` | warning | in recipients' own time, the hour has passed somewhere |
/// | `zones_after_end` | warning | in recipients' own time, the campaign ends before it is the hour everywhere |
/// | `waves_count`, `waves_sizes`, `waves_percent` | error | waves are too few or many, or no whole |
/// | `waves_times`, `waves_order`, `waves_too_long`, `waves_recurring` | error | their times make no sense |
/// | `waves_before_start`, `waves_after_end` | error | the first is before the start, or the last after the campaign's end |
/// | `waves_recipient_time` | error | there are waves, and recipients' own time |
/// | `waves_overlap` | warning | the last wave starts when the next occurrence does, or after it |
/// | `rate_slow` | warning | the audience takes longer than a day at the configuration's rate |
/// | `rate_too_slow` | warning | it takes longer than until the next occurrence, the next wave or the campaign's end |
/// | `render_failed` | error | the content can't be rendered for a sample profile |
/// | `push_too_large` | error | a push notification is larger for a sample profile than Firebase Cloud Messaging takes |
/// | `sms_too_long` | error, warning | a text message takes more segments than are allowed for all sample profiles, for some |
/// | `sms_ucs2` | warning | a text message has characters that GSM-7 lacks, so that less goes into a segment |
/// | `no_opt_out_wording` | error | a text message for marketing does not say how to opt out, as the configuration asks |
/// | `missing_value` | warning | a sample profile would be left out for a missing value |
/// | `templated_host` | error | data chooses a webhook's host, and the configuration has no allowed hosts |
/// | `host_not_allowed` | error | a webhook's host is not one of the configuration's allowed hosts |
/// | `no_unsubscribe_link` | error | an email for marketing has no `{{links.unsubscribe}}` in its HTML, or in a text of its own |
/// | `view_link_not_available` | error | an email that calls start has `{{links.view}}`: what a call brings is not kept |
/// | `link_without_scheme` | warning | a link of an email begins with `www.` and so leads nowhere |
/// | `undefined_variable` | warning | a variable has no value in any sample profile |
/// | `topic_missing` | error | there is no such topic |
/// | `topic_category` | error | a transactional campaign names a topic |
/// | `schedule_not_used`, `waves_not_used` | error | calls start it, and it is planned otherwise |
/// | `lowered_too_large` | error | with MJML and CSS worked in, the content is too large to be stored |
/// | `not_lowered` | error | the activation was asked for by a program that did not lower the content |
/// | those of [`content::ContentError`] | error | the content does not compile |
///
/// # Errors
/// Where the store can't be read.
pub async fn validate(
    store: &Store,
    campaign: &Campaign,
    version: &Version,
    lowering: &Lowering,
) -> Result<Validation, StoreError> {
    let mut findings = Vec::new();
    let now = store.platform.clock.now();
    let apart = schedule::shortest_interval(version, now);
    let mut rated = Vec::new();
    let is_called = campaign.kind == CampaignType::ApiTriggered;
    let audience = if is_called {
        // Each call brings its own, and what templates need with it.
        Audience::default()
    } else {
        audience::check(store, version, &mut findings).await?
    };
    if version.actions.is_empty() {
        findings.push(Finding::error("no_actions", "actions", "there is nothing to send: add an action"));
    }
    topic::check(store, campaign, version, &mut findings).await?;
    for (index, (action, content)) in version.actions.iter().zip(&lowering.contents).enumerate() {
        let configuration = configuration(store, campaign, action, index, &mut findings).await?;
        if let Some(rate) = configuration.as_ref().and_then(|found| found.rate_per_second) {
            share(&mut rated, action, rate, index);
        }
        match content {
            Ok(lowered) => {
                if let Some(configuration) = &configuration {
                    webhook::check(&lowered.content, configuration, index, &mut findings);
                }
                links::check(&lowered.content, campaign, index, &mut findings);
                let (missing, samples) = (version.on_missing, &audience.samples);
                let rendered = contents::guarded(index, |findings| {
                    contents::check_renders(lowered, index, missing, samples, findings);
                    sms::check(&lowered.content, configuration.as_ref(), missing, samples, index, findings);
                });
                findings.extend(rendered);
            }
            // What several contents are too large for together is said of each.
            Err(errors) => {
                for error in errors {
                    if !findings.contains(error) {
                        findings.push(error.clone());
                    }
                }
            }
        }
    }
    if is_called {
        calls::check(version, now, &mut findings);
        return Ok(Validation { findings, estimate: None });
    }
    let start = schedule::check(campaign, version, now, &mut findings);
    waves::check(version, start.unwrap_or(now), apart, &mut findings);
    rate::check(&rated, audience.size, version, start, apart, &mut findings);
    Ok(Validation { findings, estimate: rate::estimate(&rated, audience.size) })
}

/// About how long a version takes to be sent, as things stand now; `None` where no configuration of it has a rate, or it
/// has no audience.
///
/// # Errors
/// Where the store can't be read.
pub async fn estimate(store: &Store, version: &Version) -> Result<Option<Estimate>, StoreError> {
    let Some(recipients) = audience::size(store, version).await? else { return Ok(None) };
    let mut rated = Vec::new();
    for (index, action) in version.actions.iter().enumerate() {
        let Some(id) = action.configuration else { continue };
        match store.configurations.get(id).await {
            Ok(found) => {
                if let Some(rate) = found.value.rate_per_second {
                    share(&mut rated, action, rate, index);
                }
            }
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(rate::estimate(&rated, recipients))
}

/// Adds an action to those that share its configuration's rate.
fn share(rated: &mut Vec<Rated>, action: &Action, rate_per_second: u32, index: usize) {
    let Some(configuration) = action.configuration else { return };
    match rated.iter_mut().find(|rated| rated.configuration == configuration) {
        Some(rated) => rated.actions.push(index),
        None => rated.push(Rated { configuration, rate_per_second, actions: vec![index] }),
    }
}

/// Checks how an action is sent; its configuration, where there is one.
async fn configuration(
    store: &Store,
    campaign: &Campaign,
    action: &Action,
    index: usize,
    findings: &mut Vec<Finding>,
) -> Result<Option<Configuration>, StoreError> {
    let field = format!("actions[{index}].configuration_id");
    let Some(id) = action.configuration else {
        findings.push(Finding::error("no_configuration", field, "the action names no channel configuration"));
        return Ok(None);
    };
    let configuration = match store.configurations.get(id).await {
        Err(StoreError::NotFound { .. }) => {
            findings.push(Finding::error(
                "configuration_missing",
                field,
                format!("there is no configuration {id}"),
            ));
            return Ok(None);
        }
        found => found?.value,
    };
    let channel = configuration.sender.channel();
    if channel != action.channel {
        let message =
            format!("the configuration is for {}, the action for {}", channel.name(), action.channel.name());
        findings.push(Finding::error("configuration_channel", field.clone(), message));
    }
    if configuration.category != campaign.category {
        let message = "the configuration is for campaigns of the other category";
        findings.push(Finding::error("configuration_category", field, message));
    }
    Ok(Some(configuration))
}
