//! A compiled rule, and how it is walked.

use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;

use jiff::Timestamp;
use regex_lite::Regex;
use serde_json::{Map, Value};

use super::time::{parse_duration, parse_timestamp};
use super::value::{List, Val};

/// What one evaluation may cost, in elements looked at and pieces of text searched: some milliseconds. A profile is 64 KB
/// and a rule 16 KB, so only lists searched within lists within lists come near it.
const FUEL: u32 = 200_000;
/// The longest text that `+` makes, in bytes.
const MAX_TEXT_BYTES: usize = 256 * 1024;

/// The rule cannot be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undecided;

/// A part of a rule.
#[derive(Debug)]
pub(super) enum Node {
    Const(Val<'static>),
    Now,
    /// A field of the profile, or the profile itself.
    Path(Vec<String>),
    /// What a macro binds: the innermost is 0.
    Local(usize),
    Field(Box<Node>, String),
    Index(Box<[Node; 2]>),
    HasPath(Vec<String>),
    Has(Box<Node>, String),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    If(Box<[Node; 3]>),
    Compare(Comparison, Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    /// `in` a list of texts, which is sorted.
    InTexts(Box<Node>, Vec<String>),
    Arithmetic(Operator, Box<[Node; 2]>),
    TextTest(TextTest, Box<[Node; 2]>),
    Matches(Box<Node>, Regex),
    Call(Function, Box<Node>),
    List(Vec<Node>),
    Each(Each, Box<EachNode>),
}

/// A macro's parts.
#[derive(Debug)]
pub(super) struct EachNode {
    pub(super) range: Node,
    /// The condition, or what `map` makes of an element.
    pub(super) body: Node,
    /// `map`'s condition.
    pub(super) condition: Option<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextTest {
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    LowerAscii,
    UpperAscii,
    Timestamp,
    Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Each {
    Exists,
    All,
    ExistsOne,
    Filter,
    Map,
}

/// What a rule is evaluated over.
pub(super) struct Context<'a> {
    profile: &'a Map<String, Value>,
    now: Timestamp,
    fuel: Cell<u32>,
}

impl<'a> Context<'a> {
    pub(super) const fn new(profile: &'a Map<String, Value>, now: Timestamp) -> Self {
        Self { profile, now, fuel: Cell::new(FUEL) }
    }

    /// Whether the evaluation was cut short, so that its result means nothing.
    pub(super) const fn is_exhausted(&self) -> bool {
        self.fuel.get() == 0
    }

    fn spend(&self, amount: usize) -> Result<(), Undecided> {
        let left = self.fuel.get().saturating_sub(u32::try_from(amount).unwrap_or(u32::MAX));
        self.fuel.set(left);
        if left == 0 { Err(Undecided) } else { Ok(()) }
    }

    /// The field at this path; the profile itself at the empty one.
    fn find(&self, path: &[String]) -> Option<Val<'a>> {
        let Some((first, rest)) = path.split_first() else {
            return Some(Val::Map(self.profile));
        };
        let mut value = self.profile.get(first)?;
        for name in rest {
            value = value.as_object()?.get(name)?;
        }
        Some(Val::from(value))
    }
}

/// What a macro has bound, and what the macros around it have.
pub(super) struct Frame<'f, 'a> {
    value: Val<'a>,
    parent: Option<&'f Frame<'f, 'a>>,
}

type Scope<'f, 'a> = Option<&'f Frame<'f, 'a>>;

impl Node {
    /// The node's truth.
    pub(super) fn test<'a>(&'a self, context: &Context<'a>, scope: Scope<'_, 'a>) -> Result<bool, Undecided> {
        match self {
            Node::And(terms) => all_of(terms.iter().map(|term| term.test(context, scope))),
            Node::Or(terms) => any_of(terms.iter().map(|term| term.test(context, scope))),
            Node::Not(inner) => Ok(!inner.test(context, scope)?),
            Node::If(parts) => {
                let [condition, yes, no] = &**parts;
                if condition.test(context, scope)? { yes } else { no }.test(context, scope)
            }
            Node::Compare(comparison, sides) => {
                let left = sides[0].eval(context, scope)?;
                let right = sides[1].eval(context, scope)?;
                compare(*comparison, &left, &right, context)
            }
            Node::HasPath(path) => Ok(context.find(path).is_some()),
            Node::Has(base, name) => {
                Ok(matches!(base.eval(context, scope), Ok(Val::Map(map)) if map.contains_key(name)))
            }
            Node::In(sides) => {
                let needle = sides[0].eval(context, scope)?;
                match (&needle, sides[1].eval(context, scope)?) {
                    (_, Val::List(list)) => {
                        context.spend(list.len())?;
                        Ok(list.contains(&needle))
                    }
                    (Val::Text(key), Val::Map(map)) => Ok(map.contains_key(&**key)),
                    (Val::Bool(_) | Val::Int(_) | Val::Uint(_), Val::Map(_)) => Ok(false),
                    _ => Err(Undecided),
                }
            }
            Node::InTexts(needle, texts) => match needle.eval(context, scope)? {
                Val::Text(needle) => Ok(texts.binary_search_by(|text| text.as_str().cmp(&needle)).is_ok()),
                _ => Ok(false),
            },
            Node::TextTest(test, sides) => {
                let (Val::Text(text), Val::Text(part)) =
                    (sides[0].eval(context, scope)?, sides[1].eval(context, scope)?)
                else {
                    return Err(Undecided);
                };
                Ok(match test {
                    TextTest::Contains => {
                        context.spend(text.len() / 64)?;
                        text.contains(&*part)
                    }
                    TextTest::StartsWith => text.starts_with(&*part),
                    TextTest::EndsWith => text.ends_with(&*part),
                })
            }
            Node::Matches(text, pattern) => match text.eval(context, scope)? {
                Val::Text(text) => {
                    context.spend(text.len() / 4)?;
                    Ok(pattern.is_match(&text))
                }
                _ => Err(Undecided),
            },
            Node::Each(each @ (Each::Exists | Each::All | Each::ExistsOne), parts) => {
                let tests = elements(&parts.range, context, scope)?
                    .map(|value| parts.body.test(context, Some(&Frame { value: value?, parent: scope })));
                match each {
                    Each::Exists => any_of(tests),
                    Each::All => all_of(tests),
                    _ => tests
                        .into_iter()
                        .try_fold(0_usize, |count, test| Ok(count + usize::from(test?)))
                        .map(|count| count == 1),
                }
            }
            Node::Const(_)
            | Node::Now
            | Node::Path(_)
            | Node::Local(_)
            | Node::Field(..)
            | Node::Index(_)
            | Node::Negate(_)
            | Node::Arithmetic(..)
            | Node::Call(..)
            | Node::List(_)
            | Node::Each(..) => match self.eval(context, scope)? {
                Val::Bool(truth) => Ok(truth),
                _ => Err(Undecided),
            },
        }
    }

    /// The node's value.
    fn eval<'a>(&'a self, context: &Context<'a>, scope: Scope<'_, 'a>) -> Result<Val<'a>, Undecided> {
        match self {
            Node::Const(value) => Ok(value.borrow()),
            Node::Now => Ok(Val::Instant(context.now)),
            Node::Path(path) => context.find(path).ok_or(Undecided),
            Node::Local(depth) => {
                let mut frame = scope;
                for _ in 0..*depth {
                    frame = frame.and_then(|frame| frame.parent);
                }
                let value = &frame.ok_or(Undecided)?.value;
                context.spend(value.clone_cost())?;
                Ok(value.clone())
            }
            Node::Field(base, name) => match base.eval(context, scope)? {
                Val::Map(map) => map.get(name).map(Val::from).ok_or(Undecided),
                _ => Err(Undecided),
            },
            Node::Index(sides) => {
                index(&sides[0].eval(context, scope)?, &sides[1].eval(context, scope)?).ok_or(Undecided)
            }
            Node::If(parts) => {
                let [condition, yes, no] = &**parts;
                if condition.test(context, scope)? { yes } else { no }.eval(context, scope)
            }
            Node::Negate(inner) => match inner.eval(context, scope)? {
                Val::Int(int) => int.checked_neg().map(Val::Int).ok_or(Undecided),
                Val::Double(double) => Ok(Val::Double(-double)),
                _ => Err(Undecided),
            },
            Node::Arithmetic(operator, sides) => {
                let left = sides[0].eval(context, scope)?;
                let right = sides[1].eval(context, scope)?;
                calculate(*operator, left, right, context)
            }
            Node::Call(function, argument) => call(*function, argument.eval(context, scope)?, context),
            Node::List(nodes) => nodes
                .iter()
                .map(|node| node.eval(context, scope))
                .collect::<Result<_, _>>()
                .map(|values| Val::List(List::Owned(values))),
            Node::Each(each @ (Each::Filter | Each::Map), parts) => {
                let mut made = Vec::new();
                for value in elements(&parts.range, context, scope)? {
                    let frame = Frame { value: value?, parent: scope };
                    if *each == Each::Filter {
                        if parts.body.test(context, Some(&frame))? {
                            made.push(frame.value);
                        }
                    } else if match &parts.condition {
                        Some(condition) => condition.test(context, Some(&frame))?,
                        None => true,
                    } {
                        made.push(parts.body.eval(context, Some(&frame))?);
                    }
                }
                Ok(Val::List(List::Owned(made)))
            }
            Node::HasPath(_)
            | Node::Has(..)
            | Node::Not(_)
            | Node::And(_)
            | Node::Or(_)
            | Node::Compare(..)
            | Node::In(_)
            | Node::InTexts(..)
            | Node::TextTest(..)
            | Node::Matches(..)
            | Node::Each(..) => self.test(context, scope).map(Val::Bool),
        }
    }
}

/// CEL's conjunction: false wins over what is undecided, wherever it stands.
fn all_of(tests: impl Iterator<Item = Result<bool, Undecided>>) -> Result<bool, Undecided> {
    let mut result = Ok(true);
    for test in tests {
        match test {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(undecided) => result = Err(undecided),
        }
    }
    result
}

/// CEL's disjunction: true wins over what is undecided, wherever it stands.
fn any_of(tests: impl Iterator<Item = Result<bool, Undecided>>) -> Result<bool, Undecided> {
    all_of(tests.map(|test| test.map(|truth| !truth))).map(|none| !none)
}

/// What a macro runs over: a list's elements or an object's keys.
fn elements<'c, 'a>(
    range: &'a Node,
    context: &'c Context<'a>,
    scope: Scope<'_, 'a>,
) -> Result<impl Iterator<Item = Result<Val<'a>, Undecided>> + use<'c, 'a>, Undecided> {
    let (list, mut keys) = match range.eval(context, scope)? {
        Val::List(list) => (Some(list), None),
        Val::Map(map) => (None, Some(map.keys())),
        _ => return Err(Undecided),
    };
    let mut at = 0;
    Ok(std::iter::from_fn(move || {
        let value = match (&list, &mut keys) {
            (Some(list), _) => list.get(at)?,
            (None, Some(keys)) => Val::Text(Cow::Borrowed(keys.next()?)),
            (None, None) => return None,
        };
        at += 1;
        Some(context.spend(1).map(|()| value))
    }))
}

