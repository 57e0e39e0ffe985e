use std::sync::Arc;

use campaign::profile::Namespace;
use campaign::{Channel, Profile, ProfileId};
use platform::SystemClock;
use platform::embedded::Embedded;
use serde_json::{Map, Value, json};

use super::{Incoming, Profiles, RowResult, UpsertError};
use crate::StoreError;

fn profiles() -> Profiles {
    Profiles::new(Embedded::in_memory(Arc::new(SystemClock)).platform())
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("an object") };
    object
}

fn row(value: Value) -> Incoming {
    Incoming { document: object(value) }
}

async fn upsert_one(profiles: &Profiles, value: Value) -> Result<RowResult, UpsertError> {
    profiles.upsert(vec![row(value)]).await.unwrap().remove(0)
}

async fn created(profiles: &Profiles, value: Value) -> ProfileId {
    match upsert_one(profiles, value).await {
        Ok(RowResult::Created(id)) => id,
        other => panic!("created, not {other:?}"),
    }
}

#[tokio::test]
async fn a_row_is_merged_into_the_profile_that_any_of_its_names_finds() {
    let profiles = profiles();
    let ada =
        created(&profiles, json!({ "email": "Ada@x.io", "city": "Lyon", "consent": { "sms": "out" } })).await;
    // An id from another system comes later, beside the known address.
    let row = json!({ "external_id": "C1", "email": "ada@X.io", "consent": { "email": "in" } });
    assert!(matches!(upsert_one(&profiles, row).await, Ok(RowResult::Updated(id)) if id == ada));
    let stored = profiles.get(ada).await.unwrap().value;
    assert_eq!(stored.text("external_id"), Some("C1"));
    assert_eq!(stored.text("city"), Some("Lyon"));
    assert_eq!(stored.document()["consent"], json!({ "sms": "out", "email": "in" }));
    assert_eq!(profiles.find(Namespace::ExternalId, "C1").await.unwrap(), Some(ada));
}

#[tokio::test]
async fn an_address_of_somebody_with_another_external_id_is_taken() {
    let profiles = profiles();
    created(&profiles, json!({ "external_id": "C1", "email": "ada@x.io" })).await;
    let result = upsert_one(&profiles, json!({ "external_id": "C2", "email": "ada@x.io" })).await;
    assert!(matches!(result, Err(UpsertError::IdentityTaken("email"))), "{result:?}");
    assert_eq!(profiles.find(Namespace::ExternalId, "C2").await.unwrap(), None, "nothing is half done");
}

#[tokio::test]
async fn the_same_person_twice_in_a_batch_is_counted_and_the_last_row_wins() {
    // Corpus G7.
    let profiles = profiles();
    let mut rows: Vec<_> = (0..300).map(|n| row(json!({ "email": format!("p{n}@x.io"), "n": n }))).collect();
    rows.push(row(json!({ "email": "P7@x.io", "n": 1000 })));
    let results = profiles.upsert(rows).await.unwrap();
    assert!(matches!(results[7], Ok(RowResult::Duplicate)));
    assert_eq!(results.iter().filter(|result| matches!(result, Ok(RowResult::Created(_)))).count(), 300);
    let seven = profiles.find(Namespace::Email, "p7@x.io").await.unwrap().unwrap();
    assert_eq!(profiles.get(seven).await.unwrap().value.document()["n"], json!(1000));
}

