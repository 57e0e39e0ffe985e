//! Running a [`Program`](super::Program) over borrowed JSON.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Write as _;

use campaign::content::OnMissing;
use links::Issuer;
use serde_json::{Number, Value};

use super::bounded::Bounded;
use super::escape::{push_html, push_json_text, push_url};
use super::helpers;
use super::path::{Origin, Path, Segment};
use super::program::{Expr, Form, Node, Ours};
use crate::error::RenderError;
use crate::url;

/// The longest rendered field, and the longest value that a helper makes on the way to it.
pub(super) const MAX_RENDERED_BYTES: usize = 2 * 1024 * 1024;
/// The most bytes of all values together that helpers make for a field.
const MAX_MADE_BYTES: usize = 4 * MAX_RENDERED_BYTES;
/// The most turns of all loops of a field together.
const MAX_TURNS: usize = 100_000;

/// The longest target that a link leads past us to: the URL around it stays below the 2,000 or so bytes that every mail program and
/// gateway takes. A longer one is left as it is.
const MOST_COUNTED_BYTES: usize = 1400;

/// What an expression comes to.
#[derive(Debug, Clone)]
pub(super) enum Val<'r> {
    /// Absent or null; the variable that is to blame.
    Missing(&'r str),
    /// A value of the data or the template.
    Ref(&'r Value),
    /// A value that a helper made: a text, a number or a truth value.
    Own(Value),
}

impl Val<'_> {
    pub(super) fn json(&self) -> Option<&Value> {
        match self {
            Self::Missing(_) => None,
            Self::Ref(value) => Some(value),
            Self::Own(value) => Some(value),
        }
    }
}

struct Frame<'r> {
    value: Val<'r>,
    key: Option<&'r str>,
    index: usize,
    last: bool,
}

pub(super) struct Machine<'r> {
    profile: &'r Value,
    context: &'r Value,
    on_missing: OnMissing,
    links: Option<&'r Issuer<'r>>,
    frames: Vec<Frame<'r>>,
    turns: usize,
    /// The bytes of all values that helpers have made.
    made: Cell<usize>,
    /// Where links' targets are written before it is known what becomes of them.
    target: String,
}

