//! Invented people, always the same ones.

use std::fmt::Write as _;

use futures::stream;
use reqwest::Body;

const HEADER: &str = "email,external_id,person.name.firstName,person.name.lastName,person.city,country,language,\
    plan,orders:number,points:number,member_since,interests:list,last_order,referral,consent.email\n";
/// How many rows are made at a time.
const ROWS: u64 = 1000;

const FIRST: [&str; 16] = [
    "Wanjiru", "Sana", "Luísa", "Viktor", "Amélie", "Noor", "Jonas", "Ines", "Kofi", "Mei", "Zoë", "Ravi",
    "Chloe", "Anton", "Freya", "Tomás",
];
const LAST: [&str; 13] = [
    "Laurent",
    "Santos",
    "Moreau",
    "Olsen",
    "Okafor",
    "Tanaka",
    "Schmidt",
    "Rossi",
    "Novak",
    "Haddad",
    "Brown",
    "Kowalski",
    "Andersson",
];
const CITY: [&str; 11] =
    ["Porto", "Québec", "Kraków", "Pune", "Lyon", "Accra", "Kyoto", "Bergen", "Leeds", "Graz", "Turin"];
const COUNTRY: [&str; 7] = ["pt", "ca", "pl", "in", "fr", "gh", "jp"];
const PLAN: [&str; 3] = ["free", "plus", "family"];
const INTEREST: [&str; 9] =
    ["cinema", "poetry", "cooking", "sailing", "climbing", "ceramics", "gardens", "chess", "astronomy"];

/// Who lives in this country and has ordered more than this often, of `recipients` people: the rule, and how many.
pub(crate) fn rule(recipients: u64) -> (&'static str, u64) {
    let found = (0..recipients).filter(|n| COUNTRY[at(*n, 3, 7)] == "fr" && orders(*n) > 20).count();
    (r#"profile.country == "fr" && profile.orders > 20"#, found as u64)
}

/// A place below `of`, the same each time but with no pattern that repeats early.
fn at(n: u64, salt: u64, of: u64) -> usize {
    let mixed = (n ^ (salt << 56)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed >> 33) % of) as usize
}

fn orders(n: u64) -> usize {
    at(n, 5, 40)
}

/// The file, made as it is read: about 180 bytes a row.
pub(crate) fn csv(recipients: u64) -> Body {
    Body::wrap_stream(stream::iter(rows(recipients).map(Ok::<_, std::convert::Infallible>)))
}

/// The same in parts.
pub(crate) fn rows(recipients: u64) -> impl Iterator<Item = String> + Send + 'static {
    (0..recipients.div_ceil(ROWS)).map(move |part| {
        let mut text = if part == 0 { HEADER.to_owned() } else { String::new() };
        for n in part * ROWS..((part + 1) * ROWS).min(recipients) {
            row(&mut text, n);
        }
        text
    })
}

fn row(text: &mut String, n: u64) {
    let (first, last) = (FIRST[at(n, 1, 16)], LAST[at(n, 2, 13)]);
    let interests: Vec<&str> = (0..at(n, 6, 5) as u64).map(|i| INTEREST[at(n, 7 + i, 9)]).collect();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "person.{n}@example.com,C{n:08},{first},{last},{},{},en,{},{},{},20{:02}-{:02}-{:02},{},2026-{:02}-{:02},https://example.com/r/{n:x},in",
        CITY[at(n, 4, 11)],
        COUNTRY[at(n, 3, 7)],
        PLAN[at(n, 12, 3)],
        orders(n),
        at(n, 13, 5000),
        at(n, 14, 25),
        at(n, 15, 12) + 1,
        at(n, 16, 28) + 1,
        interests.join("|"),
        at(n, 17, 12) + 1,
        at(n, 18, 28) + 1,
    );
}
