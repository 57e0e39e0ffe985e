//! What an address does not take at once.

use std::collections::BTreeSet;
use std::time::Duration;

use campaign::Code;
use platform::Clock;
use store::messages::Notify;

use crate::receiver::{Answer, Receiver};
use crate::world::World;

const HOUR: Duration = Duration::from_secs(3600);
const YES: Answer = Answer::Status(200);
const NO: Answer = Answer::Status(500);

#[tokio::test]
async fn what_fails_is_tried_again_with_the_same_id_and_body_until_it_is_taken() {
    let world = World::new();
    let receiver = Receiver::start(&[NO, NO, Answer::Status(404), YES]).await;
    let (id, _) = world.register(&receiver.url(), &[]).await;
    world.settled(&[Code::Sent]).await;
    world.work().await;
    assert_eq!(receiver.posts().len(), 1);
    world.pass(HOUR).await;
    let posts = receiver.posts();
    assert_eq!(posts.len(), 4);
    assert!(posts.iter().all(|post| post.id() == posts[0].id() && post.body == posts[0].body));
    assert!(world.store.endpoints.waiting(id, None, 10).await.unwrap().is_empty());
    // That is all there is to it.
    world.pass(24 * HOUR).await;
    assert_eq!(receiver.posts().len(), 4);
}

#[tokio::test]
async fn an_address_that_is_down_for_hours_is_told_everything_when_it_is_back() {
    let world = World::new();
    let receiver = Receiver::start(&[NO]).await;
    world.register(&receiver.url(), &[]).await;
    for _ in 0..30 {
        world.settled(&[Code::Sent, Code::Sent, Code::Expired]).await;
        world.pass(Duration::from_secs(120)).await;
    }
    world.pass(3 * HOUR).await;
    let while_down = receiver.posts();
    receiver.answers(&[YES]);
    let before = while_down.len();
    world.pass(24 * HOUR).await;
    let posts = receiver.posts();
    let taken: BTreeSet<_> = posts[before..].iter().map(|post| post.id().to_owned()).collect();
    assert_eq!(taken.len(), 90, "everything was taken");
    assert_eq!(posts.len() - before, 90, "and once, since it was taken at once");
}

#[tokio::test]
async fn an_address_that_is_down_is_not_asked_for_everything_that_waits() {
    let world = World::new();
    let receiver = Receiver::start(&[NO]).await;
    let (id, _) = world.register(&receiver.url(), &[]).await;
    for _ in 0..40 {
        world.settled(&[Code::Sent; 20]).await;
    }
    world.work().await;
    let waiting = world.store.endpoints.waiting(id, None, 1000).await.unwrap().len();
    assert_eq!(waiting, 800, "nothing is lost");
    let asked = receiver.posts().len();
    assert!(asked < 100, "{asked}");
}

#[tokio::test]
async fn an_address_that_asks_to_be_left_alone_is() {
    let world = World::new();
    let receiver = Receiver::start(&[Answer::Busy(1800), YES]).await;
    world.register(&receiver.url(), &[]).await;
    world.settled(&[Code::Sent]).await;
    world.work().await;
    world.pass(Duration::from_secs(1700)).await;
    assert_eq!(receiver.posts().len(), 1);
    world.pass(Duration::from_secs(300)).await;
    assert_eq!(receiver.posts().len(), 2);
}

#[tokio::test]
async fn an_address_that_is_gone_is_disabled_and_asked_no_more() {
    let world = World::new();
    let receiver = Receiver::start(&[NO, Answer::Status(410)]).await;
    let (id, _) = world.register(&receiver.url(), &[]).await;
    world.settled(&[Code::Sent]).await;
    world.pass(HOUR).await;
    let endpoint = world.store.endpoints.get(id).await.unwrap().value;
    assert!(endpoint.disabled && endpoint.gone_at.is_some());
    world.settled(&[Code::Sent]).await;
    world.pass(48 * HOUR).await;
    assert_eq!(receiver.posts().len(), 2);
    let (dead, _) = world.store.endpoints.dead_letters(id, None, 10).await.unwrap();
    assert_eq!(dead.len(), 1, "what came while it was disabled was not for it");
    assert_eq!(dead[0].parked.error.as_deref(), Some("it answered 410: it is gone"));
}

