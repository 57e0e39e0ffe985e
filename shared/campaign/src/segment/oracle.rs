//! The `cel` crate's own parser and interpreter, as the judge of ours: random rules over random profiles.
//!
//! Where ours means something else on purpose, the rule is put to `cel` in the words that mean it there: `now` as the
//! literal instant, and `has(a.b.c)` as a chain of presence and type tests.

use std::collections::HashMap;
use std::fmt::Write;

use cel::{Context, Program};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Match, Rule};

const NOW: &str = "2026-01-01T18:59:00Z";

/// A rule in our words and in `cel`'s.
#[derive(Debug, Clone)]
struct Pair {
    ours: String,
    theirs: String,
}

fn same(text: impl Into<String>) -> Pair {
    let text = text.into();
    Pair { ours: text.clone(), theirs: text }
}

/// Puts parts into a form: each `#` is the next one.
fn form(form: &str, parts: &[&Pair]) -> Pair {
    let mut pair = same("");
    let mut parts = parts.iter();
    for c in form.chars() {
        if c == '#' {
            let part = parts.next().unwrap();
            write!(pair.ours, "({})", part.ours).unwrap();
            write!(pair.theirs, "({})", part.theirs).unwrap();
        } else {
            pair.ours.push(c);
            pair.theirs.push(c);
        }
    }
    pair
}

fn has_nested() -> Pair {
    Pair {
        ours: "has(profile.o.x)".to_owned(),
        theirs: "(has(profile.o) && type(profile.o) == map && has(profile.o.x))".to_owned(),
    }
}

fn now() -> Pair {
    Pair { ours: "now".to_owned(), theirs: format!("timestamp('{NOW}')") }
}

fn pick(texts: &'static [&'static str]) -> BoxedStrategy<Pair> {
    prop::sample::select(texts).prop_map(same).boxed()
}

fn int() -> BoxedStrategy<Pair> {
    let leaf = pick(&[
        "0",
        "1",
        "2",
        "-3",
        "41",
        "9223372036854775807",
        "-9223372036854775808",
        "profile.i",
        "profile.j",
        "profile.l[0]",
        "profile.o.x",
        "size(profile.t)",
        "profile.l.size()",
        "size(profile.o)",
        "profile.l[profile.i]",
    ]);
    leaf.prop_recursive(3, 8, 2, |inner| {
        let operator = prop::sample::select(&["#+#", "#-#", "#*#", "#/#", "#%#"][..]);
        prop_oneof![
            (operator, inner.clone(), inner.clone()).prop_map(|(f, a, b)| form(f, &[&a, &b])),
            inner.prop_map(|a| form("-#", &[&a])),
        ]
    })
    .boxed()
}

fn double() -> BoxedStrategy<Pair> {
    let leaf = pick(&["0.0", "1.0", "2.5", "-0.5", "1e3", "profile.d", "profile.e"]);
    leaf.prop_recursive(2, 6, 2, |inner| {
        let operator = prop::sample::select(&["#+#", "#-#", "#*#", "#/#"][..]);
        (operator, inner.clone(), inner).prop_map(|(f, a, b)| form(f, &[&a, &b]))
    })
    .boxed()
}

fn text() -> BoxedStrategy<Pair> {
    let leaf = pick(&[
        "''",
        "'a'",
        "'ab'",
        "\"\u{e4}b\"",
        "r'\\d'",
        "'\\u00e4\\n'",
        "profile.t",
        "profile.u",
        "profile['t']",
    ]);
    leaf.prop_recursive(2, 6, 2, |inner| (inner.clone(), inner).prop_map(|(a, b)| form("#+#", &[&a, &b])))
        .boxed()
}

fn instant() -> BoxedStrategy<Pair> {
    let leaf = prop_oneof![
        Just(now()),
        pick(&[
            "timestamp(profile.w)",
            "timestamp('2026-01-01T19:58:00.5+01:00')",
            "timestamp('2026-01-01T18:59:00Z')"
        ]),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        let operator = prop::sample::select(&["#+#", "#-#"][..]);
        (operator, inner, span()).prop_map(|(f, a, b)| form(f, &[&a, &b]))
    })
    .boxed()
}

fn span() -> BoxedStrategy<Pair> {
    pick(&[
        "duration('1h')",
        "duration('-1.5s')",
        "duration('1h30m')",
        "duration('0')",
        "duration(profile.s)",
    ])
}

