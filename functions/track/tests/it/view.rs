//! Messages as pages.

use campaign::configuration::Tracking;
use campaign::link::{Member, Recipient};
use links::{About, Kind, Link, day_of, target_of};
use platform::{Clock, SystemClock};

use crate::world::{ANN, BASE, BOB, BROWSER, GONE, World, configured, path};

/// The targets of all links of a page.
fn hrefs(html: &str) -> Vec<String> {
    html.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_message_is_shown_as_its_recipient_got_it() {
    let world = World::new(None).await;
    let page = world.get(&world.view(ANN)).await;
    assert_eq!(page.status.as_u16(), 200);
    let policy = page.header("content-security-policy");
    for rule in ["sandbox ", "default-src 'none'", "form-action 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("script"), "no script runs: {policy}");
    assert_eq!(page.header("x-robots-tag"), "noindex, nofollow");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    let html = page.text();
    assert!(html.contains("Dear Ann") && !html.contains("/t/o/"), "{html}");
    let [shop, view, unsubscribe] = hrefs(html).try_into().unwrap();
    let today = day_of(SystemClock.now().as_second());
    let read = |kind, token: &str, target: &str| Link::read(kind, token, target, &world.keys, today).unwrap();
    let (token, target) = shop.strip_prefix(&format!("{BASE}/t/c/")).unwrap().split_once('/').unwrap();
    let target = target_of(target).unwrap();
    assert_eq!(target, "https://shop.example.com/?a=1&b=Ann#top");
    let link = read(Kind::Click, token, &target);
    assert_eq!((link.member, link.about), (world.member(ANN), About::Click(0)));
    assert_eq!(view, format!("{BASE}{}", world.view(ANN)));
    let token = unsubscribe.strip_prefix(&format!("{BASE}/t/u/")).unwrap();
    let recipient = Recipient::Profile(world.people[usize::from(ANN)]);
    assert_eq!(read(Kind::Unsubscribe, token, "").about, About::Unsubscribe(recipient));
}

#[tokio::test]
async fn whoever_looks_at_the_page_has_opened_the_message() {
    let world = World::new(None).await;
    world.get(&world.view(ANN)).await;
    assert_eq!(world.facts(ANN).await, ["opened"]);
    world.ask("HEAD", &world.view(BOB), &[("user-agent", BROWSER)], "").await;
    assert_eq!(world.facts(BOB).await, ["machine_opened"]);
}

#[tokio::test]
async fn what_a_configuration_does_not_track_is_not_tracked_there_either() {
    let world = World::new(None).await;
    let domain = Some("news.example.org".to_owned());
    let configuration = configured(world.configuration, Tracking { opens: false, clicks: false, domain });
    world.store.configurations.put(&configuration, 1).await.unwrap();
    let page = world.get(&world.view(ANN)).await;
    let [shop, view, _] = hrefs(page.text()).try_into().unwrap();
    assert_eq!(shop.replace("&amp;", "&"), "https://shop.example.com/?a=1&b=Ann#top");
    assert!(view.starts_with("https://news.example.org/t/v/"), "{view}");
    assert!(world.facts(ANN).await.is_empty());
}

#[tokio::test]
async fn what_can_not_be_shown_any_more_says_so() {
    let world = World::new(None).await;
    let other = |change: fn(&mut Member)| {
        let mut member = world.member(ANN);
        change(&mut member);
        path(|out| world.issuer_of(member, None).push_view(out))
    };
    for path in [
        world.view(GONE),
        other(|member| member.index = 49),
        other(|member| member.chunk = 7),
        other(|member| member.action = 1),
        other(|member| member.execution = campaign::ExecutionId::from_bytes([9; 16])),
    ] {
        let answer = world.get(&path).await;
        assert_eq!(answer.status.as_u16(), 410);
        answer.assert_is_plain_page();
    }
    let proof = world.get(&other(|member| *member = Member::NOBODY)).await;
    assert_eq!(proof.status.as_u16(), 200);
    assert!(proof.text().contains("This is a proof"));
    assert_eq!(world.store.ledger.facts(world.chunk()).await.unwrap().iter().count(), 0);
}
