//! Doubt that a provider's event settles before the rule would send again.

use campaign::outcome::OnUnknown;
use campaign::{Code, Outcome};
use envoi_tests::sim::{Fate, Fault, Faults, Options, Person, Verdict, World};
use store::ledger::{Lesson, Part};
use store::messages::FanOut;

const PEOPLE: u8 = 20;

/// Tells the ledger of everybody in doubt that the provider has their message; how many there were.
async fn tell(world: &World) -> usize {
    let ledger = &world.store.ledger;
    let execution = world.execution().await;
    let books = ledger.head(execution).await.unwrap().unwrap().books();
    let shard = FanOut { execution, shard: 0 };
    let (chunks, _) = ledger.chunks(shard, Part::Whole, None, 100).await.unwrap();
    let mut doubted = 0;
    for chunk in chunks {
        let codes = chunk.members.codes.iter().enumerate();
        let unknown = codes.filter(|(_, code)| code.outcome() == Outcome::Unknown);
        let lessons: Vec<_> = unknown.map(|(member, _)| (member, Lesson::Taken)).collect();
        doubted += lessons.len();
        let learnt = ledger.learn(chunk.key, books, &lessons).await.unwrap().unwrap();
        assert_eq!((learnt.changed.len(), learnt.in_hand.len()), (lessons.len(), 0), "nobody holds it");
    }
    doubted
}

/// Promises 2 and 3: the event says that it was taken, so it is not sent again, though the rule would have it so.
#[tokio::test]
async fn who_is_known_to_have_got_it_in_time_is_not_sent_it_again() {
    let options = Options { on_unknown: OnUnknown::Resend, ..Options::default() };
    let people = || (1..=PEOPLE).map(|number| Person::new(number, Fate::Taken)).collect::<Vec<_>>();
    let whole = World::new(people(), options, Faults::new(None)).await;
    whole.activate().await;
    whole.run().await;
    let (all, mut settled) = (usize::from(PEOPLE), 0);
    for call in 0..whole.calls() {
        let story = format!("the answer of call {call} is lost");
        let world = World::new(people(), options, Faults::new(Some((call, Fault::FailAfter)))).await;
        world.activate().await;
        world.run_until(|world| world.provider.total() >= all).await;
        if world.provider.total() < all {
            continue;
        }
        let doubted = tell(&world).await;
        if doubted == 0 {
            continue;
        }
        settled += 1;
        world.run().await;
        assert_eq!(world.provider.total(), all, "{story}");
        let verdict = Verdict::of(&world, OnUnknown::Resend, &story).await;
        assert_eq!((verdict.count(Code::Sent), verdict.unknown()), (all, 0), "{story}");
    }
    assert!(settled > 0, "no fault leaves anybody in doubt");
}
