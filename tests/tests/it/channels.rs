//! Several channels at the same time: each action has outcomes of its own, and none waits for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use campaign::configuration::Sender;
use campaign::outcome::OnUnknown;
use campaign::{Channel, Code, Status};
use envoi_tests::sim::{
    Beside, Delivered, Fate, Fault, Faults, Options, Person, Provider, Told, Trouble, Verdict, World,
    edit_configuration,
};
use jiff::{SignedDuration, Timestamp};
use platform::Clock;
use store::ledger::{State, Tenancy};

fn people(number: u16) -> Vec<Person> {
    (1..=number).map(|number| Person::of_many(number, Fate::Taken)).collect()
}

const fn beside(channel: Channel, condition: Option<&'static str>, trouble: Trouble) -> Beside {
    Beside { channel, condition, trouble }
}

/// Email to all, and a push to every third or else a text message.
const ONE_OR_ELSE_THE_OTHER: &[Beside] = &[
    beside(Channel::Push, Some("profile.number % 3 == 0"), Trouble::None),
    beside(Channel::Sms, Some("!(profile.number % 3 == 0)"), Trouble::None),
];

async fn status(world: &World) -> Status {
    world.store.campaigns.get(world.campaign).await.unwrap().status
}

/// Who does not meet a condition is left out by name, and everybody gets exactly the one or the other.
async fn each_gets_the_one_or_the_other(options: Options, faults: Faults, story: &str) -> World {
    let options = Options { beside: ONE_OR_ELSE_THE_OTHER, ..options };
    let mut all = people(130);
    all[6].fate = Fate::Suppressed;
    all[7].fate = Fate::Refused;
    let world = World::new(all, options, faults).await;
    world.activate().await;
    world.run().await;
    let verdicts = Verdict::of_each(&world, options.on_unknown, story).await;
    for person in &world.people {
        let reached = person.number().is_multiple_of(3);
        let [push, sms] = [1, 2].map(|action| verdicts[action].codes[&person.id]);
        let (reaches, leaves_out) = if reached { (push, sms) } else { (sms, push) };
        assert_eq!(leaves_out, Code::ConditionNotMet, "{story}: {}", person.number());
        assert_ne!(reaches, Code::ConditionNotMet, "{story}: {}", person.number());
    }
    assert_eq!(verdicts.iter().map(|verdict| verdict.codes.len()).sum::<usize>(), 3 * 130, "{story}");
    world
}

#[tokio::test]
async fn a_condition_says_whom_an_action_reaches() {
    for told in [Told::ByList, Told::ByRule] {
        for tenancy in [Tenancy::Sole, Tenancy::Shared] {
            let options = Options { told, tenancy, ..Options::default() };
            let story = format!("{options:?}");
            each_gets_the_one_or_the_other(options, Faults::new(None), &story).await;
        }
    }
}

#[tokio::test]
async fn a_condition_that_can_not_be_decided_leaves_out() {
    let condition = Some("profile.nothing_of_the_kind > 3");
    let world = World::new(people(7), Options { condition, ..Options::default() }, Faults::new(None)).await;
    world.activate().await;
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "undecided").await;
    assert_eq!(verdict.count(Code::ConditionNotMet), 7);
}

#[tokio::test]
async fn messages_that_come_twice_late_or_never_change_nothing_about_it() {
    each_gets_the_one_or_the_other(
        Options { delivered: Delivered::Twice, ..Options::default() },
        Faults::new(None),
        "twice",
    )
    .await;
    for seed in 0..6 {
        let options = Options { delivered: Delivered::Astray(seed), ..Options::default() };
        each_gets_the_one_or_the_other(options, Faults::new(None), &format!("astray {seed}")).await;
    }
}

#[tokio::test]
async fn a_process_that_dies_loses_nobody_of_any_channel() {
    let quiet = each_gets_the_one_or_the_other(Options::default(), Faults::new(None), "quiet").await;
    let calls = quiet.calls();
    for call in (1..calls).step_by(7) {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            let story = format!("{fault:?} at {call} of {calls}");
            let faults = Faults::new(Some((call, fault)));
            each_gets_the_one_or_the_other(Options::default(), faults, &story).await;
        }
    }
}

fn last(provider: &Provider, people: &[Person]) -> Timestamp {
    people.iter().flat_map(|person| provider.taken_at(person.id)).max().unwrap()
}

