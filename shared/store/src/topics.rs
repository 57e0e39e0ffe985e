//! Topics: what marketing may be about. They are few, and one item.

use campaign::topic::{MAX_TOPICS, Topic, TopicId};
use platform::{Consistency, Key, Platform};

use crate::StoreError;
use crate::document;
use crate::error::refused;
use crate::tables::{CONTROL, TOPICS};

const WHAT: &str = "topic";
/// How often a change is tried anew when others change the topics at the same time.
const TRIES: usize = 5;

/// The repository of topics.
#[derive(Debug, Clone)]
pub struct Topics {
    platform: Platform,
}

impl Topics {
    /// Over this platform.
    pub const fn new(platform: Platform) -> Self {
        Self { platform }
    }

    /// All of them, by id.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn list(&self) -> Result<Vec<Topic>, StoreError> {
        Ok(self.read().await?.0)
    }

    /// The topic of this id.
    ///
    /// # Errors
    /// As the engine's.
    pub async fn find(&self, id: &TopicId) -> Result<Option<Topic>, StoreError> {
        Ok(self.list().await?.into_iter().find(|topic| topic.id == *id))
    }

    /// Stores a topic in place of the one of its id; says whether it is new.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where a name is none, or there are [`MAX_TOPICS`]; as the engine's;
    /// [`StoreError::Contended`].
    pub async fn put(&self, topic: &Topic) -> Result<bool, StoreError> {
        topic.check().map_err(|error| StoreError::invalid(error.field, error.message))?;
        for _ in 0..TRIES {
            let (mut topics, revision) = self.read().await?;
            let is_new = match topics.binary_search_by(|found| found.id.cmp(&topic.id)) {
                Ok(at) => {
                    topics[at] = topic.clone();
                    false
                }
                Err(_) if topics.len() >= MAX_TOPICS => {
                    let message = format!("there are {MAX_TOPICS} topics already, which is the most");
                    return Err(StoreError::invalid("id", message));
                }
                Err(at) => {
                    topics.insert(at, topic.clone());
                    true
                }
            };
            if self.write(&topics, revision).await? {
                return Ok(is_new);
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// Removes a topic. What profiles say of it stays with them, and counts again should it come back.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; as the engine's; [`StoreError::Contended`].
    pub async fn delete(&self, id: &TopicId) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let (mut topics, revision) = self.read().await?;
            let before = topics.len();
            topics.retain(|topic| topic.id != *id);
            if topics.len() == before {
                return Err(StoreError::not_found(WHAT, id));
            }
            if self.write(&topics, revision).await? {
                return Ok(());
            }
        }
        Err(StoreError::Contended { what: WHAT })
    }

    /// The topics by id, and the revision of their item.
    async fn read(&self) -> Result<(Vec<Topic>, i64), StoreError> {
        let item = self.platform.table.get(CONTROL, &key(), Consistency::Strong).await?;
        let found = item.map(|item| document::revised(WHAT, &item)).transpose()?;
        Ok(found.map(|found| (found.value, found.revision)).unwrap_or_default())
    }

    /// Whether nobody had changed them.
    async fn write(&self, topics: &[Topic], revision: i64) -> Result<bool, StoreError> {
        let write = document::put(CONTROL, WHAT, key(), &topics, revision)?;
        Ok(refused(self.platform.table.transact(vec![write]).await)?.is_none())
    }
}

fn key() -> Key {
    Key::new(TOPICS, "ALL")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use platform::SystemClock;
    use platform::embedded::Embedded;

    use super::*;

    fn topic(id: &str, name: &str) -> Topic {
        Topic { id: id.parse().unwrap(), names: [("en".to_owned(), name.to_owned())].into() }
    }

    #[tokio::test]
    async fn topics_are_listed_by_id_changed_and_removed() {
        let topics = Topics::new(Embedded::in_memory(Arc::new(SystemClock)).platform());
        assert!(topics.put(&topic("offers", "Offers")).await.unwrap());
        assert!(topics.put(&topic("news", "News")).await.unwrap());
        assert!(!topics.put(&topic("offers", "Best offers")).await.unwrap());
        let all = [topic("news", "News"), topic("offers", "Best offers")];
        assert_eq!(topics.list().await.unwrap(), all);
        assert_eq!(topics.find(&all[1].id).await.unwrap().as_ref(), Some(&all[1]));
        topics.delete(&all[1].id).await.unwrap();
        assert_eq!(topics.find(&all[1].id).await.unwrap(), None);
        assert!(matches!(topics.delete(&all[1].id).await, Err(StoreError::NotFound { .. })));
        let nameless = Topic { names: [].into(), ..topic("x", "") };
        assert!(matches!(topics.put(&nameless).await, Err(StoreError::Invalid { .. })));
    }

    #[tokio::test]
    async fn topics_have_a_most() {
        let topics = Topics::new(Embedded::in_memory(Arc::new(SystemClock)).platform());
        for number in 0..MAX_TOPICS {
            topics.put(&topic(&format!("t{number}"), "x")).await.unwrap();
        }
        assert!(matches!(topics.put(&topic("more", "x")).await, Err(StoreError::Invalid { .. })));
        assert!(!topics.put(&topic("t0", "y")).await.unwrap());
    }
}
