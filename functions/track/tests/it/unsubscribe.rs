//! Unsubscribing, and taking it back.

use campaign::link::{Member, Recipient};
use campaign::suppression::{AddressHash, SuppressionReason};
use campaign::topic::Topic;
use campaign::{Channel, ExecutionId};
use links::{About, Link, day_of};
use platform::{Clock, SystemClock};
use serde_json::json;
use store::messages::ChunkKey;

use crate::world::{ANN, Answer, BOB, BROWSER, GONE, World, path};

const ONE_CLICK: &str = "List-Unsubscribe=One-Click";

/// The body that the page's undo button posts.
fn undo_of(page: &Answer) -> Option<String> {
    let value = |name: &str| {
        let from = page.text().split(&format!("name=\"{name}\" value=\"")).nth(1)?;
        from.split('"').next().map(|value| format!("{name}={value}"))
    };
    Some([value("undo")?, value("scope")?, value("was")?, value("state")?].join("&"))
}

/// Row E1.
#[tokio::test]
async fn get_and_head_change_nothing_and_show_a_page_with_a_button() {
    let world = World::new(None).await;
    let before = world.profile(ANN).await;
    let head = world.ask("HEAD", &world.unsubscribe(ANN), &[("user-agent", BROWSER)], "").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    let page = world.get(&world.unsubscribe(ANN)).await;
    assert_eq!(page.status.as_u16(), 200);
    page.assert_is_plain_page();
    assert!(
        page.text().contains("<form method=\"post\">") && page.text().contains("<button type=\"submit\">")
    );
    assert!(!page.text().contains("radio"), "there is nothing to choose");
    assert_eq!(world.profile(ANN).await, before);
    assert!(world.facts(ANN).await.is_empty());
}

/// Row E3: the body is exactly that, there is no cookie and no redirect, and it is as good the second time.
#[tokio::test]
async fn one_click_unsubscribes_from_all_where_there_is_no_topic() {
    let world = World::new(None).await;
    for _ in 0..2 {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let answer = world.ask("POST", &world.unsubscribe(ANN), &headers, ONE_CLICK).await;
        assert_eq!(answer.status.as_u16(), 200);
        answer.assert_is_plain_page();
        assert_eq!(world.profile(ANN).await["consent"], json!({ "email": "out", "sms": "in" }));
        // Row E5: it is this execution's.
        assert_eq!(world.facts(ANN).await, ["unsubscribed"]);
    }
    assert!(world.facts(BOB).await.is_empty());
    let parts =
        "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n";
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    assert_eq!(world.ask("POST", &world.unsubscribe(BOB), &headers, parts).await.status.as_u16(), 200);
    assert_eq!(world.profile(BOB).await["consent"], json!({ "email": "out" }));
}

#[tokio::test]
async fn one_click_unsubscribes_from_the_message_s_topic_where_it_has_one() {
    let world = World::new(Some("offers")).await;
    world.post(&world.unsubscribe(ANN), ONE_CLICK).await;
    let ann = world.profile(ANN).await;
    assert_eq!((&ann["topics"], &ann["consent"]["email"]), (&json!({ "offers": "out" }), &json!("in")));
    assert_eq!(world.facts(ANN).await, ["unsubscribed"]);
}

/// Row E5: whoever unsubscribes by the page is counted with the execution whose message led there.
#[tokio::test]
async fn the_page_lets_choose_between_the_topic_and_all() {
    let world = World::new(Some("offers")).await;
    let names = [("en", "Offers & <more>"), ("fr", "Offres & <plus>")];
    let names = names.map(|(language, name)| (language.to_owned(), name.to_owned()));
    let topic = Topic { id: "offers".parse().unwrap(), names: names.into() };
    world.store.topics.put(&topic).await.unwrap();
    let page = world.get(&world.unsubscribe(ANN)).await;
    page.assert_is_plain_page();
    for said in
        ["Offres &amp; &lt;plus&gt;", "value=\"topic\" checked", "value=\"all\"", "<fieldset><legend>"]
    {
        assert!(page.text().contains(said), "{said}: {}", page.text());
    }
    let done = world.post(&world.unsubscribe(ANN), "scope=topic").await;
    assert!(done.text().contains("Offres &amp; &lt;plus&gt;"), "{}", done.text());
    done.assert_is_plain_page();
    assert_eq!(world.profile(ANN).await["topics"], json!({ "offers": "out" }));
    world.post(&world.unsubscribe(BOB), "scope=all").await;
    let bob = world.profile(BOB).await;
    assert_eq!((&bob["topics"], &bob["consent"]), (&json!(null), &json!({ "email": "out" })));
    assert_eq!(
        (world.facts(ANN).await, world.facts(BOB).await),
        (vec!["unsubscribed"], vec!["unsubscribed"])
    );
}

