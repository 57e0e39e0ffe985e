use campaign::ExecutionId;
use campaign::configuration::Tracking;
use campaign::content::{EmailBody, EmailContent};
use campaign::link::Recipient;
use content::CompileOptions;
use delivery::MemberId;
use links::{About, Kind, Link, LinkKey, LinkKeys, day_of};
use serde_json::json;
use store::messages::ChunkKey;

use super::*;

const NOW: i64 = 1_772_323_200;
const PUBLIC: &str = "https://envoi.example.org";

fn keys() -> LinkKeys {
    LinkKeys::new(&[LinkKey { id: 1, secret: [3; 32] }]).unwrap()
}

fn from() -> From {
    From {
        from: "news@shop.example".parse().unwrap(),
        from_name: None,
        reply_to: None,
        unsubscribe_mailto: None,
        tracking: Tracking::default(),
    }
}

fn chunk() -> ChunkKey {
    ChunkKey { execution: ExecutionId::from_bytes([7; 16]), shard: 3, action: 1, number: 42 }
}

fn member() -> MessageId {
    MessageId::Member(MemberId { chunk: chunk(), index: 9 })
}

fn proof() -> MessageId {
    MessageId::Proof { proof: "p1".to_owned(), index: 0 }
}

fn somebody() -> Recipient {
    Recipient::Address([5; 16])
}

/// The message that these make, soft line breaks taken out.
fn message(from: &From, category: Category, id: MessageId, public_url: &str) -> String {
    message_at(from, category, id, public_url, NOW)
}

/// The same, made at this time, in seconds since the Unix epoch.
fn message_at(from: &From, category: Category, id: MessageId, public_url: &str, now_seconds: i64) -> String {
    let content = EmailContent {
        subject: "Hello".to_owned(),
        body: EmailBody::Html(
            "<a href=\"https://shop.example/?a=1&amp;b=2\">shop</a><a href=\"{{links.unsubscribe}}\">no more</a>"
                .to_owned(),
        ),
        ..EmailContent::default()
    };
    let (keys, context) = (keys(), json!({}));
    let recipient = matches!(id, MessageId::Member(_)).then(somebody);
    let draft = Draft {
        template: &EmailTemplate::compile(&content, &CompileOptions::default()).unwrap(),
        from,
        category,
        to: "jane@example.org",
        profile: Map::new(),
        context: &context,
        on_missing: OnMissing::Skip,
        id,
        links: Some(JobLinks { keys: &keys, public_url, recipient }),
        now_seconds,
    };
    let message = String::from_utf8(draft.letter().unwrap().message).unwrap();
    message.replace("=\r\n", "").replace("=3D", "=")
}

/// What stands between the first `start` and the next `end`.
fn between<'m>(message: &'m str, start: &str, end: &str) -> Option<&'m str> {
    message.split_once(start)?.1.split_once(end).map(|(found, _)| found)
}

/// Rows E3 and F1: both headers, and the link in them is the one that needs no second click, whole, and not past the counting
/// of clicks.
#[test]
fn marketing_says_how_to_unsubscribe() {
    let from = From { unsubscribe_mailto: Some("o'brien+u%x@shop.example".parse().unwrap()), ..from() };
    let message = message(&from, Category::Marketing, member(), PUBLIC);
    let url = between(&message, "List-Unsubscribe:\r\n <", ">,\r\n <mailto:").unwrap();
    let token = url.strip_prefix("https://envoi.example.org/t/u/").unwrap();
    let link = Link::read(Kind::Unsubscribe, token, "", &keys(), day_of(NOW)).unwrap();
    assert_eq!((link.member, link.about), (chunk().member(9), About::Unsubscribe(somebody())));
    let rest = between(&message, ">,\r\n <mailto:", "\r\nAuto-Submitted").unwrap();
    assert_eq!(
        rest,
        format!(
            "o'brien+u%25x@shop.example?subject=unsubscribe%20{token}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click"
        )
    );
    // The body has it too, as it is.
    assert!(message.contains(&format!("href=\"{url}\">no more")), "{message}");
    assert!(message.contains(&format!("no more ({url})")), "{message}");
}

