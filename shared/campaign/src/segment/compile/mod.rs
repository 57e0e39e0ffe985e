//! From a rule's text to its tree, in one pass: a parser by precedence that knows what each part's type can be.
//!
//! Why not the `cel` crate's parser: it needs 100 KB of stack and more a bracket, so that twenty of them overflow a
//! thread's, and it brings fifteen crates into every function. It is what this one is tested against.

#![allow(
    clippy::boxed_local,
    reason = "a part moves in its box, so that the frames of the recursion stay small"
)]

mod calls;
mod operands;
mod types;

use super::lexer::{Lexer, Token};
use super::tree::{Comparison, Node, Operator};
use super::value::{List, Val};
use super::{MAX_DEPTH, MAX_EXPRESSION_BYTES, RuleError};
use types::{Type, result_of};

/// The level of precedence of `&&`; that of `||` is below it, those of other operators above.
const LOGIC: u8 = 1;

/// Words that CEL keeps for languages around it.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// A part that has been read: its node, what its value can be, where it starts and how deep it is.
struct Part {
    node: Node,
    kind: Type,
    at: usize,
    depth: usize,
}

/// What may be asked of a macro's variable.
struct Local<'s> {
    name: &'s str,
    kind: Type,
}

struct Compiler<'s> {
    lexer: Lexer<'s>,
    token: Token<'s>,
    /// Where the token starts.
    at: usize,
    locals: Vec<Local<'s>>,
    fields: Vec<Vec<String>>,
    depth: usize,
}

/// Boxed, because it passes through many frames of the parser's recursion, which should be small.
type Read = Result<Box<Part>, RuleError>;

/// Compiles an expression to its tree and the fields that it mentions.
pub(super) fn compile(source: &str) -> Result<(Node, Vec<Vec<String>>), RuleError> {
    let lexer = Lexer::new(source);
    if source.len() > MAX_EXPRESSION_BYTES {
        return Err(lexer.error(
            0,
            format!("a rule has at most {MAX_EXPRESSION_BYTES} bytes, this one has {}", source.len()),
        ));
    }
    let mut compiler =
        Compiler { lexer, token: Token::End, at: 0, locals: Vec::new(), fields: Vec::new(), depth: 0 };
    compiler.advance()?;
    let root = compiler.expression()?;
    if compiler.token != Token::End {
        return Err(compiler.unexpected("an operator or the end"));
    }
    if !root.kind.may_be(Type::Bool) {
        return Err(compiler.error(0, format!("a rule is true or false, this one is {}", root.kind)));
    }
    Ok((root.node, compiler.fields))
}

impl<'s> Compiler<'s> {
    fn error(&self, at: usize, message: impl Into<String>) -> RuleError {
        self.lexer.error(at, message)
    }

    fn unexpected(&self, wanted: &str) -> RuleError {
        self.error(self.at, format!("expected {wanted}, found {}", self.token.describe()))
    }