#[tokio::test]
async fn pages_are_in_the_profile_s_language_else_the_browser_s() {
    let world = World::new(None).await;
    let asked = async |index, accept| {
        let headers = [("accept-language", accept)];
        world.ask("GET", &world.unsubscribe(index), &headers, "").await.text().to_owned()
    };
    for (page, language, title) in [
        (asked(ANN, "en").await, "fr", "Se désabonner"),
        (asked(BOB, "fr-FR,en;q=0.5").await, "fr", "Se désabonner"),
        (asked(BOB, "de").await, "en", "Unsubscribe"),
    ] {
        assert!(page.contains(&format!("<html lang=\"{language}\">")) && page.contains(title), "{page}");
    }
}

#[tokio::test]
async fn what_was_done_can_be_undone_and_is_as_it_was() {
    for (topic, body) in [(None, ONE_CLICK), (Some("offers"), "scope=topic"), (Some("offers"), "scope=all")] {
        let world = World::new(topic).await;
        for index in [ANN, BOB] {
            let before = world.profile(index).await;
            let done = world.post(&world.unsubscribe(index), body).await;
            assert_ne!(world.profile(index).await, before);
            let undone = world.post(&world.unsubscribe(index), &undo_of(&done).unwrap()).await;
            assert_eq!(undone.status.as_u16(), 200, "{}", undone.text());
            undone.assert_is_plain_page();
            assert_eq!(world.profile(index).await, before);
        }
    }
}

/// Who holds an old message of somebody who said no can't make that a yes.
#[tokio::test]
async fn nothing_is_undone_that_was_not_offered_lately() {
    let world = World::new(None).await;
    let done = world.post(&world.unsubscribe(ANN), ONE_CLICK).await;
    let undo = undo_of(&done).unwrap();
    let again = world.post(&world.unsubscribe(ANN), ONE_CLICK).await;
    assert_eq!(undo_of(&again), None, "the second time changes nothing");
    let out = world.profile(ANN).await;
    let token = world.unsubscribe(ANN);
    let token = token.strip_prefix("/t/u/").unwrap();
    let today = day_of(SystemClock.now().as_second());
    let about = About::Unsubscribe(Recipient::Profile(world.people[usize::from(ANN)]));
    let mut old = String::new();
    let state = undo.rsplit('=').next().unwrap();
    let target = format!("undo all in {state}");
    Link { member: world.member(ANN), day: today - 2, about }.push_token(&world.keys, &target, &mut old);
    for forged in [
        format!("undo={token}&scope=all&was=in&state={state}"),
        format!("undo={old}&scope=all&was=in&state={state}"),
        format!("{undo}0"),
        undo.replace("was=in", "was=pending"),
        undo.replace("scope=all", "scope=topic"),
        format!("undo=&scope=all&was=in&state={state}"),
    ] {
        let answer = world.post(&world.unsubscribe(ANN), &forged).await;
        assert_eq!(answer.status.as_u16(), 410, "{forged}");
        assert_eq!(world.profile(ANN).await, out);
    }
    // Nor is another's.
    assert_eq!(world.post(&world.unsubscribe(BOB), &undo).await.status.as_u16(), 410);
    assert_eq!(world.post(&world.unsubscribe(ANN), &undo).await.status.as_u16(), 200);
    assert_eq!(world.profile(ANN).await["consent"]["email"], "in");
}

/// What was offered for one no does not take back another.
#[tokio::test]
async fn an_undo_is_good_for_the_no_that_it_was_offered_for_alone() {
    let world = World::new(None).await;
    let hash = world.store.suppressions.hash(Channel::Email, "guest@example.org").await.unwrap();
    let issuer = world.issuer_of(world.member(BOB), Some(Recipient::Address(*hash.as_bytes())));
    for link in [world.unsubscribe(ANN), path(|out| issuer.push_unsubscribe(out))] {
        let done = world.post(&link, ONE_CLICK).await;
        let undo = undo_of(&done).unwrap();
        // Whoever presses the button twice is told the same twice.
        for _ in 0..2 {
            assert_eq!(world.post(&link, &undo).await.status.as_u16(), 200);
        }
        // Two entries of one millisecond would be the same.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        let again = world.post(&link, ONE_CLICK).await;
        let refused = world.post(&link, &undo).await;
        assert_eq!(refused.status.as_u16(), 410);
        refused.assert_is_plain_page();
        assert_eq!(undo_of(&world.post(&link, ONE_CLICK).await), None, "it is still a no");
        assert_eq!(world.post(&link, &undo_of(&again).unwrap()).await.status.as_u16(), 200);
    }
}

#[tokio::test]
async fn who_has_no_profile_is_put_on_the_suppression_list_by_the_hash_alone() {
    let world = World::new(Some("offers")).await;
    let hash = world.store.suppressions.hash(Channel::Email, "guest@example.org").await.unwrap();
    let issuer = world.issuer_of(world.member(BOB), Some(Recipient::Address(*hash.as_bytes())));
    let link = path(|out| issuer.push_unsubscribe(out));
    let page = world.get(&link).await;
    assert!(!page.text().contains("radio"), "who has no profile has no topics");
    let done = world.post(&link, ONE_CLICK).await;
    let entry = world.store.suppressions.find(Channel::Email, "Guest@example.org").await.unwrap().unwrap();
    assert_eq!(entry.suppression.reason, SuppressionReason::Unsubscribed);
    assert_eq!((entry.suppression.address, entry.hash), (None, AddressHash::from_bytes(*hash.as_bytes())));
    assert_eq!(world.facts(BOB).await, ["unsubscribed"]);
    let undone = world.post(&link, &undo_of(&done).unwrap()).await;
    assert_eq!(undone.status.as_u16(), 200);
    assert_eq!(world.store.suppressions.find_hashed(hash).await.unwrap(), None);
}

