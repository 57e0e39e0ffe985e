//! The account: what was asked for, by whom, and what it costs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::model::{self, Model};

/// List prices in dollars, those of design and budget: Lambda on arm64.
mod price {
    pub(super) const WRITE_UNIT: f64 = 0.625e-6;
    pub(super) const READ_UNIT: f64 = 0.125e-6;
    pub(super) const SQS: f64 = 0.40e-6;
    /// On top, for requests about messages of a fair queue's groups.
    pub(super) const SQS_FAIR: f64 = 0.10e-6;
    pub(super) const INVOCATION: f64 = 0.20e-6;
    pub(super) const GB_SECOND: f64 = 13.333_4e-6;
    pub(super) const HTTP_API: f64 = 1e-6;
    pub(super) const SCHEDULE: f64 = 1e-6;
    pub(super) const LOGS_GB: f64 = 0.50;
}

/// What 1,000,000 emails may cost.
const BUDGET: f64 = 0.50;
/// SQS bills a request for each so many bytes.
const SQS_BYTES: u64 = 64 * 1024;
const MILLION: f64 = 1e6;

/// Who is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Function {
    /// The API's part in an activation.
    Api,
    /// What happens once a campaign: activation and start.
    Activate,
    /// The sweep of each minute.
    Sweep,
    /// The fan-out.
    FanOut,
    /// The delivery.
    DeliverEmail,
}

impl Function {
    const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Activate => "activate",
            Self::Sweep => "sweep",
            Self::FanOut => "fan-out",
            Self::DeliverEmail => "deliver-email",
        }
    }

    /// Whether its work grows with the number of recipients.
    const fn grows(self) -> bool {
        matches!(self, Self::Sweep | Self::FanOut | Self::DeliverEmail)
    }
}

/// What units are booked under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    function: Function,
    operation: String,
    item: &'static str,
}

