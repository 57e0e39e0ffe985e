//! The links of a campaign's messages, as they come out of a mailbox: opened, followed, shown, unsubscribed by.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use campaign::fact::Facts;
use campaign::link::Member;
use campaign::{ExecutionId, Fact};
use deliver_email::smtp::{SmtpConfig, Tls};
use envoi_local::config::Email;
use envoi_local::{Config, Node};
use envoi_tests::lambda::{REQUEST_ID, invoke_and_listen};
use envoi_tests::process::Api;
use envoi_tests::sink::{Keep, Sink, SinkOptions};
use links::Issuer;
use mail_parser::{Message, MessageParser};
use platform::embedded::Embedded;
use platform::{Clock, SystemClock};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use store::messages::ChunkKey;
use store::{HashKey, Store};

const POLL: Duration = Duration::from_millis(20);
/// Where links are; whoever asks for them comes to the node by another way than people would.
const PUBLIC: &str = "https://links.example.org";
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const HTML: &str = "<html><body><p>Dear {{profile.name}}, \
    <a href=\"https://shop.example.com/?who={{profile.email}}&amp;list[]=1#top\">look</a></p>\
    <p><a href=\"{{links.view}}\">as a page</a>, <a href=\"{{links.unsubscribe}}\">no more</a></p></body></html>";

/// A node that sends to a mailbox of everybody's, and a browser.
struct World {
    node: Node,
    api: Api,
    sink: Sink,
    http: Client,
}

/// A message in the mailbox.
struct Mail {
    html: String,
    list_unsubscribe: String,
}

impl World {
    async fn start(folder: &Path) -> Self {
        let sink = Sink::start(SinkOptions { keep: Keep::Messages, ..SinkOptions::default() }).await.unwrap();
        let address = sink.address();
        let smtp = SmtpConfig { tls: Tls::None, ..SmtpConfig::new(address.ip().to_string(), address.port()) };
        let node = Node::start(Config {
            public_url: Some(PUBLIC.to_owned()),
            ..Config::new(folder, Email::Smtp(Box::new(smtp)))
        })
        .await
        .unwrap();
        let api = Api::new(&format!("http://{}", node.address()), node.first_key().unwrap());
        let http = Client::builder().redirect(Policy::none()).user_agent(BROWSER).build().unwrap();
        Self { node, api, sink, http }
    }

    /// Sends a campaign to everybody; what became of it.
    async fn send(&self) -> Value {
        let segment = self.api.rule("has(profile.name)").await.unwrap();
        let campaign = self.api.campaign(&segment, "News", HTML).await.unwrap();
        self.api.activate(&campaign).await.unwrap();
        self.api.finished(&campaign, POLL).await.unwrap()["total"].clone()
    }

    /// The last message to this address.
    fn mail(&self, to: &str) -> Mail {
        let messages = self.sink.messages();
        let message = messages.iter().rfind(|message| message.to == to).unwrap();
        let parsed = MessageParser::default().parse(message.message.as_deref().unwrap()).unwrap();
        let header = |name: &str| unfolded(&parsed, name);
        assert_eq!(header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
        Mail { html: parsed.body_html(0).unwrap().into_owned(), list_unsubscribe: header("List-Unsubscribe") }
    }

    async fn ask(&self, method: Method, url: &str) -> Response {
        self.http.request(method, self.here(url)).send().await.unwrap()
    }

    async fn post(&self, url: &str, body: &'static str) -> Response {
        self.http.post(self.here(url)).body(body).send().await.unwrap()
    }

    /// A public link, at the node.
    fn here(&self, url: &str) -> String {
        let path = url.strip_prefix(PUBLIC).unwrap_or_else(|| panic!("{url} is elsewhere"));
        format!("{}{path}", self.api.base())
    }

    /// What is known of the message that this link is of.
    async fn facts(&self, open: &str) -> Facts {
        let store = self.node.store();
        let token = open.rsplit('/').next().unwrap();
        let keys = store.links.keys().await.unwrap();
        let link = links::Link::read(links::Kind::Open, token, "", &keys, 0).unwrap();
        let facts = store.ledger.facts(ChunkKey::of(&link.member)).await.unwrap();
        facts.of(link.member.index.into())
    }
}

impl Mail {
    /// The link of this kind.
    fn link(&self, kind: &str) -> &str {
        let at = self.html.find(kind).unwrap_or_else(|| panic!("no {kind} in {}", self.html));
        let start = self.html[..at].rfind('"').unwrap() + 1;
        self.html[start..].split('"').next().unwrap()
    }
}

fn unfolded(mail: &Message<'_>, name: &str) -> String {
    mail.header_raw(name).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Rows B17, D1, D3, E1, E3, E5, H11.
#[tokio::test]
async fn what_recipients_do_is_counted_and_what_they_want_holds_for_the_next_campaign() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path()).await;
    let people =
        "email,name,language\nann@example.org,Ann,fr\nbob@example.org,Bob,en\ncid@example.org,Cid,\n";
    world.api.import(people).await.unwrap();
    assert_eq!(world.send().await["sent"], 3);

    // Ann reads it, and follows a link.
    let ann = world.mail("ann@example.org");
    let (open, click) = (ann.link("/t/o/"), ann.link("/t/c/"));
    assert_eq!(world.ask(Method::GET, open).await.headers()["content-type"], "image/gif");
    let led = world.ask(Method::GET, click).await;
    assert_eq!(led.status(), 302);
    assert_eq!(led.headers()["location"], "https://shop.example.com/?who=ann@example.org&list[]=1#top");
    let facts = world.facts(open).await;
    assert!(facts.has(Fact::Opened) && facts.has(Fact::Clicked) && !facts.has(Fact::Unsubscribed));

