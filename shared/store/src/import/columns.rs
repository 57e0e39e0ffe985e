//! What a file's columns mean: where each cell goes in a profile, and as what type.

use campaign::address::{Country, PhoneNumber};
use campaign::profile::RESERVED;
use serde_json::{Map, Number, Value};
use thiserror::Error;

/// How deep an attribute may nest.
const MAX_DEPTH: usize = 16;

/// A column that can't be imported.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {name:?}: {message}")]
pub struct ColumnError {
    /// Its name in the header.
    pub name: String,
    /// What is wrong with it.
    pub message: String,
}

/// How a cell is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Number,
    Bool,
    List,
    Json,
    /// A phone number, which may be written as within the country.
    Phone(Country),
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// The path in the profile, `person.name.firstName` in parts.
    path: Vec<String>,
    kind: Type,
    is_reserved: bool,
}

/// Makes columns of a header's names: `path` or `path:type`; `phone:FR` for numbers of which those without a country code are
/// French.
pub(super) fn parse(names: &[String]) -> Result<Vec<Column>, ColumnError> {
    let columns = names.iter().map(|name| column(name)).collect::<Result<Vec<_>, _>>()?;
    for (index, column) in columns.iter().enumerate() {
        if let Some(other) = columns[..index].iter().find(|other| other.overlaps(column)) {
            return Err(error(
                &names[index],
                format_args!("is the same field as {:?}, or a part of it", other.name()),
            ));
        }
    }
    Ok(columns)
}

fn error(name: &str, message: impl std::fmt::Display) -> ColumnError {
    ColumnError { name: name.to_owned(), message: message.to_string() }
}

/// What a file is told that has no column by which people are found.
pub(super) fn no_identity(names: &[String]) -> ColumnError {
    error(&names.join(","), "one of the columns must be external_id, email or phone")
}

fn column(name: &str) -> Result<Column, ColumnError> {
    let (path, kind) = match name.rsplit_once(':') {
        None => (name, None),
        Some((path, kind)) => {
            let kind = match kind.trim() {
                "string" => Type::Text,
                "number" => Type::Number,
                "bool" => Type::Bool,
                "list" => Type::List,
                "json" => Type::Json,
                letters if path.trim() == "phone" => {
                    let message = "what follows the colon is no country's two letters, such as FR";
                    Type::Phone(Country::of_letters(letters).ok_or_else(|| error(name, message))?)
                }
                _ => {
                    let message = "what follows the colon is no type: string, number, bool, list or json";
                    return Err(error(name, message));
                }
            };
            (path, Some(kind))
        }
    };
    let path: Vec<String> = path.split('.').map(|part| part.trim().to_owned()).collect();
    if path.iter().any(String::is_empty) {
        return Err(error(name, "a part of the name is empty"));
    }
    if path.len() > MAX_DEPTH {
        return Err(error(name, format_args!("has more than {MAX_DEPTH} parts")));
    }
    let is_reserved = RESERVED.contains(&path[0].as_str());
    let kind = match (path[0].as_str(), path.len()) {
        ("id", _) => {
            return Err(error(
                name,
                "profiles are found by external_id, email or phone; leave this column out",
            ));
        }
        ("push_tokens", 1) if kind == Some(Type::Json) => Type::Json,
        ("push_tokens", _) => return Err(error(name, "must be written push_tokens:json")),
        ("consent", 1) if kind == Some(Type::Json) => Type::Json,
        ("consent", 2) if matches!(kind, None | Some(Type::Text)) => Type::Text,
        ("consent", _) => {
            return Err(error(name, "must be written consent.email, consent.sms and so on"));
        }
        ("topics", 1) if kind == Some(Type::Json) => Type::Json,
        ("topics", 2) if matches!(kind, None | Some(Type::Text)) => Type::Text,
        ("topics", _) => {
            return Err(error(name, "must be written topics.newsletter and so on"));
        }
        (_, 1) if is_reserved && !matches!(kind, None | Some(Type::Text | Type::Phone(_))) => {
            return Err(error(name, "is always a string"));
        }
        _ if is_reserved && path.len() > 1 => return Err(error(name, "has no parts")),
        _ => kind.unwrap_or(Type::Text),
    };
    Ok(Column { path, kind, is_reserved })
}

impl Column {
    /// Its path, for messages.
    pub(super) fn name(&self) -> String {
        self.path.join(".")
    }

    /// Whether one is the other or lies within it.
    fn overlaps(&self, other: &Self) -> bool {
        self.path.iter().zip(&other.path).all(|(own, others)| own == others)
    }

