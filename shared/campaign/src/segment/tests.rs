//! What rules mean, and which are refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn now() -> Timestamp {
    "2026-01-01T18:59:00Z".parse().unwrap()
}

fn check(expression: &str, profile: &Value) -> Match {
    let rule = Rule::compile(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    rule.matches(profile.as_object().unwrap(), now())
}

fn refusal(expression: &str) -> String {
    Rule::compile(expression).expect_err(expression).to_string()
}

fn ann() -> Value {
    json!({
        "name": "Ann", "age": 41, "score": 2.5, "vip": true, "big": u64::MAX, "none": null, "with space": "x",
        "country": "DE", "tags": ["news", "beta"], "last_seen": "2026-01-01T18:58:00+01:00",
        "person": {"name": {"first": "Ann"}, "city": "K\u{f6}ln"},
        "orders": [{"total": 10, "items": ["a"]}, {"total": 99.5, "items": ["b", "c"]}, {"items": []}]
    })
}

#[test]
fn what_holds_is_in_the_segment() {
    for expression in [
        "true",
        "profile.vip",
        "profile.name == 'Ann'",
        "profile['with space'] == \"x\"",
        "profile.person.name.first == 'Ann' && profile['person'][\"city\"] == \"K\\u00f6ln\"",
        "profile.age > 40 && profile.age >= 41 && profile.age < 42 && profile.age <= 41 && profile.age != 40",
        "profile.age == 41.0 && profile.age < 41.5 && profile.score > 2 && profile.age == 41u",
        "profile.big > 9223372036854775807",
        "profile.none == null && has(profile.none)",
        "profile.name != 3",
        "!(profile.name == 3)",
        "!!profile.vip",
        "profile.country in ['AT', 'DE', 'CH'] && !(profile.country in ['FR']) && !(profile.age in ['41'])",
        "profile.age in [40, 41.0] && 'news' in profile.tags && 'name' in profile && !(3 in profile)",
        "profile.age * 2 - 2 == 80 && profile.age / 2 == 20 && profile.age % 2 == 1 && profile.score * 2 == 5.0",
        "profile.age + profile.score == 43.5",
        "-profile.age == -41 && - -profile.age == 41 && -1 - -1 == 0",
        "-9223372036854775808 < 0",
        "profile.name + '!' == 'Ann!' && ('A' + 'nn') == profile.name",
        "profile.name.contains('n') && profile.name.startsWith('A') && profile.name.endsWith(\"nn\")",
        "profile.name.matches('^A.n$') && matches(profile.name, r'n{2}') && !profile.name.matches('^n')",
        "profile.country.lowerAscii() == 'de' && profile.name.upperAscii() == 'ANN'",
        "size(profile.tags) == 2 && profile.tags.size() == 2 && profile.person.city.size() == 4 && size([]) == 0",
        "size(profile.person) == 2",
        "profile.tags[1] == 'beta' && profile.orders[0].total == 10 && profile.orders[1]['items'][0] == 'b'",
        "profile.tags[profile.age - 41] == 'news'",
        "profile.tags.exists(t, t == 'beta') && profile.tags.all(t, size(t) == 4)",
        "profile.tags.exists_one(t, t.startsWith('n')) && profile.tags.existsOne(t, t == 'news')",
        "profile.orders.exists(o, o.total > 50)",
        "profile.orders.filter(o, has(o.total) && o.total > 50).size() == 1",
        "profile.orders.filter(o, has(o.total)).map(o, o.total) == [10, 99.5]",
        "profile.orders.map(o, has(o.total), o.total * 2) == [20, 199.0]",
        "profile.orders.exists(o, o.items.exists(i, i == 'c' && o.total == 99.5))",
        "profile.person.exists(key, key == 'city') && profile.person.all(key, profile.person[key] != null)",
        "profile.tags + ['x'] == ['news', 'beta', 'x'] && (profile.tags + profile.tags).size() == 4",
        "profile.vip ? profile.age > 1 : profile.missing",
        "[1, 2] == [1.0, 2u] && [profile.age] == [41] && ([[1]] != [[2]])",
        "now == timestamp('2026-01-01T19:59:00+01:00') && now == timestamp(1767293940)",
        "timestamp(profile.last_seen) == timestamp('2026-01-01T17:58:00Z')",
        "now - timestamp(profile.last_seen) == duration('1h1m') && duration('1h') > duration('59m')",
        "now + duration('1h') > now && duration('1h') + now - duration('2h') < now",
        "// who counts\nprofile.vip // and that is all",
        "'''a\nb''' == 'a\\nb' && r'\\d' == '\\\\d' && '\\x41\\101' == 'AA'",
        "0x1F == 31 && 1e3 == 1000 && .5 < 1",
    ] {
        assert_eq!(check(expression, &ann()), Match::Yes, "{expression}");
    }
}

#[test]
fn what_does_not_hold_is_not() {
    for expression in [
        "false",
        "profile.name == 'Bob'",
        "profile.name == 3",
        "profile.age > 41",
        "has(profile.missing) || has(profile.missing.deeper) || has(profile.name.first) || has(profile.none.x)",
        "has(profile.orders[9].total) || profile.orders.all(o, has(o.total))",
        "profile.orders.all(o, o.total > 50)",
        "profile.tags == ['news'] || profile.person == profile.orders",
        "0.0 / 0.0 == 0.0 / 0.0",
    ] {
        assert_eq!(check(expression, &ann()), Match::No, "{expression}");
    }
}

#[test]
fn a_field_that_is_missing_or_of_another_type_leaves_it_undecided() {
    for expression in [
        "profile.missing",
        "profile.missing == 1",
        "profile.missing != 1",
        "!(profile.missing == 1)",
        "profile.missing.deeper == 1",
        "profile.name.first == 'Ann'",
        "profile.name > 3",
        "profile.none < 3",
        "profile.name",
        "profile.age",
        "profile.name + 1 == 2",
        "profile.age.contains('4')",
        "'a' in profile.name",
        "profile.tags[2] == 'x'",
        "profile.tags[-1] == 'x'",
        "profile.age / 0 == 1",
        "profile.age + 9223372036854775807 > 0",
        "-profile.name == 1",
        "0.0 / 0.0 <= 1.0",
        "timestamp(profile.name) < now",
        "timestamp(profile.missing) < now",
        "size(profile.age) == 1",
        "profile.age.exists(x, true)",
        "profile.orders.exists_one(o, o.total > 50)",
        "profile.orders.all(o, o.total > 1)",
        "profile.missing || false",
        "profile.missing && true",
        "profile.missing ? true : true",
    ] {
        assert_eq!(check(expression, &ann()), Match::Undecided, "{expression}");
    }
}

#[test]
fn what_decides_wins_over_what_does_not_on_either_side() {
    for (expression, result) in [
        ("profile.missing == 1 || profile.vip", Match::Yes),
        ("profile.vip || profile.missing == 1", Match::Yes),
        ("profile.missing == 1 && !profile.vip", Match::No),
        ("!profile.vip && profile.missing == 1", Match::No),
        ("profile.name && false", Match::No),
        ("!has(profile.missing) || profile.missing != 'a'", Match::Yes),
        ("profile.orders.exists(o, o.total == 10) && profile.orders.exists(o, o.total == 99.5)", Match::Yes),
    ] {
        assert_eq!(check(expression, &ann()), result, "{expression}");
    }
}

/// Row B14: "an hour ago" must compare instants, not wall clocks.
#[test]
fn instants_compare_as_instants_whatever_their_offset() {
    let rule = Rule::compile("timestamp(profile.last_seen) <= now - duration('1h')").unwrap();
    let at = |now: &str| {
        let profile = json!({"last_seen": "2026-01-01T18:58:00+01:00"});
        rule.matches(profile.as_object().unwrap(), now.parse().unwrap())
    };
    assert_eq!(at("2026-01-01T18:59:00+01:00"), Match::No);
    assert_eq!(at("2026-01-01T18:57:59Z"), Match::No);
    assert_eq!(at("2026-01-01T18:58:00Z"), Match::Yes);
}

#[test]
fn an_untyped_comparison_with_an_instant_is_refused_with_the_way_to_say_it() {
    assert_eq!(
        refusal("profile.last_seen <= now - duration('1h')"),
        "line 1, column 19: `<=` cannot compare a field's value with an instant: write timestamp(...) or \
         duration(...) around the other side"
    );
    assert!(refusal("now == '2026-01-01'").contains("cannot compare an instant with a text"));
    assert!(refusal("now - profile.age < duration('1h')").contains("`-` does not take"));
}

#[test]
fn what_a_rule_may_not_use_is_an_error_with_its_place() {
    for (expression, error) in [
        ("", "line 1, column 1: expected a value, found the end"),
        ("profile.vip profile.vip", "line 1, column 13: expected an operator or the end, found `profile`"),
        ("profile.a == \n  nmae", "line 2, column 3: unknown variable `nmae`: there are `profile` and `now`"),
        ("'\u{e4}\u{f6}' == x", "line 1, column 9: unknown variable `x`: there are `profile` and `now`"),
        ("profile.a.upper() == 'A'", "line 1, column 11: unknown method `upper`"),
        ("lower(profile.a) == 'a'", "line 1, column 1: unknown function `lower`"),
        ("1 + 1", "line 1, column 1: a rule is true or false, this one is an int"),
        ("profile", "line 1, column 1: a rule is true or false, this one is an object"),
        ("profile.a && 'x'", "line 1, column 14: && takes true or false, this is a text"),
        ("!'x'", "line 1, column 2: `!` takes true or false, this is a text"),
        ("'a' < 1", "line 1, column 5: `<` cannot compare a text with an int"),
        ("profile.a < null", "line 1, column 11: `<` cannot compare a field's value with null"),
        ("'a' - 'b' == 'c'", "line 1, column 5: `-` does not take a text and a text"),
        ("profile.score % 2.0 == 1.0", "line 1, column 15: `%` does not take a field's value and a double"),
        ("1 in 2", "line 1, column 6: `in` takes a list or an object, this is an int"),
        ("{'a': 1} == 1", "line 1, column 1: object literals are not supported"),
        ("b'a' == b'b'", "line 1, column 1: byte strings are not supported"),
        ("'abc", "line 1, column 1: the text has no closing quote"),
        ("'a\nb' == 'x'", "line 1, column 1: the text has no closing quote"),
        ("'a\\q' == 'x'", "line 1, column 3: unknown escape"),
        ("profile.a == 12abc", "line 1, column 14: a letter follows the number"),
        ("profile.a == 9223372036854775808", "line 1, column 14: the number is too large"),
        ("profile.a == 1e999", "line 1, column 14: the number is too large"),
        ("profile.a # b", "line 1, column 11: unexpected '#'"),
        ("profile.a = 1", "line 1, column 11: unexpected '='"),
        ("(profile.a", "line 1, column 11: expected `)`, found the end"),
        ("profile.", "line 1, column 9: expected a name, found the end"),
        ("has(profile)", "line 1, column 5: has() takes a field"),
        ("has(profile.a == 1)", "line 1, column 5: has() takes a field"),
        ("profile.a.matches('(')", "line 1, column 19: the pattern is not a regular expression"),
        ("profile.a.matches(profile.b)", "line 1, column 19: the pattern of matches is a literal text"),
        ("timestamp('yesterday') < now", "line 1, column 11: no RFC 3339 timestamp"),
        ("now - duration('1 day') < now", "line 1, column 16: no duration"),
        ("profile.a.exists(1, true)", "line 1, column 18: expected a name, found `1`"),
        ("profile.a.exists(x, x) && x", "line 1, column 27: unknown variable `x`"),
        ("profile.a.exists(x, 'y')", "line 1, column 21: the condition takes true or false, this is a text"),
        ("package == 1", "line 1, column 1: `package` is a reserved word"),
        ("timestamp(now - now) < now", "line 1, column 11: `timestamp` does not take a duration"),
        ("profile.vip ? 1 : 2", "line 1, column 1: a rule is true or false, this one is an int"),
    ] {
        let message = refusal(expression);
        assert!(message.starts_with(error), "{expression}\n  gave {message}\n  not  {error}");
    }
}

#[test]
fn limits_are_errors_and_never_an_overflowed_stack() {
    let nested = |open: &str, inner: &str, close: &str, depth| {
        Rule::compile(&format!("{}{inner}{}", open.repeat(depth), close.repeat(depth)))
    };
    assert!(nested("(", "true", ")", 98).is_ok());
    for (open, inner, close) in [
        ("!(", "true", ")"),
        ("true ? (", "true", ") : true"),
        ("profile.b && (profile.i in [1] || ", "true", ")"),
        ("[[1]].exists(x, x in [", "[1]", "])"),
        ("1 == 1 + size(", "[profile.l]", ")"),
    ] {
        let deepest = (1..100).rev().find_map(|depth| nested(open, inner, close, depth).ok());
        // Evaluating the deepest is the point; what it gives is not.
        deepest.unwrap().matches(ann().as_object().unwrap(), now());
    }
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("!(", ")"),
        ("size(", ")"),
        ("has(", ")"),
        ("profile.a[", "]"),
        ("profile.a.contains(", ")"),
        ("profile.a.matches(", ")"),
        ("true || true && 1 == 1 + 1 * (", ")"),
        ("true ? (", ") : true"),
        ("true ? true : ", ""),
    ] {
        for depth in [101, 500] {
            let message = nested(open, "true", close, depth).unwrap_err().message;
            assert!(message.contains("nests at most"), "{open}: {message}");
        }
    }
    let chain =
        |first: &str, link: &str, count: usize| Rule::compile(&format!("{first}{}", link.repeat(count)));
    assert!(chain("true", " && true", 1_500).is_ok());
    assert!(chain("1 == 1", " + 1", 90).is_ok());
    assert!(chain("1 == 1", " + 1", 3_000).unwrap_err().message.contains("nests at most"));
    assert!(chain("profile", ".a", 3_000).unwrap_err().message.contains("nests at most"));
    assert!(chain("", "!", 10_000).is_err() && chain("", "-", 10_000).is_err());
    assert!(chain("true", " ", MAX_EXPRESSION_BYTES).unwrap_err().message.contains("at most 16384 bytes"));
    assert!(refusal("profile.a.all(a, a.all(b, b.all(c, c.all(d, d))))").contains("nest at most 3 deep"));
}

