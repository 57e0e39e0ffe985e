//! Sees every request that the AWS engines send, and books what it costs.
//!
//! It lies below the SDK, where a request is bytes already: retries are seen, and so is what of a batch was left for another
//! request. What a write costs depends on the item before and after it. Of both the recorder keeps the last state by key:
//! from the request where an item is put, from the answer where an update gives it back, and else it reads the item by a
//! client of its own, which is not counted. Since one function at a time is awake, nobody writes in between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use platform::Clock;
use serde_json::{Map, Value, json};

use super::account::{Account, Function, Line};
use super::mailroom::Mailroom;
use super::model::Model;
use super::time::ModelClock;
use super::units::{Mode, WireItem, index_units, item_size, read_units, write_units};

tokio::task_local! {
    /// Which function is at work. What is sent outside of any is not counted.
    pub(crate) static AT_WORK: Function;
}

/// Table, partition key and sort key.
type Place = (String, String, String);

/// The HTTP client of the engines, and what it has seen.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    inner: Arc<Inner>,
    http: SharedHttpClient,
}

#[derive(Debug)]
struct Inner {
    account: Mutex<Account>,
    mailroom: Arc<Mailroom>,
    clock: Arc<ModelClock>,
    model: Model,
    /// For looking, uncounted.
    dynamodb: aws_sdk_dynamodb::Client,
    known: Mutex<HashMap<Place, Option<WireItem>>>,
}

#[derive(Debug)]
struct Connector {
    inner: Arc<Inner>,
    http: SharedHttpConnector,
}

/// What a write does to an item.
enum Write {
    Put(WireItem),
    Update,
    Delete,
    Check,
}

impl Recorder {
    /// Over this client; `dynamodb` must not go through the recorder.
    pub(crate) fn new(
        http: SharedHttpClient,
        dynamodb: aws_sdk_dynamodb::Client,
        mailroom: Arc<Mailroom>,
        clock: Arc<ModelClock>,
        model: Model,
    ) -> Self {
        let known = Mutex::default();
        Self {
            inner: Arc::new(Inner { account: Mutex::default(), mailroom, clock, model, dynamodb, known }),
            http,
        }
    }

    /// Looks into the account, or books something that is no request of the engines.
    pub(crate) fn account<T>(&self, look: impl FnOnce(&mut Account) -> T) -> T {
        self.inner.account(look)
    }
}

impl HttpClient for Recorder {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let http = self.http.http_connector(settings, components);
        SharedHttpConnector::new(Connector { inner: Arc::clone(&self.inner), http })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Ok(function) = AT_WORK.try_with(|function| *function) else {
            return self.http.call(request);
        };
        let (inner, http) = (Arc::clone(&self.inner), self.http.clone());
        HttpConnectorFuture::new(async move { inner.counted(function, request, &http).await })
    }
}

