//! A provider that keeps record of whatever it took, and a sender that speaks to it.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use campaign::lowered::LoweredContent;
use campaign::{Channel, Code, Configuration, ExecutionId, Profile, ProfileId};
use delivery::{Answer, Cause, Job, MemberId, MessageId, Sender};
use jiff::Timestamp;
use platform::{Clock, PlatformError};
use serde_json::{Map, Value};

use super::{Fate, Faults, JumpClock};

/// What is the matter with a provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// It can't be reached for the first calls.
    DownFor(usize),
    /// It can't be reached until then.
    DownUntil(Timestamp),
    /// It asks to wait for the first calls.
    ThrottlingFor(usize),
    /// It takes so long for each window.
    Slow(Duration),
    /// It takes the messages of the first calls and never says so.
    SilentFor(usize),
    /// It takes so many, and then falls silent for so long: it takes the bytes, and no answer comes in time.
    FallsSilent {
        /// How many it takes before.
        after: usize,
        /// For how long.
        lasting: Duration,
    },
    /// It takes messages until then, and no answer comes in time.
    SilentUntil(Timestamp),
    /// It takes so many in any such stretch of time, and says of the next that the quota is used up.
    QuotaOf {
        /// How many.
        most: usize,
        /// In how long.
        every: Duration,
    },
}

/// The provider's own record, which survives whatever happens to the process.
#[derive(Debug, Default)]
pub struct Provider {
    taken: Mutex<HashMap<ProfileId, Vec<Timestamp>>>,
    letters: Mutex<Vec<Letter>>,
    greylisted: Mutex<HashSet<MemberId>>,
    trouble: Mutex<Trouble>,
    /// How often it could not be reached, had no quota left, or left a window without an answer.
    refusals: AtomicUsize,
}

impl Provider {
    /// A provider with this trouble.
    pub fn with(trouble: Trouble) -> Self {
        Self { trouble: Mutex::new(trouble), ..Self::default() }
    }

    /// How often it took a message for this person.
    pub fn taken(&self, person: ProfileId) -> usize {
        self.taken_at(person).len()
    }

    /// When it took messages for this person.
    pub fn taken_at(&self, person: ProfileId) -> Vec<Timestamp> {
        self.taken.lock().unwrap().get(&person).cloned().unwrap_or_default()
    }

    /// How many messages it took.
    pub fn total(&self) -> usize {
        self.taken.lock().unwrap().values().map(Vec::len).sum()
    }

    /// How often it could not be reached, had no quota left, or left a window without an answer.
    pub fn refusals(&self) -> usize {
        self.refusals.load(Ordering::Relaxed)
    }

    /// How many messages it took in the stretch of time of this length that ends now.
    fn taken_within(&self, every: Duration, now: Timestamp) -> usize {
        let taken = self.taken.lock().unwrap();
        taken.values().flatten().filter(|at| now.duration_since(**at).unsigned_abs() < every).count()
    }

    /// The messages it took that are of this execution, in the order in which they came.
    pub fn letters(&self, execution: ExecutionId) -> Vec<Letter> {
        let letters = self.letters.lock().unwrap();
        letters.iter().filter(|letter| letter.member.chunk.execution == execution).cloned().collect()
    }

    /// Something is the matter with it from now on.
    pub fn turn(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = trouble;
    }

    fn hand_over(&self, letter: &Letter, now: Timestamp) -> Answer {
        match letter.fate {
            Fate::Refused => {
                Answer::Refused { code: Code::BadAddress, detail: "5.1.1 no such user".to_owned() }
            }
            Fate::Greylisted if self.greylisted.lock().unwrap().insert(letter.member) => {
                not_accepted(Cause::Transient, None)
            }
            _ => {
                self.taken.lock().unwrap().entry(letter.to).or_default().push(now);
                self.letters.lock().unwrap().push(letter.clone());
                let mut trouble = self.trouble.lock().unwrap();
                match *trouble {
                    Trouble::SilentFor(calls @ 1..) => {
                        *trouble = Trouble::SilentFor(calls - 1);
                        Answer::Ambiguous { detail: "no answer".to_owned() }
                    }
                    _ => Answer::Accepted,
                }
            }
        }
    }

    /// Whether it takes a window now without a word.
    fn is_silent(&self, now: Timestamp) -> bool {
        let mut trouble = self.trouble.lock().unwrap();
        if let Trouble::FallsSilent { after, lasting } = *trouble
            && self.total() >= after
        {
            *trouble = Trouble::SilentUntil(now + lasting);
        }
        let is_silent = matches!(*trouble, Trouble::SilentUntil(until) if now < until);
        self.refusals.fetch_add(usize::from(is_silent), Ordering::Relaxed);
        is_silent
    }