#[test]
fn a_rule_that_takes_too_long_is_undecided() {
    let profile = json!({"l": (0..10_000).collect::<Vec<_>>()});
    assert_eq!(check("profile.l.all(a, profile.l.exists(b, a == b))", &profile), Match::Undecided);
    assert_eq!(check("profile.l.all(a, a in profile.l)", &profile), Match::Undecided);
    assert_eq!(
        check("[profile.l.map(x, x)].all(big, profile.l.all(y, size(big) > 0))", &profile),
        Match::Undecided
    );
    assert_eq!(check("profile.l.all(a, a >= 0)", &profile), Match::Yes);
}

#[test]
fn the_fields_a_rule_mentions_are_known() {
    let rule = Rule::compile(
        "has(profile.b.c) && profile.orders[0].total > 1 && profile['x y'].exists(e, e.inner == profile.a) && \
         profile.a.contains('z') && (profile.name.startsWith('A') || profile.tags[profile.i] == 'q')",
    )
    .unwrap();
    let fields: Vec<String> = rule.fields().iter().map(|path| path.join("/")).collect();
    assert_eq!(fields, ["a", "b/c", "i", "name", "orders", "tags", "x y"]);
}

#[test]
fn a_segment_is_stored_under_its_kind() {
    let rule = SegmentKind::Rule { expression: "profile.vip".to_owned() };
    assert_eq!(serde_json::to_value(&rule).unwrap(), json!({"kind": "rule", "expression": "profile.vip"}));
    let list = json!({"kind": "list", "generation": 2, "partitions": 16, "members": 65});
    let expected = SegmentKind::List { generation: 2, partitions: 16, members: 65 };
    assert_eq!(serde_json::from_value::<SegmentKind>(list).unwrap(), expected);
}

