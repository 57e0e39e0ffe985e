//! Opens and clicks.

use axum::body::Body;
use campaign::Fact;
use campaign::link::Member;
use futures::future::join_all;
use http::Request;
use links::{About, DAYS, Link, day_of};
use platform::{Clock, SystemClock};

use crate::world::{ANN, BOB, BROWSER, World, path};

const TARGET: &str = "https://shop.example.com/?a=1&b=2";

#[tokio::test]
async fn a_person_s_open_and_a_program_s_are_told_apart() {
    let world = World::new(None).await;
    let picture = world.get(&world.open(ANN)).await;
    assert_eq!((picture.status.as_u16(), picture.header("content-type")), (200, "image/gif"));
    assert!(picture.header("cache-control").contains("no-store"));
    assert!(picture.body.starts_with(b"GIF89a") && picture.body.ends_with(b";") && picture.body.len() == 43);
    assert_eq!(world.facts(ANN).await, ["opened"]);
    // A suffix that a mail program may like better.
    let proxy = [("user-agent", "Mozilla/5.0")];
    let answer = world.ask("GET", &format!("{}.gif", world.open(BOB)), &proxy, "").await;
    assert_eq!(answer.body, picture.body);
    assert_eq!(world.facts(BOB).await, ["machine_opened"]);
}

/// Rows E1 and H11: whoever asks for the head alone is nobody.
#[tokio::test]
async fn a_head_counts_as_a_program_s_and_answers_as_the_whole_would() {
    let world = World::new(None).await;
    let head = world.ask("HEAD", &world.open(ANN), &[("user-agent", BROWSER)], "").await;
    assert_eq!((head.status.as_u16(), head.header("content-type"), head.body.len()), (200, "image/gif", 0));
    let head = world.ask("HEAD", &world.click(ANN, 0, TARGET), &[("user-agent", BROWSER)], "").await;
    assert_eq!((head.status.as_u16(), head.header("location")), (302, TARGET));
    assert_eq!(world.facts(ANN).await, ["machine_opened", "machine_clicked"]);
}

#[tokio::test]
async fn a_click_leads_on_to_exactly_its_target_and_counts_its_link() {
    let world = World::new(None).await;
    for (link, target, expected) in [
        (0, TARGET, TARGET),
        (1, "https://x.io/v?a=1&amp;b=[2]#frag(ment)?", "https://x.io/v?a=1&amp;b=[2]#frag(ment)?"),
        (1, "https://x.io/\u{e4}/%C3%A4?q=\u{17c} x", "https://x.io/%C3%A4/%C3%A4?q=%C5%BC%20x"),
    ] {
        let answer = world.get(&world.click(ANN, link, target)).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (302, expected));
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(answer.body.is_empty() && !answer.headers.contains_key("set-cookie"));
    }
    assert_eq!(world.facts(ANN).await, ["clicked"]);
    world.ask("GET", &world.click(BOB, 0, TARGET), &[], "").await;
    assert_eq!(world.store.ledger.link_visitors(world.chunk(), 0).await.unwrap(), (1, 1));
    assert_eq!(world.store.ledger.link_visitors(world.chunk(), 1).await.unwrap(), (1, 0));
}