#[tokio::test]
async fn what_is_never_taken_is_a_dead_letter_which_can_be_sent_again() {
    let world = World::new();
    let receiver = Receiver::start(&[NO]).await;
    let (id, _) = world.register(&receiver.url(), &[]).await;
    world.settled(&[Code::Sent]).await;
    world.settled(&[Code::Expired, Code::Sent]).await;
    world.pass(24 * HOUR).await;
    assert!(world.store.endpoints.dead_letters(id, None, 10).await.unwrap().0.is_empty());
    world.pass(24 * HOUR).await;
    let (dead, _) = world.store.endpoints.dead_letters(id, None, 10).await.unwrap();
    assert_eq!(dead.len(), 3);
    assert!(dead.iter().all(|letter| letter.parked.error.as_deref() == Some("it answered 500")));
    assert!(dead.iter().all(|letter| letter.parked.tries == 8), "{dead:?}");
    let asked = receiver.posts().len();
    world.pass(24 * HOUR).await;
    assert_eq!(receiver.posts().len(), asked, "nobody asks any more");

    receiver.answers(&[YES]);
    let one = world.store.endpoints.dead_letter(id, dead[0].parked.event).await.unwrap();
    world.store.endpoints.revive(id, vec![one]).await.unwrap();
    world.work().await;
    assert_eq!(receiver.posts().len(), asked + 1);
    assert_eq!(receiver.posts()[asked].id(), dead[0].parked.event.to_string());
    let until_ms = world.clock.now().as_millisecond();
    let all = Notify::Replay { endpoint: id, until_ms, after: None }.message();
    world.store.platform.queue.send(vec![all]).await.unwrap();
    world.work().await;
    assert_eq!(receiver.posts().len(), asked + 3);
    assert!(world.store.endpoints.dead_letters(id, None, 10).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn what_waits_for_an_address_that_is_deleted_goes_with_it() {
    let world = World::new();
    let receiver = Receiver::start(&[NO]).await;
    let (id, _) = world.register(&receiver.url(), &[]).await;
    world.settled(&[Code::Sent; 20]).await;
    world.work().await;
    let found = world.store.endpoints.get(id).await.unwrap();
    world.store.endpoints.delete(id, found.revision).await.unwrap();
    world.work().await;
    assert!(world.store.endpoints.waiting(id, None, 10).await.unwrap().is_empty());
    let asked = receiver.posts().len();
    world.pass(48 * HOUR).await;
    assert_eq!(receiver.posts().len(), asked);
}

#[tokio::test]
async fn one_address_s_trouble_is_no_other_s() {
    let world = World::new();
    let (silent, good) = (Receiver::start(&[Answer::Silent]).await, Receiver::start(&[YES]).await);
    let (id, _) = world.register(&silent.url(), &[]).await;
    world.register(&good.url(), &[]).await;
    for told in 1..=20 {
        world.settled(&[Code::Sent]).await;
        world.work().await;
        assert_eq!(good.posts().len(), told);
    }
    // The first found out, and one looked whether it is back: nobody else waited for it.
    assert_eq!(silent.posts().len(), 2);
    assert_eq!(world.store.endpoints.waiting(id, None, 100).await.unwrap().len(), 20);
}

#[tokio::test]
async fn disabling_an_address_gives_up_what_waits_and_enabling_it_lets_that_be_had_again() {
    let world = World::new();
    let receiver = Receiver::start(&[NO, YES]).await;
    let (id, _) = world.register(&receiver.url(), &[]).await;
    world.settled(&[Code::Sent]).await;
    world.work().await;
    let mut found = world.store.endpoints.get(id).await.unwrap();
    found.value.disabled = true;
    world.store.endpoints.put(&found.value, found.revision).await.unwrap();
    world.work().await;
    let (dead, _) = world.store.endpoints.dead_letters(id, None, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    found.value.disabled = false;
    world.store.endpoints.put(&found.value, found.revision + 1).await.unwrap();
    world.store.endpoints.revive(id, dead).await.unwrap();
    world.work().await;
    assert_eq!(receiver.posts().len(), 2);
}
