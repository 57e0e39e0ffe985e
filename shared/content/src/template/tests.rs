use campaign::content::OnMissing::{Blank, Skip};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn data() -> Value {
    json!({
        "id": 7,
        "person": {"name": {"firstName": "Zoë", "lastName": null}},
        "nick": "",
        "score": 1234567.5,
        "whole": 3.0,
        "tenth": 0.1,
        "fifth": "0.2",
        "active": true,
        "tags": ["a<b", "c", null],
        "orders": [{"id": "o1", "lines": [{"sku": "x"}, {"sku": "y"}]}, {"id": "o2", "lines": []}],
        "sizes": {"l": 2, "s": 1},
        "since": "2026-03-01T23:30:00Z",
        "zone": "Europe/Berlin",
        "html": "<b>&\"'=</b>",
    })
}

fn render_with(source: &str, on_missing: OnMissing, escaping: Escaping) -> Result<String, RenderError> {
    lex::tags(source, 64).expect("accepted");
    let compiled = compile(source, "text", escaping).unwrap_or_else(|errors| panic!("{source}: {errors:?}"));
    let mut out = String::new();
    compiled.program.render(
        &data(),
        &json!({"order": {"id": 9_007_199_254_740_993_i64}}),
        on_missing,
        &mut out,
    )?;
    Ok(out)
}