    /// Puts a cell into a profile. An empty one is left out: the field stays as it is.
    ///
    /// # Errors
    /// What is wrong with the cell, without repeating it.
    pub(super) fn put(&self, document: &mut Map<String, Value>, cell: &str) -> Result<(), &'static str> {
        let trimmed = cell.trim();
        if trimmed.is_empty() {
            return Ok(());
        }
        let value = match self.kind {
            // Addresses and ids with blanks around them would be other addresses and ids.
            Type::Text if self.is_reserved => Value::String(trimmed.to_owned()),
            Type::Text => Value::String(cell.to_owned()),
            Type::Number => Value::Number(number(trimmed)?),
            Type::Bool => Value::Bool(truth(trimmed)?),
            Type::List => Value::Array(list(trimmed)),
            Type::Json => serde_json::from_str(trimmed).map_err(|_| "is no JSON")?,
            Type::Phone(country) => {
                let number = PhoneNumber::parse_in(trimmed, Some(country));
                Value::String(
                    number
                        .map_err(|_| "is no phone number, in the column's country or of another")?
                        .to_string(),
                )
            }
        };
        let Some((last, parents)) = self.path.split_last() else {
            return Ok(());
        };
        let mut object = document;
        for parent in parents {
            let inner = object.entry(parent.clone()).or_insert_with(|| Value::Object(Map::new()));
            // No two columns overlap, so whatever stands there was put there by a sibling.
            let Value::Object(inner) = inner else {
                return Err("is a part of something that is no object");
            };
            object = inner;
        }
        object.insert(last.clone(), value);
        Ok(())
    }
}

fn number(cell: &str) -> Result<Number, &'static str> {
    const NONE: &str = "is no number: write it with a point, such as 12.5";
    if let Ok(whole) = cell.parse::<i64>() {
        return Ok(whole.into());
    }
    let is_plain = cell.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    let number = cell.parse::<f64>().ok().filter(|_| is_plain).and_then(Number::from_f64);
    number.ok_or(NONE)
}

fn truth(cell: &str) -> Result<bool, &'static str> {
    match cell.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err("must be true, false, yes, no, 1 or 0"),
    }
}

fn list(cell: &str) -> Vec<Value> {
    let separator = if cell.contains('|') { '|' } else { ';' };
    let parts = cell.split(separator).map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| Value::String(part.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(names: &[&str], cells: &[&str]) -> Result<Value, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let columns = parse(&names).map_err(|error| error.to_string())?;
        let mut document = Map::new();
        for (column, cell) in columns.iter().zip(cells) {
            column.put(&mut document, cell).map_err(|error| format!("{} {error}", column.name()))?;
        }
        Ok(Value::Object(document))
    }

    /// Row K6.
    #[test]
    fn a_column_of_phone_numbers_may_name_their_country() {
        let phone = |cell: &str| row(&["phone:FR"], &[cell]);
        assert_eq!(phone(" 06 12 34 56 78 "), Ok(json!({ "phone": "+33612345678" })));
        assert_eq!(phone("+49 170 1234567"), Ok(json!({ "phone": "+491701234567" })));
        assert_eq!(phone(""), Ok(json!({})));
        assert!(phone("112").unwrap_err().starts_with("phone is no phone number"));
        for wrong in ["phone:XX", "phone:fr", "phone:33", "mobile:FR", "email:FR"] {
            assert!(row(&[wrong], &["x"]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn cells_go_where_their_columns_say_and_become_what_they_say() {
        let names = [
            "email",
            "consent.email",
            "topics.news",
            "person.name.firstName",
            "person.name.lastName",
            "age:number",
            "spent:number",
            "vip:bool",
            "tags:list",
            "colours:list",
            "address:json",
            "note",
            "empty",
        ];
        let cells = [
            " a@x.io ",
            "in",
            "out",
            "Ann",
            "Lee",
            "41",
            "12.5",
            "Yes",
            "a; b;;c",
            "red|blue",
            "{\"zip\":1}",
            " x ",
            "  ",
        ];
        let expected = json!({
            "email": "a@x.io",
            "consent": { "email": "in" },
            "topics": { "news": "out" },
            "person": { "name": { "firstName": "Ann", "lastName": "Lee" } },
            "age": 41,
            "spent": 12.5,
            "vip": true,
            "tags": ["a", "b", "c"],
            "colours": ["red", "blue"],
            "address": { "zip": 1 },
            "note": " x ",
        });
        assert_eq!(row(&names, &cells), Ok(expected));
    }

    #[test]
    fn a_column_that_means_nothing_is_refused() {
        for name in [
            "id",
            "a..b",
            "age:int",
            "email:number",
            "email.home",
            "consent",
            "consent.email.newsletter",
            "topics",
            "topics.news.weekly",
            "push_tokens",
        ] {
            assert!(row(&[name], &["x"]).is_err(), "{name}");
        }
        for (first, second) in [("person", "person.name"), ("person.name", "person"), ("a:list", "a:number")]
        {
            assert!(row(&[first, second], &["x", "y"]).is_err(), "{first} and {second}");
        }
        assert!(row(&["person.name", "person.names"], &["x", "y"]).is_ok());
    }

    #[test]
    fn a_cell_of_the_wrong_type_says_so() {
        for (name, cell) in [
            ("n:number", "1,5"),
            ("n:number", "NaN"),
            ("n:number", "inf"),
            ("b:bool", "maybe"),
            ("j:json", "{"),
        ] {
            assert!(row(&[name], &[cell]).is_err(), "{name} {cell}");
        }
    }
}
