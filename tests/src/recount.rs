//! The recount: every figure of a report, worked out anew from the chunks and what is known of their members, without a
//! look at any counter.

use std::collections::{BTreeMap, BTreeSet};

use campaign::fact::Minute;
use campaign::{Code, ExecutionId, Fact, Outcome};
use serde_json::{Map, Value, json};
use store::Store;
use store::ledger::Part;
use store::messages::ChunkKey;

/// What a member has become, or what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is targeted.
    Targeted,
    /// It has this code.
    Code(Code),
    /// This is a fact of it.
    Fact(Fact),
    /// It was visited: by an item of no chunk, but as whoever did it says.
    Visit(Fact),
    /// It has followed this link, as a person (true) or a program.
    Link(u16, Fact),
    /// It was visited by this link.
    LinkVisit(u16, Fact),
}

/// Something that counts one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Of which execution.
    pub execution: ExecutionId,
    /// Of which version.
    pub version: u32,
    /// Of which action.
    pub action: u8,
    /// In which minute; `None` for what is of none.
    pub minute: Option<Minute>,
    /// What.
    pub what: What,
}

/// All that there is to be counted.
#[derive(Debug, Default)]
pub struct Recount {
    /// One by one.
    pub entries: Vec<Entry>,
    /// The members that may have been written to: those whom something can become known of.
    pub reached: Vec<(ChunkKey, u8)>,
}

/// How many links of an action are looked at.
const LINKS: u16 = 5;

impl Recount {
    /// Reads every chunk of these executions.
    ///
    /// # Panics
    /// Where one is not there, or has not ended.
    pub async fn of(store: &Store, executions: &[ExecutionId]) -> Self {
        let mut recount = Self::default();
        for id in executions {
            let head = store.ledger.head(*id).await.unwrap().expect("the execution is there");
            let mut chunks = Vec::new();
            if head.is_call() {
                for key in head.call_chunks() {
                    chunks.extend(store.ledger.chunk(key).await.unwrap());
                }
            }
            for shard in head.shards() {
                let mut after = None;
                loop {
                    let (page, next) = store.ledger.chunks(shard, Part::Whole, after, 100).await.unwrap();
                    chunks.extend(page);
                    after = next;
                    if after.is_none() {
                        break;
                    }
                }
            }
            for chunk in chunks {
                let entry = |minute, what| Entry {
                    execution: *id,
                    version: head.version,
                    action: chunk.key.action,
                    minute,
                    what,
                };
                for (place, code) in chunk.members.codes.iter().enumerate() {
                    let minute = Some(chunk.minute.expect("it was counted"));
                    recount.entries.push(entry(None, What::Targeted));
                    recount.entries.push(entry(minute, What::Code(*code)));
                    if matches!(code.outcome(), Outcome::Sent | Outcome::Unknown) {
                        recount.reached.push((chunk.key, u8::try_from(place).unwrap()));
                    }
                }
                for (_, facts) in store.ledger.facts(chunk.key).await.unwrap().iter() {
                    for (fact, minute) in facts.iter() {
                        recount.entries.push(entry(Some(minute), What::Fact(fact)));
                    }
                }
                for link in 0..LINKS {
                    let (people, machines) = store.ledger.link_visitors(chunk.key, link).await.unwrap();
                    for (fact, visitors) in [(Fact::Clicked, people), (Fact::MachineClicked, machines)] {
                        let visitor = entry(None, What::Link(link, fact));
                        recount.entries.extend((0..visitors).map(|_| visitor));
                    }
                }
            }
        }
        recount
    }

    /// Notes a visit, which nothing holds but the counters: only whoever made it knows.
    pub fn note(&mut self, key: &ChunkKey, version: u32, fact: Fact, link: Option<u16>, minute: Minute) {
        let entry = |what| Entry {
            execution: key.execution,
            version,
            action: key.action,
            minute: Some(minute),
            what,
        };
        self.entries.push(entry(What::Visit(fact)));
        self.entries.extend(link.map(|link| entry(What::LinkVisit(link, fact))));
    }

    /// The figures of a part as a report shows them, without the rates.
    ///
    /// # Panics
    /// Never.
    pub fn figures(&self, is_part: impl Fn(&Entry) -> bool, shows_targeted: bool) -> Map<String, Value> {
        let part: Vec<_> = self.entries.iter().filter(|entry| is_part(entry)).collect();
        let count = |what: What| part.iter().filter(|entry| entry.what == what).count();
        let codes = |outcome| Code::ALL.into_iter().filter(move |code| code.outcome() == outcome);
        let all = |outcome| codes(outcome).map(|code| count(What::Code(code))).sum::<usize>();
        let with_reasons = |outcome| {
            let reasons = codes(outcome).map(|code| (code.reason(), count(What::Code(code))));
            let reasons: BTreeMap<_, _> = reasons.filter(|(_, count)| *count > 0).collect();
            json!({ "total": all(outcome), "reasons": reasons })
        };
        let by_whom = |human, machine| {
            let times =
                |fact| json!({ "total": count(What::Visit(fact)), "unique": count(What::Fact(fact)) });
            json!({ "human": times(human), "machine": times(machine) })
        };
        let targeted = count(What::Targeted);
        let settled = [Outcome::Sent, Outcome::Failed, Outcome::Excluded, Outcome::Unknown]
            .map(all)
            .iter()
            .sum::<usize>();
        let fact = |fact| count(What::Fact(fact));
        let figures = json!({
            "targeted": shows_targeted.then_some(targeted),
            "pending": shows_targeted.then_some(targeted - settled.min(targeted)),
            "balances": shows_targeted.then_some(targeted == settled),
            "sent": all(Outcome::Sent),
            "failed": with_reasons(Outcome::Failed),
            "excluded": with_reasons(Outcome::Excluded),
            "unknown": all(Outcome::Unknown),
            "possible_duplicates": count(What::Code(Code::SentAgain)) + count(What::Code(Code::UnknownAgain)),
            "delivered": fact(Fact::Delivered),
            "bounced": { "hard": fact(Fact::HardBounced), "soft": fact(Fact::SoftBounced) },
            "delayed": fact(Fact::Delayed),
            "opens": by_whom(Fact::Opened, Fact::MachineOpened),
            "clicks": by_whom(Fact::Clicked, Fact::MachineClicked),
            "unsubscribed": fact(Fact::Unsubscribed),
            "complained": fact(Fact::Complained),
        });
        let Value::Object(figures) = figures else { unreachable!("an object was made") };
        figures
    }

