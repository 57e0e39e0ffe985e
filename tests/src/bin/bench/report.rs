//! What was measured, for programs and for people.

use serde_json::{Map, Value};

/// The measurements so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<(String, Map<String, Value>)>,
}

impl Report {
    /// Prints a measurement as a line of JSON, and keeps it for the table.
    pub(crate) fn line(&mut self, what: &str, figures: &Value) {
        let figures = figures.as_object().cloned().unwrap_or_default();
        let mut line = Map::new();
        line.insert("bench".to_owned(), what.into());
        line.extend(figures.iter().map(|(name, value)| (name.clone(), rounded(value))));
        println!("{}", Value::Object(line));
        self.lines.push((what.to_owned(), figures));
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        for (what, figures) in &self.lines {
            eprintln!("{what}");
            for (name, value) in figures {
                eprintln!("  {name:<28}{:>16}", rounded(value).to_string());
            }
        }
    }
}

/// With no more places than mean anything.
fn rounded(value: &Value) -> Value {
    match value.as_f64() {
        Some(number) if value.is_f64() => ((number * 1000.0).round() / 1000.0).into(),
        _ => value.clone(),
    }
}

/// Seconds in all as microseconds each.
pub(crate) fn per(seconds: f64, count: u64) -> f64 {
    seconds * 1e6 / count as f64
}

/// KiB as MiB.
pub(crate) fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