fn compare(
    comparison: Comparison,
    left: &Val<'_>,
    right: &Val<'_>,
    context: &Context<'_>,
) -> Result<bool, Undecided> {
    if matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
        if let (Val::List(list), _) = (left, right) {
            context.spend(list.len())?;
        }
        return Ok(left.equals(right) == (comparison == Comparison::Equal));
    }
    let order = left.order(right).ok_or(Undecided)?;
    Ok(match comparison {
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        _ => order != Ordering::Less,
    })
}

fn index<'a>(base: &Val<'a>, index: &Val<'_>) -> Option<Val<'a>> {
    match (base, index) {
        (Val::Map(map), Val::Text(key)) => map.get(&**key).map(Val::from),
        (Val::List(list), Val::Int(int)) => list.get(usize::try_from(*int).ok()?),
        (Val::List(list), Val::Uint(uint)) => list.get(usize::try_from(*uint).ok()?),
        _ => None,
    }
}

#[allow(clippy::cast_precision_loss)]
fn calculate<'a>(
    operator: Operator,
    left: Val<'a>,
    right: Val<'a>,
    context: &Context<'_>,
) -> Result<Val<'a>, Undecided> {
    use Operator::{Add, Divide, Multiply, Remainder, Subtract};
    let value = match (left, right) {
        (Val::Int(a), Val::Int(b)) => match operator {
            Add => a.checked_add(b),
            Subtract => a.checked_sub(b),
            Multiply => a.checked_mul(b),
            Divide => a.checked_div(b),
            Remainder => a.checked_rem(b),
        }
        .map(Val::Int),
        (Val::Uint(a), Val::Uint(b)) => match operator {
            Add => a.checked_add(b),
            Subtract => a.checked_sub(b),
            Multiply => a.checked_mul(b),
            Divide => a.checked_div(b),
            Remainder => a.checked_rem(b),
        }
        .map(Val::Uint),
        (Val::Double(a), Val::Double(b)) => doubles(operator, a, b),
        (Val::Double(a), Val::Int(b)) => doubles(operator, a, b as f64),
        (Val::Int(a), Val::Double(b)) => doubles(operator, a as f64, b),
        (Val::Text(a), Val::Text(b)) if operator == Add => {
            let len = a.len() + b.len();
            context.spend(len / 64)?;
            (len <= MAX_TEXT_BYTES).then(|| Val::Text(a + b))
        }
        (Val::List(a), Val::List(b)) if operator == Add => {
            context.spend(a.len() + b.len())?;
            let elements = |list: List<'a>| (0..list.len()).map_while(move |index| list.get(index));
            Some(Val::List(List::Owned(elements(a).chain(elements(b)).collect())))
        }
        (Val::Instant(a), Val::Span(b)) if operator == Add => a.checked_add(b).ok().map(Val::Instant),
        (Val::Instant(a), Val::Span(b)) if operator == Subtract => a.checked_sub(b).ok().map(Val::Instant),
        (Val::Span(a), Val::Instant(b)) if operator == Add => b.checked_add(a).ok().map(Val::Instant),
        (Val::Instant(a), Val::Instant(b)) if operator == Subtract => Some(Val::Span(a.duration_since(b))),
        (Val::Span(a), Val::Span(b)) if operator == Add => a.checked_add(b).map(Val::Span),
        (Val::Span(a), Val::Span(b)) if operator == Subtract => a.checked_sub(b).map(Val::Span),
        _ => None,
    };
    value.ok_or(Undecided)
}

