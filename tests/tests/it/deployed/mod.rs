//! The template of `infra/` with the functions' own programs, deployed to an emulator of AWS and used as by its users.
//! Each scenario has a stack of its own, and recipients under a domain of its own.

mod audience;
mod called;
mod channels;
mod doubled;
mod killed;
mod life;
mod poison;
mod roles;
mod scheduled;
mod stopped;
mod told;
mod uploaded;

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};

type Scenario = (&'static str, fn() -> BoxFuture<'static, ()>);

macro_rules! scenarios {
    ($($module:ident::$name:ident),* $(,)?) => {
        [$((concat!(stringify!($module), "::", stringify!($name)), || $module::$name().boxed())),*]
    };
}

const SCENARIOS: [Scenario; 11] = scenarios![
    scheduled::a_scheduled_campaign_is_fired_by_the_scheduler_and_balances,
    called::calls_are_sent_once_and_planned_ones_can_be_taken_back,
    channels::one_campaign_goes_by_email_by_text_message_and_by_signed_call,
    life::a_campaign_lives_from_its_creation_to_the_archive,
    doubled::the_same_wake_up_and_the_same_chunk_delivered_again_send_nothing_twice,
    killed::a_function_killed_in_mid_chunk_leaves_one_window_in_doubt_and_loses_and_doubles_nobody,
    poison::a_poison_message_ends_among_the_dead_letters_and_the_rest_go_on,
    stopped::a_stop_in_mid_run_excludes_the_rest_and_balances,
    roles::a_function_reaches_what_it_needs_and_nothing_else,
    told::what_recipients_and_providers_tell_is_in_the_report,
    uploaded::a_big_file_goes_by_the_bucket_and_a_job,
];

/// Side by side, since real time passes and what they do in it is mostly to wait. To see one alone, name a part of it in
/// `ENVOI_SCENARIO`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_holds() {
    let wanted = std::env::var("ENVOI_SCENARIO").unwrap_or_default();
    let running: Vec<_> = SCENARIOS
        .into_iter()
        .filter(|(name, _)| name.contains(&wanted))
        .map(|(name, scenario)| async move {
            let outcome = AssertUnwindSafe(scenario()).catch_unwind().await;
            outcome.is_err().then_some(name)
        })
        .collect();
    assert!(!running.is_empty(), "there is no scenario {wanted:?}");
    let failed: Vec<_> = join_all(running).await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "these failed, and said why above: {failed:#?}");
}