#[tokio::test]
async fn an_undo_leaves_what_others_have_put_on_the_list_since() {
    let world = World::new(None).await;
    let hash = world.store.suppressions.hash(Channel::Email, "guest@example.org").await.unwrap();
    let issuer = world.issuer_of(world.member(BOB), Some(Recipient::Address(*hash.as_bytes())));
    let link = path(|out| issuer.push_unsubscribe(out));
    let done = world.post(&link, ONE_CLICK).await;
    let reason = SuppressionReason::HardBounce;
    world.store.suppressions.add_hashed(Channel::Email, hash, reason, None).await.unwrap();
    assert_eq!(world.post(&link, &undo_of(&done).unwrap()).await.status.as_u16(), 410);
    let entry = world.store.suppressions.find_hashed(hash).await.unwrap().unwrap();
    assert_eq!(entry.suppression.reason, reason);
}

#[tokio::test]
async fn a_link_works_for_ever_after_the_ledger_has_forgotten() {
    let world = World::new(Some("offers")).await;
    let forgotten = Member { execution: ExecutionId::from_bytes([9; 16]), ..world.member(0) };
    let recipient = Some(Recipient::Profile(world.people[usize::from(ANN)]));
    let old = links::Issuer { day: 1, ..world.issuer_of(forgotten, recipient) };
    let link = path(|out| old.push_unsubscribe(out));
    assert_eq!(world.get(&link).await.status.as_u16(), 200);
    assert_eq!(world.post(&link, ONE_CLICK).await.status.as_u16(), 200);
    assert_eq!(world.profile(ANN).await["consent"]["email"], "out");
    // A profile that is gone has nothing left to be said.
    let done = world.post(&world.unsubscribe(GONE), ONE_CLICK).await;
    assert_eq!((done.status.as_u16(), undo_of(&done)), (200, None));
}

#[tokio::test]
async fn whose_profile_is_gone_is_put_on_the_list_so_that_it_holds_for_whoever_the_address_comes_back_with() {
    let world = World::new(Some("offers")).await;
    let hash = world.store.suppressions.hash(Channel::Email, "gone@example.org").await.unwrap();
    let person = |index: u8| Recipient::Person {
        profile: world.people[usize::from(index)],
        address: *hash.as_bytes(),
    };
    let link =
        |index| path(|out| world.issuer_of(world.member(index), Some(person(index))).push_unsubscribe(out));
    assert_eq!(world.post(&link(GONE), ONE_CLICK).await.status.as_u16(), 200);
    let entry = world.store.suppressions.find(Channel::Email, "gone@example.org").await.unwrap().unwrap();
    assert_eq!(entry.suppression.reason, SuppressionReason::Unsubscribed);
    world.store.suppressions.remove_hashed(hash).await.unwrap();
    // Who has one is asked there.
    world.post(&link(ANN), ONE_CLICK).await;
    assert_eq!(world.profile(ANN).await["topics"]["offers"], "out");
    assert_eq!(world.store.suppressions.find_hashed(hash).await.unwrap(), None);
}

#[tokio::test]
async fn a_proof_s_link_says_that_it_is_one_and_changes_nothing() {
    let world = World::new(None).await;
    let recipient = Some(Recipient::Profile(world.people[usize::from(ANN)]));
    let link = path(|out| world.issuer_of(Member::NOBODY, recipient).push_unsubscribe(out));
    let before = world.profile(ANN).await;
    for answer in [world.get(&link).await, world.post(&link, ONE_CLICK).await] {
        assert_eq!(answer.status.as_u16(), 200);
        answer.assert_is_plain_page();
        assert!(answer.text().contains("This is a proof"));
    }
    assert_eq!(world.profile(ANN).await, before);
    let nobody = ChunkKey::of(&Member::NOBODY);
    assert_eq!(world.store.ledger.facts(nobody).await.unwrap().iter().count(), 0);
}

#[tokio::test]
async fn a_bad_link_unsubscribes_nobody() {
    let world = World::new(None).await;
    let link = world.unsubscribe(ANN);
    for path in ["/t/u/x".to_owned(), link[..link.len() - 2].to_owned(), format!("{link}A")] {
        for answer in [world.get(&path).await, world.post(&path, ONE_CLICK).await] {
            assert_eq!(answer.status.as_u16(), 400);
            answer.assert_is_plain_page();
        }
    }
    // A form of ours is short; one that is not is whatever else, and so one click.
    assert_eq!(world.post(&link, &"x".repeat(100_000)).await.status.as_u16(), 200);
    assert_eq!(world.profile(ANN).await["consent"]["email"], "out");
}
