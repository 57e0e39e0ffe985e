//! Problems as the contract has them: with a report that repeats the request's ids.

use serde_json::{Map, Value};

use crate::error::Problem;

/// What a request calls itself and the campaign, as far as it can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) request: Option<String>,
    pub(super) campaign: Option<String>,
}

impl Ids {
    /// Those in a body, whatever else is wrong with it.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        Self { request: text("requestId"), campaign: text("campaignId") }
    }

    /// The problem with the report added.
    pub(super) fn report(&self, problem: Problem) -> Problem {
        let mut context = Map::new();
        for (name, id) in [("requestId", &self.request), ("campaignId", &self.campaign)] {
            if let Some(id) = id {
                context.insert(name.to_owned(), Value::String(id.clone()));
            }
        }
        let report = Map::from_iter([("additionalContext".to_owned(), Value::Object(context))]);
        problem.with("report", report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_whatever_can_be_read() {
        let ids = Ids::of(br#"{ "requestId": "r", "campaignId": 7, "recipients": "none" }"#);
        assert_eq!(ids, Ids { request: Some("r".to_owned()), campaign: None });
        assert_eq!(Ids::of(b"no json"), Ids::default());
    }
}
