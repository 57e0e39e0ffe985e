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
    /// Which links of ours it mentions.
    pub(super) ours: Vec<Ours>,
}

impl Program {
    /// Whether it mentions a link of ours, in whatever branch.
    pub(crate) fn mentions(&self, link: Ours) -> bool {
        self.ours.contains(&link)
    }
}

/// A link of ours that contents mention by name. None leads anywhere but to us, so none is ever counted as a click.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ours {
    /// `{{links.unsubscribe}}`: where the recipient can say that they want no more.
    Unsubscribe,
    /// `{{links.view}}`: the message as a page.
    View,
}

impl Ours {
    /// How templates call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unsubscribe => "links.unsubscribe",
            Self::View => "links.view",
        }
    }

    /// What stands for it where there is no recipient, in previews: RFC 2606 keeps `.invalid` from ever leading anywhere.
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Unsubscribe => "https://links.invalid/unsubscribe",
            Self::View => "https://links.invalid/view",
        }
    }
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
    /// A link of ours, printed. It has no character that any form would escape.
    Ours(Ours),
    /// The target of the content's link of this number, which stands in an attribute: the body is a plain URL.
    Link {
        number: u16,
        body: Vec<Node>,
    },
    /// The picture that tells that a message is opened.
    Open,
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
