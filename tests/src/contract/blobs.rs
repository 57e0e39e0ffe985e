//! Files: brought by clients, written by us, read in pieces, fetched by clients.

use std::sync::Arc;
use std::time::Duration;

use platform::blob::{Stat, Upload};
use platform::{Blob, BlobName};
use reqwest::{Client, Method, Response};

use super::Engine;

const HOUR: Duration = Duration::from_secs(3600);

fn name(text: &str) -> BlobName {
    BlobName::new(text).unwrap()
}

/// Bytes of which no two stretches are alike.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect()
}

async fn stat(blob: &dyn Blob, text: &str) -> Stat {
    blob.stat(&name(text)).await.unwrap().expect("it is there")
}

/// All of it.
async fn whole(blob: &dyn Blob, text: &str) -> Vec<u8> {
    let stat = stat(blob, text).await;
    let size = usize::try_from(stat.size).unwrap();
    blob.read(&name(text), &stat.tag, 0, size + 1).await.unwrap().expect("it is still there")
}

/// Makes the request that a client is told to make.
async fn send(method: &str, url: &str, headers: &[(String, String)], body: Vec<u8>) -> Response {
    let mut request = Client::new().request(Method::from_bytes(method.as_bytes()).unwrap(), url).body(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.send().await.unwrap()
}

/// Brings a blob as a client does, be it past us or through us.
async fn bring(blob: &dyn Blob, text: &str, body: Vec<u8>) {
    match blob.upload(&name(text), "text/csv", HOUR).await.unwrap() {
        Upload::Presigned(to) => {
            let response = send(&to.method, &to.url, &to.headers, body).await;
            assert!(response.status().is_success(), "{response:?}");
        }
        Upload::Direct => {
            let mut writer = blob.create(&name(text)).await.unwrap();
            writer.write(&body).await.unwrap();
            writer.finish().await.unwrap();
        }
    }
}

/// By the client itself, with nothing but what it was told.
pub async fn a_client_brings_one(engine: &dyn Engine) {
    let blob = engine.blob().await;
    bring(&*blob, "up/file.csv", b"email\na@x.io\n".to_vec()).await;
    assert_eq!(whole(&*blob, "up/file.csv").await, b"email\na@x.io\n");
    bring(&*blob, "up/file.csv", bytes(300_000)).await;
    assert_eq!(whole(&*blob, "up/file.csv").await, bytes(300_000));
}

/// A signed URL is good for what it was signed for.
pub async fn a_signed_url_is_for_its_own_blob_and_kind(engine: &dyn Engine) {
    let blob = engine.blob().await;
    let Upload::Presigned(to) = blob.upload(&name("up/a"), "text/csv", HOUR).await.unwrap() else { return };
    let other = to.url.replace("up/a", "up/b");
    assert_ne!(other, to.url);
    assert!(!send(&to.method, &other, &to.headers, vec![1]).await.status().is_success());
    let html = [("content-type".to_owned(), "text/html".to_owned())];
    assert!(!send(&to.method, &to.url, &html, vec![1]).await.status().is_success());
    assert_eq!(blob.stat(&name("up/b")).await.unwrap(), None);
    assert!(blob.upload(&name("up/a"), "text/csv", 200 * HOUR).await.is_err(), "longer than a week");
}

/// By a link, or by our reading it for them.
pub async fn a_client_fetches_one(engine: &dyn Engine) {
    let blob = engine.blob().await;
    blob.put(&name("down/errors.csv"), bytes(100_000)).await.unwrap();
    let fetched = match blob.download(&name("down/errors.csv"), "errors.csv", HOUR).await.unwrap() {
        Some(url) => {
            let response = send("GET", &url, &[], Vec::new()).await;
            let disposition = response.headers()["content-disposition"].to_str().unwrap().to_owned();
            assert_eq!(disposition, "attachment; filename=\"errors.csv\"");
            response.bytes().await.unwrap().to_vec()
        }
        None => whole(&*blob, "down/errors.csv").await,
    };
    assert_eq!(fetched, bytes(100_000));
}

/// Any offset, any length.
pub async fn ranges_are_read(engine: &dyn Engine) {
    let blob = engine.blob().await;
    let all = bytes(10_000);
    blob.put(&name("r/file"), all.clone()).await.unwrap();
    let stat = stat(&*blob, "r/file").await;
    assert_eq!(stat.size, 10_000);
    for (from, most, expected) in [
        (0, 10, &all[..10]),
        (0, 10_000, &all[..]),
        (9_990, 100, &all[9_990..]),
        (1234, 4321, &all[1234..1234 + 4321]),
        (10_000, 10, &[]),
        (20_000, 10, &[]),
        (5, 0, &[]),
    ] {
        let read = blob.read(&name("r/file"), &stat.tag, from, most).await.unwrap();
        assert_eq!(read.as_deref(), Some(expected), "{most} bytes from {from} on");
    }
}

/// Also one of no bytes.
pub async fn an_empty_one_is_there(engine: &dyn Engine) {
    let blob = engine.blob().await;
    bring(&*blob, "e/brought", Vec::new()).await;
    blob.put(&name("e/put"), Vec::new()).await.unwrap();
    blob.create(&name("e/written")).await.unwrap().finish().await.unwrap();
    for text in ["e/brought", "e/put", "e/written"] {
        let stat = stat(&*blob, text).await;
        assert_eq!(stat.size, 0, "{text}");
        assert_eq!(blob.read(&name(text), &stat.tag, 0, 10).await.unwrap(), Some(Vec::new()), "{text}");
    }
}

/// Whoever reads on in what another has taken the place of would read a mixture.
pub async fn another_in_its_place_is_told_apart(engine: &dyn Engine) {
    let blob = engine.blob().await;
    let file = name("t/file");
    blob.put(&file, vec![1; 100]).await.unwrap();
    let first = stat(&*blob, "t/file").await;
    assert_eq!(stat(&*blob, "t/file").await, first, "the same is the same");
    blob.put(&file, vec![2; 100]).await.unwrap();
    let second = stat(&*blob, "t/file").await;
    assert_ne!(second.tag, first.tag);
    assert_eq!(blob.read(&file, &first.tag, 50, 10).await.unwrap(), None);
    assert_eq!(blob.read(&file, &second.tag, 50, 10).await.unwrap(), Some(vec![2; 10]));
    blob.delete(&file).await.unwrap();
    assert_eq!(blob.read(&file, &second.tag, 50, 10).await.unwrap(), None);
}

/// Whatever its size, whatever the pieces.
pub async fn a_large_one_is_written_bit_by_bit(engine: &dyn Engine) {
    let blob = engine.blob().await;
    let all = bytes(20 * 1024 * 1024 + 7);
    let mut writer = blob.create(&name("l/file")).await.unwrap();
    for piece in all.chunks(777_777) {
        writer.write(piece).await.unwrap();
    }
    assert_eq!(blob.stat(&name("l/file")).await.unwrap(), None, "it is not there before it is finished");
    writer.finish().await.unwrap();
    assert!(whole(&*blob, "l/file").await == all);
}

/// And what was there before stays.
pub async fn one_that_is_not_finished_was_never_there(engine: &dyn Engine) {
    let blob = engine.blob().await;
    let begin = async |blob: &Arc<dyn Blob>| {
        let mut writer = blob.create(&name("n/file")).await.unwrap();
        for _ in 0..10 {
            writer.write(&bytes(1024 * 1024)).await.unwrap();
        }
        drop(writer);
    };
    begin(&blob).await;
    assert_eq!(blob.stat(&name("n/file")).await.unwrap(), None);
    blob.put(&name("n/file"), vec![1]).await.unwrap();
    begin(&blob).await;
    assert_eq!(whole(&*blob, "n/file").await, [1]);
}

/// Names that begin alike are apart.
pub async fn a_deleted_one_is_gone_and_others_stay(engine: &dyn Engine) {
    let blob = engine.blob().await;
    for text in ["d/a", "d/a-b", "d/b/a"] {
        blob.put(&name(text), text.as_bytes().to_vec()).await.unwrap();
    }
    blob.delete(&name("d/a")).await.unwrap();
    blob.delete(&name("d/a")).await.unwrap();
    blob.delete(&name("never/there")).await.unwrap();
    assert_eq!(blob.stat(&name("d/a")).await.unwrap(), None);
    assert_eq!(blob.stat(&name("d")).await.unwrap(), None, "what is above a blob is none");
    assert_eq!(whole(&*blob, "d/a-b").await, b"d/a-b");
    assert_eq!(whole(&*blob, "d/b/a").await, b"d/b/a");
}