impl<'r> Machine<'r> {
    pub(super) fn new(
        profile: &'r Value,
        context: &'r Value,
        on_missing: OnMissing,
        links: Option<&'r Issuer<'r>>,
    ) -> Self {
        Self {
            profile,
            context,
            on_missing,
            links,
            frames: Vec::new(),
            turns: 0,
            made: Cell::new(0),
            target: String::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn made(&self) -> usize {
        self.made.get()
    }

    pub(super) fn run(&mut self, nodes: &'r [Node], out: &mut String) -> Result<(), RenderError> {
        for node in nodes {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Print { value, form } => self.print(value, *form, out)?,
                Node::If { test, include_zero, then, otherwise } => {
                    let branch = if truthy(&self.eval(test)?, *include_zero) { then } else { otherwise };
                    self.run(branch, out)?;
                }
                Node::Each { over, body, otherwise } => self.each(over, body, otherwise, out)?,
                Node::With { value, body, otherwise } => {
                    let value = self.eval(value)?;
                    if truthy(&value, true) {
                        self.frames.push(Frame { value, key: None, index: 0, last: true });
                        self.run(body, out)?;
                        self.frames.pop();
                    } else {
                        self.run(otherwise, out)?;
                    }
                }
                Node::Ours(link) => self.push_ours(*link, out),
                Node::Link { number, body } => self.link(*number, body, out)?,
                Node::Open => self.open(out),
            }
            fits(out.len())?;
        }
        Ok(())
    }

    /// Writes where a link leads: past us, where clicks are counted and it leads into the web, else as it is.
    fn link(&mut self, number: u16, body: &'r [Node], out: &mut String) -> Result<(), RenderError> {
        let mut buffer = std::mem::take(&mut self.target);
        buffer.clear();
        let target = match body {
            [Node::Text(text)] => url::as_browsers_read(text, &mut buffer),
            body => {
                self.run(body, &mut buffer)?;
                url::tidy(&mut buffer)
            }
        };
        match self.links {
            Some(links)
                if links.clicks
                    && target.len() <= MOST_COUNTED_BYTES
                    && url::is_web(target)
                    && !is_ours(links, target) =>
            {
                links.push_click(number, target, out);
            }
            _ => push_html(out, target),
        }
        self.target = buffer;
        Ok(())
    }

    fn open(&self, out: &mut String) {
        let Some(links) = self.links.filter(|links| links.opens) else { return };
        out.push_str("<img src=\"");
        links.push_open(out);
        out.push_str(
            "\" width=\"1\" height=\"1\" alt=\"\" style=\"display:block;border:0;width:1px;height:1px\">",
        );
    }

    /// Writes a link of ours, or what stands for it where nothing is known that it could be about.
    fn push_ours(&self, link: Ours, out: &mut String) {
        match (self.links, link) {
            (Some(links), Ours::Unsubscribe) if links.recipient.is_some() => links.push_unsubscribe(out),
            (Some(links), Ours::View) => links.push_view(out),
            _ => out.push_str(link.placeholder()),
        }
    }

    fn each(
        &mut self,
        over: &'r Expr,
        body: &'r [Node],
        otherwise: &'r [Node],
        out: &mut String,
    ) -> Result<(), RenderError> {
        match self.eval(over)? {
            Val::Ref(Value::Array(items)) if !items.is_empty() => {
                let last = items.len() - 1;
                for (index, item) in items.iter().enumerate() {
                    self.turn(
                        body,
                        Frame { value: Val::Ref(item), key: None, index, last: index == last },
                        out,
                    )?;
                }
                Ok(())
            }
            Val::Ref(Value::Object(entries)) if !entries.is_empty() => {
                let last = entries.len() - 1;
                for (index, (key, value)) in entries.iter().enumerate() {
                    let frame = Frame { value: Val::Ref(value), key: Some(key), index, last: index == last };
                    self.turn(body, frame, out)?;
                }
                Ok(())
            }
            _ => self.run(otherwise, out),
        }
    }

    fn turn(&mut self, body: &'r [Node], frame: Frame<'r>, out: &mut String) -> Result<(), RenderError> {
        self.turns += 1;
        if self.turns > MAX_TURNS {
            return Err(RenderError::TooLarge { what: "number of loop turns", limit: MAX_TURNS });
        }
        self.frames.push(frame);
        let result = self.run(body, out);
        self.frames.pop();
        result
    }

    fn print(&self, expr: &'r Expr, form: Form, out: &mut String) -> Result<(), RenderError> {
        let value = self.eval(expr)?;
        let json = match &value {
            Val::Missing(variable) => {
                self.missing(variable)?;
                if form == Form::Json {
                    out.push_str("null");
                }
                return Ok(());
            }
            Val::Ref(json) => json,
            Val::Own(json) => json,
        };
        match json {
            json if form == Form::Json => {
                write!(Bounded::new(out, MAX_RENDERED_BYTES), "{json}").map_err(|_| too_long())?;
            }
            Value::String(text) => {
                // Before it is escaped, which makes it a few times as long at the most.
                fits(out.len() + text.len())?;
                match form {
                    Form::Html => push_html(out, text),
                    Form::JsonText => push_json_text(out, text),
                    Form::Url => push_url(out, text),
                    Form::Plain | Form::Json => out.push_str(text),
                }
            }
            Value::Number(number) => push_number(out, number),
            Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Value::Null => {}
            Value::Array(_) | Value::Object(_) => return Err(not_printable(expr, json)),
        }
        Ok(())
    }

    fn missing(&self, variable: &str) -> Result<(), RenderError> {
        match self.on_missing {
            OnMissing::Blank => Ok(()),
            OnMissing::Skip => Err(RenderError::MissingValue { variable: variable.to_owned() }),
        }
    }

    pub(super) fn eval(&self, expr: &'r Expr) -> Result<Val<'r>, RenderError> {
        let value = match expr {
            Expr::Path(path) => self.path(path),
            Expr::Literal(Value::Null) => Val::Missing("null"),
            Expr::Literal(value) => Val::Ref(value),
            Expr::Call(call) => helpers::call(self, call)?,
        };
        if let Val::Own(Value::String(text)) = &value {
            self.room(text.len())?;
            self.made.set(self.made.get() + text.len());
        }
        Ok(value)
    }

    /// Whether a helper may make a value of so many bytes. Whoever makes more than a few times what it was given asks before:
    /// what is made is looked at in any case, but then it is there already.
    pub(super) fn room(&self, bytes: usize) -> Result<(), RenderError> {
        if bytes > MAX_RENDERED_BYTES {
            return Err(too_long_value());
        }
        if self.made.get() + bytes > MAX_MADE_BYTES {
            return Err(RenderError::TooLarge {
                what: "values of all helpers together in bytes",
                limit: MAX_MADE_BYTES,
            });
        }
        Ok(())
    }

    fn path(&self, path: &'r Path) -> Val<'r> {
        let frame = |up: usize| self.frames.len().checked_sub(up + 1).and_then(|at| self.frames.get(at));
        let number = |up| frame(up).map(|frame| Value::from(frame.index));
        let found = match path.origin {
            Origin::Profile => walk(self.profile, &path.segments),
            Origin::Context => walk(self.context, &path.segments),
            Origin::This(up) => match frame(up).map(|frame| &frame.value) {
                Some(Val::Ref(value)) => walk(value, &path.segments),
                Some(Val::Own(value)) if path.segments.is_empty() => return Val::Own(value.clone()),
                _ => None,
            },
            Origin::Index(up) => return number(up).map_or(Val::Missing(&path.label), Val::Own),
            Origin::Key(up) => {
                let key = frame(up).and_then(|frame| frame.key).map(Value::from);
                return key.or_else(|| number(up)).map_or(Val::Missing(&path.label), Val::Own);
            }
            Origin::Ours(link) => {
                let mut url = String::new();
                self.push_ours(link, &mut url);
                return Val::Own(Value::String(url));
            }
            Origin::First(up) => {
                return Val::Own(Value::Bool(frame(up).is_some_and(|frame| frame.index == 0)));
            }
            Origin::Last(up) => return Val::Own(Value::Bool(frame(up).is_some_and(|frame| frame.last))),
        };
        match found {
            None | Some(Value::Null) => Val::Missing(&path.label),
            Some(value) => Val::Ref(value),
        }
    }
}

/// Whether a field may have so many bytes.
fn fits(bytes: usize) -> Result<(), RenderError> {
    if bytes > MAX_RENDERED_BYTES { Err(too_long()) } else { Ok(()) }
}

const fn too_long() -> RenderError {
    RenderError::TooLarge { what: "field in bytes", limit: MAX_RENDERED_BYTES }
}

/// A helper's value is longer than the longest field.
pub(super) const fn too_long_value() -> RenderError {
    RenderError::TooLarge { what: "value of a helper in bytes", limit: MAX_RENDERED_BYTES }
}

/// Whether a target is a link of ours already.
fn is_ours(links: &Issuer<'_>, target: &str) -> bool {
    target.strip_prefix(links.base).is_some_and(|rest| rest.starts_with("/t/"))
        || [Ours::Unsubscribe, Ours::View].iter().any(|ours| ours.placeholder() == target)
}

fn walk<'r>(mut value: &'r Value, segments: &[Segment]) -> Option<&'r Value> {
    for segment in segments {
        value = match value {
            Value::Object(entries) => entries.get(&*segment.name)?,
            Value::Array(items) => items.get(segment.index?)?,
            _ => return None,
        };
    }
    Some(value)
}

/// Handlebars' truth: not false, null, missing, "", 0 or empty.
pub(super) fn truthy(value: &Val<'_>, include_zero: bool) -> bool {
    match value.json() {
        None | Some(Value::Null) => false,
        Some(Value::Bool(flag)) => *flag,
        Some(Value::Number(number)) => include_zero || number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(entries)) => !entries.is_empty(),
    }
}

pub(super) fn push_number(out: &mut String, number: &Number) {
    // Writing to a String never fails.
    let _ = match number.as_f64() {
        // `{}` writes 12.0 as "12", 0.1 as "0.1" and never an exponent; only -0 needs help.
        Some(float) if number.is_f64() => write!(out, "{}", float + 0.0),
        _ => write!(out, "{number}"),
    };
}

/// A value as text, where it has one.
pub(super) fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => {
            let mut text = String::new();
            push_number(&mut text, number);
            Some(Cow::Owned(text))
        }
        Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Value::Null => Some(Cow::Borrowed("")),
        Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn not_printable(expr: &Expr, value: &Value) -> RenderError {
    let variable = match expr {
        Expr::Path(path) => path.label.to_string(),
        Expr::Literal(_) => "a literal".to_owned(),
        Expr::Call(call) => format!("the result of {}", call.name),
    };
    RenderError::NotPrintable { variable, kind: if value.is_array() { "an array" } else { "an object" } }
}
