//! What evaluating a rule costs: `cargo run --release -p campaign --example rule_bench`.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use campaign::segment::{Match, Rule};
use serde_json::{Value, json};

const PROFILES: usize = 1_000;
const ROUNDS: usize = 300;

#[allow(clippy::disallowed_methods)]
fn main() -> Result<(), Box<dyn Error>> {
    let profiles: Vec<Value> = (0..PROFILES).map(profile).collect();
    let now = "2026-06-01T00:00:00Z".parse()?;
    for expression in [
        "profile.country == 'DE'",
        "profile.country in ['AT', 'BE', 'CH', 'DE', 'FR', 'IT', 'NL', 'PL']",
        "profile.country == 'DE' && profile.orders_count >= 3 && profile.person.city.startsWith('K')",
        "(profile.country in ['DE', 'AT'] || profile.language == 'de') && !('vip' in profile.tags) && profile.spent > 100",
        "timestamp(profile.last_seen) > now - duration('720h')",
        "profile.orders.exists(o, o.total > 90 && o.sku.contains('7'))",
        "profile.email.matches('@example[.](org|net)$')",
    ] {
        let started = Instant::now();
        let rule = Rule::compile(expression)?;
        let compiled = started.elapsed();
        let started = Instant::now();
        let mut members = 0;
        for _ in 0..ROUNDS {
            for profile in profiles.iter().filter_map(Value::as_object) {
                members += usize::from(black_box(&rule).matches(black_box(profile), now) == Match::Yes);
            }
        }
        let nanoseconds = started.elapsed().as_nanos() / (ROUNDS * PROFILES) as u128;
        let share = members / ROUNDS;
        println!("{nanoseconds:>6} ns  {share:>4} of {PROFILES}  compiled in {compiled:>9.1?}  {expression}");
    }
    Ok(())
}

fn profile(number: usize) -> Value {
    let orders: Vec<Value> = (0..number % 6)
        .map(|n| json!({"sku": format!("sku-{}", number * 31 + n), "total": (number * 7 + n) % 100}))
        .collect();
    json!({
        "email": format!("person{number}@example.{}", pick(&["com", "org", "net"], number)),
        "country": pick(&["DE", "AT", "FR", "US"], number),
        "language": pick(&["de", "en", "fr"], number),
        "spent": (number % 400) as f64 / 2.0,
        "orders_count": number % 7,
        "last_seen": format!("2026-05-{:02}T10:00:00+02:00", number % 28 + 1),
        "tags": ["news", "beta", pick(&["vip", "new"], number)],
        "person": {"name": {"first": "Ann", "last": "Lee"}, "city": pick(&["K\u{f6}ln", "Paris", "Wien"], number)},
        "orders": orders,
    })
}

fn pick(texts: &[&'static str], number: usize) -> &'static str {
    texts[number % texts.len()]
}
