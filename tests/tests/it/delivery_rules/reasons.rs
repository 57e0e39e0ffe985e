//! Random campaigns, in which every reason for leaving somebody out occurs: whatever comes together, the ledger balances.

use std::collections::BTreeSet;

use campaign::model::Actor;
use campaign::outcome::OnUnknown;
use campaign::status::Command;
use campaign::{Channel, Code, Outcome};
use envoi_tests::sim::{Delivered, Fate, Faults, Options, Person, Verdict, World, chance};
use platform::Clock;
use serde_json::{Value, json};
use store::ledger::State;

use super::{AND_SMS, BEGINS, HOUR, assert_places, live_in, set_rules, utc};

const FATES: [Fate; 11] = [
    Fate::Taken,
    Fate::Taken,
    Fate::Taken,
    Fate::Refused,
    Fate::Greylisted,
    Fate::OptedOut,
    Fate::Unreachable,
    Fate::Suppressed,
    Fate::Unrenderable,
    Fate::Incomplete,
    Fate::Misspelt,
];
const ZONES: [&str; 6] = [
    "Asia/Tokyo",
    "America/New_York",
    "Europe/Paris",
    "Pacific/Auckland",
    "America/Los_Angeles",
    "Australia/Lord_Howe",
];

/// What a seed makes of a world.
struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    /// A number below `of`.
    fn throw(&mut self, of: usize) -> usize {
        self.thrown += 1;
        usize::try_from(chance(self.seed, self.thrown) % of as u64).unwrap()
    }

    fn people(&mut self) -> Vec<Person> {
        let number = 30 + u8::try_from(self.throw(50)).unwrap();
        let fate = |dice: &mut Self| match dice.throw(12) {
            11 => Fate::Gone,
            fate => FATES[fate],
        };
        (1..=number).map(|number| Person::new(number, fate(self))).collect()
    }

    fn rules(&mut self) -> Value {
        let period = ["day", "week", "month"][self.throw(3)];
        let cap = json!({ "name": "Cap", "max_messages": 1, "period": period, "channels": ["email", "sms"] });
        let (start, length) = (self.throw(24 * 60), 60 + self.throw(300));
        let [start, end] = [start, start + length].map(|at| format!("{:02}:{:02}", at / 60 % 24, at % 60));
        let on_quiet = ["delay", "exclude"][self.throw(2)];
        let quiet = json!({ "name": "Quiet", "start": start, "end": end, "channels": ["email", "sms"], "on_quiet": on_quiet });
        let caps = if self.throw(4) == 0 { json!([]) } else { json!([cap]) };
        json!({ "time_zone": "Europe/Paris", "frequency_caps": caps, "quiet_hours": [quiet] })
    }
}

/// Has the campaign go out at an hour of everybody's own zone, which has passed for some, who are left out.
async fn in_their_own_time(world: &World) {
    let campaign = world.store.campaigns.get(world.campaign).await.unwrap();
    let mut version = world.store.campaigns.version(campaign.id, 1).await.unwrap();
    let contents = world.store.campaigns.contents(campaign.id, &version).await.unwrap();
    version.schedule = serde_json::from_value(json!({
        "kind": "at", "date_time": "2026-06-01T21:30:00", "time_zone": "Europe/Paris",
        "recipient_time": { "passed": "exclude" },
    }))
    .unwrap();
    let draft = Some((&version, contents.as_slice()));
    world.store.campaigns.save_draft(&campaign, draft, 1, &Actor::envoi(), Vec::new()).await.unwrap();
}

/// Lets email go to all but the first few of the people.
async fn allow_most(world: &World) {
    let entries: BTreeSet<_> =
        world.people.iter().skip(4).map(|person| format!("person-{}@example.org", person.number())).collect();
    let allow = |allowed: &mut store::allowed::Allowed| {
        allowed.enabled = true;
        allowed.entries.clone_from(&entries);
    };
    world.store.allowed.change(Channel::Email, allow).await.unwrap();
}

/// A campaign that has come to its end, made by chance of a seed.
pub(crate) async fn any_campaign(seed: u64) -> World {
    let mut dice = Dice { seed, thrown: 0 };
    let options = Options {
        beside: AND_SMS,
        delivered: if dice.throw(2) == 0 { Delivered::Once } else { Delivered::Astray(seed) },
        condition: (dice.throw(3) == 0).then_some("profile.number > 5"),
        ..Options::default()
    };
    let world = World::at(utc(BEGINS), dice.people(), options, Faults::new(None)).await;
    let turn = dice.throw(ZONES.len());
    live_in(&world, |index| ZONES[(index + turn) % ZONES.len()]).await;
    set_rules(&world, dice.rules()).await;
    if dice.throw(2) == 0 {
        allow_most(&world).await;
    }
    if dice.throw(3) == 0 {
        in_their_own_time(&world).await;
    }
    world.activate().await;
    if dice.throw(4) == 0 {
        world.run_for(HOUR).await;
        let status = world.store.campaigns.get(world.campaign).await.unwrap().status;
        let (executions, _) = world.store.ledger.executions(world.campaign, None, 10).await.unwrap();
        if Command::Stop.allowed_in().contains(&status) && !executions.is_empty() {
            world.stop().await;
        }
    }
    world.run().await;
    world
}

#[tokio::test]
async fn whatever_comes_together_everybody_has_one_reason_and_the_ledger_balances() {
    let mut met = BTreeSet::new();
    for seed in 0..40 {
        let story = format!("seed {seed}");
        let world = any_campaign(seed).await;
        let (executions, _) = world.store.ledger.executions(world.campaign, None, 10).await.unwrap();
        assert_eq!(executions.len(), 1, "{story}");
        // Holds by count and by name, and against what the providers took.
        let verdicts = Verdict::of_each(&world, OnUnknown::Hold, &story).await;
        assert!(
            verdicts.iter().all(|verdict| matches!(verdict.state, State::Completed | State::Stopped)),
            "{story}"
        );
        if !world.store.rules.get().await.unwrap().value.frequency_caps.is_empty() {
            assert_places(&world, &story).await;
            for person in &world.people {
                let taken = world.provider.taken(person.id) + world.beside[0].taken(person.id);
                assert!(taken <= 1, "{story}: {:?}", person.fate);
            }
        }
        met.extend(verdicts.iter().flat_map(|verdict| verdict.codes.values()).copied());
        assert!(world.clock().now() < utc(BEGINS) + 3 * 24 * HOUR, "{story}");
    }
    let left_out: Vec<Code> = Code::ALL
        .into_iter()
        .filter(|code| code.outcome() == Outcome::Excluded && !met.contains(code))
        .collect();
    assert_eq!(left_out, [], "these never occurred");
}