/// Row D13: what was not signed is led to by nobody.
#[tokio::test]
async fn a_tampered_or_cut_link_answers_clearly_and_leads_nowhere() {
    let world = World::new(None).await;
    let click = world.click(ANN, 0, TARGET);
    let (token, _) = click.strip_prefix("/t/c/").unwrap().split_once('/').unwrap();
    let other = world.click(ANN, 0, "https://evil.example.com/");
    let (_, elsewhere) = other.strip_prefix("/t/c/").unwrap().split_once('/').unwrap();
    let changed = |at: usize| {
        let mut bytes = click.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    for path in [
        format!("/t/c/{token}/{elsewhere}"),
        format!("/t/c/{token}"),
        format!("/t/c/{token}/"),
        format!("/t/c/{token}/!"),
        format!("/t/c/%FF/{elsewhere}"),
        changed(6),
        changed(30),
        changed(click.len() - 3),
        click.replace("/t/c/", "/t/x/"),
        world.click(ANN, 0, "javascript:alert(1)"),
        world.click(ANN, 0, "/relative"),
        // A token of another kind.
        world.open(ANN).replace("/t/o/", "/t/c/") + "/" + elsewhere,
        world.open(ANN).replace("/t/o/", "/t/u/"),
        world.open(ANN).replace("/t/o/", "/t/v/"),
    ] {
        let answer = world.get(&path).await;
        assert_eq!(answer.status.as_u16(), 400, "{path}");
        answer.assert_is_plain_page();
        assert!(answer.text().contains("This link does not work"));
    }
    let french = world.ask("GET", &format!("/t/c/{token}/x"), &[("accept-language", "fr")], "").await;
    assert!(french.text().contains("lang=\"fr\"") && french.text().contains("Ce lien ne fonctionne pas"));
    assert!(world.facts(ANN).await.is_empty());
}

#[tokio::test]
async fn a_link_of_long_ago_says_so_and_leads_nowhere() {
    let world = World::new(None).await;
    let today = day_of(SystemClock.now().as_second());
    let click = |day| {
        let old = links::Issuer { day, ..world.issuer(ANN) };
        path(|out| old.push_click(0, TARGET, out))
    };
    let answer = world.get(&click(today - DAYS - 1)).await;
    assert_eq!(answer.status.as_u16(), 410);
    answer.assert_is_plain_page();
    assert_eq!(world.get(&click(today - DAYS)).await.status.as_u16(), 302);
    let mut view = String::from("/t/v/");
    let old = Link { member: world.member(ANN), day: today - DAYS - 1, about: About::View };
    old.push_token(&world.keys, "", &mut view);
    assert_eq!(world.get(&view).await.status.as_u16(), 410);
}

#[tokio::test]
async fn a_bad_picture_is_a_picture_all_the_same() {
    let world = World::new(None).await;
    for path in ["/t/o/x", "/t/o/%FF", "/t/o/.gif", &world.view(ANN).replace("/t/v/", "/t/o/")] {
        let answer = world.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "image/gif"), "{path}");
    }
    assert!(world.facts(ANN).await.is_empty());
}

#[tokio::test]
async fn a_proof_s_links_work_and_count_nothing() {
    let world = World::new(None).await;
    let issuer = world.issuer_of(Member::NOBODY, None);
    let click = world.get(&path(|out| issuer.push_click(0, TARGET, out))).await;
    assert_eq!((click.status.as_u16(), click.header("location")), (302, TARGET));
    let open = world.get(&path(|out| issuer.push_open(out))).await;
    assert_eq!(open.header("content-type"), "image/gif");
    let nobody = store::messages::ChunkKey::of(&Member::NOBODY);
    assert_eq!(world.store.ledger.facts(nobody).await.unwrap().iter().count(), 0);
}

#[tokio::test]
async fn a_hundred_opens_at_once_are_one_person() {
    let world = World::new(None).await;
    let (open, click) = (world.open(ANN), world.click(BOB, 3, TARGET));
    let opens = join_all((0..100).map(|_| world.get(&open)));
    let clicks = join_all((0..100).map(|_| world.get(&click)));
    let (opens, clicks) = futures::join!(opens, clicks);
    assert!(opens.iter().all(|answer| answer.status.as_u16() == 200));
    assert!(clicks.iter().all(|answer| answer.header("location") == TARGET));
    let facts = world.store.ledger.facts(world.chunk()).await.unwrap();
    assert!(facts.of(ANN.into()).has(Fact::Opened) && facts.of(BOB.into()).has(Fact::Clicked));
    assert_eq!(facts.iter().count(), 2);
    assert_eq!(world.store.ledger.link_visitors(world.chunk(), 3).await.unwrap(), (1, 0));
}

#[tokio::test]
async fn nothing_is_posted_to_pictures_and_clicks() {
    let world = World::new(None).await;
    for path in [world.open(ANN), world.click(ANN, 0, TARGET), world.view(ANN)] {
        let answer = world.post(&path, "").await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET,HEAD"));
    }
    assert!(world.facts(ANN).await.is_empty());
    let request = Request::builder().uri("/elsewhere").body(Body::empty()).unwrap();
    assert_eq!(world.send(request).await.status.as_u16(), 404);
}