#[test]
fn what_is_not_marketing_has_no_such_header() {
    let message = message(&from(), Category::Transactional, member(), PUBLIC);
    assert!(!message.contains("List-Unsubscribe"), "{message}");
}

/// RFC 3834: what no person sent is answered by no vacation notice.
#[test]
fn every_message_says_that_no_person_wrote_it() {
    for (category, is_bulk) in [(Category::Marketing, true), (Category::Transactional, false)] {
        let message = message(&from(), category, member(), PUBLIC);
        let (head, _) = message.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("\r\nAuto-Submitted: auto-generated\r\n"), "{head}");
        assert_eq!(head.contains("\r\nPrecedence: bulk\r\n"), is_bulk, "{head}");
    }
}

/// A server or a person that sees a message twice can tell that it is one, whenever and by whatever process it was made.
#[test]
fn a_message_has_one_name_for_good_and_shares_it_with_no_other() {
    let name = |index, now_seconds| {
        let id = MessageId::Member(MemberId { chunk: chunk(), index });
        let message = message_at(&from(), Category::Marketing, id, PUBLIC, now_seconds);
        between(&message, "Message-ID: <", ">").unwrap().to_owned()
    };
    let first = name(9, NOW);
    // Each is of a template compiled anew.
    assert_eq!(name(9, NOW + 86_400), first);
    assert!(first.ends_with("@shop.example"), "{first}");
    assert_ne!(name(8, NOW), first);
}

/// RFC 8058: one click takes HTTPS, which a node on one's own machine does not speak.
#[test]
fn without_https_there_is_no_one_click() {
    let message = message(&from(), Category::Marketing, member(), "http://localhost:8080");
    assert!(message.contains("List-Unsubscribe:\r\n <http://localhost:8080/t/u/"), "{message}");
    assert!(!message.contains("List-Unsubscribe-Post"), "{message}");
}

#[test]
fn links_are_counted_as_the_configuration_says_and_where() {
    let counted = message(&from(), Category::Transactional, member(), PUBLIC);
    let click = between(&counted, "<a href=\"https://envoi.example.org/t/c/", "\"").unwrap();
    let (token, target) = click.split_once('/').unwrap();
    let target = links::target_of(target).unwrap();
    assert_eq!(target, "https://shop.example/?a=1&b=2");
    let link = Link::read(Kind::Click, token, &target, &keys(), day_of(NOW)).unwrap();
    assert_eq!((link.member, link.about), (chunk().member(9), About::Click(0)));
    assert!(counted.contains("<img src=\"https://envoi.example.org/t/o/"), "{counted}");

    let tracking = Tracking { opens: false, clicks: false, domain: Some("links.shop.example".to_owned()) };
    let uncounted = message(&From { tracking, ..from() }, Category::Marketing, member(), PUBLIC);
    assert!(uncounted.contains("<a href=\"https://shop.example/?a=1&amp;b=2\">shop"), "{uncounted}");
    assert!(!uncounted.contains("<img"), "{uncounted}");
    assert!(uncounted.contains("List-Unsubscribe:\r\n <https://links.shop.example/t/u/"), "{uncounted}");

    let proof = message(&from(), Category::Marketing, proof(), PUBLIC);
    assert!(proof.contains("<a href=\"https://shop.example/?a=1&amp;b=2\">shop"), "{proof}");
    assert!(!proof.contains("<img"), "{proof}");
    let token = between(&proof, "<a href=\"https://envoi.example.org/t/u/", "\"").unwrap();
    assert!(Link::read(Kind::Unsubscribe, token, "", &keys(), day_of(NOW)).unwrap().member.is_nobody());
}