impl Inner {
    fn account<T>(&self, look: impl FnOnce(&mut Account) -> T) -> T {
        look(&mut self.account.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn counted(
        &self,
        function: Function,
        request: HttpRequest,
        http: &SharedHttpConnector,
    ) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let (service, operation) = target.split_once('.').unwrap_or((request.uri(), ""));
        let (service, operation) = (service.to_owned(), operation.to_owned());
        let asked = request.body().bytes().and_then(|bytes| serde_json::from_slice(bytes).ok());
        let asked: Value = asked.unwrap_or_default();
        let writes = if service.starts_with("DynamoDB") { writes(&operation, &asked) } else { Vec::new() };
        let mut before = Vec::with_capacity(writes.len());
        for (place, _) in &writes {
            before.push(self.stored(place).await?);
        }

        let mut response = http.call(request).await?;
        let body = ByteStream::new(response.take_body()).collect().await;
        let body = body.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        *response.body_mut() = SdkBody::from(body);

        let latency = match service.as_str() {
            "DynamoDB_20120810" => {
                let mode = if operation.starts_with("Transact") { Mode::Transaction } else { Mode::Plain };
                let done = response.status().is_success();
                if !done && !is_refusal(&answer) {
                    self.account(|account| account.fault(format!("{operation}: {answer}")));
                }
                for ((place, write), before) in writes.into_iter().zip(before) {
                    let after = match write {
                        _ if !done => before.clone(),
                        Write::Put(item) => Some(item),
                        Write::Delete => None,
                        Write::Check => before.clone(),
                        Write::Update => match answer["Attributes"].as_object() {
                            Some(item) => Some(item.clone()),
                            None => self.look(&place).await?,
                        },
                    };
                    self.book_write(
                        function,
                        &operation,
                        &place,
                        before.as_ref(),
                        after.as_ref(),
                        mode,
                        done,
                    );
                    self.known().insert(place, after);
                }
                self.book_read(function, &operation, &asked, &answer);
                self.model.dynamodb(&operation)
            }
            "AmazonSQS" if operation == "SendMessageBatch" => {
                self.mailroom.take(self.clock.monotonic(), &asked);
                self.account(|account| account.sent(function, &asked));
                self.model.sqs()
            }
            _ => {
                self.account(|account| account.fault(format!("{service} {operation} is not in the account")));
                Duration::ZERO
            }
        };
        self.account(|account| account.request(function, &operation));
        self.clock.sleep(latency + self.model.request_work()).await;
        Ok(response)
    }

    #[expect(clippy::too_many_arguments, reason = "they are what one line of the account says")]
    fn book_write(
        &self,
        function: Function,
        operation: &str,
        place: &Place,
        before: Option<&WireItem>,
        after: Option<&WireItem>,
        mode: Mode,
        done: bool,
    ) {
        let size = |item: Option<&WireItem>| item.map_or(0, item_size);
        let (was, is) = (size(before), size(after));
        let index = index_units(entry(before).as_ref(), entry(after).as_ref());
        let refused = if done { "" } else { ", refused" };
        let item = item_name(place);
        self.account(|account| {
            let line = Line::new(function, format!("{operation}{refused}"), item);
            account.book(line, write_units(was, is, mode), 0.0, was.max(is));
            if index > 0.0 {
                account.book(Line::new(function, "(index due)".to_owned(), item), index, 0.0, 0);
            }
        });
    }

    fn book_read(&self, function: Function, operation: &str, asked: &Value, answer: &Value) {
        let mode = |of: &Value| if of["ConsistentRead"] == true { Mode::Plain } else { Mode::Eventual };
        let table = |of: &Value| of["TableName"].as_str().unwrap_or_default().to_owned();
        let book = |item, units, bytes| {
            let line = Line::new(function, operation.to_owned(), item);
            self.account(|account| account.book(line, 0.0, units, bytes));
        };
        match operation {
            "GetItem" => {
                let size = answer["Item"].as_object().map_or(0, item_size);
                let place = place(&table(asked), &asked["Key"]);
                book(item_name(&place), read_units(size, mode(asked)), size);
            }
            "BatchGetItem" => {
                for (name, wanted) in asked["RequestItems"].as_object().into_iter().flatten() {
                    let count = |list: &Value| list.as_array().map_or(0, Vec::len);
                    let found = answer["Responses"][name].as_array();
                    let left = count(&answer["UnprocessedKeys"][name]["Keys"]);
                    let item = item_name(&place(name, &wanted["Keys"][0]));
                    for found in found.into_iter().flatten().filter_map(Value::as_object) {
                        book(item, read_units(item_size(found), mode(wanted)), item_size(found));
                    }
                    for _ in count(&answer["Responses"][name]) + left..count(&wanted["Keys"]) {
                        book(item, read_units(0, mode(wanted)), 0);
                    }
                }
            }
            "Query" | "Scan" => {
                let items = answer["Items"].as_array().into_iter().flatten();
                let size = items.filter_map(Value::as_object).map(item_size).sum();
                let item = if asked["IndexName"].is_string() {
                    "(index due)"
                } else {
                    // The partition's key is the first value of a query; a scan has none.
                    let pk = asked["ExpressionAttributeValues"][":0"]["S"].as_str().unwrap_or_default();
                    item_name(&(table(asked), pk.to_owned(), String::new()))
                };
                book(item, read_units(size, mode(asked)), size);
            }
            _ => {}
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Place, Option<WireItem>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The item as the next write finds it.
    async fn stored(&self, place: &Place) -> Result<Option<WireItem>, ConnectorError> {
        let known = self.known().get(place).cloned();
        match known {
            Some(item) => Ok(item),
            None => self.look(place).await,
        }
    }

    async fn look(&self, (table, pk, sk): &Place) -> Result<Option<WireItem>, ConnectorError> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let output = self
            .dynamodb
            .get_item()
            .table_name(table)
            .key("pk", text(pk))
            .key("sk", text(sk))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| ConnectorError::other(error.into(), None))?;
        Ok(output.item.map(wire))
    }
}

/// What a request writes where. A request that writes in a way we don't know has its operation in the account of requests
/// all the same.
fn writes(operation: &str, asked: &Value) -> Vec<(Place, Write)> {
    let one = |kind: &str, asked: &Value| {
        let table = asked["TableName"].as_str().unwrap_or_default();
        let write = match kind {
            "Put" => Write::Put(asked["Item"].as_object().cloned().unwrap_or_default()),
            "Update" => Write::Update,
            "Delete" => Write::Delete,
            _ => Write::Check,
        };
        let key = if let Write::Put(_) = write { &asked["Item"] } else { &asked["Key"] };
        (place(table, key), write)
    };
    match operation {
        "PutItem" => vec![one("Put", asked)],
        "UpdateItem" => vec![one("Update", asked)],
        "DeleteItem" => vec![one("Delete", asked)],
        "TransactWriteItems" => {
            let items = asked["TransactItems"].as_array().into_iter().flatten();
            items.filter_map(Value::as_object).flatten().map(|(kind, asked)| one(kind, asked)).collect()
        }
        "BatchWriteItem" => {
            let tables = asked["RequestItems"].as_object().into_iter().flatten();
            let requests = tables.flat_map(|(table, requests)| {
                requests.as_array().into_iter().flatten().map(move |request| (table, request))
            });
            requests
                .map(|(table, request)| {
                    let put = request["PutRequest"]["Item"].as_object();
                    put.map_or_else(
                        || (place(table, &request["DeleteRequest"]["Key"]), Write::Delete),
                        |item| (place(table, &request["PutRequest"]["Item"]), Write::Put(item.clone())),
                    )
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

/// A condition that did not hold is an answer like any other; anything else is not to happen here.
fn is_refusal(answer: &Value) -> bool {
    let kind = answer["__type"].as_str().unwrap_or_default();
    let reasons = answer["CancellationReasons"].as_array().into_iter().flatten();
    let conflict = reasons.into_iter().any(|reason| reason["Code"] == "TransactionConflict");
    !conflict
        && (kind.ends_with("ConditionalCheckFailedException")
            || kind.ends_with("TransactionCanceledException"))
}

fn place(table: &str, key: &Value) -> Place {
    let text = |name: &str| key[name]["S"].as_str().unwrap_or_default().to_owned();
    (table.to_owned(), text("pk"), text("sk"))
}

/// What the index holds of an item.
fn entry(item: Option<&WireItem>) -> Option<WireItem> {
    ["pk", "sk", "due_b", "due_at"]
        .into_iter()
        .map(|name| Some((name.to_owned(), item?.get(name)?.clone())))
        .collect()
}

/// What an item is called in the account, by its key (`sk` is empty for a whole partition).
fn item_name((table, pk, sk): &Place) -> &'static str {
    let (table, pk, sk) = (table.rsplit('-').next().unwrap_or_default(), pk.as_str(), sk.as_str());
    match table {
        "profiles" => "profile",
        "audience" if pk.starts_with("sup#") => "suppression",
        "audience" if pk.starts_with("m#") => "list member",
        "ledger" if sk == "HEAD" => "execution",
        "ledger" if sk == "CURSOR" => "cursor",
        "ledger" if sk.starts_with("D#") => "details",
        "ledger" if pk.starts_with("x#") => "chunk",
        "ledger" if pk.starts_with("s#") => "counters",
        "ledger" if pk.starts_with("rate#") => "rate cell",
        "control" if pk == "campaigns" => "campaign",
        "control" if pk.starts_with("rows#") => "campaign row",
        "control" if sk.starts_with("X#") => "summary",
        "control" if sk.contains("#A#") => "content",
        "control" if sk.starts_with("V#") => "version",
        "control" if pk == "segments" => "segment",
        "control" if pk == "configurations" => "configuration",
        _ => "other",
    }
}

/// An item of the SDK's as it goes over the wire; ours hold texts, numbers and bytes.
fn wire(item: HashMap<String, AttributeValue>) -> WireItem {
    let value = |value| match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::B(bytes) => json!({ "B": BASE64_STANDARD.encode(bytes) }),
        _ => Value::Null,
    };
    item.into_iter().map(|(name, stored)| (name, value(stored))).collect::<Map<_, _>>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_writes_each_of_its_items() {
        let key = |sk: &str| json!({"pk": {"S": "x#1#00"}, "sk": {"S": sk}});
        let asked = json!({"TransactItems": [
            {"Update": {"TableName": "t-ledger", "Key": key("CURSOR")}},
            {"Put": {"TableName": "t-ledger", "Item": key("C#00#000000")}},
            {"ConditionCheck": {"TableName": "t-ledger", "Key": key("HEAD")}},
        ]});
        let writes = writes("TransactWriteItems", &asked);
        let names: Vec<_> = writes.iter().map(|(place, _)| item_name(place)).collect();
        assert_eq!(names, ["cursor", "chunk", "execution"]);
        assert!(matches!(writes[1].1, Write::Put(_)) && matches!(writes[2].1, Write::Check));
    }

    #[test]
    fn an_item_is_in_the_index_only_while_it_is_due() {
        let mut item = place_of_due();
        assert_eq!(entry(Some(&item)).map(|entry| entry.len()), Some(4));
        item.remove("due_at");
        assert_eq!((entry(Some(&item)), entry(None)), (None, None));
    }

    fn place_of_due() -> WireItem {
        let item = json!({
            "pk": {"S": "p"}, "sk": {"S": "s"}, "due_b": {"N": "1"}, "due_at": {"N": "2"}, "doc": {"B": "AA=="},
        });
        item.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn what_the_sdk_reads_has_the_size_of_what_it_wrote() {
        let written = place_of_due();
        let read = HashMap::from([
            ("pk".to_owned(), AttributeValue::S("p".to_owned())),
            ("sk".to_owned(), AttributeValue::S("s".to_owned())),
            ("due_b".to_owned(), AttributeValue::N("1".to_owned())),
            ("due_at".to_owned(), AttributeValue::N("2".to_owned())),
            ("doc".to_owned(), AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new([0]))),
        ]);
        assert_eq!(wire(read), written);
    }
}
