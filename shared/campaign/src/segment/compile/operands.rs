//! Operands: constants, variables, fields, indexes, lists.

use std::borrow::Cow;

use super::super::lexer::Token;
use super::super::tree::Node;
use super::super::value::{List, Val};
use super::{Compiler, Part, RESERVED, Read, Sign, Type};

impl<'s> Compiler<'s> {
    /// An operand with what follows it: fields, indexes, methods.
    pub(super) fn member(&mut self, sign: Sign) -> Read {
        let mut part = self.primary(sign)?;
        loop {
            if self.take(".")? {
                let at = self.at;
                let name = self.name()?;
                part = if self.take("(")? { self.method(part, name, at)? } else { self.field(part, name)? };
            } else if self.take("[")? {
                let index = self.expression()?;
                self.expect("]")?;
                part = self.index(part, index)?;
            } else {
                self.note(&part.node);
                return Ok(part);
            }
        }
    }

    /// Remembers a field that is read.
    pub(super) fn note(&mut self, node: &Node) {
        if let Node::Path(path) | Node::HasPath(path) = node
            && !path.is_empty()
        {
            self.fields.push(path.clone());
        }
    }

    pub(super) fn field(&mut self, base: Box<Part>, name: &str) -> Read {
        self.require(&base, Type::Map, "a field's name behind a dot")?;
        let kind = if base.kind == Type::Any { Type::Any } else { Type::Json };
        match base.node {
            // One node and one walk, however long the path.
            Node::Path(mut path) => {
                path.push(name.to_owned());
                self.part(Node::Path(path), Type::Json, base.at, base.depth)
            }
            node => self.part(Node::Field(Box::new(node), name.to_owned()), kind, base.at, base.depth),
        }
    }

    pub(super) fn index(&mut self, base: Box<Part>, index: Box<Part>) -> Read {
        if let Node::Const(Val::Text(name)) = &index.node {
            return self.field(base, name);
        }
        let is_container = base.kind.is_open() || matches!(base.kind, Type::List | Type::Map);
        let is_index = index.kind.is_open() || matches!(index.kind, Type::Int | Type::Uint | Type::Text);
        if !is_container || !is_index {
            return Err(self.error(index.at, format!("{} is no index of {}", index.kind, base.kind)));
        }
        self.note(&base.node);
        let kind = if matches!(base.kind, Type::Json | Type::Map) { Type::Json } else { Type::Any };
        let deepest = base.depth.max(index.depth);
        self.part(Node::Index(Box::new([base.node, index.node])), kind, base.at, deepest)
    }

    pub(super) fn primary(&mut self, sign: Sign) -> Read {
        let at = self.at;
        let value = match self.advance()? {
            Token::Name(name) => return self.named(name, at),
            Token::Sign("(") => {
                let part = self.expression()?;
                self.expect(")")?;
                return self.part(part.node, part.kind, at, part.depth);
            }
            Token::Sign("[") => return self.list(at),
            Token::Sign("{") => return Err(self.error(at, "object literals are not supported")),
            Token::Int(number) => {
                let number = i128::from(number) * if sign == Sign::Minus { -1 } else { 1 };
                let int = i64::try_from(number).map_err(|_| self.error(at, "the number is too large"))?;
                (Val::Int(int), Type::Int)
            }
            Token::Double(number) => {
                (Val::Double(if sign == Sign::Minus { -number } else { number }), Type::Double)
            }
            Token::Uint(number) => (Val::Uint(number), Type::Uint),
            Token::Text(text) => (Val::Text(Cow::Owned(text)), Type::Text),
            token => return Err(self.error(at, format!("expected a value, found {}", token.describe()))),
        };
        self.part(Node::Const(value.0), value.1, at, 0)
    }

    /// A word that starts an operand: a constant, a variable or a call.
    pub(super) fn named(&mut self, name: &'s str, at: usize) -> Read {
        match name {
            "true" => return self.part(Node::Const(Val::Bool(true)), Type::Bool, at, 0),
            "false" => return self.part(Node::Const(Val::Bool(false)), Type::Bool, at, 0),
            "null" => return self.part(Node::Const(Val::Null), Type::Null, at, 0),
            "in" => return Err(self.error(at, "expected a value, found `in`")),
            _ if RESERVED.contains(&name) => {
                return Err(self.error(at, format!("`{name}` is a reserved word")));
            }
            _ => {}
        }
        if self.take("(")? {
            return self.call(name, at);
        }
        if let Some(depth) = self.locals.iter().rev().position(|local| local.name == name) {
            let kind = self.locals[self.locals.len() - 1 - depth].kind;
            return self.part(Node::Local(depth), kind, at, 0);
        }
        match name {
            "profile" => self.part(Node::Path(Vec::new()), Type::Map, at, 0),
            "now" => self.part(Node::Now, Type::Instant, at, 0),
            _ => Err(self.error(at, format!("unknown variable `{name}`: there are `profile` and `now`"))),
        }
    }

    pub(super) fn list(&mut self, at: usize) -> Read {
        let mut nodes = Vec::new();
        let mut deepest = 0;
        while !self.take("]")? {
            let element = self.expression()?;
            deepest = deepest.max(element.depth);
            nodes.push(element.node);
            if !self.take(",")? {
                self.expect("]")?;
                break;
            }
        }
        self.part(constant_list(nodes), Type::List, at, deepest)
    }
}

/// A list; a constant one where all its elements are.
fn constant_list(nodes: Vec<Node>) -> Node {
    if !nodes.iter().all(|node| matches!(node, Node::Const(_))) {
        return Node::List(nodes);
    }
    let values = nodes.into_iter().filter_map(|node| match node {
        Node::Const(value) => Some(value),
        _ => None,
    });
    Node::Const(Val::List(List::Owned(values.collect())))
}