fn anything() -> BoxedStrategy<Pair> {
    prop_oneof![
        int(),
        double(),
        text(),
        pick(&[
            "null",
            "true",
            "profile.b",
            "profile.n",
            "profile.l",
            "profile.o",
            "profile.missing",
            "[1, 'a', 2.5]",
            "1u"
        ]),
    ]
    .boxed()
}

fn boolean() -> BoxedStrategy<Pair> {
    let ordering = || prop::sample::select(&["#==#", "#!=#", "#<#", "#<=#", "#>#", "#>=#"][..]);
    let number = || prop_oneof![int(), double()];
    let leaf = prop_oneof![
        pick(&[
            "true",
            "false",
            "profile.b",
            "profile.i",
            "profile.missing",
            "has(profile.i)",
            "has(profile.missing)"
        ]),
        Just(has_nested()),
        (ordering(), number(), number()).prop_map(|(f, a, b)| form(f, &[&a, &b])),
        (ordering(), text(), text()).prop_map(|(f, a, b)| form(f, &[&a, &b])),
        (ordering(), instant(), instant()).prop_map(|(f, a, b)| form(f, &[&a, &b])),
        (ordering(), instant(), instant(), span()).prop_map(|(f, a, b, c)| {
            let difference = form("#-#", &[&a, &b]);
            form(f, &[&difference, &c])
        }),
        (prop::sample::select(&["#==#", "#!=#", "# in [#, #]"][..]), anything(), anything(), anything())
            .prop_map(|(f, a, b, c)| form(f, &[&a, &b, &c][..f.matches('#').count()])),
        (prop::sample::select(&["#.contains(#)", "#.startsWith(#)", "#.endsWith(#)"][..]), text(), text())
            .prop_map(|(f, a, b)| form(f, &[&a, &b])),
        (text(), pick(&["'a'", "'^a.?$'", "r'\\d+'", "'[ab]{2}'", "'(a|b)*$'"])).prop_map(|(a, b)| Pair {
            ours: format!("({}).matches({})", a.ours, b.ours),
            theirs: format!("({}).matches({})", a.theirs, b.theirs)
        }),
        (int(),).prop_map(|(a,)| form("# in profile.l", &[&a])),
        (text(),).prop_map(|(a,)| form("# in profile.o", &[&a])),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let each = prop::sample::select(&["exists", "all", "exists_one"][..]);
        let range =
            prop::sample::select(&["profile.l", "profile.o", "[1, 2, 41]", "profile.l.filter(y, y > 1)"][..]);
        let body = prop::sample::select(
            &["x == 1", "x > 1", "x == 'x'", "x + profile.i == 2", "profile.l.exists(y, y == x)"][..],
        );
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| form("#&&#", &[&a, &b])),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| form("#||#", &[&a, &b])),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| form("#&&#||#", &[&a, &b, &c])),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| form("#?#:#", &[&a, &b, &c])),
            inner.clone().prop_map(|a| form("!#", &[&a])),
            (range, each, body, inner).prop_map(|(range, each, body, a)| {
                let part = |inner: &str| format!("{range}.{each}(x, {body} || ({inner}))");
                Pair { ours: part(&a.ours), theirs: part(&a.theirs) }
            }),
        ]
    })
    .boxed()
}