    /// The answer to everybody, where the provider is in trouble.
    fn trouble(&self, now: Timestamp) -> Option<Answer> {
        let mut trouble = self.trouble.lock().unwrap();
        match *trouble {
            Trouble::DownUntil(until) if now < until => {
                self.refusals.fetch_add(1, Ordering::Relaxed);
                Some(not_accepted(Cause::Unreachable, None))
            }
            Trouble::DownFor(calls @ 1..) => {
                *trouble = Trouble::DownFor(calls - 1);
                Some(not_accepted(Cause::Unreachable, None))
            }
            Trouble::ThrottlingFor(calls @ 1..) => {
                *trouble = Trouble::ThrottlingFor(calls - 1);
                Some(not_accepted(Cause::Throttled, Some(Duration::from_secs(3))))
            }
            Trouble::QuotaOf { most, every } if self.taken_within(every, now) >= most => {
                self.refusals.fetch_add(1, Ordering::Relaxed);
                Some(not_accepted(Cause::Quota, None))
            }
            _ => None,
        }
    }
}

fn not_accepted(cause: Cause, retry_after: Option<Duration>) -> Answer {
    Answer::NotAccepted { cause, retry_after, detail: "try again".to_owned() }
}

/// A message to one person.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Whose it is.
    pub member: MemberId,
    /// Where it went.
    pub address: String,
    /// What its template saw as `profile`.
    pub profile: Map<String, Value>,
    /// What its template saw as `context`.
    pub context: Value,
    to: ProfileId,
    fate: Fate,
}

/// Which channel somebody speaks for: a delivery has one for good.
pub(crate) trait Line: Send + Sync + 'static {
    const CHANNEL: Channel;
}

macro_rules! lines {
    ($($name:ident),*) => {
        $(
            pub(crate) struct $name;

            impl Line for $name {
                const CHANNEL: Channel = Channel::$name;
            }
        )*
    };
}

lines!(Email, Sms, Push, Webhook);

/// Speaks to the provider of a channel, one message after the other, each of which may go wrong.
pub(crate) struct Postman<L> {
    pub(crate) line: PhantomData<L>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) clock: Arc<JumpClock>,
}

#[async_trait]
impl<L: Line> Sender for Postman<L> {
    const CHANNEL: Channel = L::CHANNEL;
    type Template = ();
    type Message = Letter;

    fn compile(&self, _: &LoweredContent) -> Result<(), String> {
        Ok(())
    }

    fn address<'p>(&self, _: &Configuration, profile: &'p Profile) -> Result<Option<&'p str>, Code> {
        match Fate::of(profile) {
            Fate::Misspelt => Err(Code::InvalidAddress),
            _ => profile.text("email").map(Some).ok_or(Code::NoAddress),
        }
    }

    fn prepare(&self, job: &Job<'_, ()>, profile: Profile) -> Result<Letter, (Code, String)> {
        let fate = Fate::of(&profile);
        let MessageId::Member(member) = job.id else { panic!("nobody asks for a proof here") };
        let letter = || Letter {
            member,
            address: profile.text("email").unwrap_or_default().to_owned(),
            profile: profile.document().clone(),
            context: job.context.clone(),
            to: profile.id(),
            fate,
        };
        match fate {
            Fate::Incomplete => Err((Code::MissingValue, String::new())),
            Fate::Unrenderable => Err((Code::RenderFailed, "no such helper".to_owned())),
            // Without the hook, which would print a trace for each of thousands of runs.
            Fate::Panicking => std::panic::resume_unwind(Box::new("as the simulation wants it")),
            Fate::Deadly => {
                self.faults.kill();
                Ok(letter())
            }
            _ => Ok(letter()),
        }
    }

    async fn send(&self, _: &Configuration, letters: Vec<Letter>, time: Duration) -> Vec<Answer> {
        if self.provider.is_silent(self.clock.now()) {
            for letter in &letters {
                self.provider.hand_over(letter, self.clock.now());
            }
            self.clock.advance(time);
            return vec![Answer::Ambiguous { detail: "no answer in time".to_owned() }; letters.len()];
        }
        let mut answers = Vec::with_capacity(letters.len());
        if let Trouble::Slow(time) = *self.provider.trouble.lock().unwrap() {
            self.clock.advance(time);
        }
        for letter in letters {
            if let Some(answer) = self.provider.trouble(self.clock.now()) {
                answers.push(answer);
                continue;
            }
            // A hand-over that fails may or may not have been taken: that is what ambiguous means.
            let answer = self
                .faults
                .call(async { Ok::<_, PlatformError>(self.provider.hand_over(&letter, self.clock.now())) })
                .await;
            answers
                .push(answer.unwrap_or_else(|_| Answer::Ambiguous { detail: "connection reset".to_owned() }));
        }
        answers
    }
}
