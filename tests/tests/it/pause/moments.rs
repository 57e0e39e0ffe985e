//! Pauses and resumes at every moment of a run, and by chance among everything else that can happen.

use std::sync::atomic::Ordering;

use campaign::outcome::OnUnknown;
use campaign::{Code, Status};
use envoi_tests::sim::{Delivered, Fault, Faults, Options, Told, Verdict, chance};
use platform::Clock;
use store::ledger::{State, Tenancy};

use super::operator::{
    Button, HOUR, MINUTE, Operator, activated, assert_due, assert_rests, head, mixed, press_at, resume,
};

/// Paused before each call of a run in turn, and resumed when everything has come to rest.
async fn paused_at_every_call(options: Options) {
    let whole = activated(mixed(), options, Faults::new(None)).await;
    whole.run().await;
    let (mut paused, mut completed) = (0, 0);
    for call in 0..whole.calls() {
        let story = format!("{:?}, {:?}: paused before call {call}", options.tenancy, options.delivered);
        let world = activated(mixed(), options, Faults::new(None)).await;
        let pressed = press_at(&world, vec![(call, Button::Pause)]);
        world.run_until(|world| world.calls() > call).await;
        let total = world.provider.total();
        world.run_for(MINUTE).await;
        let stands = head(&world).await;
        if stands.state == State::Paused {
            paused += 1;
            assert!(world.provider.total() - total <= options.window, "{story}");
            assert_rests(&world, &story).await;
            let tally = world.store.ledger.tally(&stands).await.unwrap();
            assert!(!tally.is_complete(), "{story}: nobody is left, so it should have completed");
            resume(&world).await;
        } else if pressed.load(Ordering::Relaxed) > 0 {
            // Nobody was left.
            assert_eq!(stands.state, State::Completed, "{story}");
            completed += 1;
        }
        world.run().await;
        let verdict = Verdict::of(&world, options.on_unknown, &story).await;
        assert_due(&world, &verdict, 0, &story);
    }
    assert!(paused > 50 && completed > 0, "{paused} paused, {completed} completed");
}

#[tokio::test]
async fn a_pause_at_any_moment_of_a_shared_ledger_holds_and_loses_nobody() {
    paused_at_every_call(Options::default()).await;
}

#[tokio::test]
async fn a_pause_at_any_moment_of_the_only_process_holds_and_loses_nobody() {
    let options = Options { tenancy: Tenancy::Sole, told: Told::ByRule, ..Options::default() };
    paused_at_every_call(options).await;
}

#[tokio::test]
async fn a_pause_at_any_moment_with_every_message_doubled_holds_and_loses_nobody() {
    paused_at_every_call(Options { delivered: Delivered::Twice, ..Options::default() }).await;
}

#[tokio::test]
async fn a_resume_that_follows_a_pause_at_once_overtakes_nothing() {
    let whole = activated(mixed(), Options::default(), Faults::new(None)).await;
    whole.run().await;
    for call in 0..whole.calls() {
        let later = [1, 3, 8][call % 3];
        let story = format!("paused before call {call}, resumed {later} later");
        let world = activated(mixed(), Options::default(), Faults::new(None)).await;
        press_at(&world, vec![(call, Button::Pause), (call + later, Button::Resume)]);
        let begun = world.clock().now();
        // While it is paused the sweep's calls go on, so that the resume comes.
        world.run().await;
        let verdict = Verdict::of(&world, OnUnknown::Hold, &story).await;
        assert_due(&world, &verdict, 0, &story);
        let took = world.clock().now().duration_since(begun).unsigned_abs();
        assert!(took < 20 * MINUTE, "{story}: it took {took:?}");
    }
}

/// A run with messages that go astray, a fault, and buttons pressed in the middle of everything. True where it was
/// stopped.
async fn toggled(seed: u64, options: Options, buttons: &[Button]) -> bool {
    let story = format!("seed {seed}, {:?}, {:?}", options.tenancy, options.on_unknown);
    let fault = Fault::ALL[usize::try_from(chance(seed, 0) % 4).unwrap()];
    let at = usize::try_from(chance(seed, 1) % 250).unwrap();
    let options = Options { delivered: Delivered::Astray(seed), ..options };
    let world = activated(mixed(), options, Faults::new(Some((at, fault)))).await;
    let presses: Vec<_> = (0..400_u64)
        .filter(|call| chance(seed, 1000 + call).is_multiple_of(12))
        .map(|call| {
            let button = chance(seed, 2000 + call) % buttons.len() as u64;
            (usize::try_from(call).unwrap(), buttons[usize::try_from(button).unwrap()])
        })
        .collect();
    press_at(&world, presses);
    // Whoever left it paused resumes it in the end, however often it takes.
    for _ in 0..400 {
        world.run_for(HOUR).await;
        if world.store.campaigns.get(world.campaign).await.unwrap().status != Status::Live {
            break;
        }
        Operator::of(&world).press(Button::Resume).await;
    }
    world.run().await;
    let verdict = Verdict::of(&world, options.on_unknown, &story).await;
    assert!(verdict.unknown() <= options.window, "{story}: {} in doubt", verdict.unknown());
    if verdict.state == State::Completed {
        assert_due(&world, &verdict, options.window, &story);
        return false;
    }
    assert_eq!(verdict.state, State::Stopped, "{story}");
    for person in &world.people {
        let in_doubt = |code| matches!(code, Code::Unknown | Code::SentAgain | Code::UnknownOnce);
        let code = verdict.codes.get(&person.id).copied();
        assert!(
            code.is_none_or(|code| code == person.fate.code() || code == Code::Stopped || in_doubt(code)),
            "{story}: {:?} is {code:?}",
            person.fate
        );
    }
    true
}

#[tokio::test]
async fn toggled_at_random_with_messages_astray_and_crashes_everybody_gets_it_once() {
    let buttons = [Button::Pause, Button::Resume, Button::Pause, Button::Resume, Button::Resend];
    for seed in 0..25 {
        for tenancy in [Tenancy::Shared, Tenancy::Sole] {
            for on_unknown in [OnUnknown::Hold, OnUnknown::Resend] {
                let options = Options { tenancy, on_unknown, ..Options::default() };
                assert!(!toggled(seed, options, &buttons).await);
            }
        }
    }
}

#[tokio::test]
async fn a_stop_among_pauses_and_resumes_balances() {
    let mut stopped = 0;
    for seed in 1000..1080 {
        let buttons =
            [Button::Pause, Button::Resume, Button::Resume, Button::Pause, Button::Resend, Button::Stop];
        stopped += usize::from(toggled(seed, Options::default(), &buttons).await);
    }
    assert!(stopped > 40, "{stopped}");
}
