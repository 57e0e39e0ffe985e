//! Promises 1 to 7 of the design, under every fault there can be.

use std::io::Write;

use campaign::outcome::OnUnknown;
use campaign::{Code, Status};
use envoi_tests::sim::{Delivered, Fate, Fault, Faults, Options, Person, Told, Trouble, Verdict, World};
use store::ledger::{State, Tenancy};

/// Two chunks in one shard: enough for each kind of boundary, and one of each kind of person.
fn everybody() -> Vec<Person> {
    let special = [
        (3, Fate::Refused),
        (8, Fate::OptedOut),
        (13, Fate::Greylisted),
        (21, Fate::Unreachable),
        (34, Fate::Unrenderable),
        (40, Fate::Suppressed),
        (52, Fate::Panicking),
    ];
    (1..=56)
        .map(|number| {
            let fate = special.iter().find(|(who, _)| *who == number).map_or(Fate::Taken, |(_, fate)| *fate);
            Person::new(number, fate)
        })
        .collect()
}

async fn run(people: Vec<Person>, options: Options, plan: Option<(usize, Fault)>) -> World {
    let world = World::new(people, options, Faults::new(plan)).await;
    world.activate().await;
    world.run().await;
    world
}

#[tokio::test]
async fn without_faults_everybody_has_the_outcome_that_is_due() {
    for delivered in [Delivered::Once, Delivered::Twice] {
        let options = Options { delivered, ..Options::default() };
        let world = run(everybody(), options, None).await;
        let verdict = Verdict::of(&world, OnUnknown::Hold, "no fault").await;
        assert_eq!(verdict.state, State::Completed);
        assert_eq!(verdict.codes.len(), world.people.len());
        for person in &world.people {
            assert_eq!(verdict.codes[&person.id], person.fate.code(), "{:?}", person.fate);
        }
        assert_eq!(world.store.campaigns.get(world.campaign).await.unwrap().status, Status::Completed);
    }
}

/// Every call of a run is spoiled in every way, on both kinds of engine, with and without doubled messages.
async fn every_fault(options: Options) {
    let Options { tenancy, delivered, told, on_unknown, .. } = options;
    let calls = run(everybody(), options, None).await.calls();
    let mut met = 0;
    for fault in Fault::ALL {
        for call in 0..calls {
            let story =
                format!("{tenancy:?}, {delivered:?}, {told:?}, {on_unknown:?}: {fault:?} at call {call}");
            let world = World::new(everybody(), options, Faults::new(Some((call, fault)))).await;
            world.activate().await;
            world.run().await;
            let verdict = Verdict::of(&world, on_unknown, &story).await;
            assert_eq!(verdict.state, State::Completed, "{story}");
            assert_eq!(verdict.codes.len(), world.people.len(), "{story}: nobody is lost");
            assert!(verdict.unknown() <= options.window, "{story}: {} in doubt", verdict.unknown());
            if on_unknown == OnUnknown::Resend {
                // What was in doubt is sent again; where that is refused, the doubt about the first time stays.
                let refused = verdict.count(Code::UnknownOnce);
                assert_eq!(verdict.unknown(), refused, "{story}: doubt is resent");
            }
            for person in &world.people {
                let code = verdict.codes[&person.id];
                let in_doubt = matches!(code, Code::Unknown | Code::SentAgain | Code::UnknownOnce);
                assert!(
                    code == person.fate.code() || in_doubt,
                    "{story}: {:?} is {}",
                    person.fate,
                    code.reason()
                );
            }
            met += usize::from(world.calls() > call);
        }
    }
    assert_eq!(met, calls * Fault::ALL.len());
    // Not by a print macro, whose output a test that passes keeps to itself.
    let report = format!(
        "{tenancy:?}, {delivered:?}, {told:?}, {on_unknown:?}: {met} fault points tried over {calls} calls\n"
    );
    std::io::stderr().write_all(report.as_bytes()).unwrap();
}

#[tokio::test]
async fn any_fault_of_a_shared_ledger_keeps_the_promises() {
    every_fault(Options::default()).await;
}

#[tokio::test]
async fn any_fault_of_the_only_process_keeps_the_promises() {
    every_fault(Options { tenancy: Tenancy::Sole, told: Told::ByRule, ..Options::default() }).await;
}