fn blank(source: &str) -> String {
    render_with(source, Blank, Escaping::None).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn error(source: &str) -> ContentError {
    compile(source, "text", Escaping::Html).expect_err(source).remove(0)
}

/// Row C4.
#[test]
fn a_constant_renders_as_it_is() {
    assert_eq!(blank("Hello"), "Hello");
    assert_eq!(blank(r"\{{no tag}} 5 < 6"), "{{no tag}} 5 < 6");
}

/// Row C8.
#[test]
fn values_print_by_their_type() {
    assert_eq!(
        blank(
            "{{profile.person.name.firstName}} {{profile.id}} {{profile.whole}} {{profile.tenth}} {{profile.active}} {{context.order.id}}"
        ),
        "Zoë 7 3 0.1 true 9007199254740993"
    );
    assert_eq!(blank("[{{profile.person.name.lastName}}]"), "[]");
}

/// Row C12.
#[test]
fn an_object_or_array_is_an_error_that_names_the_variable() {
    let kind = |source| render_with(source, Blank, Escaping::None).expect_err(source).to_string();
    assert_eq!(
        kind("{{profile.person}} {{profile.person.name.firstName}}"),
        "profile.person is an object and can't be printed"
    );
    assert_eq!(kind("{{profile.tags}}"), "profile.tags is an array and can't be printed");
    assert_eq!(
        kind("{{upper profile.person.name}}"),
        "profile.person.name is an object and can't be printed"
    );
    assert_eq!(
        kind("{{#each profile.orders}}{{lines}}{{/each}}"),
        "profile.orders[].lines is an array and can't be printed"
    );
}

#[test]
fn a_missing_or_null_value_is_blank_or_skips_the_recipient() {
    for source in [
        "{{profile.none}}",
        "{{profile.person.name.lastName}}",
        "{{profile.id.deeper}}",
        "{{upper profile.none}}",
        "{{truncate (trim profile.none) 5}}",
        "{{add 1 profile.none}}",
        "{{date profile.none \"%Y\"}}",
        "{{join profile.none}}",
        "{{lookup profile.sizes \"xl\"}}",
        "{{or profile.none profile.nil}}",
        "{{default profile.none profile.nil}}",
    ] {
        assert_eq!(blank(source), "", "{source}");
        let skipped = render_with(source, Skip, Escaping::None);
        assert!(matches!(skipped, Err(RenderError::MissingValue { .. })), "{source}: {skipped:?}");
    }
    assert_eq!(
        render_with("{{upper profile.none}}", Skip, Escaping::None),
        Err(RenderError::MissingValue { variable: "profile.none".into() })
    );
}

/// Row C7.
#[test]
fn a_variable_in_an_untaken_branch_is_not_required() {
    for (source, expected) in [
        ("{{#if profile.none}}{{profile.none}}{{/if}}", ""),
        ("{{#if profile.id}}y{{else}}{{profile.none}}{{/if}}", "y"),
        ("{{#each profile.none}}{{this}}{{else}}nothing{{/each}}", "nothing"),
        ("{{#with profile.none}}{{x}}{{/with}}", ""),
        ("{{#unless profile.none}}u{{/unless}}", "u"),
        ("{{#if (eq profile.none 1)}}y{{else if (not profile.none)}}n{{/if}}", "n"),
        ("{{default profile.none \"friend\"}}", "friend"),
        ("{{default (upper profile.none) \"friend\"}}", "friend"),
        ("{{or profile.none profile.id}}", "7"),
    ] {
        assert_eq!(render_with(source, Skip, Escaping::None).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn html_escapes_five_characters_and_text_none() {
    let source = "{{profile.html}} {{{profile.html}}} {{&profile.html}}";
    assert_eq!(
        render_with(source, Blank, Escaping::Html).as_deref(),
        Ok("&lt;b&gt;&amp;&quot;&#39;=&lt;/b&gt; <b>&\"'=</b> <b>&\"'=</b>")
    );
    assert_eq!(blank("{{profile.html}}"), "<b>&\"'=</b>");
}

#[test]
fn json_escapes_texts_and_prints_any_value_by_its_helper() {
    let json = |source: &str, on_missing| render_with(source, on_missing, Escaping::Json);
    let source = r#"{"html": "{{profile.html}}", "n": {{profile.id}}, "tags": {{json profile.tags}}, "sizes": {{{json profile.sizes}}},
        "name": {{json profile.html}}, "none": {{json profile.none}}, "up": "{{upper (json profile.html)}}", "is": {{json (eq 1 1)}},
        "or": {{json (default profile.none "x\"y")}}}"#;
    let rendered = json(source, Blank).expect("renders");
    assert_eq!(
        serde_json::from_str::<Value>(&rendered).expect("JSON"),
        json!({
            "html": "<b>&\"'=</b>", "n": 7, "tags": ["a<b", "c", null], "sizes": {"l": 2, "s": 1},
            "name": "<b>&\"'=</b>", "none": null, "up": "\"<B>&\\\"'=</B>\"", "is": true, "or": "x\"y",
        })
    );
    assert_eq!(json(r#"{{{profile.html}}}"#, Blank).as_deref(), Ok("<b>&\"'=</b>"));
    assert_eq!(
        json("{{json profile.none}}", Skip),
        Err(RenderError::MissingValue { variable: "profile.none".into() })
    );
    assert!(matches!(json("{{profile.tags}}", Blank), Err(RenderError::NotPrintable { .. })));
}

#[test]
fn a_url_s_parts_are_encoded_once() {
    let url = |source: &str| render_with(source, Blank, Escaping::Url).expect(source);
    assert_eq!(
        url(
            "https://h/{{profile.person.name.firstName}}/{{url_encode profile.html}}?a={{profile.html}}&n={{profile.id}}"
        ),
        "https://h/Zo%C3%AB/%3Cb%3E%26%22%27%3D%3C%2Fb%3E?a=%3Cb%3E%26%22%27%3D%3C%2Fb%3E&n=7"
    );
    assert_eq!(url("{{{profile.zone}}} {{{url_encode profile.zone}}}"), "Europe/Berlin Europe%2FBerlin");
    assert_eq!(url("{{json profile.sizes}}"), "%7B%22l%22%3A2%2C%22s%22%3A1%7D");
}

#[test]
fn loops_know_their_place() {
    assert_eq!(
        blank(
            "{{#each profile.tags}}{{#if @first}}^{{/if}}{{@index}}{{this}}{{#if @last}}${{/if}} {{/each}}"
        ),
        "^0a<b 1c 2$ "
    );
    assert_eq!(blank("{{#each profile.sizes}}{{@key}}={{this}};{{/each}}"), "l=2;s=1;");
    assert_eq!(blank("{{#each profile.sizes as |n name|}}{{name}}={{n}};{{/each}}"), "l=2;s=1;");
    assert_eq!(
        blank(
            "{{#each profile.orders as |order|}}{{#each lines}}{{order.id}}/{{sku}}/{{@../index}}{{@index}}/{{../id}}/{{profile.id}} {{else}}{{id}} empty{{/each}}{{/each}}"
        ),
        "o1/x/00/o1/7 o1/y/01/o1/7 o2 empty"
    );
    assert_eq!(blank("{{#with profile.person.name}}{{firstName}} {{@root.profile.id}}{{/with}}"), "Zoë 7");
    assert_eq!(blank("{{profile.orders.[0].id}} {{profile.orders.1.id}}"), "o1 o2");
}

#[test]
fn helpers_do_what_their_names_say() {
    for (source, expected) in [
        (
            "{{upper \"straße\"}} {{lower \"ÉA\"}} {{trim \"  a \"}} {{capitalize \"élan vital\"}}",
            "STRASSE éa a Élan vital",
        ),
        ("{{truncate \"gęślą jaźń\" 7}}|{{truncate \"abcdef\" 5 ellipsis=\"...\"}}", "gęślą…|ab..."),
        ("{{replace \"a-b-c\" \"-\" \"/\"}} {{replace \"abc\" \"\" \"x\"}}", "a/b/c abc"),
        (
            "{{default profile.nick \"none\"}} {{default \" \" \"none\"}} {{default 0 1}} {{default false 1}}",
            "none none 0 false",
        ),
        (
            "{{url_encode \"a b/ż?\"}} {{json profile.sizes}} {{json \"q\\\"\"}}",
            "a%20b%2F%C5%BC%3F {\"l\":2,\"s\":1} \"q\\\"\"",
        ),
        (
            "{{join profile.tags \" + \"}} {{join profile.id}} {{length profile.tags}} {{length \"żó\"}}",
            "a<b + c 7 3 2",
        ),
        ("{{lookup profile.sizes \"l\"}} {{lookup profile.tags 1}}", "2 c"),
        (
            "{{add 1 2}} {{sub 1 2}} {{mul 3 4}} {{div 7 2}} {{div 6 2}} {{add profile.tenth profile.fifth}}",
            "3 -1 12 3.5 3 0.3",
        ),
        (
            "{{number profile.score}} {{number profile.score decimals=2 locale=\"de\"}} {{number profile.score decimals=0 locale=\"fr-FR\"}}",
            "1,234,567.5 1.234.567,50 1\u{202f}234\u{202f}568",
        ),
        (
            "{{number -999 decimals=1}} {{number -0.04 decimals=1}} {{number \"12\"}} {{number 1000}}",
            "-999.0 0.0 12 1,000",
        ),
        (
            "{{currency 1234.5 \"EUR\" locale=\"de\"}} {{currency -5 \"USD\"}} {{currency 5 \"CHF\"}} {{currency 1234.5 \"JPY\"}}",
            "1.234,50\u{a0}€ -$5.00 CHF\u{a0}5.00 ¥1,234",
        ),
        (
            "{{date profile.since \"%d.%m.%Y %H:%M\" zone=\"Europe/Berlin\"}} {{date profile.since \"%F\"}} {{date profile.since \"%F\" profile.zone}}",
            "02.03.2026 00:30 2026-03-01 2026-03-02",
        ),
        ("{{date \"2026-02-28\" \"%-d %B %Y\" zone=\"America/New_York\"}}", "28 February 2026"),
        (
            "{{#if (and (gt profile.id 5) (lt \"6\" profile.id) (lte 7 7) (gte 8 7) (ne 1 2) (eq 7.0 \"7\"))}}y{{/if}}",
            "y",
        ),
        (
            "{{#if (gt \"2026-03-02\" \"2026-03-01\")}}later{{/if}}{{#if (eq \"7\" \"7.0\")}}no{{/if}}{{#if (lt profile.none 1)}}no{{/if}}",
            "later",
        ),
        (
            "{{#if 0}}no{{/if}}{{#if 0 includeZero=true}}zero{{/if}}{{#unless \"\"}} empty{{/unless}}",
            "zero empty",
        ),
    ] {
        assert_eq!(blank(source), expected, "{source}");
    }
}

#[test]
fn a_value_that_a_helper_can_not_use_is_an_error_with_the_line() {
    for source in [
        "\n{{div 1 0}}",
        "\n{{add \"x\" 1}}",
        "\n{{date profile.id \"%Y\"}}",
        "\n{{number 1 decimals=99}}",
        "\n{{length 5}}",
        "\n{{date profile.since \"%Y\" zone=profile.person.name.firstName}}",
    ] {
        let failed = render_with(source, Blank, Escaping::None);
        assert!(matches!(failed, Err(RenderError::InvalidValue { line: 2, .. })), "{source}: {failed:?}");
    }
}

/// Row C13.
#[test]
fn what_can_be_known_before_sending_is_an_error_when_saving() {
    for (source, code, line, column) in [
        ("ok\n {{shout profile.x}}", "unknown_helper", 2, 2),
        ("{{#loop profile.x}}{{/loop}}", "unknown_helper", 1, 1),
        ("{{if profile.x}}", "unknown_helper", 1, 1),
        ("{{upper (shout profile.x)}}", "unknown_helper", 1, 1),
        ("a {{firstName}}", "unknown_variable", 1, 3),
        ("{{#each profile.x}}{{../../y}}{{/each}}", "unknown_variable", 1, 20),
        ("{{@index}}", "unknown_variable", 1, 1),
        ("{{upper}}", "wrong_arguments", 1, 1),
        ("{{default profile.x}}", "wrong_arguments", 1, 1),
        ("{{number 1 digits=2}}", "wrong_arguments", 1, 1),
        ("{{number 1 locale=\"xx\"}}", "wrong_arguments", 1, 1),
        ("{{date profile.x \"%Y\" zone=\"Mars/Base\"}}", "wrong_arguments", 1, 1),
        ("{{date profile.x \"%!\"}}", "wrong_arguments", 1, 1),
        ("{{#if}}{{/if}}", "wrong_arguments", 1, 1),
        ("x\n{{#if profile.a}}", "syntax", 2, 1),
        ("{{#if profile.a}}{{/each}}", "syntax", 1, 18),
        ("a {{profile.}}", "syntax", 1, 13),
        ("a {{profile.x", "syntax", 1, 3),
        ("a {{/if}}", "syntax", 1, 3),
        ("{{else}}", "syntax", 1, 1),
    ] {
        let error = error(source);
        assert_eq!(
            (error.code, error.line, error.column),
            (code, Some(line), Some(column)),
            "{source}: {error}"
        );
    }
}

#[test]
fn every_error_is_reported_at_once() {
    let errors = compile("{{a}} {{b c}} {{#if d}}{{e}}{{/if}}", "text", Escaping::Html).expect_err("wrong");
    assert_eq!(errors.len(), 4, "{errors:?}");
}

#[test]
fn variables_are_paths_from_the_root() {
    let compiled = compile(
        "{{profile.a}}{{profile.a}}{{#each profile.list as |x|}}{{x.y}}{{z}}{{context.c}}{{/each}}{{#with profile.w}}{{v}}{{/with}}{{upper (default profile.d context.e)}}",
        "text",
        Escaping::Html,
    )
    .expect("compiles");
    assert_eq!(
        compiled.variables,
        [
            "profile.a",
            "profile.list",
            "profile.list[].y",
            "profile.list[].z",
            "context.c",
            "profile.w",
            "profile.w.v",
            "profile.d",
            "context.e"
        ]
    );
}

#[test]
fn a_loop_out_of_proportion_ends_in_an_error() {
    let compiled = compile(
        "{{#each profile.l}}{{#each profile.l}}{{#each profile.l}}{{/each}}{{/each}}{{/each}}",
        "text",
        Escaping::None,
    )
    .expect("compiles");
    let profile = json!({"l": vec![1; 1000]});
    let ended = compiled.program.render(&profile, &Value::Null, Blank, &mut String::new());
    assert!(matches!(ended, Err(RenderError::TooLarge { .. })), "{ended:?}");
}

#[test]
fn the_deepest_nesting_that_is_let_through_does_not_overflow() {
    let source = format!("{}x{}", "{{#if profile.id}}".repeat(64), "{{/if}}".repeat(64));
    assert_eq!(blank(&source), "x");
    let nested = format!("{{{{not {} profile.id {}}}}}", "(not ".repeat(16), ")".repeat(16));
    assert_eq!(blank(&nested), "false");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_source_makes_the_compiler_panic(pieces in prop::collection::vec(prop::sample::select(vec![
        "{{", "}}", "{{{", "}}}", "{{#if a}}", "{{/if}}", "{{else}}", "{{else if b}}", "{{#each profile.x as |y z|}}", "{{/each}}",
        "{{!--", "--}}", "{{!", "\\", "\"", "'", "[", "]", "(", ")", "~", "profile.x", " upper ", "x", "\n", "ż", "=", "|", "@index", "../", "{{^}}", "&",
    ]), 0..24)) {
        let source: String = pieces.concat();
        if lex::tags(&source, 64).is_ok()
            && let Ok(compiled) = compile(&source, "text", Escaping::Html)
        {
            // Whatever compiles, renders or fails in an orderly way.
            let _ = compiled.program.render(&data(), &Value::Null, Blank, &mut String::new());
        }
    }
}

/// Runs what has no scopes, and says how much its helpers made on the way.
fn made(source: &str, profile: &Value) -> (Result<usize, RenderError>, usize) {
    let compiled = compile(source, "text", Escaping::Html).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut out = String::new();
    let mut machine = eval::Machine::new(profile, &Value::Null, Blank, None);
    let result = machine.run(&compiled.program.nodes, &mut out);
    assert!(out.capacity() <= 16 * eval::MAX_RENDERED_BYTES, "{}", out.capacity());
    (result.map(|()| out.len()), machine.made())
}

fn is_too_large<T>(result: &Result<T, RenderError>) -> bool {
    matches!(result, Err(RenderError::TooLarge { .. }))
}

#[test]
fn a_small_template_makes_no_large_message() {
    let replaced = |inner: &str| format!("(replace {inner} \"a\" \"{}\")", "a".repeat(300));
    let source = format!("{{{{upper {}}}}}", replaced(&replaced(&replaced(&replaced("\"aaa\"")))));
    let (result, made) = made(&source, &Value::Null);
    assert!(is_too_large(&result) && made <= eval::MAX_RENDERED_BYTES, "{result:?} {made}");

    let profile = json!({
        "long": "a".repeat(3_000_000), "quotes": "\"".repeat(500_000),
        "many": vec!["x".repeat(1000); 1000], "some": vec!["y"; 1000],
    });
    for source in [
        "{{profile.long}}",
        "{{upper profile.long}}",
        "{{url_encode profile.long}}",
        "{{join profile.long}}",
        "{{json profile.long}}",
        "{{truncate profile.long 2999999}}",
        "{{replace profile.quotes \"\\\"\" \"12345\"}}",
        "{{json (url_encode profile.quotes)}}{{json profile.many}}",
        "{{join profile.many (join profile.many)}}",
        "{{join profile.some (join profile.many)}}",
        "{{profile.quotes}}{{profile.quotes}}",
        "{{#each profile.some}}{{#if (eq (join profile.many) \"\")}}{{/if}}{{/each}}",
        "{{#with (join profile.many)}}{{#each profile.some}}{{#if (eq ../this \"\")}}{{/if}}{{/each}}{{/with}}",
        "{{#each profile.some}}{{join profile.many}}{{/each}}",
    ] {
        let (result, made) = self::made(source, &profile);
        assert!(is_too_large(&result), "{source}: {result:?}");
        assert!(made <= 4 * eval::MAX_RENDERED_BYTES, "{source}: {made}");
    }
    let pattern = format!("{{{{date \"2026-03-01\" (replace \"{}\" \"a\" \"%255Y\")}}}}", "a".repeat(999));
    assert!(matches!(self::made(&pattern, &profile).0, Err(RenderError::InvalidValue { .. })));
}

/// Helpers in helpers, which make more of what they are given the deeper they go.
fn nested() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec!["profile.text", "profile.list", "\"aaaa\"", "profile.none"]);
    leaf.prop_map(str::to_owned).prop_recursive(12, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("(replace {a} {b} {c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(replace {a} \"a\" {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(join {a} {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(default {a} {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(truncate {a} 1000000 ellipsis={b})")),
            (inner, prop::sample::select(vec!["json", "upper", "capitalize", "url_encode", "trim"]))
                .prop_map(|(a, helper)| format!("({helper} {a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_nesting_of_helpers_makes_more_than_a_field_may_have(nested in nested()) {
        let profile = json!({"text": "a\"ß".repeat(2000), "list": vec!["a".repeat(50); 100]});
        let source = format!("{{{{upper {nested}}}}}");
        if lex::tags(&source, 64).is_ok() {
            let (result, made) = made(&source, &profile);
            prop_assert!(made <= 4 * eval::MAX_RENDERED_BYTES, "{made} {result:?}");
        }
    }

    #[test]
    fn what_is_compiled_in_pieces_is_what_it_is_as_a_whole(pieces in prop::collection::vec(prop::sample::select(vec![
        "{{profile.id}}", "{{~profile.id~}}", "{{#if profile.id}}", "{{/if}}", "{{else}}", "{{#each profile.tags}}", "{{/each}}",
        "{{! c }}", "{{!-- c --}}", "\\{{", "\\", "{", "}", "~", " ", "\n", "\r\n", "a", "bc", "<p>", "ż", "{{nothing}}",
    ]), 0..24)) {
        let source: String = pieces.concat();
        if lex::tags(&source, 64).is_err() {
            return Ok(());
        }
        let compile = |least| compile_in_pieces(&source, "text", Escaping::Html.into(), least);
        match (compile(usize::MAX), compile(1)) {
            (Ok(whole), Ok(parts)) => {
                let render = |compiled: &Compiled| {
                    let mut out = String::new();
                    compiled.program.render(&data(), &Value::Null, Blank, &mut out).map(|()| out)
                };
                prop_assert_eq!(render(&whole), render(&parts));
                prop_assert_eq!(whole.variables, parts.variables);
            }
            // Of several errors either may be found first.
            (Err(whole), Err(parts)) => prop_assert_eq!(whole[0].code, parts[0].code),
            (whole, parts) => prop_assert!(false, "{whole:?} {parts:?}"),
        }
    }
}

#[test]
fn a_locale_from_data_that_is_not_known_is_no_reason_to_fail() {
    for (source, expected) in [
        ("{{number 1234.5 locale=profile.person.name.firstName}}", "1,234.5"),
        ("{{currency 1234.5 \"EUR\" locale=profile.person.name.firstName}}", "€1,234.50"),
        ("{{number 1234.5 locale=profile.none}}", "1,234.5"),
        ("{{currency 1234.5 \"MXN\" locale=\"es-MX\"}}", "MXN\u{a0}1,234.50"),
        ("{{number 1234.5 locale=\"es-419\"}} {{number 1234.5 locale=\"es_ES\"}}", "1,234.5 1.234,5"),
        ("{{currency 1234.5 \"CHF\" locale=\"de-CH\"}}", "CHF\u{a0}1\u{2019}234.50"),
        (
            "{{number 1234.5 locale=\"de-Latn-CH\"}} {{number 1234.5 locale=\"DE-at\"}}",
            "1\u{2019}234.5 1.234,5",
        ),
        (
            "{{currency 5 \"KWD\"}} {{currency 5 \"UGX\"}} {{currency 5 \"CLF\"}}",
            "KWD\u{a0}5.000 UGX\u{a0}5 CLF\u{a0}5.0000",
        ),
    ] {
        assert_eq!(blank(source), expected, "{source}");
    }
    let failed = render_with("{{number 1 locale=5}}", Blank, Escaping::None);
    assert!(matches!(failed, Err(RenderError::InvalidValue { .. })), "{failed:?}");
}

#[test]
fn places_are_told_in_the_whole_of_a_source() {
    let row = "<td>żółć</td>\n".repeat(200);
    let source =
        format!("{row}{{{{profile.a}}}}{row}{{{{profile.b}}}}<i>ab\n ż {{{{nobody}}}}{row}{{{{profile.c");
    let error = error(&source);
    assert_eq!((error.code, error.line, error.column), ("syntax", Some(602), Some(1)), "{error}");
    let error = self::error(&source[..source.len() - "{{profile.c".len()]);
    assert_eq!((error.code, error.line, error.column), ("unknown_variable", Some(402), Some(4)), "{error}");
}
