//! Delivery rules within a claim of marketing: who has quiet hours, and whose frequency cap is reached.
//!
//! A place under a cap is taken just before the window that a message goes out in is recorded, and given back just before
//! it is written that the message will not go out. It is known by its message, so a chunk that comes back finds what it
//! has taken; and by the claim, so that a worker that was overtaken gives back nothing that another uses.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use campaign::chunk::Members;
use campaign::delivery_rules::Quiet;
use campaign::frequency::{ClaimTag, Entry};
use campaign::{Category, Code, DeliveryRules, Outcome, Profile, ProfileId};
use jiff::Timestamp;
use platform::batch;
use store::StoreError;
use store::frequency::{self, Asked, Counted, Returned};
use store::ledger::{ClaimedChunk, Head};
use tracing::warn;

use super::{Delivery, Run, Window};
use crate::Sender;
use crate::outcome::Tally;

/// The rules that hold in a claim.
pub(super) struct Ruled {
    rules: Arc<DeliveryRules>,
    /// What people were sent lately, where a cap counts this channel.
    counted: HashMap<ProfileId, Counted>,
}

/// Why a member's message is not prepared.
pub(super) enum Unprepared {
    /// They will get none, for this reason, of which more may be known.
    Closed(Code, String),
    /// They have quiet hours until then.
    Quiet(Timestamp),
}

impl From<(Code, String)> for Unprepared {
    fn from((code, detail): (Code, String)) -> Self {
        Self::Closed(code, detail)
    }
}

impl<S: Sender> Delivery<S> {
    /// The rules as they were a moment ago; `None` where there are none, and for what is not marketing.
    async fn rules(&self, head: &Head) -> Result<Option<Arc<DeliveryRules>>, StoreError> {
        if head.category != Category::Marketing {
            return Ok(None);
        }
        let read = async { self.store.rules.get().await.map(|found| Arc::new(found.value)) };
        let rules = self.rules.get((), &*self.store.platform.clock, read).await?;
        Ok((!rules.is_empty()).then_some(rules))
    }

    /// Gives back the places of those among `decided` who get no message after all, before that is written: were it the
    /// other way round, whoever died in between would leave them taken. Trouble with it costs nobody's outcome.
    pub(super) async fn give_back_places(
        &self,
        chunk: &ClaimedChunk,
        head: &Head,
        tally: &Tally,
        decided: impl Iterator<Item = (usize, Code)>,
    ) {
        let is_left_out = |code: Code| matches!(code.outcome(), Outcome::Failed | Outcome::Excluded);
        let left_out: Vec<usize> =
            decided.filter(|(_, code)| is_left_out(*code)).map(|(index, _)| index).collect();
        if left_out.is_empty() {
            return;
        }
        let given_back = async {
            let found = match &tally.places {
                Some(places) => places,
                None => &self.places_of(chunk, head, &left_out).await?,
            };
            let place = |index: &usize| {
                let claims = found.get(index).filter(|claims| !claims.is_empty())?.clone();
                let profile = stored_profile(chunk, head, *index)?;
                Some(Returned { profile, message: frequency::message(&chunk.key, *index), claims })
            };
            let returned: Vec<_> = left_out.iter().filter_map(place).collect();
            if returned.is_empty() { Ok(()) } else { self.store.frequency.give_back(returned).await }
        };
        if let Err(error) = given_back.await {
            let error = batch::chain(&error);
            warn!(execution = %chunk.key.execution, shard = chunk.key.shard, action = chunk.key.action, chunk = chunk.key.number, error, "places under a frequency cap stay taken");
        }
    }

    /// The places that earlier claims may have left to these members, where this one has not looked for them.
    async fn places_of(
        &self,
        chunk: &ClaimedChunk,
        head: &Head,
        members: &[usize],
    ) -> Result<BTreeMap<usize, Vec<ClaimTag>>, StoreError> {
        // Who of a call was claimed before leaves no trace in the chunk.
        let is_first = chunk.attempt() == 1 && !chunk.key.is_call();
        let rules = if is_first { None } else { self.rules(head).await? };
        if !rules.is_some_and(|rules| rules.caps(S::CHANNEL)) {
            return Ok(BTreeMap::new());
        }
        let people: Vec<_> = members.iter().filter_map(|index| stored_profile(chunk, head, *index)).collect();
        let counted = self.store.frequency.read(&people).await?;
        Ok(members.iter().filter_map(|index| place_left(chunk, head, *index, &counted)).collect())
    }
}

/// Who of the members was decided in this claim, and how.
pub(super) fn decided(members: &Members) -> impl Iterator<Item = (usize, Code)> {
    let codes = members.codes.iter().zip(&members.booked).enumerate();
    codes.filter(|(_, (code, booked))| code != booked).map(|(index, (code, _))| (index, *code))
}

