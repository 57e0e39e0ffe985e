//! Frequency caps.

use std::io::Write;

use campaign::model::Actor;
use campaign::outcome::OnUnknown;
use campaign::{Category, Code, Outcome, Status};
use envoi_tests::sim::{Delivered, Fate, Fault, Faults, Options, Person, Verdict, World};
use serde_json::{Value, json};
use store::ledger::{State, Tenancy};

use super::{AND_SMS, BEGINS, HOUR, assert_places, is_maybe_sent, live_in, mixed, people, set_rules, utc};

fn at_most(most: u32, period: &str, channels: &[&str]) -> Value {
    json!({ "frequency_caps": [
        { "name": "Not too often", "max_messages": most, "period": period, "channels": channels },
    ] })
}

async fn world(people: Vec<Person>, options: Options, faults: Faults, rules: Value) -> World {
    let world = World::at(utc(BEGINS), people, options, faults).await;
    set_rules(&world, rules).await;
    world
}

async fn activate(world: &World, campaign: campaign::CampaignId) {
    validation::ask_activation(&world.store, campaign, &Actor::envoi(), |_| Ok(())).await.unwrap();
}

#[tokio::test]
async fn however_many_campaigns_go_out_at_once_everybody_gets_as_many_as_the_cap_says() {
    for (campaigns, most) in [(2, 1), (4, 2), (3, 5)] {
        let world =
            world(people(70), Options::default(), Faults::new(None), at_most(most, "day", &["email"])).await;
        world.activate().await;
        for _ in 1..campaigns {
            activate(&world, world.another(&Options::default()).await).await;
        }
        world.run().await;
        for person in &world.people {
            assert_eq!(world.provider.taken(person.id), campaigns.min(usize::try_from(most).unwrap()));
        }
        assert_places(&world, "several campaigns").await;
    }
}

#[tokio::test]
async fn a_day_is_the_recipient_s() {
    // Noon in UTC is nine in the evening in Tokyo: three hours later it is the next day there, and nowhere else.
    let world = world(people(20), Options::default(), Faults::new(None), at_most(1, "day", &["email"])).await;
    live_in(&world, |index| if index < 5 { "Asia/Tokyo" } else { "Europe/Paris" }).await;
    world.activate().await;
    world.run().await;
    world.clock().advance(4 * HOUR);
    let second = world.another(&Options::default()).await;
    activate(&world, second).await;
    world.run().await;
    for (index, person) in world.people.iter().enumerate() {
        assert_eq!(world.provider.taken(person.id), if index < 5 { 2 } else { 1 }, "{index}");
    }
    let (executions, _) = world.store.ledger.executions(second, None, 10).await.unwrap();
    let head = world.store.ledger.head(executions[0].id).await.unwrap().unwrap();
    let counts = world.store.ledger.tally(&head).await.unwrap().actions[0].counts.clone();
    assert_eq!((counts.code(Code::Sent), counts.code(Code::Capped)), (5, 15));
}

#[tokio::test]
async fn a_cap_is_about_marketing_over_its_channels_alone() {
    let transactional = Options { category: Category::Transactional, ..Options::default() };
    for (options, channels) in [(transactional, ["email"]), (Options::default(), ["sms"])] {
        let world = world(people(12), options, Faults::new(None), at_most(1, "week", &channels)).await;
        world.activate().await;
        activate(&world, world.another(&Options::default()).await).await;
        world.run().await;
        // Of the other campaign, which is marketing by email, the first message is let through in both.
        assert_eq!(world.provider.total(), 24, "{channels:?}");
    }
}

#[tokio::test]
async fn while_there_is_no_rule_nothing_is_counted() {
    let world = World::at(utc(BEGINS), people(12), Options::default(), Faults::new(None)).await;
    let calls = {
        world.activate().await;
        world.run().await;
        world.calls()
    };
    let ids: Vec<_> = world.people.iter().map(|person| person.id).collect();
    assert!(world.store.frequency.read(&ids).await.unwrap().is_empty());
    // One more write a recipient, a read a chunk.
    let ruled = world_with_calls(people(12), at_most(100, "day", &["email"])).await;
    assert_eq!(ruled, calls + 12 + 1);
}

async fn world_with_calls(people: Vec<Person>, rules: Value) -> usize {
    let world = world(people, Options::default(), Faults::new(None), rules).await;
    world.activate().await;
    world.run().await;
    world.calls()
}

