//! What is to be said of a version before it is activated: errors, which stop it, and warnings, which do not.
//!
//! The API answers with it when asked, and activation asks by itself.

mod audience;
mod contents;
mod schedule;

use std::time::Duration;

use campaign::content::Content;
use campaign::model::Finding;
use campaign::version::Action;
use campaign::{Campaign, Version};
use store::{Store, StoreError};

/// Everything that is to be said of a version, in the order of its fields.
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
/// | `rate_slow` | warning | the audience takes longer than a day at the configuration's rate |
/// | `occurrences_overlap` | warning | it takes longer than from one occurrence to the next |
/// | `render_failed` | error | the content can't be rendered for a sample profile |
/// | `missing_value` | warning | a sample profile would be left out for a missing value |
/// | `undefined_variable` | warning | a variable has no value in any sample profile |
/// | those of [`content::ContentError`] | error | the content does not compile |
///
/// # Errors
/// Where the store can't be read.
pub async fn validate(
    store: &Store,
    campaign: &Campaign,
    version: &Version,
    contents: &[Content],
) -> Result<Vec<Finding>, StoreError> {
    let mut findings = Vec::new();
    let now = store.platform.clock.now();
    let shortest_interval = schedule::shortest_interval(version, now);
    let audience = audience::check(store, version, &mut findings).await?;
    if version.actions.is_empty() {
        findings.push(Finding::error("no_actions", "actions", "there is nothing to send: add an action"));
    }
    for (index, (action, content)) in version.actions.iter().zip(contents).enumerate() {
        configuration(store, campaign, action, index, audience.size, shortest_interval, &mut findings)
            .await?;
        contents::check(content, index, version.on_missing, &audience.samples, &mut findings);
    }
    schedule::check(campaign, version, now, &mut findings);
    Ok(findings)
}

async fn configuration(
    store: &Store,
    campaign: &Campaign,
    action: &Action,
    index: usize,
    audience: u64,
    shortest_interval: Option<Duration>,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let field = format!("actions[{index}].configuration_id");
    let Some(id) = action.configuration else {
        findings.push(Finding::error("no_configuration", field, "the action names no channel configuration"));
        return Ok(());
    };
    let configuration = match store.configurations.get(id).await {
        Err(StoreError::NotFound { .. }) => {
            findings.push(Finding::error(
                "configuration_missing",
                field,
                format!("there is no configuration {id}"),
            ));
            return Ok(());
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
        findings.push(Finding::error("configuration_category", field.clone(), message));
    }
    if let Some(rate) = configuration.rate_per_second {
        let takes = Duration::from_secs(audience / u64::from(rate.max(1)));
        let hours = takes.as_secs() / 3600;
        let estimate = format!("about {audience} recipients at {rate} a second take about {hours} hours");
        if let Some(interval) = shortest_interval.filter(|interval| takes > *interval) {
            let apart = interval.as_secs() / 3600;
            let message = format!("{estimate}, and occurrences are {apart} hours apart: they would overlap");
            findings.push(Finding::warning("occurrences_overlap", field, message));
        } else if hours >= 24 {
            findings.push(Finding::warning("rate_slow", field, estimate));
        }
    }
    Ok(())
}
