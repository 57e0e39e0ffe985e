//! Times compiling, rendering and building the demo's email: `cargo run --release -p content --example render_bench`.

use std::hint::black_box;
use std::time::Duration;

use campaign::content::{EmailBody, EmailContent, OnMissing};
use campaign::link::{Member, Recipient};
use content::{CompileOptions, EmailTemplate, Issuer, Mailbox, MessageHeaders, RenderedEmail, build_message};
use links::{LinkKey, LinkKeys};
use serde_json::json;

const ROUNDS: u32 = 20_000;

fn main() {
    let content = EmailContent {
        subject: "Welcome, {{default profile.person.name.firstName \"coffee lover\"}}: your first roast"
            .into(),
        preheader: Some("A guest roast is on its way{{#if profile.city}} to {{profile.city}}{{/if}}".into()),
        from_name: Some("Fernweh Coffee".into()),
        reply_to: Some("hello+{{profile.id}}@fernweh-coffee.example".into()),
        body: EmailBody::Html(include_str!("../../../infra/local/demo/welcome.html").into()),
        text: None,
    };
    let profile = json!({
        "id": "p-17",
        "person": {"name": {"firstName": "Zofia", "lastName": "Żak & Söhne"}},
        "city": "Łódź",
        "interests": ["filter coffee", "espresso"],
        "member_since": "2026-03-01",
    });
    let context = json!({});
    let options = CompileOptions::default();
    let template = EmailTemplate::compile(&content, &options).expect("the demo's email compiles");
    let mut rendered =
        template.render(&profile, &context, OnMissing::Blank, None).expect("the demo's email renders");
    println!("html {} bytes, text {} bytes", rendered.html.len(), rendered.text.len());
    println!("compile  {:7.1} us", micros(ROUNDS / 100, || drop(EmailTemplate::compile(&content, &options))));
    println!(
        "render   {:7.2} us",
        micros(ROUNDS, || drop(template.render(&profile, &context, OnMissing::Skip, None)))
    );
    let reused = micros(ROUNDS, || {
        let done = template.render_into(&profile, &context, OnMissing::Skip, None, &mut rendered);
        debug_assert!(black_box(done).is_ok());
    });
    println!("  reused {reused:7.2} us");
    let keys = LinkKeys::new(&[LinkKey { id: 1, secret: [7; 32] }]).expect("a key");
    let issuer = Issuer {
        base: "https://links.fernweh-coffee.example",
        keys: &keys,
        member: Member { index: 1, ..Member::NOBODY },
        recipient: Some(Recipient::Address([7; 16])),
        day: 20_000,
        opens: true,
        clicks: true,
    };
    let linked = micros(ROUNDS, || {
        let done = template.render_into(&profile, &context, OnMissing::Skip, Some(&issuer), &mut rendered);
        debug_assert!(black_box(done).is_ok());
    });
    let of = |kind| rendered.html.matches(kind).count();
    let (clicks, opens, others) = (of("/t/c/"), of("/t/o/"), of("/t/u/") + of("/t/v/"));
    println!("  linked {linked:7.2} us: {clicks} clicks, {opens} open, {others} others in the HTML");
    println!("build    {:7.2} us", micros(ROUNDS, || drop(message(&rendered))));
}

fn message(rendered: &RenderedEmail) -> Vec<u8> {
    let headers = MessageHeaders {
        from: Mailbox { name: None, address: "news@fernweh-coffee.example" },
        to: Mailbox { name: Some("Zofia Żak"), address: "zofia@mail.example" },
        reply_to: None,
        message_id: "x1.17@mail.fernweh-coffee.example",
        date_unix_seconds: 1_772_323_200,
        list_unsubscribe: &["https://fernweh-coffee.example/t/u/AAAAAAAAAAAAAAAAAAAAAAAAAAA"],
        extra: Vec::new(),
    };
    black_box(build_message(&headers, rendered).expect("a message"))
}

/// The best of five runs, in microseconds a call.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
fn micros(rounds: u32, mut call: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = std::time::Instant::now();
        for _ in 0..rounds {
            call();
        }
        best = best.min(start.elapsed());
    }
    best.as_secs_f64() * 1e6 / f64::from(rounds)
}