    /// The rates of a part, as a report shows them: names with numerators and denominators.
    pub fn rates(&self, is_part: impl Fn(&Entry) -> bool) -> BTreeMap<&'static str, (usize, usize)> {
        let part: Vec<_> = self.entries.iter().filter(|entry| is_part(entry)).collect();
        let actions: BTreeSet<_> = part.iter().map(|entry| (entry.version, entry.action)).collect();
        let (mut arrived, mut told_of, mut delivered) = (0, 0, 0);
        for action in actions {
            let of_action = part.iter().filter(|entry| (entry.version, entry.action) == action);
            let count = |is: &dyn Fn(What) -> bool| of_action.clone().filter(|entry| is(entry.what)).count();
            let sent = count(&|what| matches!(what, What::Code(code) if code.outcome() == Outcome::Sent));
            let told = count(&|what| what == What::Fact(Fact::Delivered));
            let back = count(&|what| matches!(what, What::Fact(Fact::HardBounced | Fact::SoftBounced)));
            if told > 0 {
                (arrived, told_of, delivered) = (arrived + told, told_of + sent, delivered + told);
            } else {
                arrived += sent.saturating_sub(back);
            }
        }
        let count = |is: &dyn Fn(What) -> bool| part.iter().filter(|entry| is(entry.what)).count();
        let sent = count(&|what| matches!(what, What::Code(code) if code.outcome() == Outcome::Sent));
        let fact = |fact| count(&|what| what == What::Fact(fact));
        BTreeMap::from([
            ("delivery", (delivered, told_of)),
            ("hard_bounce", (fact(Fact::HardBounced), sent)),
            ("soft_bounce", (fact(Fact::SoftBounced), sent)),
            ("unique_open", (fact(Fact::Opened), arrived)),
            ("unique_click", (fact(Fact::Clicked), arrived)),
            ("click_to_open", (fact(Fact::Clicked), fact(Fact::Opened))),
            ("unsubscribe", (fact(Fact::Unsubscribed), arrived)),
            ("complaint", (fact(Fact::Complained), arrived)),
        ])
    }

    /// Holds the figures and rates of a part against what a report shows of it.
    ///
    /// # Panics
    /// Where they differ.
    #[track_caller]
    pub fn hold_against(
        &self,
        shown: &Value,
        is_part: impl Fn(&Entry) -> bool + Copy,
        shows_targeted: bool,
        story: &str,
    ) {
        for (name, expected) in self.figures(is_part, shows_targeted) {
            assert_eq!(shown[&name], expected, "{story}: {name}");
        }
        for (name, (numerator, denominator)) in self.rates(is_part) {
            let rate = &shown["rates"][name];
            let shown = (&rate["numerator"], &rate["denominator"]);
            assert_eq!(shown, (&json!(numerator), &json!(denominator)), "{story}: rate {name}");
        }
    }

    /// Holds the links of an action against what a report shows of them.
    ///
    /// # Panics
    /// Where they differ.
    #[track_caller]
    pub fn hold_links_against(&self, shown: &Value, story: &str) {
        let mut expected: BTreeMap<(u32, u8, u16), [usize; 4]> = BTreeMap::new();
        for entry in &self.entries {
            let (link, place) = match entry.what {
                What::LinkVisit(link, Fact::Clicked) => (link, 0),
                What::Link(link, Fact::Clicked) => (link, 1),
                What::LinkVisit(link, Fact::MachineClicked) => (link, 2),
                What::Link(link, Fact::MachineClicked) => (link, 3),
                _ => continue,
            };
            expected.entry((entry.version, entry.action, link)).or_default()[place] += 1;
        }
        let shown: BTreeMap<_, _> = shown
            .as_array()
            .unwrap()
            .iter()
            .map(|link| {
                let number = |name: &str| link[name].as_u64().unwrap();
                let key = (
                    u32::try_from(number("version")).unwrap(),
                    u8::try_from(number("action")).unwrap(),
                    u16::try_from(number("link")).unwrap(),
                );
                let clicks = &link["clicks"];
                let times =
                    |who: &str, which: &str| usize::try_from(clicks[who][which].as_u64().unwrap()).unwrap();
                let numbers = [
                    times("human", "total"),
                    times("human", "unique"),
                    times("machine", "total"),
                    times("machine", "unique"),
                ];
                (key, numbers)
            })
            .collect();
        assert_eq!(shown, expected, "{story}: links");
    }
}
