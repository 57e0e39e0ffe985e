//! What is deleted is not still to be read in the files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use envoi_tests::clock::TestClock;
use envoi_tests::contract::A;
use platform::embedded::Embedded;
use platform::{Change, Item, Key, Table, Write};
use tempfile::TempDir;

/// Whether a text stands in any file of the folder.
fn stands_in(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        memchr::memmem::find(&bytes, text.as_bytes()).is_some()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_or_changed_is_in_no_file_once_the_log_is_cut() {
    let folder = TempDir::new().unwrap();
    let engine = Embedded::open(folder.path(), Arc::new(TestClock::default())).unwrap();
    // Small ones that share a page, ones that have pages of their own, and one that fills a page and stays alone on it.
    let texts: Vec<String> =
        (0..40).map(|n| format!("secret-{n}-").repeat(if n % 4 == 0 { 2000 } else { 5 })).collect();
    for (n, text) in texts.iter().enumerate() {
        let item = Item::new(Key::new(format!("p{n}"), "s")).with("text", text.as_str());
        engine.transact(vec![Write::put(A, item)]).await.unwrap();
    }
    assert!(stands_in(folder.path(), "secret-3-") && stands_in(folder.path(), "secret-8-"));
    for n in 0..texts.len() {
        let key = Key::new(format!("p{n}"), "s");
        let write = match n % 2 {
            0 => Write::delete(A, key),
            _ => Write::update(A, key, vec![Change::set("text", "nothing")]),
        };
        engine.transact(vec![write]).await.unwrap();
    }
    engine.cut_log().await.unwrap();
    assert!(!stands_in(folder.path(), "secret-"));
    engine.shutdown().await.unwrap();
}
