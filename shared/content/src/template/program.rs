use jiff::tz::TimeZone;
use serde_json::Value;

use super::helpers::Helper;
use super::path::Path;

/// A template, ready to run.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(super) nodes: Vec<Node>,
    /// Bytes of literal text, to size the output.
    pub(super) text_bytes: usize,
}

#[derive(Debug)]
pub(super) enum Node {
    Text(Box<str>),
    Print {
        value: Expr,
        form: Form,
    },
    /// `if` and, with the branches swapped, `unless`.
    If {
        test: Expr,
        /// Whether the number 0 counts as true.
        include_zero: bool,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Each {
        over: Expr,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    With {
        value: Expr,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// For HTML's text and quoted attributes.
    Html,
    /// For the inside of a JSON string.
    JsonText,
    /// As JSON: whatever it is, and `null` where it is missing.
    Json,
    /// For one component of a URL.
    Url,
}

#[derive(Debug)]
pub(super) enum Expr {
    Path(Path),
    Literal(Value),
    Call(Box<Call>),
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) helper: Helper,
    pub(super) name: &'static str,
    pub(super) arguments: Vec<Expr>,
    pub(super) named: Vec<(&'static str, Expr)>,
    /// The zone of a `date` call, where it is written out and so is known beforehand.
    pub(super) zone: Option<TimeZone>,
    pub(super) line: usize,
}

impl Call {
    pub(super) fn named(&self, name: &str) -> Option<&Expr> {
        self.named.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}
