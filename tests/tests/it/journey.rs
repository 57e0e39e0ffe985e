//! From an API key to a mail in the outbox: everything a newcomer does, through the API of a node in this process.

use std::fs;
use std::path::Path;
use std::time::Duration;

use envoi_local::config::Email;
use envoi_local::{Config, Node};
use envoi_tests::process::{Api, binary};
use mail_parser::{Message, MessageParser};
use serde_json::{Value, json};

const POLL: Duration = Duration::from_millis(20);

async fn node(folder: &Path) -> (Node, Api) {
    let node = Node::start(Config::new(folder, Email::Outbox(folder.join("outbox")))).await.unwrap();
    let api = Api::new(&format!("http://{}", node.address()), node.first_key().unwrap());
    (node, api)
}

/// The mails of the outbox, as they are.
fn mails(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        fs::read_dir(folder.join("outbox")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn to(mail: &Message<'_>) -> String {
    mail.to().unwrap().first().unwrap().address().unwrap().to_owned()
}

/// A campaign with everything in it that a content can have.
async fn campaign(api: &Api, segment: &str) -> String {
    let configuration = json!({
        "name": "News", "category": "marketing",
        "sender": {
            "channel": "email", "from": "news@example.org", "from_name": "Zażółć", "reply_to": "answers@example.org",
        },
    });
    let configuration = api.create("/configurations", &configuration).await.unwrap();
    let campaign = json!({
        "name": "Spring", "type": "scheduled", "category": "marketing", "segment_id": segment, "on_missing": "skip",
        "actions": [{
            "channel": "email", "configuration_id": configuration,
            "content": {
                "subject": "{{profile.person.name.firstName}}, gęślą jaźń",
                "preheader": "For {{profile.city}}",
                "body": { "mjml": "<mjml><mj-body><mj-section><mj-column><mj-text>Dear {{profile.person.name.firstName}}, \
                    <a href=\"https://example.org/?a=1&amp;b=2\">look</a>, or \
                    <a href=\"{{links.unsubscribe}}\">no more</a></mj-text></mj-column></mj-section></mj-body></mjml>" },
            },
        }],
    });
    api.create("/campaigns", &campaign).await.unwrap()
}

#[tokio::test]
async fn everybody_gets_their_own_mail_or_a_reason() {
    // Corpus J3: one of each reason.
    let folder = tempfile::tempdir().unwrap();
    let (node, api) = node(folder.path()).await;
    let csv = "\u{feff}email;external_id;person.name.firstName;city;consent.email\r\n\
        ada@example.org;1;Ada;Łódź;in\r\n\
        o'brien@example.ie;2;\"Conan \"\"C\"\"\";Dublin;\r\n\
        out@example.org;3;Otto;Oslo;out\r\n\
        pending@example.org;4;Petra;Pune;pending\r\n\
        ;5;Nemo;Nantes;in\r\n\
        nameless@example.org;6;;Narvik;in\r\n\
        suppressed@example.org;7;Sue;Sofia;in";
    let import = api.import(csv).await.unwrap();
    assert_eq!((&import["rows"], &import["created"]), (&json!(7), &json!(7)));
    let at = platform::Clock::now(&platform::SystemClock);
    let suppressions = &node.store().suppressions;
    let entry = store::suppression::Suppression {
        channel: campaign::Channel::Email,
        address: Some("Suppressed@Example.org".to_owned()),
        reason: campaign::suppression::SuppressionReason::Complaint,
        source: None,
        at,
    };
    suppressions.add(&entry).await.unwrap();
    let segment = api.rule("has(profile.external_id)").await.unwrap();
    let campaign = campaign(&api, &segment).await;
    api.activate(&campaign).await.unwrap();
    let execution = api.finished(&campaign, POLL).await.unwrap();
    let total = &execution["total"];
    assert_eq!(
        (&total["targeted"], &total["sent"], &total["balances"]),
        (&json!(7), &json!(2), &json!(true))
    );
    let reasons = json!({ "no_consent": 2, "no_address": 1, "missing_value": 1, "suppressed": 1 });
    assert_eq!(total["excluded"], json!({ "total": 5, "reasons": reasons }));
    assert_eq!(api.get(&format!("/campaigns/{campaign}")).await.unwrap()["status"], "completed");

    let raw = mails(folder.path());
    assert_eq!(raw.len(), 2);
    for raw in &raw {
        let mail = MessageParser::default().parse(raw).unwrap();
        let (name, city) =
            if to(&mail) == "ada@example.org" { ("Ada", "Łódź") } else { ("Conan \"C\"", "Dublin") };
        assert_eq!(mail.subject(), Some(&*format!("{name}, gęślą jaźń")));
        let from = mail.from().unwrap().first().unwrap();
        assert_eq!((from.name(), from.address()), (Some("Zażółć"), Some("news@example.org")));
        assert_eq!(mail.reply_to().unwrap().first().unwrap().address(), Some("answers@example.org"));
        let html = mail.body_html(0).unwrap();
        assert!(html.contains(&format!("Dear {}", name.replace('"', "&quot;"))), "{html}");
        let (_, click) = html.split_once("/t/c/").unwrap();
        let target = click.split('"').next().and_then(|click| click.split('/').nth(1)).unwrap();
        assert_eq!(links::target_of(target).as_deref(), Some("https://example.org/?a=1&b=2"));
        assert!(html.contains(city));
        assert!(mail.body_text(0).unwrap().contains(&format!("Dear {name}")));
        assert!(mail.message_id().unwrap().ends_with("@example.org"));
    }
    node.stop().await.unwrap();
}

/// Row E3, for those of whom nothing is stored: their link names the hash under which their address would be suppressed.
#[tokio::test]
async fn who_has_no_profile_unsubscribes_by_their_address() {
    let folder = tempfile::tempdir().unwrap();
    let (node, api) = node(folder.path()).await;
    let sender =
        json!({ "channel": "email", "from": "news@example.org", "unsubscribe_mailto": "u@example.org" });
    let configuration = json!({ "name": "News", "category": "marketing", "sender": sender });
    let configuration = api.create("/configurations", &configuration).await.unwrap();
    let content =
        json!({ "subject": "News", "body": { "html": "<a href=\"{{links.unsubscribe}}\">No more</a>" } });
    let campaign = json!({
        "name": "Calls", "type": "api_triggered", "category": "marketing",
        "actions": [{ "channel": "email", "configuration_id": configuration, "content": content }],
    });
    let campaign = api.create("/campaigns", &campaign).await.unwrap();
    api.activate(&campaign).await.unwrap();
    while api.get(&format!("/campaigns/{campaign}")).await.unwrap()["status"] != "live" {
        tokio::time::sleep(POLL).await;
    }
    let recipient = json!({ "type": "external", "userId": "Zoe@example.org", "namespace": "email" });
    let call = json!({ "requestId": "r1", "campaignId": campaign, "recipients": [recipient] });
    api.post("/im/executions/unitary", &call).await.unwrap();
    while fs::read_dir(folder.path().join("outbox")).unwrap().next().is_none() {
        tokio::time::sleep(POLL).await;
    }
    let today = links::day_of(platform::Clock::now(&platform::SystemClock).as_second());
    let keys = node.store().links.keys().await.unwrap();
    let hash = node.store().suppressions.hash(campaign::Channel::Email, "zoe@example.org").await.unwrap();
    node.stop().await.unwrap();
    let raw = String::from_utf8(mails(folder.path()).remove(0)).unwrap();
    let (_, header) = raw.split_once("\r\nList-Unsubscribe:\r\n <http://").unwrap();
    let (_, header) = header.split_once("/t/u/").unwrap();
    let (token, rest) = header.split_once(">,\r\n <mailto:u@example.org?subject=unsubscribe%20").unwrap();
    assert!(rest.starts_with(&format!("{token}>\r\n")), "{raw}");
    let link = links::Link::read(links::Kind::Unsubscribe, token, "", &keys, today).unwrap();
    let recipient = campaign::link::Recipient::Address(*hash.as_bytes());
    assert_eq!(link.about, links::About::Unsubscribe(recipient));
}

#[tokio::test]
async fn a_proof_goes_to_the_given_addresses_and_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (node, api) = node(folder.path()).await;
    api.import("email,person.name.firstName,city\nada@example.org,Ada,Lyon").await.unwrap();
    let ada = api.get("/profiles?email=ada@example.org").await.unwrap();
    let segment = api.rule("has(profile.city)").await.unwrap();
    let campaign = campaign(&api, &segment).await;
    let proof =
        json!({ "addresses": ["boss@example.org", "me@example.org"], "profile_id": ada["items"][0]["id"] });
    api.post(&format!("/campaigns/{campaign}/proof"), &proof).await.unwrap();
    while fs::read_dir(folder.path().join("outbox")).unwrap().count() < 2 {
        tokio::time::sleep(POLL).await;
    }
    node.stop().await.unwrap();
    let raw = mails(folder.path());
    let mails: Vec<_> = raw.iter().map(|raw| MessageParser::default().parse(raw).unwrap()).collect();
    assert_eq!(mails.iter().map(to).collect::<Vec<_>>(), ["boss@example.org", "me@example.org"]);
    assert!(mails.iter().all(|mail| mail.subject() == Some("[Proof] Ada, gęślą jaźń")));
}

#[tokio::test]
async fn a_draft_that_is_not_right_stays_a_draft_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (node, api) = node(folder.path()).await;
    let campaign = json!({
        "name": "Empty", "type": "scheduled", "category": "marketing",
        "actions": [{ "channel": "email", "content": { "subject": "{{#if profile.x}}", "body": { "html": "  " } } }],
    });
    let campaign = api.create("/campaigns", &campaign).await.unwrap();
    api.activate(&campaign).await.unwrap();
    let draft = loop {
        let campaign = api.get(&format!("/campaigns/{campaign}")).await.unwrap();
        if campaign["status"] == "draft" {
            break campaign;
        }
        tokio::time::sleep(POLL).await;
    };
    let codes: Vec<_> =
        draft["activation_errors"].as_array().unwrap().iter().map(|error| &error["code"]).collect();
    for code in ["no_audience", "no_configuration", "syntax", "empty_body"] {
        assert!(codes.contains(&&json!(code)), "{code} is among {codes:?}");
    }
    node.stop().await.unwrap();
}