    // A scanner looks at every link of Bob's; he himself looks at the page, and is unsubscribed by his mail service.
    let bob = world.mail("bob@example.org");
    for kind in ["/t/o/", "/t/c/", "/t/u/", "/t/v/"] {
        assert!(!world.ask(Method::HEAD, bob.link(kind)).await.status().is_server_error());
    }
    let facts = world.facts(bob.link("/t/o/")).await;
    let known: Vec<_> = facts.iter().map(|(fact, _)| fact).collect();
    assert_eq!(known, [Fact::MachineOpened, Fact::MachineClicked]);
    let page = world.ask(Method::GET, bob.link("/t/v/")).await.text().await.unwrap();
    assert!(page.contains("Dear Bob") && page.contains("https://links.example.org/t/u/"), "{page}");
    let url = bob.list_unsubscribe.trim_start_matches('<').split('>').next().unwrap();
    assert!(url.contains("/t/u/"), "{}", bob.list_unsubscribe);
    let one_click = world.post(url, "List-Unsubscribe=One-Click").await;
    assert_eq!((one_click.status().as_u16(), one_click.headers().contains_key("set-cookie")), (200, false));

    // Cid looks at the page of the link, in English, and presses the button.
    let cid = world.mail("cid@example.org");
    let page = world.ask(Method::GET, cid.link("/t/u/")).await.text().await.unwrap();
    assert!(page.contains("<html lang=\"en\">") && page.contains("<button"), "{page}");
    let pressed = world.post(cid.link("/t/u/"), "scope=all").await;
    assert!(pressed.text().await.unwrap().contains("You are unsubscribed"));
    for (mail, expected) in [(&ann, false), (&bob, true), (&cid, true)] {
        assert_eq!(world.facts(mail.link("/t/o/")).await.has(Fact::Unsubscribed), expected);
    }

    let total = world.send().await;
    assert_eq!(total["sent"], 1, "{total}");
    assert_eq!(total["excluded"], json!({ "total": 2, "reasons": { "no_consent": 2 } }));
    // And the old links go on working.
    let undo = world.ask(Method::GET, bob.link("/t/u/")).await;
    assert_eq!(undo.status(), 200);
    world.node.stop().await.unwrap();
}

/// The store that the function's variables name.
async fn opened<T>(folder: &Path, act: impl AsyncFnOnce(&Store) -> T) -> T {
    let engine = Embedded::open(folder, Arc::new(SystemClock)).unwrap();
    let done = act(&Store::new(engine.platform(), HashKey([7; 32]))).await;
    engine.shutdown().await.unwrap();
    done
}

/// What the function answers to a browser's GET by way of the gateway, and what it prints.
async fn ask(folder: &Path, path: &str) -> (Value, Vec<String>) {
    let key = "07".repeat(32);
    let variables =
        [("ENVOI_DATA", folder.to_str().unwrap()), ("ENVOI_HASH_KEY", &key), ("ENVOI_LOG", "trace")];
    let event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": { "host": "links.example.org", "user-agent": BROWSER },
        "requestContext": { "http": { "method": "GET", "path": path }, "requestId": "id", "stage": "$default" },
        "isBase64Encoded": false,
    });
    let invocation = invoke_and_listen("track", &variables, event).await.unwrap();
    (invocation.answer, invocation.printed)
}

#[tokio::test]
async fn the_function_answers_behind_a_gateway_and_prints_no_token() {
    const TARGET: &str = "https://shop.example.com/?who=zqaddress@example.org";
    let folder = tempfile::tempdir().unwrap();
    let member =
        Member { execution: ExecutionId::from_bytes([5; 16]), shard: 1, action: 0, chunk: 2, index: 3 };
    let (open, click) = opened(folder.path(), async |store| {
        let keys = store.links.keys().await.unwrap();
        let day = links::day_of(SystemClock.now().as_second());
        let issuer =
            Issuer { base: "", keys: &keys, member, recipient: None, day, opens: true, clicks: true };
        let (mut open, mut click) = (String::new(), String::new());
        issuer.push_open(&mut open);
        issuer.push_click(0, TARGET, &mut click);
        (open, click)
    })
    .await;
    let (led, printed) = ask(folder.path(), &click).await;
    assert_eq!((&led["statusCode"], &led["headers"]["location"]), (&json!(302), &json!(TARGET)));
    let (picture, more) = ask(folder.path(), &open).await;
    assert_eq!(
        (&picture["statusCode"], &picture["headers"]["content-type"], &picture["isBase64Encoded"]),
        (&json!(200), &json!("image/gif"), &json!(true))
    );
    for (printed, pattern) in [(printed, "/t/c/{token}/{target}"), (more, "/t/o/{token}")] {
        let whole = printed.join("\n");
        let lines = printed.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines: Vec<_> = lines.filter(|line| line["path"] == pattern).collect();
        assert_eq!(lines.len(), 1, "{whole}");
        assert_eq!(lines[0]["span"]["request_id"], REQUEST_ID);
        for secret in open.split('/').chain(click.split('/')).filter(|part| part.len() > 1) {
            assert!(!whole.contains(secret), "{secret} is printed: {whole}");
        }
        assert!(!whole.contains("zqaddress"), "{whole}");
    }
    let facts = opened(folder.path(), async |store| store.ledger.facts(ChunkKey::of(&member)).await).await;
    let facts = facts.unwrap().of(3);
    // Of a message that the ledger does not know nothing is counted.
    assert!(!facts.has(Fact::Opened) && !facts.has(Fact::Clicked));
}
