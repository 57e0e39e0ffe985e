use std::path::Path;

/// The committed document is what is served, and what each operation's role is read from. Run with `UPDATE_OPENAPI=1` to
/// write it anew.
#[test]
fn the_committed_document_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let mut document = serde_json::to_string_pretty(api::openapi()).unwrap();
    document.push('\n');
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == document,
        "openapi.json differs: run this test with UPDATE_OPENAPI=1 and look at the change"
    );
}

#[test]
fn every_operation_has_an_id_of_its_own_and_a_summary() {
    let mut ids = std::collections::HashSet::new();
    for (path, item) in api::openapi()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap_or_default();
            assert!(!id.is_empty() && ids.insert(id.to_owned()), "{method} {path} needs an operation id");
            assert!(operation["summary"].is_string(), "{method} {path} needs a summary");
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{method} {path} needs a tag");
        }
    }
}

/// Every reference leads somewhere.
#[test]
fn every_schema_that_is_named_is_there() {
    fn walk(value: &serde_json::Value, check: &mut impl FnMut(&str)) {
        match value {
            serde_json::Value::Object(map) => {
                if let Some(reference) = map.get("$ref").and_then(|reference| reference.as_str()) {
                    check(reference);
                }
                map.values().for_each(|value| walk(value, check));
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| walk(value, check)),
            _ => {}
        }
    }
    let document = api::openapi();
    walk(document, &mut |reference| {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    });
}
