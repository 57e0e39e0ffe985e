//! Templates that were compiled before: anybody can ask for a page as often as they like, and compiling takes a thousand
//! times as long as rendering.

use std::sync::{Arc, Mutex, PoisonError};

use campaign::CampaignId;
use content::EmailTemplate;

/// How many are kept. Pages are asked for in the days after a run, so a few versions are most of it.
const MOST: usize = 8;

/// Of which campaign, which of its versions and which of that version's actions. None changes once it was sent.
pub(crate) type Key = (CampaignId, u32, u8);

/// The templates used last, the last of all at the end.
#[derive(Debug, Default)]
pub(crate) struct Templates(Mutex<Vec<(Key, Arc<EmailTemplate>)>>);

impl Templates {
    pub(crate) fn get(&self, key: Key) -> Option<Arc<EmailTemplate>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| *known == key)?;
        let found = kept.remove(at);
        let template = Arc::clone(&found.1);
        kept.push(found);
        Some(template)
    }

    pub(crate) fn keep(&self, key: Key, template: Arc<EmailTemplate>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, _)| *known != key);
        if kept.len() == MOST {
            kept.remove(0);
        }
        kept.push((key, template));
    }
}

#[cfg(test)]
mod tests {
    use campaign::lowered::{EMAIL_FORMAT, LoweredEmail};

    use super::*;

    #[test]
    fn the_templates_used_last_are_kept() {
        let (templates, campaign) = (Templates::default(), CampaignId::from_bytes([1; 16]));
        let email = LoweredEmail { format: EMAIL_FORMAT, ..LoweredEmail::default() };
        let template = Arc::new(EmailTemplate::from_lowered(&email).unwrap());
        let versions = |range: std::ops::Range<u32>| {
            range.filter(|version| templates.get((campaign, *version, 0)).is_some()).collect::<Vec<_>>()
        };
        for version in 0..8 {
            templates.keep((campaign, version, 0), Arc::clone(&template));
        }
        templates.keep((campaign, 7, 0), Arc::clone(&template));
        assert_eq!(versions(0..9), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(templates.get((campaign, 0, 0)).is_some_and(|found| Arc::ptr_eq(&found, &template)));
        templates.keep((campaign, 8, 0), Arc::clone(&template));
        assert_eq!(versions(0..9), [0, 2, 3, 4, 5, 6, 7, 8]);
        assert!(templates.get((campaign, 0, 1)).is_none());
    }
}
