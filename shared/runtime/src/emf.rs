//! Figures in CloudWatch's embedded metric format: a line of the log that CloudWatch Logs makes metrics of, without a call
//! to it. The format is the "Specification: Embedded metric format" in the Amazon CloudWatch User Guide.

use delivery::Metrics;
use serde_json::{Value, json};

/// Where the namespace of the metrics is said.
pub const NAMESPACE: &str = "ENVOI_METRICS_NAMESPACE";

/// Whose figures they are.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// The namespace they go into.
    pub namespace: &'a str,
    /// The function's name in the account: the dimension `Function`.
    pub function: &'a str,
    /// The invocation's request id, as a property to find its log lines by. It makes no metric.
    pub request_id: &'a str,
    /// When it ended, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// The namespace that the environment asks for, or `Envoi`.
pub fn namespace() -> String {
    let asked = std::env::var(NAMESPACE).ok().filter(|asked| !asked.is_empty());
    asked.unwrap_or_else(|| "Envoi".to_owned())
}

/// The line; `None` where nothing was done.
///
/// One set of dimensions, `Function` and `Channel`, since each further one is a metric more to pay for. Counts are
/// recipients, zeros included: a figure that stays away can't be told from a function that does not run.
pub fn line(metrics: &Metrics, invocation: &Invocation<'_>) -> Option<String> {
    if metrics.is_empty() {
        return None;
    }
    let counts = [
        ("Claimed", metrics.claimed),
        ("Sent", metrics.sent),
        ("Failed", metrics.failed),
        ("Excluded", metrics.excluded),
        ("Unknown", metrics.unknown),
        ("Retried", metrics.retried),
    ];
    let mut definitions: Vec<Value> =
        counts.iter().map(|(name, _)| json!({ "Name": name, "Unit": "Count" })).collect();
    let mut line = json!({
        "Function": invocation.function,
        "Channel": metrics.channel.name(),
        "request_id": invocation.request_id,
    });
    for (name, count) in counts {
        line[name] = count.into();
    }
    if let Some(age) = metrics.oldest {
        definitions.push(json!({ "Name": "OldestChunkAge", "Unit": "Seconds" }));
        line["OldestChunkAge"] = age.as_secs_f64().into();
    }
    line["_aws"] = directive(invocation, &["Function", "Channel"], &definitions);
    Some(line.to_string())
}

/// A line of counts by their names, with the dimension `Function` alone; `None` where all of them are zero. They are what
/// hardly ever happens, so an alarm takes their absence for good.
pub fn counts(counts: &[(&str, u64)], invocation: &Invocation<'_>) -> Option<String> {
    if counts.iter().all(|(_, count)| *count == 0) {
        return None;
    }
    let definitions: Vec<Value> =
        counts.iter().map(|(name, _)| json!({ "Name": name, "Unit": "Count" })).collect();
    let mut line = json!({ "Function": invocation.function, "request_id": invocation.request_id });
    for (name, count) in counts {
        line[*name] = (*count).into();
    }
    line["_aws"] = directive(invocation, &["Function"], &definitions);
    Some(line.to_string())
}

/// What tells CloudWatch Logs which of a line's fields are metrics.
fn directive(invocation: &Invocation<'_>, dimensions: &[&str], metrics: &[Value]) -> Value {
    json!({
        "Timestamp": invocation.at_ms,
        "CloudWatchMetrics": [{
            "Namespace": invocation.namespace,
            "Dimensions": [dimensions],
            "Metrics": metrics,
        }],
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use campaign::Channel;

    use super::*;

    const INVOCATION: Invocation<'_> = Invocation {
        namespace: "Envoi",
        function: "envoi-deliver-email",
        request_id: "8476a536",
        at_ms: 1_780_315_200_000,
    };

    #[test]
    fn the_line_is_as_cloudwatch_reads_it() {
        let metrics = Metrics {
            claimed: 50,
            sent: 45,
            failed: 1,
            excluded: 2,
            unknown: 1,
            retried: 1,
            oldest: Some(Duration::from_millis(61_250)),
            ..Metrics::new(Channel::Email)
        };
        let expected = concat!(
            r#"{"Channel":"email","Claimed":50,"Excluded":2,"Failed":1,"Function":"envoi-deliver-email","#,
            r#""OldestChunkAge":61.25,"Retried":1,"Sent":45,"Unknown":1,"_aws":{"CloudWatchMetrics":[{"#,
            r#""Dimensions":[["Function","Channel"]],"Metrics":[{"Name":"Claimed","Unit":"Count"},"#,
            r#"{"Name":"Sent","Unit":"Count"},{"Name":"Failed","Unit":"Count"},{"Name":"Excluded","Unit":"Count"},"#,
            r#"{"Name":"Unknown","Unit":"Count"},{"Name":"Retried","Unit":"Count"},"#,
            r#"{"Name":"OldestChunkAge","Unit":"Seconds"}],"Namespace":"Envoi"}],"Timestamp":1780315200000},"#,
            r#""request_id":"8476a536"}"#
        );
        assert_eq!(line(&metrics, &INVOCATION).as_deref(), Some(expected));
    }

    #[test]
    fn where_nothing_was_done_there_is_no_line() {
        assert_eq!(line(&Metrics::new(Channel::Sms), &INVOCATION), None);
        assert_eq!(counts(&[("OccurrencesMissed", 0)], &INVOCATION), None);
    }

    #[test]
    fn counts_have_the_function_for_their_only_dimension() {
        let invocation = Invocation { function: "envoi-activate", ..INVOCATION };
        let expected = concat!(
            r#"{"Function":"envoi-activate","OccurrencesMissed":2,"_aws":{"CloudWatchMetrics":[{"#,
            r#""Dimensions":[["Function"]],"Metrics":[{"Name":"OccurrencesMissed","Unit":"Count"}],"#,
            r#""Namespace":"Envoi"}],"Timestamp":1780315200000},"request_id":"8476a536"}"#
        );
        assert_eq!(counts(&[("OccurrencesMissed", 2)], &invocation).as_deref(), Some(expected));
    }

    #[test]
    fn an_age_that_nobody_saw_is_not_reported() {
        let metrics = Metrics { sent: 1, ..Metrics::new(Channel::Email) };
        assert!(!line(&metrics, &INVOCATION).unwrap().contains("OldestChunkAge"));
    }
}
