//! Calls: functions, methods and macros.

use regex_lite::RegexBuilder;

use super::super::MAX_MACRO_DEPTH;
use super::super::time::{parse_duration, parse_timestamp};
use super::super::tree::{Each, EachNode, Function, Node, TextTest};
use super::super::value::Val;
use super::{Compiler, Local, Part, RESERVED, Read, Type};

/// The largest compiled pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 256 * 1024;

impl Compiler<'_> {
    /// A function's call, behind its bracket.
    pub(super) fn call(&mut self, name: &str, at: usize) -> Read {
        let function = match name {
            "has" => return self.has(at),
            "size" => Function::Size,
            "timestamp" => Function::Timestamp,
            "duration" => Function::Duration,
            "matches" => {
                let text = self.expression()?;
                self.expect(",")?;
                return self.matches(text);
            }
            _ => {
                let known = "has, size, timestamp, duration, matches";
                return Err(self.error(at, format!("unknown function `{name}`: there are {known}")));
            }
        };
        let argument = self.expression()?;
        self.expect(")")?;
        self.function(function, argument, at)
    }

    pub(super) fn function(&mut self, function: Function, argument: Box<Part>, at: usize) -> Read {
        let (name, kind, takes): (_, _, &[Type]) = match function {
            Function::Size => ("size", Type::Int, &[Type::Text, Type::List, Type::Map]),
            Function::LowerAscii => ("lowerAscii", Type::Text, &[Type::Text]),
            Function::UpperAscii => ("upperAscii", Type::Text, &[Type::Text]),
            Function::Timestamp => ("timestamp", Type::Instant, &[Type::Text, Type::Int, Type::Instant]),
            Function::Duration => ("duration", Type::Span, &[Type::Text, Type::Span]),
        };
        if !takes.iter().any(|kind| argument.kind.may_be(*kind)) {
            return Err(self.error(argument.at, format!("`{name}` does not take {}", argument.kind)));
        }
        let node = match (function, argument.node) {
            (Function::Timestamp, Node::Const(Val::Text(text))) => {
                let message = "no RFC 3339 timestamp, such as 2026-01-31T18:00:00+01:00";
                Node::Const(Val::Instant(
                    parse_timestamp(&text).ok_or_else(|| self.error(argument.at, message))?,
                ))
            }
            (Function::Duration, Node::Const(Val::Text(text))) => {
                let message = "no duration, such as 1h30m or 45s";
                Node::Const(Val::Span(parse_duration(&text).ok_or_else(|| self.error(argument.at, message))?))
            }
            (_, node) => Node::Call(function, Box::new(node)),
        };
        self.part(node, kind, at, argument.depth)
    }

    pub(super) fn has(&mut self, at: usize) -> Read {
        let argument = self.expression()?;
        self.expect(")")?;
        let node = match argument.node {
            Node::Path(path) if !path.is_empty() => Node::HasPath(path),
            Node::Field(base, name) => Node::Has(base, name),
            _ => return Err(self.error(argument.at, "has() takes a field, such as has(profile.plan)")),
        };
        self.part(node, Type::Bool, at, argument.depth)
    }

    /// A method's call, behind its bracket.
    pub(super) fn method(&mut self, receiver: Box<Part>, name: &str, at: usize) -> Read {
        self.note(&receiver.node);
        let test = match name {
            "contains" => TextTest::Contains,
            "startsWith" => TextTest::StartsWith,
            "endsWith" => TextTest::EndsWith,
            "matches" => return self.matches(receiver),
            "exists" => return self.each(Each::Exists, receiver),
            "all" => return self.each(Each::All, receiver),
            "exists_one" | "existsOne" => return self.each(Each::ExistsOne, receiver),
            "filter" => return self.each(Each::Filter, receiver),
            "map" => return self.each(Each::Map, receiver),
            "size" | "lowerAscii" | "upperAscii" => {
                self.expect(")")?;
                let function = match name {
                    "size" => Function::Size,
                    "lowerAscii" => Function::LowerAscii,
                    _ => Function::UpperAscii,
                };
                let at = receiver.at;
                return self.function(function, receiver, at);
            }
            _ => {
                let known = "contains, startsWith, endsWith, matches, size, lowerAscii, upperAscii, exists, all, \
                     exists_one, filter, map";
                return Err(self.error(at, format!("unknown method `{name}`: there are {known}")));
            }
        };
        self.require(&receiver, Type::Text, name)?;
        let argument = self.expression()?;
        self.require(&argument, Type::Text, name)?;
        self.expect(")")?;
        let deepest = receiver.depth.max(argument.depth);
        self.part(
            Node::TextTest(test, Box::new([receiver.node, argument.node])),
            Type::Bool,
            receiver.at,
            deepest,
        )
    }

    /// The pattern of `matches` and the bracket behind it.
    pub(super) fn matches(&mut self, text: Box<Part>) -> Read {
        self.require(&text, Type::Text, "matches")?;
        let pattern = self.expression()?;
        self.expect(")")?;
        let Node::Const(Val::Text(source)) = &pattern.node else {
            return Err(self.error(pattern.at, "the pattern of matches is a literal text"));
        };
        let regex = RegexBuilder::new(source).size_limit(MAX_PATTERN_BYTES).build().map_err(|error| {
            self.error(pattern.at, format!("the pattern is not a regular expression: {error}"))
        })?;
        self.part(Node::Matches(Box::new(text.node), regex), Type::Bool, text.at, text.depth)
    }

    /// A macro's variable, its body and the bracket behind it.
    pub(super) fn each(&mut self, each: Each, range: Box<Part>) -> Read {
        if !(range.kind.is_open() || matches!(range.kind, Type::List | Type::Map)) {
            return Err(
                self.error(range.at, format!("this runs over a list or an object, not {}", range.kind))
            );
        }
        if self.locals.len() >= MAX_MACRO_DEPTH {
            return Err(self.error(range.at, format!("such calls nest at most {MAX_MACRO_DEPTH} deep")));
        }
        let name_at = self.at;
        let name = self.name()?;
        if RESERVED.contains(&name) {
            return Err(self.error(name_at, format!("`{name}` is a reserved word")));
        }
        self.expect(",")?;
        let kind = match range.kind {
            Type::Json => Type::Json,
            Type::Map => Type::Text,
            _ => Type::Any,
        };
        self.locals.push(Local { name, kind });
        let mut body = self.expression()?;
        let mut deepest = range.depth.max(body.depth);
        let mut condition = None;
        if each == Each::Map && self.take(",")? {
            let first = std::mem::replace(&mut body, self.expression()?);
            self.require(&first, Type::Bool, "map's condition")?;
            deepest = deepest.max(body.depth);
            condition = Some(first.node);
        }
        self.locals.pop();
        self.expect(")")?;
        if each != Each::Map {
            self.require(&body, Type::Bool, "the condition")?;
        }
        let kind = if matches!(each, Each::Filter | Each::Map) { Type::List } else { Type::Bool };
        let parts = EachNode { range: range.node, body: body.node, condition };
        self.part(Node::Each(each, Box::new(parts)), kind, range.at, deepest)
    }
}
