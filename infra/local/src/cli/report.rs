//! Reports as tables.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;

/// What an import did, in a line.
pub(crate) fn import(import: &Value) -> String {
    let number = |field: &str| import[field].as_u64().unwrap_or(0);
    let mut text = format!(
        "  {} rows: {} created, {} updated, {} twice in the file, {} invalid",
        number("rows"),
        number("created"),
        number("updated"),
        number("duplicates"),
        number("invalid"),
    );
    for error in import["errors"].as_array().into_iter().flatten().take(5) {
        let field = error["field"].as_str().map(|field| format!("{field}: ")).unwrap_or_default();
        text += &format!("\n    line {}: {field}{}", error["line"], error["message"].as_str().unwrap_or(""));
    }
    text
}

/// The total of a report: every outcome with its reasons, what became known after that, and the check that they add up.
pub(crate) fn total(report: &Value) -> String {
    let total = &report["total"];
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["Outcome", "Reason", "Recipients"]);
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    table.add_row(["targeted".to_owned(), String::new(), count(&total["targeted"]).to_string()]);
    table.add_row(["sent".to_owned(), String::new(), count(&total["sent"]).to_string()]);
    for outcome in ["failed", "excluded", "unknown"] {
        let of = &total[outcome];
        let all = of.as_u64().unwrap_or_else(|| count(&of["total"]));
        table.add_row([outcome.to_owned(), String::new(), all.to_string()]);
        for (reason, number) in of["reasons"].as_object().into_iter().flatten() {
            table.add_row([String::new(), reason.clone(), count(number).to_string()]);
        }
    }
    for (name, path) in [
        ("delivered", "/delivered"),
        ("bounced hard", "/bounced/hard"),
        ("bounced soft", "/bounced/soft"),
        ("opened by people", "/opens/human/unique"),
        ("clicked by people", "/clicks/human/unique"),
        ("unsubscribed", "/unsubscribed"),
        ("complained", "/complained"),
    ] {
        let known = total.pointer(path).map_or(0, count);
        if known > 0 {
            table.add_row([name.to_owned(), String::new(), known.to_string()]);
        }
    }
    let balances = total["balances"] == Value::Bool(true);
    let check = if balances {
        "targeted = sent + failed + excluded + unknown"
    } else {
        "targeted DIFFERS from sent + failed + excluded + unknown"
    };
    format!("{table}\n{check}; possible duplicates: {}", count(&total["possible_duplicates"]))
}
