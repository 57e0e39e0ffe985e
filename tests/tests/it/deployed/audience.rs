//! Who is to get a campaign, and what became of each of them: in the ledger, and in the mailbox.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use envoi_tests::deployed::{Deployment, Mail};
use serde_json::{Value, json};

const SUBJECT: &str = "{{profile.person.name.firstName}}, here is your number";
const HTML: &str = "<html><body><p>Dear {{profile.person.name.firstName}},</p>\
    <p>your number is {{profile.number}}.</p>\
    <p><a href=\"{{links.unsubscribe}}\">No more of this</a></p></body></html>";

/// So many people under one domain.
pub(super) struct Audience {
    domain: &'static str,
    count: usize,
}

/// What became of everybody, by address.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    pub(super) sent: BTreeSet<String>,
    pub(super) unknown: BTreeSet<String>,
    /// With the reason.
    pub(super) excluded: BTreeMap<String, String>,
}

impl Audience {
    /// Imports so many people as CSV.
    pub(super) async fn import(envoi: &Deployment, domain: &'static str, count: usize) -> Self {
        let audience = Self { domain, count };
        let mut csv = "email,external_id,person.name.firstName,number:number\n".to_owned();
        for number in 0..count {
            writeln!(csv, "{},E{number},Ann{number},{number}", audience.address(number)).unwrap();
        }
        let import = envoi.api.import(csv).await.unwrap();
        assert_eq!(import["created"], count, "{import}");
        audience
    }

    pub(super) fn address(&self, number: usize) -> String {
        format!("r{number}@{}", self.domain)
    }

    /// A campaign to them and nobody else, to be run when it is activated.
    pub(super) async fn campaign(&self, envoi: &Deployment) -> String {
        let segment = envoi.api.rule("profile.number >= 0").await.unwrap();
        envoi.api.campaign(&segment, SUBJECT, HTML).await.unwrap()
    }

    /// A campaign to them and nobody else, to be run at an instant of whole seconds.
    pub(super) async fn campaign_at(&self, envoi: &Deployment, at: jiff::Timestamp) -> String {
        let segment = envoi.api.rule("profile.number >= 0").await.unwrap();
        let sender = json!({ "channel": "email", "from": "news@envoi.example.com", "from_name": "News" });
        let configuration = json!({ "name": "News", "category": "marketing", "sender": sender });
        let configuration = envoi.api.create("/configurations", &configuration).await.unwrap();
        let local = at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let campaign = json!({
            "name": "Campaign",
            "type": "scheduled",
            "category": "marketing",
            "segment_id": segment,
            "actions": [{
                "channel": "email",
                "configuration_id": configuration,
                "content": { "subject": SUBJECT, "body": { "html": HTML } },
            }],
            "schedule": { "kind": "at", "date_time": local, "time_zone": "UTC" },
        });
        envoi.api.create("/campaigns", &campaign).await.unwrap()
    }

    /// Reads what became of everybody, and holds the ledger and the mailbox to the promise: everybody is in the ledger
    /// once, the counts say the same and balance; nobody has got two, who is `sent` has got one, and who has got one is
    /// `sent` or, at worst, `unknown`.
    pub(super) async fn outcomes(&self, envoi: &Deployment, execution: &Value) -> Outcomes {
        let people = self.people(envoi).await;
        let mut outcomes = Outcomes::default();
        let id = execution["id"].as_str().unwrap();
        for recipient in envoi.api.all(&format!("/executions/{id}/recipients")).await.unwrap() {
            let address = people[recipient["profile_id"].as_str().unwrap()].clone();
            let is_new = match recipient["outcome"].as_str().unwrap() {
                "sent" => outcomes.sent.insert(address),
                "unknown" => outcomes.unknown.insert(address),
                "excluded" => {
                    let reason = recipient["reason"].as_str().unwrap().to_owned();
                    outcomes.excluded.insert(address, reason).is_none()
                }
                _ => panic!("nobody is refused: {recipient}"),
            };
            assert!(is_new, "targeted twice: {recipient}");
        }
        let (sent, unknown, excluded) =
            (outcomes.sent.len(), outcomes.unknown.len(), outcomes.excluded.len());
        let total = &execution["total"];
        assert_eq!(sent + unknown + excluded, self.count, "nobody is lost: {total}");
        assert_eq!(total["targeted"], self.count, "{total}");
        assert_eq!(total["sent"], sent, "{total}");
        assert_eq!(total["unknown"], unknown, "{total}");
        assert_eq!(total["excluded"]["total"], excluded, "{total}");
        assert_eq!(total["failed"]["total"], 0, "{total}");
        assert_eq!(total["pending"], 0, "{total}");
        assert_eq!(total["possible_duplicates"], 0, "{total}");
        assert_eq!(total["balances"], true, "{total}");

        let mails = self.mails(envoi).await;
        let lost: Vec<_> = outcomes.sent.iter().filter(|address| !mails.contains_key(*address)).collect();
        assert!(lost.is_empty(), "sent, but not in the mailbox: {lost:?}");
        let known = |address: &String| outcomes.sent.contains(address) || outcomes.unknown.contains(address);
        let unnamed: Vec<_> = mails.keys().filter(|address| !known(address)).collect();
        assert!(unnamed.is_empty(), "in the mailbox, but not in the ledger: {unnamed:?}");
        outcomes
    }

    /// The mailbox by recipient, in which nobody has got two.
    pub(super) async fn mails(&self, envoi: &Deployment) -> BTreeMap<String, Mail> {
        let mut mails = BTreeMap::new();
        for mail in envoi.mails(self.domain).await.unwrap() {
            let [address] = &*mail.to else { panic!("a message has one recipient: {mail:?}") };
            let earlier = mails.insert(address.clone(), mail.clone());
            assert!(earlier.is_none(), "{address} has got two");
        }
        mails
    }

    /// The address of everybody, by the id of the profile.
    async fn people(&self, envoi: &Deployment) -> BTreeMap<String, String> {
        let profile = |number| json!({ "external_id": format!("E{number}") });
        let profiles: Vec<Value> = (0..self.count).map(profile).collect();
        let batch = envoi.api.post("/profiles/batch", &json!({ "profiles": profiles })).await.unwrap();
        assert_eq!(batch["updated"], self.count, "these profiles are known: {batch}");
        let ids = batch["results"].as_array().unwrap().iter();
        ids.enumerate()
            .map(|(number, result)| (result["id"].as_str().unwrap().to_owned(), self.address(number)))
            .collect()
    }
}