/// Runs `envoi` to its end; whether it succeeded, and what it said.
fn run(arguments: &[&str]) -> (bool, String, String) {
    let output = std::process::Command::new(binary("envoi").unwrap()).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn a_start_that_fails_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (node, _) = node(folder.path()).await;
    let (taken, data) = (node.address().to_string(), folder.path().to_str().unwrap());
    let (_, _, locked) = run(&["serve", "--data", data, "--listen", "127.0.0.1:0"]);
    assert!(locked.contains("is in use by another process"), "{locked}");
    let other = tempfile::tempdir().unwrap();
    let (_, _, port) = run(&["serve", "--data", other.path().to_str().unwrap(), "--listen", &taken]);
    assert!(port.contains("another program uses this port"), "{port}");
    let file = other.path().join("a-file");
    fs::write(&file, "").unwrap();
    let (_, _, folder) =
        run(&["serve", "--data", file.join("data").to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    assert!(folder.contains("can't be used"), "{folder}");
    node.stop().await.unwrap();
}

#[test]
fn the_demo_accounts_for_ten_thousand() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("demo");
    let (succeeded, report, said) = run(&["demo", "--json", "--data", data.to_str().unwrap()]);
    assert!(succeeded, "{said}");
    let report: Value = serde_json::from_str(&report).unwrap();
    let total = &report["execution"]["total"];
    assert_eq!(
        (&total["targeted"], &total["balances"], &total["unknown"]),
        (&json!(10_000), &json!(true), &json!(0))
    );
    let mail = fs::read(report["mail"].as_str().unwrap()).unwrap();
    assert!(MessageParser::default().parse(&mail).unwrap().subject().unwrap().ends_with("your year with us"));
    let sent = total["sent"].as_u64().unwrap();
    assert_eq!(fs::read_dir(data.join("outbox")).unwrap().count() as u64, sent);
}