    /// Moves to the next token and gives the one before it.
    fn advance(&mut self) -> Result<Token<'s>, RuleError> {
        let (token, at) = self.lexer.next()?;
        self.at = at;
        Ok(std::mem::replace(&mut self.token, token))
    }

    /// Moves on if the token is this sign.
    fn take(&mut self, sign: &str) -> Result<bool, RuleError> {
        let is_there = matches!(self.token, Token::Sign(there) if there == sign);
        if is_there {
            self.advance()?;
        }
        Ok(is_there)
    }

    fn expect(&mut self, sign: &str) -> Result<(), RuleError> {
        if self.take(sign)? { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    /// Moves over a name that stands behind a dot or before a comma.
    fn name(&mut self) -> Result<&'s str, RuleError> {
        match self.token {
            Token::Name(name) if !matches!(name, "true" | "false" | "null" | "in") => {
                self.advance()?;
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// A part made of others, the deepest of which is this deep.
    fn part(&self, node: Node, kind: Type, at: usize, deepest: usize) -> Read {
        if deepest >= MAX_DEPTH {
            return Err(self.error(at, format!("a rule nests at most {MAX_DEPTH} deep")));
        }
        Ok(Box::new(Part { node, kind, at, depth: deepest + 1 }))
    }

    fn require(&self, part: &Part, kind: Type, what: &str) -> Result<(), RuleError> {
        if part.kind.may_be(kind) {
            return Ok(());
        }
        let hint =
            if part.kind == Type::Json { ": write timestamp(...) or duration(...) around it" } else { "" };
        Err(self.error(part.at, format!("{what} takes {kind}, this is {}{hint}", part.kind)))
    }

    /// Counts one more part that is being read within others. As every cycle of the parser's recursion comes by here, it
    /// bounds the stack that the parser needs.
    fn enter(&mut self) -> Result<(), RuleError> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error(self.at, format!("a rule nests at most {MAX_DEPTH} deep")));
        }
        self.depth += 1;
        Ok(())
    }

    /// An expression: what brackets hold.
    fn expression(&mut self) -> Read {
        let condition = self.binary(0)?;
        if self.take("?")? { self.choice(condition) } else { Ok(condition) }
    }

    /// The rest of a conditional.
    fn choice(&mut self, condition: Box<Part>) -> Read {
        self.require(&condition, Type::Bool, "`?`")?;
        self.enter()?;
        let yes = self.binary(0)?;
        self.expect(":")?;
        let no = self.expression()?;
        self.depth -= 1;
        let kind = match (yes.kind, no.kind) {
            (a, b) if a == b => a,
            (Type::Instant | Type::Span | Type::Any, _) | (_, Type::Instant | Type::Span | Type::Any) => {
                Type::Any
            }
            _ => Type::Json,
        };
        let deepest = condition.depth.max(yes.depth).max(no.depth);
        self.part(Node::If(Box::new([condition.node, yes.node, no.node])), kind, condition.at, deepest)
    }

    /// Operands and the operators between them, from this level of precedence on.
    fn binary(&mut self, level: u8) -> Read {
        self.enter()?;
        let mut left = self.unary()?;
        while let Some((sign, own_level)) = self.operator()
            && own_level >= level
        {
            left = if own_level <= LOGIC {
                self.logic(sign, own_level, left)?
            } else {
                self.operation(sign, own_level, left)?
            };
        }
        self.depth -= 1;
        Ok(left)
    }

    /// The operator that the token is, and its level of precedence.
    fn operator(&self) -> Option<(&'static str, u8)> {
        match self.token {
            Token::Sign("||") => Some(("||", 0)),
            Token::Sign("&&") => Some(("&&", LOGIC)),
            Token::Sign(sign @ ("==" | "!=" | "<" | "<=" | ">" | ">=")) => Some((sign, 2)),
            Token::Name("in") => Some(("in", 2)),
            Token::Sign(sign @ ("+" | "-")) => Some((sign, 3)),
            Token::Sign(sign @ ("*" | "/" | "%")) => Some((sign, 4)),
            _ => None,
        }
    }

    /// A chain of `&&` or `||`, which is one node however long.
    fn logic(&mut self, sign: &'static str, level: u8, first: Box<Part>) -> Read {
        self.require(&first, Type::Bool, sign)?;
        let (at, mut deepest) = (first.at, first.depth);
        let mut terms = vec![first.node];
        while self.take(sign)? {
            let next = self.binary(level + 1)?;
            self.require(&next, Type::Bool, sign)?;
            deepest = deepest.max(next.depth);
            terms.push(next.node);
        }
        let node = if sign == "&&" { Node::And(terms) } else { Node::Or(terms) };
        self.part(node, Type::Bool, at, deepest)
    }

    /// An operator and what stands to its right.
    fn operation(&mut self, sign: &'static str, level: u8, left: Box<Part>) -> Read {
        let at = self.at;
        self.advance()?;
        let right = self.binary(level + 1)?;
        let operator = match sign {
            "+" => Operator::Add,
            "-" => Operator::Subtract,
            "*" => Operator::Multiply,
            "/" => Operator::Divide,
            "%" => Operator::Remainder,
            "in" => return self.membership(left, right),
            _ => return self.comparison(sign, left, right, at),
        };
        self.arithmetic(operator, sign, left, right, at)
    }

    fn comparison(&mut self, sign: &str, left: Box<Part>, right: Box<Part>, at: usize) -> Read {
        let comparison = match sign {
            "==" => Comparison::Equal,
            "!=" => Comparison::NotEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            _ => Comparison::GreaterOrEqual,
        };
        let (a, b) = (left.kind.family(), right.kind.family());
        let is_ordering = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        let never = a != b && !a.may_be(b) && !b.may_be(a);
        let unordered = [a, b].iter().any(|kind| matches!(kind, Type::Null | Type::List | Type::Map));
        if never || (is_ordering && unordered) {
            let temporal = [a, b].iter().any(|kind| matches!(kind, Type::Instant | Type::Span));
            let hint = if temporal && never {
                ": write timestamp(...) or duration(...) around the other side"
            } else {
                ""
            };
            let message = format!("`{sign}` cannot compare {} with {}{hint}", left.kind, right.kind);
            return Err(self.error(at, message));
        }
        let deepest = left.depth.max(right.depth);
        self.part(Node::Compare(comparison, Box::new([left.node, right.node])), Type::Bool, left.at, deepest)
    }

    fn membership(&mut self, left: Box<Part>, right: Box<Part>) -> Read {
        if !(right.kind.is_open() || matches!(right.kind, Type::List | Type::Map)) {
            return Err(
                self.error(right.at, format!("`in` takes a list or an object, this is {}", right.kind))
            );
        }
        let deepest = left.depth.max(right.depth);
        let node = match texts_of(&right.node) {
            Some(texts) => Node::InTexts(Box::new(left.node), texts),
            None => Node::In(Box::new([left.node, right.node])),
        };
        self.part(node, Type::Bool, left.at, deepest)
    }

    fn arithmetic(
        &mut self,
        operator: Operator,
        sign: &str,
        left: Box<Part>,
        right: Box<Part>,
        at: usize,
    ) -> Read {
        let kind = result_of(operator, left.kind, right.kind).ok_or_else(|| {
            self.error(at, format!("`{sign}` does not take {} and {}", left.kind, right.kind))
        })?;
        let deepest = left.depth.max(right.depth);
        self.part(Node::Arithmetic(operator, Box::new([left.node, right.node])), kind, left.at, deepest)
    }

    fn unary(&mut self) -> Read {
        let at = self.at;
        let mut count = 0_usize;
        if matches!(self.token, Token::Sign("!")) {
            while self.take("!")? {
                count += 1;
            }
            let inner = self.member(Sign::Plus)?;
            self.require(&inner, Type::Bool, "`!`")?;
            if count.is_multiple_of(2) {
                return self.part(Node::And(vec![inner.node]), Type::Bool, at, inner.depth);
            }
            return self.part(Node::Not(Box::new(inner.node)), Type::Bool, at, inner.depth);
        }
        while self.take("-")? {
            count += 1;
        }
        // The last minus belongs to the number that follows it: the least int has no positive counterpart.
        let is_number = matches!(self.token, Token::Int(_) | Token::Double(_));
        let sign = if count > 0 && is_number { Sign::Minus } else { Sign::Plus };
        if sign == Sign::Minus {
            count -= 1;
        }
        let inner = self.member(sign)?;
        if count == 0 {
            return Ok(inner);
        }
        if !(inner.kind.is_open() || matches!(inner.kind, Type::Int | Type::Double)) {
            return Err(self.error(inner.at, format!("`-` takes a number, this is {}", inner.kind)));
        }
        let (mut node, kind) = (inner.node, inner.kind);
        // Two minuses must not cancel unseen: what they stand before must be a number all the same.
        for _ in 0..=(count - 1) % 2 {
            node = Node::Negate(Box::new(node));
        }
        self.part(node, kind, at, inner.depth + 1)
    }
}

/// Whether a minus stands before a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Plus,
    Minus,
}

/// The texts of a constant list that holds nothing else, sorted.
fn texts_of(node: &Node) -> Option<Vec<String>> {
    let Node::Const(Val::List(List::Owned(values))) = node else {
        return None;
    };
    let mut texts = values
        .iter()
        .map(|value| match value {
            Val::Text(text) => Some(text.clone().into_owned()),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()?;
    texts.sort_unstable();
    Some(texts)
}