#[tokio::test]
async fn two_rows_that_find_one_person_by_different_names_are_both_merged() {
    let profiles = profiles();
    let ada = created(&profiles, json!({ "external_id": "C1", "email": "ada@x.io" })).await;
    let rows = vec![row(json!({ "external_id": "C1", "a": 1 })), row(json!({ "email": "ada@x.io", "b": 2 }))];
    for result in profiles.upsert(rows).await.unwrap() {
        assert!(matches!(result, Ok(RowResult::Updated(id)) if id == ada), "{result:?}");
    }
    let stored = profiles.get(ada).await.unwrap().value;
    assert_eq!((&stored.document()["a"], &stored.document()["b"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn a_bad_row_leaves_the_others_alone() {
    let profiles = profiles();
    let rows = vec![
        row(json!({ "email": "a@x.io" })),
        row(json!({ "email": "nonsense" })),
        row(json!({ "city": "Oslo" })),
    ];
    let results = profiles.upsert(rows).await.unwrap();
    assert!(matches!(results[0], Ok(RowResult::Created(_))));
    assert!(matches!(results[1], Err(UpsertError::Profile(_))));
    assert!(matches!(results[2], Err(UpsertError::NoIdentity)));
}

#[tokio::test]
async fn a_changed_address_frees_the_old_one() {
    let profiles = profiles();
    let ada = created(&profiles, json!({ "email": "old@x.io" })).await;
    let before = profiles.get(ada).await.unwrap();
    let changed = Profile::new(ada, object(json!({ "email": "new@x.io" }))).unwrap();
    profiles.put(&changed, Some(&before)).await.unwrap();
    assert_eq!(profiles.find(Namespace::Email, "old@x.io").await.unwrap(), None);
    assert_eq!(profiles.find(Namespace::Email, "new@x.io").await.unwrap(), Some(ada));
    assert!(matches!(profiles.put(&changed, Some(&before)).await, Err(StoreError::Stale { .. })));
    profiles.delete(ada).await.unwrap();
    assert_eq!(profiles.find(Namespace::Email, "new@x.io").await.unwrap(), None);
    assert!(matches!(profiles.get(ada).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn large_profiles_are_written_in_as_many_transactions_as_they_need() {
    let profiles = profiles();
    let rows = |mark: char| {
        let notes = mark.to_string().repeat(60_000);
        (0..100).map(|n| row(json!({ "external_id": format!("C{n}"), "notes": notes }))).collect::<Vec<_>>()
    };
    for mark in ['a', 'b'] {
        let results = profiles.upsert(rows(mark)).await.unwrap();
        assert!(results.iter().all(Result::is_ok), "{mark}");
    }
    let one = profiles.find(Namespace::ExternalId, "C99").await.unwrap().unwrap();
    assert!(profiles.get(one).await.unwrap().value.text("notes").unwrap().starts_with('b'));
}

fn token(name: &str) -> Value {
    json!({ "app_id": "app", "platform": "ios", "token": name })
}

#[tokio::test]
async fn only_the_push_token_that_is_gone_is_removed() {
    let profiles = profiles();
    let row = json!({ "email": "ada@x.io", "city": "Lyon", "push_tokens": [token("a"), token("b")] });
    let ada = created(&profiles, row).await;
    let before = profiles.get(ada).await.unwrap();
    assert!(!profiles.remove_push_token(ada, "c").await.unwrap());
    assert_eq!(profiles.get(ada).await.unwrap(), before, "nothing was written");
    assert!(profiles.remove_push_token(ada, "a").await.unwrap());
    let stored = profiles.get(ada).await.unwrap().value;
    assert_eq!(stored.document()["push_tokens"], json!([token("b")]));
    assert_eq!(stored.text("city"), Some("Lyon"));
    assert_eq!(profiles.find(Namespace::Email, "ada@x.io").await.unwrap(), Some(ada));
    // The last one takes the field with it: `has(profile.push_tokens)` is false then.
    assert!(profiles.remove_push_token(ada, "b").await.unwrap());
    assert!(!profiles.get(ada).await.unwrap().value.document().contains_key("push_tokens"));
    assert!(!profiles.remove_push_token(ProfileId::from_bytes([0; 16]), "a").await.unwrap(), "nobody");
}

#[tokio::test]
async fn tokens_that_are_removed_at_once_are_all_removed() {
    let profiles = profiles();
    let names: Vec<_> = (0..3).map(|n| format!("t{n}")).collect();
    let tokens: Vec<_> = names.iter().map(|name| token(name)).collect();
    let ada = created(&profiles, json!({ "email": "ada@x.io", "push_tokens": tokens })).await;
    let removals = names.iter().map(|name| profiles.remove_push_token(ada, name));
    for removed in futures::future::join_all(removals).await {
        assert!(removed.unwrap());
    }
    assert!(!profiles.get(ada).await.unwrap().value.document().contains_key("push_tokens"));
}

/// Row B17's other half: whoever says no in the middle of a run is asked again by each delivery.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_is_written_down_once_however_often_it_is_said() {
    let profiles = profiles();
    let said = json!({ "email": "ann@x.io", "consent": { "sms": "in" }, "city": "Lyon" });
    let id = created(&profiles, said).await;
    let many = (0..20).map(|_| profiles.opt_out(id, Channel::Email, None));
    let answers = futures::future::join_all(many).await;
    let changed = answers.iter().filter(|answer| matches!(answer, Ok(true))).count();
    assert_eq!(changed, 1, "{answers:?}");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let news = "news".parse().unwrap();
    assert!(profiles.opt_out(id, Channel::Email, Some(&news)).await.unwrap());
    assert!(
        !profiles.opt_out(id, Channel::Sms, Some(&news)).await.unwrap(),
        "a topic is one over all channels"
    );
    let stored = profiles.get(id).await.unwrap();
    assert_eq!(stored.revision, 3);
    let document = stored.value.document();
    assert_eq!(document["consent"], json!({ "sms": "in", "email": "out" }));
    assert_eq!(document["topics"], json!({ "news": "out" }));
    assert_eq!(document["city"], "Lyon");
    let nobody = profiles.opt_out(ProfileId::from_bytes([9; 16]), Channel::Email, None).await;
    assert!(matches!(nobody, Err(StoreError::NotFound { .. })), "{nobody:?}");
}

#[tokio::test]
async fn rows_of_one_person_are_laid_over_each_other_and_a_wrong_one_is_left_out() {
    let profiles = profiles();
    let rows = [
        json!({ "email": "ann@x.io", "consent": { "email": "out" }, "city": "Lyon", "age": 3 }),
        json!({ "email": "ann@x.io", "consent": { "sms": "perhaps" }, "city": "Oslo" }),
        json!({ "email": "ANN@x.io", "city": null, "pet": { "name": "Rex" } }),
        json!({ "email": "ann@x.io", "language": 7 }),
    ];
    let results = profiles.upsert(rows.into_iter().map(row).collect()).await.unwrap();
    assert!(matches!(results[0], Ok(RowResult::Duplicate)), "{results:?}");
    assert!(matches!(results[1], Err(UpsertError::Profile(_))), "{results:?}");
    let Ok(RowResult::Created(ann)) = results[2] else { panic!("{results:?}") };
    assert!(matches!(results[3], Err(UpsertError::Profile(_))), "{results:?}");
    let stored = profiles.get(ann).await.unwrap();
    let document = stored.value.document();
    assert_eq!((stored.revision, &document["consent"]), (1, &json!({ "email": "out" })));
    assert_eq!((document.get("city"), &document["age"]), (None, &json!(3)));
    assert_eq!(document["pet"], json!({ "name": "Rex" }));
}

#[tokio::test]
async fn a_row_gives_nobody_the_id_of_one_who_is_gone() {
    let profiles = profiles();
    let ann = created(&profiles, json!({ "email": "ann@x.io" })).await;
    // The identity was read before it went with the profile.
    let gone = platform::Write::delete(crate::tables::PROFILES, crate::tables::profile(ann));
    profiles.platform.table.transact(vec![gone]).await.unwrap();
    let result = upsert_one(&profiles, json!({ "email": "ann@x.io" })).await;
    assert!(
        !matches!(result, Ok(RowResult::Created(id) | RowResult::Updated(id)) if id == ann),
        "{result:?}"
    );
    assert!(matches!(profiles.get(ann).await, Err(StoreError::NotFound { .. })));
}
