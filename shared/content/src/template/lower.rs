//! From the parser's syntax tree to a [`Program`]: scopes, helpers and arguments are resolved here, so that what can
//! be wrong with them is an error at save time and costs nothing at send time.

use std::collections::HashMap;

use handlebars::template::{BlockParam, HelperTemplate, Parameter, Template, TemplateElement};

use super::Compiled;
use super::escape::read_literal;
use super::helpers::{self, Helper, Spec};
use super::path::{self, Origin, Scope, ScopeKind};
use super::program::{Call, Expr, Form, Node, Ours, Program};
use crate::error::ContentError;
use crate::position::moved;

/// How printed values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escaping {
    /// For HTML: `{{x}}` escapes, `{{{x}}}` does not.
    Html,
    /// For JSON: `{{x}}` escapes for the inside of a string, `{{{x}}}` does not, and `{{json x}}` is a value of its own.
    Json,
    /// For URLs: `{{x}}` and `{{url_encode x}}` percent-encode all but RFC 3986's unreserved characters, `{{{x}}}` does not.
    Url,
    /// For the text part and headers: nothing escapes.
    None,
}

impl Escaping {
    const fn form(self) -> Form {
        match self {
            Self::Html => Form::Html,
            Self::Json => Form::JsonText,
            Self::Url => Form::Url,
            Self::None => Form::Plain,
        }
    }
}

/// What a field has to do with links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// Ours have no place in it.
    None,
    /// It may mention ours.
    Ours,
    /// It is HTML that lowering wrote, so it may also hold [`LINK`] and [`OPEN`], which no author can write.
    Lowered,
}

/// What kind of text a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Language {
    pub(crate) escaping: Escaping,
    pub(crate) links: Links,
}

impl From<Escaping> for Language {
    fn from(escaping: Escaping) -> Self {
        Self { escaping, links: Links::None }
    }
}

/// The block around a link's target: `{{#_link 3}}...{{/_link}}`. The text in it is that of an attribute, in which only the
/// entities of [`escape::push_literal`](super::escape::push_literal) stand.
pub(crate) const LINK: &str = "_link";
/// The picture that tells that a message is opened: `{{_open}}`.
pub(crate) const OPEN: &str = "_open";

pub(super) type Position = (usize, usize);

struct Lowering {
    field: &'static str,
    /// Where the piece begins that is at hand.
    start: Position,
    escaping: Escaping,
    links: Links,
    /// Whether it is inside of a link's target.
    in_link: bool,
    scopes: Vec<Scope>,
    variables: Vec<String>,
    ours: Vec<Ours>,
    errors: Vec<ContentError>,
    text_bytes: usize,
}

/// Lowers the pieces of a template, each with where it begins.
pub(super) fn lower(
    pieces: &[(Position, Template)],
    field: &'static str,
    language: Language,
) -> Result<Compiled, Vec<ContentError>> {
    let mut lowering = Lowering {
        field,
        start: (1, 1),
        escaping: language.escaping,
        links: language.links,
        in_link: false,
        scopes: Vec::new(),
        variables: Vec::new(),
        ours: Vec::new(),
        errors: Vec::new(),
        text_bytes: 0,
    };
    let mut nodes = Vec::new();
    for (start, template) in pieces {
        lowering.start = *start;
        nodes.extend(lowering.nodes(template, *start));
    }
    if lowering.errors.is_empty() {
        let program = Program { nodes, text_bytes: lowering.text_bytes, ours: lowering.ours };
        Ok(Compiled { program, variables: lowering.variables })
    } else {
        Err(lowering.errors)
    }
}

impl Lowering {
    fn error(&mut self, code: &'static str, position: Position, message: impl Into<String>) {
        self.errors.push(ContentError::new(code, self.field, message).at(Some(position)));
    }

