//! What a version is about.

use campaign::model::Finding;
use campaign::{Campaign, Category, Version};
use store::{Store, StoreError};

pub(crate) async fn check(
    store: &Store,
    campaign: &Campaign,
    version: &Version,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let Some(topic) = &version.topic else { return Ok(()) };
    if campaign.category != Category::Marketing {
        let message = "only marketing has a topic: transactional messages go to everybody they are meant for";
        findings.push(Finding::error("topic_category", "topic", message));
    }
    if store.topics.find(topic).await?.is_none() {
        findings.push(Finding::error("topic_missing", "topic", format!("there is no topic {topic}")));
    }
    Ok(())
}