/// Every call of a run is spoiled in every way: nobody gets more than the cap says, whoever gets nothing keeps no place,
/// and nobody who could have had their message is left out of both actions.
async fn every_fault(options: Options) {
    let rules = || at_most(1, "day", &["email", "sms"]);
    let run = |plan| async move {
        let world = world(mixed(10), options, Faults::new(plan), rules()).await;
        world.activate().await;
        world.run().await;
        world
    };
    let points = run(None).await.fault_points();
    let mut met = 0;
    for &(call, fault) in &points {
        let story = format!("{:?}, {:?}: {fault:?} at call {call}", options.tenancy, options.delivered);
        let world = run(Some((call, fault))).await;
        let verdicts = Verdict::of_each(&world, options.on_unknown, &story).await;
        assert_eq!(verdicts.len(), 2);
        for person in &world.people {
            let codes: Vec<Code> = verdicts.iter().map(|verdict| verdict.codes[&person.id]).collect();
            let taken = world.provider.taken(person.id) + world.beside[0].taken(person.id);
            let told = format!("{story}: {:?} is {codes:?} and got {taken}", person.fate);
            if options.on_unknown == OnUnknown::Hold {
                assert!(taken <= 1, "{told}");
            }
            assert!(codes.iter().filter(|code| code.outcome() == Outcome::Sent).count() <= 1, "{told}");
            if matches!(person.fate, Fate::Taken | Fate::Greylisted) {
                assert!(codes.iter().any(|code| is_maybe_sent(*code)), "{told}");
                assert!(codes.iter().any(|code| *code == Code::Capped || is_maybe_sent(*code)), "{told}");
            }
        }
        assert_eq!(verdicts[0].state, State::Completed, "{story}");
        assert!(verdicts.iter().map(Verdict::unknown).sum::<usize>() <= 2 * options.window, "{story}");
        assert_places(&world, &story).await;
        met += usize::from(world.calls() > call);
    }
    assert_eq!(met, points.len());
    let report = format!("caps: {met} fault points tried\n");
    std::io::stderr().write_all(report.as_bytes()).unwrap();
}

#[tokio::test]
async fn any_fault_of_a_shared_ledger_keeps_the_cap() {
    every_fault(Options { beside: AND_SMS, ..Options::default() }).await;
}

#[tokio::test]
async fn any_fault_of_the_only_process_with_every_message_doubled_keeps_the_cap() {
    let sole = Options { tenancy: Tenancy::Sole, delivered: Delivered::Twice, ..Options::default() };
    every_fault(Options { beside: AND_SMS, ..sole }).await;
}

#[tokio::test]
async fn any_fault_where_doubt_is_resent_counts_a_message_once() {
    every_fault(Options { beside: AND_SMS, on_unknown: OnUnknown::Resend, ..Options::default() }).await;
}

#[tokio::test]
async fn whatever_goes_astray_keeps_the_cap() {
    for seed in 0..40 {
        let options = Options { delivered: Delivered::Astray(seed), beside: AND_SMS, ..Options::default() };
        let rules = at_most(1, "week", &["email", "sms"]);
        let world = world(mixed(60), options, Faults::new(None), rules).await;
        world.activate().await;
        world.run().await;
        let story = format!("seed {seed}");
        let verdicts = Verdict::of_each(&world, OnUnknown::Hold, &story).await;
        for person in &world.people {
            let taken = world.provider.taken(person.id) + world.beside[0].taken(person.id);
            let is_due = matches!(person.fate, Fate::Taken | Fate::Greylisted);
            assert_eq!(taken, usize::from(is_due || codes_say_sent(&verdicts, person)), "{story}");
        }
        assert_places(&world, &story).await;
    }
}

/// Whether one of the actions has reached somebody: over text messages some can be reached who can't be by email.
fn codes_say_sent(verdicts: &[Verdict], person: &Person) -> bool {
    verdicts.iter().any(|verdict| verdict.codes[&person.id].outcome() == Outcome::Sent)
}

#[tokio::test]
async fn who_is_stopped_after_a_crash_keeps_no_place() {
    // The process dies with a place taken and nothing handed over; then the campaign is stopped.
    let mut stopped = 0;
    let calls = world_with_calls(people(6), at_most(1, "day", &["email"])).await;
    for call in 0..calls {
        let faults = Faults::new(Some((call, Fault::CrashAfter)));
        let world = world(people(6), Options::default(), faults, at_most(1, "day", &["email"])).await;
        world.activate().await;
        world.run_until(|world| world.calls() > call).await;
        let (executions, _) = world.store.ledger.executions(world.campaign, None, 10).await.unwrap();
        let status = world.store.campaigns.get(world.campaign).await.unwrap().status;
        if executions.is_empty() || status != Status::Live {
            continue;
        }
        world.stop().await;
        world.run().await;
        let verdict = Verdict::of(&world, OnUnknown::Hold, "stopped").await;
        stopped += verdict.count(Code::Stopped);
        assert_places(&world, &format!("stopped after a crash at call {call}")).await;
    }
    assert!(stopped > 0);
}