/// Whom caps count a member's messages for: nobody, where a call brings along somebody without a stored profile.
fn stored_profile(chunk: &ClaimedChunk, head: &Head, index: usize) -> Option<ProfileId> {
    let member = chunk.members.profiles[index];
    if chunk.key.is_call() { head.stored_profile(index, member) } else { Some(member) }
}

/// The place that an earlier claim has left to a member.
fn place_left(
    chunk: &ClaimedChunk,
    head: &Head,
    index: usize,
    counted: &HashMap<ProfileId, Counted>,
) -> Option<(usize, Vec<ClaimTag>)> {
    let counted = counted.get(&stored_profile(chunk, head, index)?)?;
    Some((index, vec![counted.claim_of(frequency::message(&chunk.key, index))?]))
}

/// This claim, among those of its chunk.
fn claim_tag(chunk: &ClaimedChunk) -> ClaimTag {
    ClaimTag((chunk.attempt() & 0xffff).try_into().unwrap_or_default())
}

impl<S: Sender> Run<'_, S> {
    /// Reads which rules hold, and what those who are still to be decided were sent lately, where a rule asks for that.
    pub(super) async fn read_rules(&mut self) -> Result<(), StoreError> {
        let Some(rules) = self.delivery.rules(self.head).await? else { return Ok(()) };
        let mut counted = HashMap::new();
        if rules.caps(S::CHANNEL) {
            let members = &self.chunk.members;
            let undecided = |index: &usize| {
                members.codes[*index].is_pending() || members.codes[*index] != members.booked[*index]
            };
            let undecided: Vec<usize> = (0..members.len()).filter(undecided).collect();
            let people: Vec<_> =
                undecided.iter().filter_map(|index| stored_profile(self.chunk, self.head, *index)).collect();
            counted = self.delivery.store.frequency.read(&people).await?;
            let left =
                undecided.iter().filter_map(|index| place_left(self.chunk, self.head, *index, &counted));
            self.tally.places = Some(left.collect());
        }
        self.rules = Some(Ruled { rules, counted });
        Ok(())
    }

    /// Whether the rules let a member's message go out now, as far as is known without asking for a place; and the place
    /// that is to be asked for.
    pub(super) fn check_rules(&self, index: usize, profile: &Profile) -> Result<Option<Asked>, Unprepared> {
        let Some(Ruled { rules, counted }) = &self.rules else { return Ok(None) };
        let (caps, quiets) = (rules.caps(S::CHANNEL), rules.quiets(S::CHANNEL));
        if !caps && !quiets {
            return Ok(None);
        }
        let now = self.delivery.store.platform.clock.now();
        let zone = rules.zone_of(profile);
        if quiets {
            match rules.quiet(S::CHANNEL, now, &zone) {
                Quiet::No => {}
                Quiet::Until(until) => return Err(Unprepared::Quiet(until)),
                Quiet::Exclude => return Err((Code::QuietHours, String::new()).into()),
            }
        }
        let Some(profile) = stored_profile(self.chunk, self.head, index).filter(|_| caps) else {
            return Ok(None);
        };
        let asked = Asked {
            profile,
            counted: counted.get(&profile).cloned().unwrap_or_default(),
            entry: Entry {
                message: frequency::message(&self.chunk.key, index),
                claim: claim_tag(self.chunk),
                channel: S::CHANNEL,
                at_ms: now.as_millisecond(),
            },
            limits: rules.limits(now, &zone),
        };
        if asked.counted.is_capped(asked.entry, &asked.limits) {
            return Err((Code::Capped, String::new()).into());
        }
        Ok(Some(asked))
    }

    /// Takes the places that the messages of a window need. Whoever finds none left gets the outcome here, and no message.
    pub(super) async fn take_places(&mut self, window: &mut Window<S::Message>) -> Result<(), StoreError> {
        if window.places.is_empty() {
            return Ok(());
        }
        let (members, asked): (Vec<usize>, Vec<Asked>) =
            std::mem::take(&mut window.places).into_iter().unzip();
        let claim = claim_tag(self.chunk);
        let result = self.delivery.store.frequency.reserve(asked).await;
        let is_taken = |position: usize| result.as_ref().map_or(true, |taken| taken[position]);
        let taken = members.iter().enumerate().filter(|(position, _)| is_taken(*position));
        let places = self.tally.places.get_or_insert_default();
        for (_, index) in taken {
            places.entry(*index).or_default().push(claim);
        }
        for (index, taken) in members.into_iter().zip(result?) {
            if !taken {
                self.chunk.members.close(index, Code::Capped);
            }
        }
        let ready = std::mem::take(&mut window.members).into_iter().zip(std::mem::take(&mut window.messages));
        let codes = &self.chunk.members.codes;
        (window.members, window.messages) = ready.filter(|(index, _)| codes[*index].is_pending()).unzip();
        Ok(())
    }
}
