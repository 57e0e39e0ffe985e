//! Logs: JSON, one line an event, on standard output. Ids are fields; an address, a token or a body is in none of them.

use std::panic;

use tracing::{Subscriber, error, warn};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Where it is said what is logged.
pub const VARIABLE: &str = "ENVOI_LOG";

/// Envoi's own crates, which keep personal data out of their logs.
const OWN: [&str; 14] = [
    "activate",
    "api",
    "campaign",
    "content",
    "deliver_email",
    "delivery",
    "envoi",
    "fanout",
    "jobs",
    "platform",
    "runtime",
    "store",
    "track",
    "validation",
];

/// Starts logging as `ENVOI_LOG` says, and has panics logged ([`panics`]).
pub fn start() {
    let (filter, problem) = from_environment("info");
    tracing_subscriber::registry().with(lines(std::io::stdout)).with(filter).init();
    panics();
    if let Some(problem) = problem {
        warn!("{problem}");
    }
}

/// An event's fields beside its message, and with them those of the span it happened in: the invocation, or the request.
fn lines<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fmt::layer()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(writer)
}

/// The filter that `ENVOI_LOG` asks for, and `default` where it is not set or empty. Where it can't be read it is
/// `default`, too, and the text says so.
pub fn from_environment(default: &str) -> (Targets, Option<String>) {
    let asked = std::env::var(VARIABLE).ok().filter(|asked| !asked.trim().is_empty());
    let chosen = asked.as_deref().map(filter);
    let problem = matches!(chosen, Some(None)).then(|| {
        format!("{VARIABLE} can't be read and is taken for {default}: give a level, or target=level pairs")
    });
    let chosen = chosen.flatten().or_else(|| filter(default)).unwrap_or_default();
    (chosen, problem)
}

/// The filter that a text such as `info` or `warn,delivery=debug` describes; `None` where it makes no sense.
///
/// It is obeyed for Envoi's own crates. Of all others only warnings and errors are ever logged, whatever the text says: below
/// that, HTTP clients and runtimes print what passes through them, which is addresses and bodies.
pub fn filter(text: &str) -> Option<Targets> {
    let asked: Targets = text.trim().parse().ok()?;
    let default = asked.default_level().unwrap_or(LevelFilter::OFF);
    let others = |level: LevelFilter| level.min(LevelFilter::WARN);
    let own = OWN.map(|name| (name.to_owned(), default));
    // What is said of a crate goes before what is said of all.
    let said = asked.iter().map(|(target, level)| {
        let name = target.split("::").next().unwrap_or_default();
        let is_own = OWN.contains(&name) || name.starts_with("envoi_");
        (target.to_owned(), if is_own { level } else { others(level) })
    });
    Some(Targets::new().with_default(others(default)).with_targets(own).with_targets(said))
}

/// Has a panic logged as where it happened, with its text only where that stands in the code as it is: a text made up at
/// run time may hold what somebody entered. Standard error gets none.
pub fn panics() {
    panic::set_hook(Box::new(|panicked| {
        let place = panicked.location().map(ToString::to_string).unwrap_or_default();
        let text = panicked.payload().downcast_ref::<&'static str>().copied();
        error!(place, text, "panicked at {place}");
    }));
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing::{Level, info, info_span};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged by `act`, without the times.
    fn logged(act: impl FnOnce()) -> Vec<Value> {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = tracing_subscriber::registry().with(lines(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, act);
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let parse = |line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line.as_object_mut().unwrap().remove("timestamp").unwrap();
            line
        };
        text.lines().map(parse).collect()
    }

    #[test]
    fn a_line_is_flat_and_names_its_invocation() {
        let lines = logged(|| {
            info_span!("invocation", request_id = "r-1")
                .in_scope(|| info!(execution = %"x-1", wait_ms = 5, "waits"));
        });
        let span = json!({ "name": "invocation", "request_id": "r-1" });
        let expected =
            json!({ "level": "INFO", "message": "waits", "execution": "x-1", "wait_ms": 5, "span": span });
        assert_eq!(lines, [expected]);
    }

    #[test]
    fn a_panic_is_logged_without_what_was_made_up_at_run_time() {
        let lines = logged(|| {
            panics();
            let entered = "ann@example.org";
            for outcome in [
                panic::catch_unwind(|| panic!("no such address: {entered}")),
                panic::catch_unwind(|| panic!("an invariant is broken")),
            ] {
                assert!(outcome.is_err());
            }
            drop(panic::take_hook());
        });
        let texts: Vec<_> = lines.iter().map(|line| line.get("text").and_then(Value::as_str)).collect();
        assert_eq!(texts, [None, Some("an invariant is broken")]);
        for line in lines {
            assert!(line["place"].as_str().unwrap().contains("logs.rs:"), "{line}");
            assert!(!line.to_string().contains("example.org"), "{line}");
        }
    }

    #[test]
    fn the_level_asked_for_is_that_of_our_own_crates() {
        let filter = filter("trace").unwrap();
        for target in ["delivery::deliver", "store", "envoi_local::node", "api::access_log"] {
            assert!(filter.would_enable(target, &Level::TRACE), "{target}");
        }
        for target in ["lambda_runtime::layers", "aws_smithy_runtime", "hyper::proto", "aws_sdk_dynamodb"] {
            assert!(filter.would_enable(target, &Level::WARN), "{target}");
            assert!(!filter.would_enable(target, &Level::INFO), "{target}");
        }
    }

    #[test]
    fn what_is_said_of_a_crate_goes_before_what_is_said_of_all() {
        let filter = filter("warn,delivery=debug,store=off,hyper=trace,lambda_runtime=off").unwrap();
        assert!(filter.would_enable("delivery", &Level::DEBUG));
        assert!(!filter.would_enable("fanout", &Level::INFO));
        assert!(!filter.would_enable("store", &Level::ERROR));
        assert!(!filter.would_enable("hyper", &Level::DEBUG));
        assert!(!filter.would_enable("lambda_runtime", &Level::ERROR));
    }

    #[test]
    fn nonsense_is_no_filter() {
        assert_eq!(filter("delivery=loud"), None);
    }
}
