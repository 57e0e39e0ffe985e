use proptest::prelude::*;

use super::*;

fn prepare_html(source: &str) -> Prepared {
    prepare_body(&EmailBody::Html(source.into())).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn prepare_body(body: &EmailBody) -> Result<Prepared, ContentError> {
    let (EmailBody::Html(source) | EmailBody::Mjml(source)) = body;
    let source = lex::decode_entities(source);
    let tags = lex::tags(&source, 64).expect("accepted");
    prepare(body, &source, &tags, None)
}

/// What the body element holds.
fn inner(html: &str) -> &str {
    let start =
        html.find("<body").and_then(|at| html[at..].find('>').map(|length| at + length + 1)).expect("a body");
    html[start..html.rfind("</body>").expect("its end")]
        .strip_suffix("{{_open}}")
        .expect("the picture's place")
}

#[test]
fn block_tags_stay_where_they_are_in_tables() {
    let body = "<table><!-- c --><thead><tr>{{#each profile.h}}<th>{{this}}</th>{{/each}}</tr></thead><tbody>{{#each profile.r}}<tr><td>{{a}}</td>{{#if b}}<td>{{b}}</td>{{/if}}</tr>{{/each}}</tbody></table>";
    assert_eq!(inner(&prepare_html(body).html), body);
    let loose = "<table>{{#each profile.r}}<tr><td>x</td></tr>{{/each}}</table>";
    assert_eq!(
        inner(&prepare_html(loose).html),
        "<table><tbody>{{#each profile.r}}<tr><td>x</td></tr>{{/each}}</tbody></table>"
    );
}

#[test]
fn expressions_in_attributes_come_through() {
    for body in [
        r#"<a href="/x/{{profile.id}}?a=1&amp;b=2">x</a>"#,
        r#"<a href="/x/{{#if profile.a}}a{{else}}b{{/if}}" title="{{default profile.t "q > r"}}">x</a>"#,
        r#"<p style="color:{{profile.c}};{{#if profile.b}}font-weight:bold{{/if}}">x</p>"#,
        r#"<!--[if mso]><v:rect fill="{{profile.c}}"><![endif]-->"#,
        r"<select><option>{{profile.a}}</option></select>",
        r"<p>\{{literal}} {{{profile.raw}}} {{! gone? no, kept }}</p>",
    ] {
        assert_eq!(inner(&prepare_html(body).html), body);
    }
    let divided = r#"<a class="k" {{#if profile.a}}href="a"{{else}}href="b"{{/if}}>x</a>"#;
    assert_eq!(inner(&prepare_html(divided).html), divided);
    let encoded = r#"<a title="{{default profile.t &quot;q&quot;}}">x</a>"#;
    assert_eq!(inner(&prepare_html(encoded).html), r#"<a title="{{default profile.t "q"          }}">x</a>"#);
    let single = r#"<p style='font-family:"A";color:{{profile.c}}'>x</p>"#;
    assert_eq!(
        inner(&prepare_html(single).html),
        r#"<p style="font-family:&quot;A&quot;;color:{{profile.c}}">x</p>"#
    );
}

#[test]
fn braces_that_come_from_entities_stay_text() {
    assert_eq!(inner(&prepare_html("<p>&#123;&#123;profile.x}}</p>").html), r"<p>\{{profile.x}}</p>");
    for body in ["<p>&#92;{{profile.x}}</p>", "<p title=\"&#92;{{profile.x}}\">&#123;{{profile.x}}</p>"] {
        assert_eq!(inner(&prepare_html(body).html), body);
    }
}

#[test]
fn the_derived_text_says_what_stands_before_a_tag_as_it_is() {
    for (body, said) in [
        ("<p>&#123;{{profile.x}}</p>", "{7"),
        ("<p>a &#92;{{profile.x}}</p>", "a \\7"),
        ("<p>&#92;&#123;{{profile.x}}</p>", "\\{7"),
    ] {
        let text = prepare_html(body).text;
        assert_eq!(rendered(&text), said, "{text}");
    }
}

/// What a template prints for a profile whose `x` is 7.
fn rendered(template: &str) -> String {
    let program = crate::template::compile_checked(template, "text", crate::email::TEXT).expect(template);
    let mut out = String::new();
    let (profile, nothing) = (serde_json::json!({ "x": 7 }), serde_json::Value::Null);
    program.render(&profile, &nothing, campaign::content::OnMissing::Skip, &mut out).expect("renders");
    out.trim().to_owned()
}

fn entities(run: &str) -> String {
    run.replace('{', "&#123;").replace('\\', "&#92;")
}

#[test]
fn several_braces_and_backslashes_before_a_tag_are_printed() {
    for run in ["{{", "{{{", "{{{{{", r"\\{", r"\{{", r"\\"] {
        let prepared = prepare_html(&format!("<p>{}{{{{profile.x}}}}</p>", entities(run)));
        assert_eq!(rendered(&prepared.text), format!("{run}7"), "{}", prepared.text);
        assert_eq!(inner(&prepared.html), format!("<p>{}{{{{profile.x}}}}</p>", entities(run)));
    }
    let title = "<p title=\"&#123;&#123;{{profile.x}}\">x</p>";
    assert_eq!(inner(&prepare_html(title).html), title);
}

#[test]
fn the_source_s_own_escapes_mean_the_same_in_both_parts() {
    for (body, said) in [(r"\\{{profile.x}}", r"\7"), (r"\\\{{profile.x}}", r"\\7")] {
        let prepared = prepare_html(body);
        assert_eq!(rendered(&prepared.text), said, "{}", prepared.text);
        assert_eq!(rendered(inner(&prepared.html)).replace("&#92;", "\\"), said, "{}", prepared.html);
    }
    assert_eq!(rendered(&prepare_html(r"\{{<b>{{profile.x}}</b>").text), "{{7");
    let script = r"<script>a\\{{profile.x}}</script>";
    assert_eq!(inner(&prepare_html(script).html), script);
}

#[test]
fn a_long_run_before_a_tag_does_not_overflow() {
    let run = r"\{".repeat(20_000);
    let text = prepare_html(&format!("<p>{}{{{{profile.x}}}}</p>", entities(&run))).text;
    assert_eq!(rendered(&text), format!("{run}7"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_run_before_a_tag_comes_out_as_it_is(run in r"[{\\]{0,12}") {
        let prepared = prepare_html(&format!("<p>{}{{{{profile.x}}}}</p>", entities(&run)));
        prop_assert_eq!(rendered(&prepared.text), format!("{run}7"));
    }
}

#[test]
fn css_is_inlined_and_what_can_not_be_stays_in_the_head() {
    let html = prepare_html(
        "<html><head><style>.a{color:red} .a:hover{color:blue} @media (max-width:9px){.a{color:green}} p{color:{{profile.c}}}</style></head>\
         <body><i class=a style=\"{{profile.s}}\">x</i><p>y</p></body></html>",
    )
    .html;
    assert!(html.contains(r#"<i class="a" style="color: red;{{profile.s}}">x</i>"#), "{html}");
    assert!(html.contains(r#"<p style="color: {{profile.c}};">y</p>"#), "{html}");
    assert!(html.contains(".a:hover { color: blue; }") && html.contains("@media (max-width:9px)"), "{html}");
    assert!(!html.contains("color:red"), "{html}");
}

#[test]
fn css_with_blocks_and_styles_that_are_no_css_are_left_alone() {
    let source = "<html><head><style>{{#if profile.a}}p{color:red}{{/if}}</style></head><body><p style=\"foo;;{x}\">x</p></body></html>";
    assert_eq!(prepare_html(source).html.replace("{{_open}}", ""), source);
}

#[test]
fn nothing_is_fetched() {
    let source = "<html><head><link rel=\"stylesheet\" href=\"http://127.0.0.1:9/x.css\"><link rel=\"stylesheet\" href=\"Cargo.toml\"></head><body><p>x</p></body></html>";
    assert_eq!(prepare_html(source).html.replace("{{_open}}", ""), source);
}

#[test]
fn a_fragment_gets_a_document_around_it() {
    let html = prepare_html("{{#if profile.a}}<p>x</p>{{/if}}").html;
    assert!(html.starts_with("<!DOCTYPE html><html><head><meta charset=\"utf-8\">"), "{html}");
    assert_eq!(inner(&html), "{{#if profile.a}}<p>x</p>{{/if}}");
    let html = prepare_html("<html><head></head>{{#if profile.a}}<p>x</p>{{/if}}</html>").html;
    assert_eq!(inner(&html), "{{#if profile.a}}<p>x</p>{{/if}}");
}

#[test]
fn the_preheader_is_escaped_hidden_and_first() {
    let body = EmailBody::Html("<body><p>x</p></body>".into());
    let prepared = prepare(&body, "<body><p>x</p></body>", &[], Some("5 < 6 & {{default profile.a \"<\"}}"))
        .expect("fine");
    let inner = inner(&prepared.html);
    assert!(inner.starts_with("<div style=\"display:none;"), "{inner}");
    assert!(inner.contains("\">5 &lt; 6 &amp; {{default profile.a \"<\"}}</div><p>x</p>"), "{inner}");
    assert_eq!(prepared.text, "x");
}

const MJML: &str = r#"<mjml>
  <mj-head>
    <mj-title>For {{profile.name}}</mj-title>
    <mj-style inline="inline">.red { color: {{profile.red}} }</mj-style>
    <mj-style>.blue { color: blue }</mj-style>
  </mj-head>
  <mj-body>
    {{#if profile.vip}}
    <mj-section>
      <mj-column>
        <mj-text css-class="k">Hi <b class="red">{{profile.name}}</b></mj-text>
        <mj-button href="https://x/{{profile.id}}?a=1&amp;b=2">Go {{profile.name}}</mj-button>
        <mj-table>{{#each profile.rows}}<tr><td>{{this}}</td></tr>{{/each}}</mj-table>
      </mj-column>
    </mj-section>
    {{/if}}
  </mj-body>
</mjml>"#;

#[test]
fn mjml_becomes_html_with_its_tags_in_place() {
    let prepared = prepare_body(&EmailBody::Mjml(MJML.into())).expect("compiles");
    let html = &prepared.html;
    assert!(html.contains("<title>For {{profile.name}}</title>"), "{html}");
    assert!(
        html.contains(r#"<b class="red" style="color: {{profile.red}};">{{profile.name}}</b>"#),
        "{html}"
    );
    assert!(html.contains(r#"href="{{#_link 0}}https://x/{{profile.id}}?a=1&amp;b=2{{/_link}}""#), "{html}");
    assert!(
        html.contains("<tbody>{{#each profile.rows}}<tr><td>{{this}}</td></tr>{{/each}}</tbody>"),
        "{html}"
    );
    assert!(html.contains(".blue { color: blue }"), "{html}");
    assert_eq!(
        prepared.text,
        "{{#if profile.vip}}\nHi {{profile.name}}\n\nGo {{profile.name}} (https://x/{{profile.id}}?a=1&b=2)\n\n{{#each profile.rows}}\n{{this}}\n{{/each}}\n\n{{/if}}\n"
    );
}

#[test]
fn mjml_errors_point_into_the_source() {
    let at = |source: &str| {
        let error = prepare_body(&EmailBody::Mjml(source.into())).expect_err(source);
        (error.code, error.line, error.column)
    };
    let tags = "{{#if profile.aaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}\n{{/if}}";
    let quoted = format!("<mjml><mj-body>{tags}\n  <mj-section a=></mj-section></mj-body></mjml>");
    assert_eq!(at(&quoted), ("mjml", Some(3), Some(14)));
    let include = format!("<mjml><mj-body>{tags}\n <mj-include path=\"/etc/passwd\" /></mj-body></mjml>");
    assert_eq!(at(&include), ("mjml", Some(3), Some(3)));
    assert_eq!(at("<p>x</p>"), ("mjml", Some(1), Some(1)));
    assert_eq!(at("<mjml><mj-body><mj-section></mj-body></mjml>"), ("mjml", None, None));
}

#[test]
fn a_tag_without_a_place_is_an_error_and_not_lost() {
    let mjml =
        "<mjml>\n<mj-head>{{#if profile.a}}<mj-title>x</mj-title>{{/if}}</mj-head><mj-body></mj-body></mjml>";
    let error = prepare_body(&EmailBody::Mjml(mjml.into())).expect_err("lost");
    assert_eq!((error.code, error.line, error.column), ("misplaced_tag", Some(2), Some(10)));
}

#[test]
fn the_deepest_markup_that_is_let_through_does_not_overflow() {
    let deep = |count| format!("{}x{}", "<div>".repeat(count), "</div>".repeat(count));
    assert!(prepare_html(&deep(100)).text.contains('x'));
    let body =
        |count| EmailBody::Mjml(format!("<mjml><mj-body><mj-raw>{}</mj-raw></mj-body></mjml>", deep(count)));
    assert!(prepare_body(&body(97)).expect("fine").text.contains('x'));
    assert_eq!(prepare_body(&body(98)).expect_err("deep").code, "too_deep");
    let nested = format!(
        "<mjml><mj-body>{}x{}</mj-body></mjml>",
        "<mj-wrapper>".repeat(98),
        "</mj-wrapper>".repeat(98)
    );
    assert!(prepare_body(&EmailBody::Mjml(nested)).is_ok());
}

fn text(source: &str) -> String {
    prepare_html(source).text
}

#[test]
fn the_text_reads_like_a_letter() {
    assert_eq!(
        text(
            "<head><title>t</title><style>p{}</style></head><body><div style=\"display: none\">hidden <b>too</b></div>\
             <h1>Hi&nbsp;there</h1><p>One\n two<br>three &lt;4&gt;</p><ul><li>a</li><li><p>b</p></li></ul><hr>\
             <script>x()</script><p>end&zwnj;&shy;ing</p></body>"
        ),
        "Hi there\n\nOne two\nthree <4>\n\n- a\n- b\n\n---\n\nending"
    );
}

#[test]
fn links_keep_their_targets() {
    assert_eq!(
        text("<a href=\"https://x/?a=1&amp;b=2\">See <b>all</b></a>."),
        "See all (https://x/?a=1&b=2)."
    );
    assert_eq!(text("<a href=\"https://x\">https://x</a> <a href=\"#top\">up</a>"), "https://x up");
    assert_eq!(
        text("<a href=\"mailto:a@b.c\">a@b.c</a> <a href=\"mailto:a@b.c\">mail</a>"),
        "a@b.c mail (a@b.c)"
    );
    assert_eq!(
        text(
            "<a href=\"https://x\"><img src=\"i\" alt=\"Logo\"></a><a href=\"https://y\"><img src=\"j\"></a>"
        ),
        "Logo (https://x)https://y"
    );
    assert_eq!(text("<a href=\"https://x\"><div>block</div></a><p>y</p>"), "block (https://x)\n\ny");
    assert_eq!(
        text("<a href=\"{{profile.url}}/{{url_encode profile.q}}\">go</a>"),
        "go ({{profile.url}}/{{url_encode profile.q}})"
    );
}

#[test]
fn tables_are_rows_and_cells() {
    assert_eq!(text("<table><tr><td>a</td><td>b</td></tr><tr><th>c</th><td>d</td></tr></table>"), "a b\nc d");
    assert_eq!(text("<table role=presentation><tr><td>a</td></tr><tr><td>b</td></tr></table>"), "a\n\nb");
}

#[test]
fn tags_survive_in_the_text_with_the_line_ends_inside_their_blocks() {
    assert_eq!(
        text(
            "<p>Hi {{profile.a}},</p><ul>{{#each profile.l}}<li>{{this}}</li>{{/each}}</ul><p>{{#if profile.b}}yes{{else}}no{{/if}}, bye</p>"
        ),
        "Hi {{profile.a}},\n\n{{#each profile.l}}\n- {{this}}\n{{/each}}\n\n{{#if profile.b}}yes{{else}}no{{/if}}, bye"
    );
    assert_eq!(
        text("<p>A</p>{{#if profile.x}}<p>B</p>{{/if}}{{#if profile.y}}<p>C</p>{{/if}}<p>D</p>"),
        "A\n\n{{#if profile.x}}\nB\n\n{{/if}}\n{{#if profile.y}}\nC\n\n{{/if}}\nD"
    );
}
