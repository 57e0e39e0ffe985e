//! What a channel brings to the loop.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use campaign::content::OnMissing;
use campaign::link::Recipient;
use campaign::lowered::LoweredContent;
use campaign::{Category, Channel, Code, Configuration, Profile};
use links::LinkKeys;
use serde_json::Value;
use store::messages::ChunkKey;

use crate::Answer;

/// One channel: how its content is compiled, where a profile is reached, and how its provider is spoken to.
#[async_trait]
pub trait Sender: Send + Sync + 'static {
    /// Which.
    const CHANNEL: Channel;
    /// Whether its messages hold links of ours: who does not need the key they are signed with is not given it.
    const HAS_LINKS: bool = false;
    /// Its content, compiled: done once a process, of what was lowered once a version.
    type Template: Send + Sync + 'static;
    /// A message ready to be handed over.
    type Message: Send + 'static;

    /// Compiles a lowered content.
    ///
    /// # Errors
    /// Says why it can't be, for people. Validation has seen it before, so this is not expected.
    fn compile(&self, content: &LoweredContent) -> Result<Self::Template, String>;

    /// Where the profile is reached: what a suppression would name. `None` where the channel knows no such thing.
    ///
    /// # Errors
    /// [`Code::NoAddress`] or [`Code::InvalidAddress`].
    fn address<'p>(
        &self,
        configuration: &Configuration,
        profile: &'p Profile,
    ) -> Result<Option<&'p str>, Code>;

    /// Whether all that is sent by a configuration goes to one provider, whose silence is everybody's affair.
    fn is_one_provider(&self, _: &Configuration) -> bool {
        true
    }

    /// Renders the message for one profile.
    ///
    /// # Errors
    /// The `failed` or `excluded` code, and why, for people; never with an address or a value in it.
    fn prepare(
        &self,
        job: &Job<'_, Self::Template>,
        profile: Profile,
    ) -> Result<Self::Message, (Code, String)>;

    /// Hands the messages over and returns one answer each, in their order, within `time`. It keeps its own timeouts:
    /// whatever is without an answer then is [`Answer::Ambiguous`] if any of it may have been taken.
    async fn send(
        &self,
        configuration: &Configuration,
        messages: Vec<Self::Message>,
        time: Duration,
    ) -> Vec<Answer>;
}

/// What a message is prepared from.
#[derive(Debug)]
pub struct Job<'a, T> {
    /// The compiled content.
    pub template: &'a T,
    /// How the channel sends.
    pub configuration: &'a Configuration,
    /// What the campaign is for. The configuration may be for something else by now, and then this holds.
    pub category: Category,
    /// What templates see as `context`; `null` where nothing was given.
    pub context: &'a Value,
    /// What to do where a value is missing.
    pub on_missing: OnMissing,
    /// Which logical message this is: the same each time it is prepared.
    pub id: MessageId,
    /// Where it goes instead of the profile's own address; only a proof does.
    pub to: Option<&'a str>,
    /// What links of ours are made from; `None` where the channel has none.
    pub links: Option<JobLinks<'a>>,
    /// The time, in seconds since the Unix epoch.
    pub now_seconds: i64,
}

/// What the links of a message are made from, beside its id and its configuration.
#[derive(Debug, Clone, Copy)]
pub struct JobLinks<'a> {
    /// What they are signed with.
    pub keys: &'a LinkKeys,
    /// Where they are, where the configuration says nothing: scheme and host.
    pub public_url: &'a str,
    /// Who can unsubscribe by them; nobody by a proof's.
    pub recipient: Option<Recipient>,
}

/// The name of one logical message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MessageId {
    /// For a member of a chunk.
    Member(MemberId),
    /// For one of a proof's addresses.
    Proof {
        /// Which proof.
        proof: String,
        /// Which of its addresses.
        index: usize,
    },
}

impl fmt::Display for MessageId {
    /// Fit for a file's or a Message-ID's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(member) => member.fmt(f),
            Self::Proof { proof, index } => write!(f, "proof-{proof}-{index}"),
        }
    }
}

/// The name of one recipient of one action of one execution, and so of one logical message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemberId {
    /// In which chunk.
    pub chunk: ChunkKey,
    /// At which place.
    pub index: usize,
}

impl fmt::Display for MemberId {
    /// Such as `01hz...-03-0-17-42`: execution, shard, action, chunk, member. Fit for a file's or a Message-ID's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ChunkKey { execution, shard, action, number } = self.chunk;
        write!(f, "{execution}-{shard:02}-{action}-{number}-{}", self.index)
    }
}