fn soup() -> impl Strategy<Value = String> {
    let tokens = [
        "profile",
        "now",
        ".a",
        ".b",
        "[",
        "]",
        "(",
        ")",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "==",
        "<",
        "in",
        "?",
        ":",
        ",",
        "1",
        "1.5",
        "2u",
        "'x'",
        "\"",
        "'",
        "\\",
        "true",
        "null",
        ".exists(",
        "x",
        ".map(",
        ".size()",
        "has(",
        "size(",
        "timestamp(",
        "duration('1h')",
        ".matches('",
        "r'",
        "//",
        "\n",
        "\u{e4}",
        "{",
        "}",
        "%",
        "0x",
        "1e",
    ];
    prop::collection::vec(prop::sample::select(tokens.to_vec()), 0..40).prop_map(|tokens| tokens.join(" "))
}

proptest! {
    #[test]
    fn any_text_is_a_rule_or_an_error_within_it(text in "\\PC{0,60}|.{0,60}") {
        check_any(&text);
    }

    #[test]
    fn any_tokens_are_a_rule_or_an_error_within_them(text in soup()) {
        check_any(&text);
    }
}

fn check_any(text: &str) {
    match Rule::compile(text) {
        Ok(rule) => {
            let first = rule.matches(ann().as_object().unwrap(), now());
            let again = Rule::compile(text).unwrap();
            assert_eq!(again.fields(), rule.fields());
            assert_eq!(again.matches(ann().as_object().unwrap(), now()), first);
        }
        Err(error) => {
            let lines: Vec<&str> = text.split('\n').collect();
            let line = lines[error.line as usize - 1];
            assert!((1..=line.chars().count() + 1).contains(&(error.column as usize)), "{error}");
        }
    }
}
