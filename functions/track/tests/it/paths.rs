//! Whatever is asked for is answered.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::world::{ANN, World};

/// A path from anybody: close to a real one, or not at all.
fn any_path(real: Vec<String>) -> impl Strategy<Value = String> {
    let mutated = (proptest::sample::select(real), any::<proptest::sample::Index>(), "[!-~]{0,3}");
    prop_oneof![
        mutated.prop_map(|(mut path, at, with)| {
            let at = 5 + at.index(path.len() - 5);
            path.replace_range(at..at + 1, &with);
            path
        }),
        "/t/[a-z]/[A-Za-z0-9_%./-]{0,80}(/[A-Za-z0-9_%-]{0,80})?",
        "/[!-~]{0,60}",
    ]
}

/// Method, path and query, headers, body.
type Asked = (Method, String, Vec<(HeaderName, HeaderValue)>, Vec<u8>);

fn any_request(real: Vec<String>) -> impl Strategy<Value = Asked> {
    let method = prop_oneof![
        4 => Just(Method::GET), 2 => Just(Method::HEAD), 3 => Just(Method::POST),
        1 => "[A-Z]{1,8}".prop_map(|name| Method::from_bytes(name.as_bytes()).unwrap()),
    ];
    let names =
        ["user-agent", "accept-language", "purpose", "sec-purpose", "content-type", "x-moz", "cookie"];
    let name = proptest::sample::select(names.to_vec()).prop_map(HeaderName::from_static);
    let value = prop_oneof!["[ -~]{0,40}", "[a-z]{2}(-[A-Z]{2})?;q=[0-9.]{0,5},.{0,3}"];
    let value = value.prop_filter_map("no header", |text| HeaderValue::from_bytes(text.as_bytes()).ok());
    let headers = proptest::collection::vec((name, value), 0..4);
    let query = prop_oneof![Just(String::new()), "\\?[!-~]{0,20}"];
    let body = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "(scope|undo|was|List-Unsubscribe)=[a-zA-Z-]{0,8}(&(scope|undo|was)=[a-z]{0,8}){0,3}"
            .prop_map(String::into_bytes),
    ];
    (method, any_path(real), query, headers, body)
        .prop_map(|(method, path, query, headers, body)| (method, path + &query, headers, body))
}

#[test]
fn any_request_is_answered_and_none_by_a_fault_of_ours() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::new(Some("offers")));
    let real = vec![
        world.open(ANN),
        world.click(ANN, 0, "https://example.com/?q=1"),
        world.unsubscribe(ANN),
        world.view(ANN),
    ];
    let mut runner = TestRunner::new(Config { cases: 2000, ..Config::default() });
    runner
        .run(&any_request(real), |(method, path, headers, body)| {
            let Ok(uri) = path.parse::<Uri>() else { return Ok(()) };
            let mut request = Request::new(Body::from(body));
            *request.method_mut() = method;
            *request.uri_mut() = uri;
            request.headers_mut().extend(headers);
            let answer = runtime.block_on(world.send(request));
            prop_assert!(!answer.status.is_server_error(), "{}", answer.status);
            let location = answer.header("location");
            prop_assert!(matches!(location, "" | "https://example.com/?q=1"), "{location}");
            Ok(())
        })
        .unwrap();
}