fn doubles<'a>(operator: Operator, a: f64, b: f64) -> Option<Val<'a>> {
    Some(Val::Double(match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        Operator::Remainder => return None,
    }))
}

/// A function of one argument.
pub(super) fn call<'a>(
    function: Function,
    argument: Val<'a>,
    context: &Context<'_>,
) -> Result<Val<'a>, Undecided> {
    let count = |count: usize| i64::try_from(count).ok().map(Val::Int);
    let value = match (function, argument) {
        (Function::Size, Val::Text(text)) => {
            context.spend(text.len() / 64)?;
            count(text.chars().count())
        }
        (Function::Size, Val::List(list)) => count(list.len()),
        (Function::Size, Val::Map(map)) => count(map.len()),
        (Function::LowerAscii, Val::Text(text)) => {
            context.spend(text.len() / 64)?;
            Some(Val::Text(Cow::Owned(text.to_ascii_lowercase())))
        }
        (Function::UpperAscii, Val::Text(text)) => {
            context.spend(text.len() / 64)?;
            Some(Val::Text(Cow::Owned(text.to_ascii_uppercase())))
        }
        (Function::Timestamp, Val::Text(text)) => parse_timestamp(&text).map(Val::Instant),
        (Function::Timestamp, Val::Int(seconds)) => Timestamp::from_second(seconds).ok().map(Val::Instant),
        (Function::Timestamp, instant @ Val::Instant(_)) => Some(instant),
        (Function::Duration, Val::Text(text)) => parse_duration(&text).map(Val::Span),
        (Function::Duration, span @ Val::Span(_)) => Some(span),
        _ => None,
    };
    value.ok_or(Undecided)
}