/// Three channels to 10,000 people, and the provider of one is down for an hour.
#[tokio::test]
async fn a_provider_that_is_down_delays_no_other_channel_and_fails_nobody() {
    const THREE: &[Beside] =
        &[beside(Channel::Sms, None, Trouble::None), beside(Channel::Push, None, Trouble::None)];
    let options = Options { beside: THREE, window: 10, told: Told::ByRule, ..Options::default() };
    let world = World::new(people(10_000), options, Faults::new(None)).await;
    let begins = world.clock().now();
    let sms = world.beside[0].clone();
    sms.turn(Trouble::DownUntil(begins + Duration::from_secs(3600)));
    world.activate().await;
    world.run().await;
    let verdicts = Verdict::of_each(&world, OnUnknown::Hold, "one is down").await;
    for verdict in &verdicts {
        assert_eq!((verdict.count(Code::Sent), verdict.state), (10_000, State::Completed));
    }
    let first_text = world.people.iter().flat_map(|person| sms.taken_at(person.id)).min().unwrap();
    for other in [&world.provider, &world.beside[1]] {
        assert!(last(other, &world.people) < begins + Duration::from_secs(60));
        assert!(last(other, &world.people) < first_text);
    }
    // While it was down, it was asked now and then, not by every chunk again and again.
    assert!(sms.refusals() < 3600, "{}", sms.refusals());
    assert_eq!(status(&world).await, Status::Completed);
}

#[tokio::test]
async fn what_a_disabled_configuration_was_to_send_waits_until_it_is_enabled() {
    let world = World::new(people(60), Options::default(), Faults::new(None)).await;
    edit_configuration(&world.store, |configuration| configuration.disabled = true).await;
    world.activate().await;
    world.run_for(Duration::from_secs(3600)).await;
    assert_eq!((world.provider.total(), status(&world).await), (0, Status::Live));
    edit_configuration(&world.store, |configuration| configuration.disabled = false).await;
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "disabled for an hour").await;
    assert_eq!(verdict.count(Code::Sent), 60);
}

#[tokio::test]
async fn what_stays_disabled_fails_by_name_when_the_retry_period_ends() {
    let world = World::new(people(60), Options::default(), Faults::new(None)).await;
    edit_configuration(&world.store, |configuration| configuration.disabled = true).await;
    world.activate().await;
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "disabled for good").await;
    assert_eq!((verdict.count(Code::Misconfigured), world.provider.total()), (60, 0));
    assert_eq!(status(&world).await, Status::Completed);
}

/// Corpus A4. The edits are made between any two steps of a delivery, with chunks in hand.
#[tokio::test]
async fn a_configuration_that_is_edited_disabled_and_enabled_meanwhile_costs_nobody_their_message() {
    const PEOPLE: usize = 225;
    let options = Options { window: 10, ..Options::default() };
    let world = Arc::new(World::new(people(225), options, Faults::new(None)).await);
    let edited = Arc::new(AtomicUsize::new(0));
    let (store, provider, edits) = (world.store.clone(), world.provider.clone(), edited.clone());
    world.interrupt(move |_| {
        let (store, total, edits) = (store.clone(), provider.total(), edits.clone());
        Box::pin(async move {
            let edit = edits.load(Ordering::Relaxed);
            if (edit == 0 && total >= 90) || (edit == 1 && total >= 160) {
                edits.fetch_add(1, Ordering::Relaxed);
                edit_configuration(&store, |configuration| {
                    configuration.rate_per_second = Some(20);
                    configuration.disabled = edit == 1;
                    let Sender::Email(email) = &mut configuration.sender else { panic!("it is for email") };
                    email.from_name = Some("Others".to_owned());
                })
                .await;
            }
        })
    });
    world.activate().await;
    world.run_for(Duration::from_secs(3600)).await;
    let total = world.provider.total();
    // Whatever chunk was in hand ends as it began.
    assert!((160..=200).contains(&total), "{total}");
    assert_eq!((edited.load(Ordering::Relaxed), status(&world).await), (2, Status::Live));
    edit_configuration(&world.store, |configuration| configuration.disabled = false).await;
    world.run().await;
    let verdict = Verdict::of(&world, OnUnknown::Hold, "edited").await;
    assert_eq!((verdict.count(Code::Sent), verdict.count(Code::Misconfigured)), (PEOPLE, 0));
    assert_eq!(world.provider.total(), PEOPLE);
    // The new rate holds from the next chunk on.
    let mut taken: Vec<_> =
        world.people.iter().flat_map(|person| world.provider.taken_at(person.id)).collect();
    taken.sort_unstable();
    let last = taken[PEOPLE - 1].duration_since(taken[total]);
    assert!(last >= SignedDuration::from_millis(i64::try_from(PEOPLE - total - 2).unwrap() * 50), "{last:?}");
    assert_eq!(status(&world).await, Status::Completed);
}
