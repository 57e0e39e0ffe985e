//! Compiled contents, kept for as long as the process lives: an activated version never changes, so none goes stale.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use campaign::segment::Rule;
use campaign::{CampaignId, ConfigurationId, TopicId};
use store::{Store, StoreError};

use crate::Sender;

/// The most that are kept; beyond it all are dropped, and those in use compiled anew.
const KEPT: usize = 64;

type Name = (CampaignId, u32, u8);

/// One action, ready to deliver.
pub(crate) struct Compiled<T> {
    /// The configuration it sends by; `None` where a version without one was activated, which validation refuses.
    pub configuration: Option<ConfigurationId>,
    /// What its version is about.
    pub topic: Option<TopicId>,
    /// Its content and whom it reaches (everybody where that is `None`), or why they don't compile.
    pub template: Result<(T, Option<Rule>), String>,
}

pub(crate) struct Templates<T> {
    kept: Mutex<HashMap<Name, Arc<Compiled<T>>>>,
}

impl<T> Default for Templates<T> {
    fn default() -> Self {
        Self { kept: Mutex::default() }
    }
}

impl<T> Templates<T> {
    pub(crate) async fn get<S: Sender<Template = T>>(
        &self,
        store: &Store,
        sender: &S,
        (campaign, version, action): Name,
    ) -> Result<Arc<Compiled<T>>, StoreError> {
        let name = (campaign, version, action);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if let Some(compiled) = kept {
            return Ok(compiled);
        }
        let stored = store.campaigns.version(campaign, version).await?;
        let content = store.campaigns.lowered(campaign, version, action).await?;
        let action = stored.actions.get(usize::from(action));
        let condition = action.and_then(|action| action.condition.as_deref()).map(Rule::compile).transpose();
        let compiled = Arc::new(Compiled {
            configuration: action.and_then(|action| action.configuration),
            topic: stored.topic.clone(),
            template: sender
                .compile(&content)
                .and_then(|template| Ok((template, condition.map_err(|error| error.to_string())?))),
        });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(name, compiled.clone());
        Ok(compiled)
    }
}