    fn nodes(&mut self, template: &Template, around: Position) -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::with_capacity(template.elements.len());
        for (index, element) in template.elements.iter().enumerate() {
            // The parser gives an `else if` no position of its own.
            let within = template.mapping.get(index).map(|mapping| (mapping.0, mapping.1));
            let position = within.map_or(around, |within| moved(self.start, within));
            match element {
                TemplateElement::RawString(text) if text.is_empty() => {}
                TemplateElement::RawString(text) => {
                    self.text_bytes += text.len();
                    let text = if self.in_link { read_literal(text) } else { text.as_str().into() };
                    nodes.push(Node::Text(text));
                }
                TemplateElement::Comment(_) => {}
                TemplateElement::Expression(helper) => {
                    nodes.extend(self.print(helper, self.escaping.form(), position));
                }
                TemplateElement::HtmlExpression(helper) => {
                    nodes.extend(self.print(helper, Form::Plain, position));
                }
                TemplateElement::HelperBlock(helper) => nodes.extend(self.block(helper, position)),
                _ => self.error("unsupported_syntax", position, "partials and decorators are not supported"),
            }
        }
        nodes
    }

    /// What a helper has written in the form of its place is not put into that form again.
    fn print(&mut self, helper: &HelperTemplate, form: Form, position: Position) -> Option<Node> {
        if self.links == Links::Lowered && helper.name.as_name() == Some(OPEN) {
            return Some(Node::Open);
        }
        let mut value = self.expression(helper, position)?;
        let written = match &value {
            Expr::Call(call) => Some(call.helper),
            Expr::Path(path) => {
                if let Origin::Ours(link) = path.origin {
                    return Some(Node::Ours(link));
                }
                None
            }
            Expr::Literal(_) => None,
        };
        let form = match (self.escaping, written) {
            (Escaping::Json, Some(Helper::Json)) => {
                if let Expr::Call(call) = value {
                    value = call.arguments.into_iter().next()?;
                }
                Form::Json
            }
            (Escaping::Url, Some(Helper::UrlEncode)) => Form::Plain,
            _ => form,
        };
        Some(Node::Print { value, form })
    }

    fn expression(&mut self, helper: &HelperTemplate, position: Position) -> Option<Expr> {
        if let Parameter::Subexpression(inner) = &helper.name {
            return self.element(inner.as_element(), position);
        }
        let name = helper.name.as_name().unwrap_or_default();
        let name_only = helper.params.is_empty() && helper.hash.is_empty();
        if let Some(spec) = helpers::find(name) {
            // A block parameter may have a helper's name.
            if !(name_only && self.is_block_parameter(name)) {
                return self.call(spec, &helper.params, &helper.hash, position);
            }
        }
        if name_only {
            return self.path(name, position);
        }
        self.unknown_helper(name, position);
        None
    }

    fn element(&mut self, element: &TemplateElement, position: Position) -> Option<Expr> {
        match element {
            TemplateElement::Expression(helper) => self.expression(helper, position),
            _ => None,
        }
    }

    fn is_block_parameter(&self, name: &str) -> bool {
        let named = |scope: &Scope| {
            scope.value_name.as_deref() == Some(name) || scope.key_name.as_deref() == Some(name)
        };
        self.scopes.iter().any(named)
    }

    fn unknown_helper(&mut self, name: &str, position: Position) {
        let message = if matches!(name, "if" | "unless" | "each" | "with") {
            format!("{name} is a block: write {{{{#{name} ...}}}} ... {{{{/{name}}}}}")
        } else {
            format!("there is no helper \"{name}\"")
        };
        self.error("unknown_helper", position, message);
    }

    fn path(&mut self, raw: &str, position: Position) -> Option<Expr> {
        match path::resolve(raw, &self.scopes) {
            Ok(path) => {
                if let Origin::Ours(link) = path.origin {
                    if self.links == Links::None {
                        let message = format!("{raw} is for the body and the text of emails");
                        self.error("unknown_variable", position, message);
                        return None;
                    }
                    if !self.ours.contains(&link) {
                        self.ours.push(link);
                    }
                }
                if path.from_root && !self.variables.iter().any(|known| **known == *path.label) {
                    self.variables.push(path.label.to_string());
                }
                Some(Expr::Path(path))
            }
            Err(message) => {
                self.error("unknown_variable", position, message);
                None
            }
        }
    }

    fn parameter(&mut self, parameter: &Parameter, position: Position) -> Option<Expr> {
        match parameter {
            Parameter::Literal(value) => Some(Expr::Literal(value.clone())),
            Parameter::Subexpression(inner) => self.element(inner.as_element(), position),
            Parameter::Path(_) | Parameter::Name(_) => {
                self.path(parameter.as_name().unwrap_or_default(), position)
            }
            _ => None,
        }
    }

    fn call(
        &mut self,
        spec: &'static Spec,
        params: &[Parameter],
        hash: &HashMap<String, Parameter>,
        position: Position,
    ) -> Option<Expr> {
        if params.len() < spec.least || params.len() > spec.most {
            self.error("wrong_arguments", position, format!("{} takes {}", spec.name, spec.usage));
            return None;
        }
        let arguments: Vec<_> =
            params.iter().filter_map(|parameter| self.parameter(parameter, position)).collect();
        let mut named = Vec::new();
        let mut keys: Vec<_> = hash.iter().collect();
        keys.sort_by_key(|(key, _)| key.as_str());
        for (key, parameter) in keys {
            let Some(known) = spec.named.iter().find(|known| *known == key) else {
                self.error(
                    "wrong_arguments",
                    position,
                    format!("{} takes {}, not {key}=", spec.name, spec.usage),
                );
                return None;
            };
            named.push((*known, self.parameter(parameter, position)?));
        }
        if arguments.len() < params.len() {
            return None;
        }
        let mut call =
            Call { helper: spec.helper, name: spec.name, arguments, named, zone: None, line: position.0 };
        match helpers::prepare(&mut call) {
            Ok(()) => Some(Expr::Call(Box::new(call))),
            Err(message) => {
                self.error("wrong_arguments", position, format!("{}: {message}", spec.name));
                None
            }
        }
    }

    fn block(&mut self, helper: &HelperTemplate, position: Position) -> Option<Node> {
        let name = helper.name.as_name().unwrap_or_default();
        if name == LINK && self.links == Links::Lowered && !self.in_link {
            return self.link(helper, position);
        }
        if !matches!(name, "if" | "unless" | "each" | "with") {
            let message = format!("there is no block \"{name}\": the blocks are if, unless, each, with");
            self.error("unknown_helper", position, message);
            return None;
        }
        let zero = if name == "if" || name == "unless" { helper.hash.get("includeZero") } else { None };
        if helper.params.len() != 1 || helper.hash.len() != usize::from(zero.is_some()) {
            self.error("wrong_arguments", position, format!("{name} takes one value"));
            return None;
        }
        let value = self.parameter(&helper.params[0], position);
        let scope = match name {
            "each" => Some(self.scope(ScopeKind::Each, value.as_ref(), helper.block_param.as_ref())),
            "with" => Some(self.scope(ScopeKind::With, value.as_ref(), helper.block_param.as_ref())),
            _ => None,
        };
        let scoped = scope.is_some();
        self.scopes.extend(scope);
        let body = helper.template.as_ref().map(|body| self.nodes(body, position)).unwrap_or_default();
        if scoped {
            self.scopes.pop();
        }
        let otherwise =
            helper.inverse.as_ref().map(|inverse| self.nodes(inverse, position)).unwrap_or_default();
        let value = value?;
        let include_zero = matches!(zero, Some(Parameter::Literal(serde_json::Value::Bool(true))));
        Some(match name {
            "if" => Node::If { test: value, include_zero, then: body, otherwise },
            "unless" => Node::If { test: value, include_zero, then: otherwise, otherwise: body },
            "each" => Node::Each { over: value, body, otherwise },
            _ => Node::With { value, body, otherwise },
        })
    }

    /// The target of a link: a plain URL, whatever stands around it.
    fn link(&mut self, helper: &HelperTemplate, position: Position) -> Option<Node> {
        let number = match &helper.params[..] {
            [Parameter::Literal(number)] => number.as_u64().and_then(|number| u16::try_from(number).ok()),
            _ => None,
        };
        let Some(number) = number else {
            self.error("wrong_arguments", position, "a link has a number");
            return None;
        };
        let around = std::mem::replace(&mut self.escaping, Escaping::None);
        self.in_link = true;
        let body = helper.template.as_ref().map(|body| self.nodes(body, position)).unwrap_or_default();
        self.in_link = false;
        self.escaping = around;
        Some(Node::Link { number, body })
    }

    fn scope(&self, kind: ScopeKind, value: Option<&Expr>, names: Option<&BlockParam>) -> Scope {
        let suffix = if kind == ScopeKind::Each { "[]" } else { "" };
        let value = match value {
            Some(Expr::Path(path)) if path.from_root => Some(format!("{}{suffix}", path.label)),
            _ => None,
        };
        let name_of = |parameter: &Parameter| parameter.as_name().map(str::to_owned);
        let (value_name, key_name) = match names {
            Some(BlockParam::Single(value)) => (name_of(value), None),
            Some(BlockParam::Pair((value, key))) => (name_of(value), name_of(key)),
            _ => (None, None),
        };
        Scope { kind, value, value_name, key_name }
    }
}
