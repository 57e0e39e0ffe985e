//! A file that is too big for the API.

use std::fmt::Write as _;

use envoi_tests::deployed::{LOOK, deployed};
use envoi_tests::process::GUARD;
use platform::{Clock, SystemClock};
use serde_json::json;

const ROWS: usize = 2000;

pub(super) async fn a_big_file_goes_by_the_bucket_and_a_job() {
    deployed("uploaded", async |envoi| {
        let mut csv = "email,external_id\n".to_owned();
        for number in 0..ROWS {
            // One of them is no address.
            let host = if number == 7 { "" } else { "uploaded.example" };
            writeln!(csv, "r{number}@{host},E{number}").unwrap();
        }
        let import = envoi.api.post("/imports", &json!({ "kind": "profiles" })).await.unwrap();
        let id = import["id"].as_str().unwrap();
        envoi.upload(&import["upload"], csv).await.unwrap();
        envoi.api.act(&format!("/imports/{id}/start")).await.unwrap();
        let until = SystemClock.monotonic() + GUARD;
        let job = loop {
            let job = envoi.api.get(&format!("/jobs/{id}")).await.unwrap();
            if job["state"] == "completed" {
                break job;
            }
            assert!(job["state"] != "failed" && SystemClock.monotonic() < until, "{job}");
            SystemClock.sleep(LOOK * 5).await;
        };
        let result =
            json!({ "rows": ROWS, "created": ROWS - 1, "updated": 0, "duplicates": 0, "invalid": 1 });
        assert_eq!(job["result"], result, "{job}");
        let errors = envoi.download(job["errors_url"].as_str().unwrap()).await.unwrap();
        assert_eq!(errors.lines().count(), 2, "{errors}");
        // The header is line 1.
        assert!(errors.lines().nth(1).unwrap().starts_with("8,9,email,"), "{errors}");
        let profiles = envoi.api.get("/profiles?email=r1999@uploaded.example").await.unwrap();
        assert_eq!(profiles["items"][0]["external_id"], "E1999", "{profiles}");
    })
    .await;
}