/// A profile whose fields are there or not, and now and then of another type.
fn profile() -> impl Strategy<Value = Value> {
    let wrong = || prop::sample::select(vec![Value::Null, json!(true), json!([]), json!({})]);
    let field = |right: BoxedStrategy<Value>| prop_oneof![8 => right.prop_map(Some), 1 => wrong().prop_map(Some), 2 => Just(None)];
    let of = |values: Vec<Value>| prop::sample::select(values).boxed();
    let int = || of(vec![json!(0), json!(1), json!(2), json!(41), json!(i64::MAX)]);
    let double = || of(vec![json!(0.0), json!(2.5), json!(1.0), json!(-1e300)]);
    let text = || of(vec![json!(""), json!("a"), json!("\u{e4}b"), json!("a1")]);
    let names = ["i", "j", "d", "e", "t", "u", "b", "n", "l", "o", "w", "s"];
    let fields = (
        field(int()),
        field(int()),
        field(double()),
        field(double()),
        field(text()),
        field(text()),
        field(of(vec![json!(true), json!(false)])),
        field(of(vec![Value::Null])),
        field(of(vec![json!([1, 2, 41]), json!([]), json!([1]), json!(["x", 1])])),
        field(of(vec![json!({"x": 1}), json!({"y": 2}), json!({"x": 3, "a": 1})])),
        field(of(vec![json!("2026-01-01T18:58:00+01:00"), json!("2026-01-01T18:59:00Z"), json!("soon")])),
        field(of(vec![json!("1h"), json!("-1.5s"), json!("later")])),
    );
    fields.prop_map(move |(i, j, d, e, t, u, b, n, l, o, w, s)| {
        let values = [i, j, d, e, t, u, b, n, l, o, w, s];
        let there = names.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
        Value::Object(there.collect::<Map<_, _>>())
    })
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Number(number) => {
            number.as_i64().map_or_else(|| cel::Value::Float(number.as_f64().unwrap()), cel::Value::Int)
        }
        Value::String(text) => cel::Value::from(text.as_str()),
        Value::Array(values) => cel::Value::from(values.iter().map(to_cel).collect::<Vec<_>>()),
        Value::Object(map) => {
            let entries: HashMap<String, cel::Value> =
                map.iter().map(|(key, value)| (key.clone(), to_cel(value))).collect();
            cel::Value::from(entries)
        }
    }
}

fn judged(expression: &str, profile: &Value) -> Match {
    let program = Program::compile(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let mut context = Context::default();
    context.add_variable_from_value("profile", to_cel(profile));
    match program.execute(&context) {
        Ok(cel::Value::Bool(true)) => Match::Yes,
        Ok(cel::Value::Bool(false)) => Match::No,
        _ => Match::Undecided,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn rules_mean_what_cel_says_they_mean(pair in boolean(), profile in profile()) {
        // What our types refuse (`1 == 'a'`) is refused early, which `cel` finds out at run time or not at all.
        if let Ok(rule) = Rule::compile(&pair.ours) {
            let found = rule.matches(profile.as_object().unwrap(), NOW.parse().unwrap());
            prop_assert_eq!(found, judged(&pair.theirs, &profile), "{}\n{}", pair.ours, profile);
        }
    }

    /// Precedence and associativity: the same terms, without brackets.
    #[test]
    fn operators_bind_as_in_cel(
        numbers in prop::collection::vec(1..9_i64, 2..8),
        operators in prop::collection::vec(prop::sample::select(&["+", "-", "*", "/", "%"][..]), 7),
        comparison in prop::sample::select(&["==", "<", ">="][..]),
        logic in prop::sample::select(&["&&", "||", "? true :"][..]),
    ) {
        let mut sum = String::new();
        for (number, operator) in numbers.iter().zip(&operators) {
            write!(sum, "{number} {operator} ").unwrap();
        }
        let expression = format!("{sum}3 {comparison} 4 {logic} !false && 1 + 1 {comparison} 2 || -{sum}1 > 0");
        let rule = Rule::compile(&expression).unwrap();
        let found = rule.matches(&Map::new(), NOW.parse().unwrap());
        prop_assert_eq!(found, judged(&expression, &json!({})), "{}", expression);
    }
}

/// What our parser takes for an expression must be one to `cel`'s.
#[test]
fn whatever_compiles_here_parses_there() {
    for expression in [
        "profile.a == 'x' // end",
        "[1, 2,] == [1, 2]",
        "profile.package == 1",
        "r\"\\d\" == '\\\\d'",
        "'''a'b''' == \"a'b\"",
        "- -1 == 1",
        "!!true",
        "profile.a.exists(now, now == 1)",
        "0x1F == 0X1F || true",
        "profile.a[0].b['c'].d == .5",
        "2.5E-1 > 1u",
        "true ? false : true ? false : true",
        "1 < 2 == true",
        "profile .a\n== 1",
        "'\\x41\\101\\U0001F600' == ''",
    ] {
        let theirs = Program::compile(expression);
        match Rule::compile(expression) {
            Ok(_) => assert!(theirs.is_ok(), "{expression}: {:?}", theirs.err().map(|e| e.to_string())),
            Err(error) => assert!(theirs.is_err(), "{expression}: {error}"),
        }
    }
}