#[tokio::test]
async fn any_fault_with_every_message_doubled_keeps_the_promises() {
    every_fault(Options { delivered: Delivered::Twice, ..Options::default() }).await;
}

#[tokio::test]
async fn any_fault_where_doubt_is_resent_keeps_the_promises() {
    every_fault(Options { tenancy: Tenancy::Sole, on_unknown: OnUnknown::Resend, ..Options::default() })
        .await;
}

#[tokio::test]
async fn somebody_who_kills_the_process_fails_alone() {
    let mut people = everybody();
    people[30].fate = Fate::Deadly;
    let world = run(people, Options::default(), None).await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "deadly").await;
    assert_eq!(verdict.state, State::Completed);
    // The first death takes the answers to the window before with it; after that, members are prepared one by one.
    assert!(verdict.unknown() <= Options::default().window);
    for person in &world.people {
        let code = verdict.codes[&person.id];
        assert!(
            code == person.fate.code() || code == Code::Unknown,
            "{:?} is {}",
            person.fate,
            code.reason()
        );
    }
    assert_eq!(verdict.count(Code::Crashed), 1);
}

#[tokio::test]
async fn an_empty_audience_completes_at_once() {
    // Corpus A21.
    let world = run(Vec::new(), Options::default(), None).await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "empty").await;
    assert_eq!((verdict.state, verdict.codes.len()), (State::Completed, 0));
}

#[tokio::test]
async fn a_provider_that_is_down_for_a_while_loses_nobody() {
    // Corpus A17: what an outage spoiled goes back to pending.
    for trouble in [Trouble::DownFor(40), Trouble::ThrottlingFor(40)] {
        let world = run(everybody(), Options { trouble, ..Options::default() }, None).await;
        let verdict = Verdict::of(&world, OnUnknown::Hold, "trouble").await;
        assert_eq!(verdict.unknown(), 0);
        assert_eq!(verdict.count(Code::Sent), world.provider.total());
        assert_eq!(verdict.count(Code::Expired), 0);
    }
}

#[tokio::test]
async fn a_provider_that_stays_down_fails_everybody_after_the_retry_period() {
    let world =
        run(everybody(), Options { trouble: Trouble::DownFor(usize::MAX), ..Options::default() }, None).await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "down for good").await;
    assert_eq!(world.provider.total(), 0);
    assert_eq!(verdict.count(Code::Sent), 0);
    assert!(verdict.count(Code::Expired) > 40);
}

#[tokio::test]
async fn a_stop_during_the_run_sends_to_nobody_after_it_and_balances() {
    for after in [1, 2, 3, 4, 5] {
        let people = everybody();
        let world = World::new(people, Options::default(), Faults::new(None)).await;
        world.activate().await;
        let mut handled = 0;
        world
            .run_until(|_| {
                handled += 1;
                handled == after
            })
            .await;
        let sent = world.provider.total();
        world.stop().await;
        let execution = world.execution().await;
        world.store.ledger.turn(execution, &[State::Running], State::Stopping).await.unwrap();
        world.run().await;
        let verdict = Verdict::of(&world, OnUnknown::Hold, "stopped").await;
        assert_eq!(verdict.state, State::Stopped);
        assert_eq!(world.provider.total(), sent, "stopped after {after} messages");
        assert_eq!(world.store.campaigns.get(world.campaign).await.unwrap().status, Status::Stopped);
    }
}

#[tokio::test]
async fn a_stop_whose_second_half_is_lost_is_finished_by_the_sweep() {
    let world = World::new(everybody(), Options::default(), Faults::new(None)).await;
    world.activate().await;
    let mut handled = 0;
    world
        .run_until(|_| {
            handled += 1;
            handled == 1
        })
        .await;
    world.stop().await;
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "half stopped").await;
    assert_eq!(verdict.state, State::Stopped);
}

#[tokio::test]
async fn a_rate_is_kept_and_loses_nobody() {
    // Corpus I1, I7: slower, but everybody.
    let world = run(everybody(), Options { rate_per_second: Some(2), ..Options::default() }, None).await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "rate").await;
    assert_eq!(verdict.count(Code::Sent), world.provider.total());
    assert_eq!(verdict.codes.len(), world.people.len());
}