impl Line {
    /// A function's operation on a kind of item.
    pub(crate) fn new(function: Function, operation: String, item: &'static str) -> Self {
        Self { function, operation, item }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Units {
    times: u64,
    write: f64,
    read: f64,
    largest: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Work {
    invocations: u64,
    billed: Duration,
    /// SQS requests as they are billed: sent by it, and received and deleted for it.
    sqs: u64,
    /// Those of them that are about messages with a group.
    fair: u64,
}

/// All that was booked.
#[derive(Debug, Default)]
pub(crate) struct Account {
    units: BTreeMap<Line, Units>,
    requests: BTreeMap<(Function, String), u64>,
    work: BTreeMap<Function, Work>,
    faults: Vec<String>,
}

/// What a campaign's account comes to.
pub(crate) struct Bill {
    /// For programs.
    pub(crate) json: Value,
    /// For people.
    pub(crate) table: String,
}

impl Account {
    /// Books units of an item; `bytes` is its size.
    pub(crate) fn book(&mut self, line: Line, write: f64, read: f64, bytes: u64) {
        let units = self.units.entry(line).or_default();
        units.times += 1;
        units.write += write;
        units.read += read;
        units.largest = units.largest.max(bytes);
    }

    /// Books a request.
    pub(crate) fn request(&mut self, function: Function, operation: &str) {
        *self.requests.entry((function, operation.to_owned())).or_default() += 1;
    }

    /// Books a request `SendMessageBatch`.
    pub(crate) fn sent(&mut self, function: Function, asked: &Value) {
        let entries = asked["Entries"].as_array().map_or(&[][..], Vec::as_slice);
        let bytes: usize =
            entries.iter().filter_map(|entry| entry["MessageBody"].as_str()).map(str::len).sum();
        let billed = (bytes as u64).div_ceil(SQS_BYTES).max(1);
        let work = self.work.entry(function).or_default();
        work.sqs += billed;
        if entries.iter().any(|entry| entry["MessageGroupId"].is_string()) {
            work.fair += billed;
        }
    }

    /// Books an invocation for one message, which took so long.
    pub(crate) fn invoked(&mut self, function: Function, took: Duration) {
        let work = self.work.entry(function).or_default();
        work.invocations += 1;
        work.billed +=
            Duration::from_millis(u64::try_from(took.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX));
        // Received and deleted.
        work.sqs += 2;
        if function == Function::DeliverEmail {
            work.fair += 2;
        }
    }

    /// Something that the account can't be trusted with.
    pub(crate) fn fault(&mut self, fault: String) {
        self.faults.push(fault);
    }

    /// What should not have happened.
    pub(crate) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// What `recipients` emails, which took `lasted` to send, come to for 1,000,000 of them.
    pub(crate) fn bill(&self, recipients: u64, chunk: u64, lasted: Duration, model: &Model) -> Bill {
        let growth = MILLION / recipients as f64;
        let scale = |function: Function| if function.grows() { growth } else { 1.0 };
        let chunks = recipients as f64 / chunk as f64;
        let (mut write, mut read) = (0.0, 0.0);
        let mut lines = Vec::new();
        let mut table = format!(
            "{:<14}{:<30}{:<15}{:>10}{:>9}{:>9}{:>10}{:>9}\n",
            "function", "operation", "item", "a chunk", "write", "read", "largest", "$ / 1M"
        );
        for (line, units) in &self.units {
            let scale = scale(line.function);
            write += units.write * scale;
            read += units.read * scale;
            let dollars = (units.write * price::WRITE_UNIT + units.read * price::READ_UNIT) * scale;
            let each = |number: f64| number / chunks;
            table.push_str(&format!(
                "{:<14}{:<30}{:<15}{:>10.3}{:>9.3}{:>9.3}{:>10}{dollars:>9.4}\n",
                line.function.name(),
                line.operation,
                line.item,
                each(units.times as f64),
                each(units.write),
                each(units.read),
                units.largest,
            ));
            lines.push(json!({
                "function": line.function.name(), "operation": line.operation, "item": line.item,
                "items": units.times, "write_units": units.write, "read_units": units.read,
                "largest_bytes": units.largest, "dollars_per_million": dollars,
            }));
        }
        let minutes = lasted.as_secs_f64() / 60.0 * growth;
        let polls = model::QUEUES * model::POLLERS * model::POLLS_A_MINUTE * minutes;
        let sum = |of: &dyn Fn(&Work) -> f64| -> f64 {
            self.work.iter().map(|(function, work)| of(work) * scale(*function)).sum()
        };
        let invocations = sum(&|work| work.invocations as f64);
        let gb_seconds = sum(&|work| work.billed.as_secs_f64()) * f64::from(model.memory_mb) / 1024.0;
        let (sqs, fair) = (sum(&|work| work.sqs as f64), sum(&|work| work.fair as f64));
        let costs = [
            ("dynamodb_write", write, write * price::WRITE_UNIT),
            ("dynamodb_read", read, read * price::READ_UNIT),
            ("sqs_requests", sqs, sqs * price::SQS),
            ("sqs_fair_surcharge", fair, fair * price::SQS_FAIR),
            ("sqs_empty_receives", polls, polls * price::SQS),
            ("lambda_requests", invocations, invocations * price::INVOCATION),
            ("lambda_gb_seconds", gb_seconds, gb_seconds * price::GB_SECOND),
            ("http_api_requests", model::API_CALLS, model::API_CALLS * price::HTTP_API),
            ("schedules", 1.0, price::SCHEDULE),
        ];
        let total: f64 = costs.iter().map(|(.., dollars)| dollars).sum();
        let logs = invocations * model::LOGGED_BYTES / 1e9 * price::LOGS_GB;
        for (name, count, dollars) in costs {
            table.push_str(&format!("{name:<78}{count:>19.0}{dollars:>9.4}\n"));
        }
        table.push_str(&format!("{:<97}{total:>9.4}\n{:<97}{BUDGET:>9.4}\n", "total", "budget"));
        table.push_str(&format!("{:<97}{logs:>9.4}\n", "beside it: logs"));
        let work = self.work.iter().map(|(function, work)| {
            json!({
                "function": function.name(), "invocations": work.invocations, "billed_seconds": work.billed.as_secs_f64(),
                "sqs_requests": work.sqs,
            })
        });
        let requests = self.requests.iter().map(|((function, operation), count)| {
            json!({ "function": function.name(), "operation": operation, "requests": count })
        });
        let growing = |of: &dyn Fn(&Units) -> f64| -> f64 {
            self.units.iter().filter(|(line, _)| line.function.grows()).map(|(_, units)| of(units)).sum()
        };
        let json = json!({
            "bench": "cost",
            "recipients": recipients,
            "seconds": lasted.as_secs_f64(),
            "write_units_per_chunk": growing(&|units| units.write) / chunks,
            "read_units_per_chunk": growing(&|units| units.read) / chunks,
            "dollars_per_million": total,
            "budget": BUDGET,
            "beside_logs": logs,
            "costs": costs.map(|(name, count, dollars)| json!({"what": name, "count": count, "dollars": dollars})),
            "units": lines,
            "requests": requests.collect::<Vec<_>>(),
            "work": work.collect::<Vec<_>>(),
            "assumptions": model.assumptions(),
        });
        Bill { json, table }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: Model = Model { memory_mb: 1024, provider: Duration::from_millis(50), concurrency: 2 };

    fn dollars(account: &Account) -> f64 {
        account.bill(1000, 50, Duration::ZERO, &MODEL).json["dollars_per_million"].as_f64().unwrap()
    }

    #[test]
    fn what_grows_is_counted_for_a_million_and_what_does_not_once() {
        let nothing = dollars(&Account::default());
        let booked = |function| {
            let mut account = Account::default();
            account.book(Line::new(function, "UpdateItem".to_owned(), "chunk"), 8.0, 0.0, 900);
            dollars(&account) - nothing
        };
        assert!((booked(Function::DeliverEmail) - 8.0 * 1000.0 * 0.625e-6).abs() < 1e-12);
        assert!((booked(Function::Activate) - 8.0 * 0.625e-6).abs() < 1e-12);
    }

    #[test]
    fn an_invocation_is_billed_by_the_started_millisecond() {
        let nothing = dollars(&Account::default());
        let mut account = Account::default();
        account.invoked(Function::FanOut, Duration::from_micros(1500));
        let expected = 1000.0 * (0.20e-6 + 0.002 * 13.333_4e-6 + 2.0 * 0.40e-6);
        assert!((dollars(&account) - nothing - expected).abs() < 1e-12);
    }

    #[test]
    fn messages_are_billed_by_64_kilobytes_of_a_request() {
        let mut account = Account::default();
        let entry = |bytes: usize| json!({"MessageBody": "x".repeat(bytes), "MessageGroupId": "g"});
        account.sent(Function::FanOut, &json!({"Entries": [entry(1000), entry(1000)]}));
        account.sent(Function::FanOut, &json!({"Entries": [entry(40_000), entry(40_000)]}));
        let work = account.work[&Function::FanOut];
        assert_eq!((work.sqs, work.fair), (3, 3));
    }
}
