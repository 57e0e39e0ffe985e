//! Paths, resolved against the scopes around them once, at compile time.

use std::fmt::Write as _;

use super::program::Ours;

/// Where a path starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Profile,
    Context,
    /// The value of the `each` or `with` so many scopes up.
    This(usize),
    /// `@index` of the `each` so many scopes up.
    Index(usize),
    /// `@key`.
    Key(usize),
    /// `@first`.
    First(usize),
    /// `@last`.
    Last(usize),
    /// A link of ours.
    Ours(Ours),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) name: Box<str>,
    /// The same as an index into an array.
    pub(super) index: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) origin: Origin,
    pub(super) segments: Box<[Segment]>,
    /// The path from the root where it is known (`profile.orders[].id`), else as it was written.
    pub(super) label: Box<str>,
    /// Whether the label is a path from the root.
    pub(super) from_root: bool,
}

/// A block that has a scope of its own.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) kind: ScopeKind,
    /// The path of its value from the root, where it is one.
    pub(super) value: Option<String>,
    /// The names after `as`.
    pub(super) value_name: Option<String>,
    pub(super) key_name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScopeKind {
    Each,
    With,
}

/// Resolves `raw` inside `scopes` (outermost first).
///
/// A path that begins with `profile`, `context` or `links` means the root everywhere, unless it says `this.profile` or a block
/// parameter has that name: inside `{{#each}}` people write `{{profile.name}}` and mean the person.
pub(super) fn resolve(raw: &str, scopes: &[Scope]) -> Result<Path, String> {
    let mut rest = raw;
    let mut explicit = false;
    for prefix in ["this.", "this/", "./"] {
        if let Some(stripped) = rest.strip_prefix(prefix) {
            rest = stripped;
            explicit = true;
            break;
        }
    }
    let at_root = rest == "@root" || rest.starts_with("@root.") || rest.starts_with("@root/");
    if at_root {
        rest = rest["@root".len()..].trim_start_matches(['.', '/']);
    }
    let local = rest.strip_prefix('@');
    rest = local.unwrap_or(rest);
    let mut up = 0;
    while let Some(stripped) = rest.strip_prefix("../").or_else(|| rest.strip_prefix("...")) {
        rest = stripped;
        up += 1;
        explicit = true;
    }
    let mut names = split(rest);
    if names.first().is_some_and(|name| *name == "this") {
        names.remove(0);
        explicit = true;
    }
    if local.is_some() {
        return resolve_local(raw, names.first().copied().unwrap_or_default(), up, scopes);
    }
    let first = names.first().copied();
    if !explicit && !at_root {
        if let Some(path) = first.and_then(|name| block_parameter(name, &names[1..], scopes)) {
            return Ok(path);
        }
        if matches!(first, Some("profile" | "context" | "links")) {
            return root(&names);
        }
    }
    if at_root || up == scopes.len() {
        return root(&names);
    }
    let Some(index) = scopes.len().checked_sub(up + 1) else {
        return Err(format!("{raw} goes up further than there are blocks around it"));
    };
    let base = scopes[index].value.as_deref();
    Ok(build(Origin::This(up), base, &names, raw))
}

fn resolve_local(raw: &str, name: &str, up: usize, scopes: &[Scope]) -> Result<Path, String> {
    // A `with` has no loop variables, so those of the `each` around it stay visible.
    let each = |scope: &Scope| scope.kind == ScopeKind::Each;
    let found = scopes.iter().rev().enumerate().skip(up).find(|(_, scope)| each(scope)).map(|(at, _)| at);
    let Some(at) = found else {
        return Err(format!("{raw} stands outside of {{{{#each}}}}"));
    };
    let origin = match name {
        "index" => Origin::Index(at),
        "key" => Origin::Key(at),
        "first" => Origin::First(at),
        "last" => Origin::Last(at),
        _ => return Err(format!("{raw} is not one of @index, @key, @first, @last, @root")),
    };
    Ok(build(origin, None, &[], raw))
}

fn block_parameter(name: &str, rest: &[&str], scopes: &[Scope]) -> Option<Path> {
    scopes.iter().rev().enumerate().find_map(|(up, scope)| {
        if scope.value_name.as_deref() == Some(name) {
            let mut raw = name.to_owned();
            rest.iter().for_each(|segment| push_name(&mut raw, segment));
            Some(build(Origin::This(up), scope.value.as_deref(), rest, &raw))
        } else if scope.key_name.as_deref() == Some(name) {
            Some(build(Origin::Key(up), None, &[], name))
        } else {
            None
        }
    })
}

fn root(names: &[&str]) -> Result<Path, String> {
    let origin = match names.first() {
        Some(&"profile") => Origin::Profile,
        Some(&"context") => Origin::Context,
        Some(&"links") => return ours(&names[1..]),
        Some(name) => {
            return Err(format!(
                "{name} is unknown: variables begin with \"profile.\" or \"context.\", and no helper has this name"
            ));
        }
        None => return Err("the whole data can't be used as one value".to_owned()),
    };
    Ok(build(origin, Some(names[0]), &names[1..], ""))
}

/// `links.unsubscribe` or `links.view`: no variables, so they have no path from a root.
fn ours(names: &[&str]) -> Result<Path, String> {
    let link = match names {
        ["unsubscribe"] => Ours::Unsubscribe,
        ["view"] => Ours::View,
        _ => return Err("links has links.unsubscribe and links.view, and nothing else".to_owned()),
    };
    Ok(build(Origin::Ours(link), None, &[], link.name()))
}

fn build(origin: Origin, base: Option<&str>, names: &[&str], raw: &str) -> Path {
    let label = base.map(|base| {
        let mut label = base.to_owned();
        names.iter().for_each(|name| push_name(&mut label, name));
        label
    });
    let from_root = label.is_some();
    let segments =
        names.iter().map(|name| Segment { name: (*name).into(), index: name.parse().ok() }).collect();
    Path { origin, segments, label: label.unwrap_or_else(|| raw.to_owned()).into(), from_root }
}

fn push_name(label: &mut String, name: &str) {
    // Writing to a String never fails.
    let _ =
        if name.contains(['.', ' ', '/']) { write!(label, ".[{name}]") } else { write!(label, ".{name}") };
}

/// The names between dots and slashes; `[any thing]` is one name.
pub(super) fn split(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (name, after) = match rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((name, after)) => (name, after),
            None => rest.split_at(rest.find(['.', '/']).unwrap_or(rest.len())),
        };
        names.push(name);
        rest = after.strip_prefix(['.', '/']).unwrap_or(after);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes() -> Vec<Scope> {
        vec![
            Scope {
                kind: ScopeKind::Each,
                value: Some("profile.orders[]".into()),
                value_name: Some("order".into()),
                key_name: Some("n".into()),
            },
            Scope { kind: ScopeKind::With, value: None, value_name: None, key_name: None },
        ]
    }

    #[test]
    fn paths_find_their_scope() {
        let resolved = |raw| resolve(raw, &scopes()).map(|path| (path.origin, path.label.to_string()));
        assert_eq!(resolved("profile.a.[b c]"), Ok((Origin::Profile, "profile.a.[b c]".into())));
        assert_eq!(resolved("@root/context.a"), Ok((Origin::Context, "context.a".into())));
        assert_eq!(resolved("this.profile"), Ok((Origin::This(0), "this.profile".into())));
        assert_eq!(resolved("../id"), Ok((Origin::This(1), "profile.orders[].id".into())));
        assert_eq!(resolved("../../profile.x"), Ok((Origin::Profile, "profile.x".into())));
        assert_eq!(resolved("order.lines.0"), Ok((Origin::This(1), "profile.orders[].lines.0".into())));
        assert_eq!(resolved("n"), Ok((Origin::Key(1), "n".into())));
        assert_eq!(resolved("@index"), Ok((Origin::Index(1), "@index".into())));
        assert_eq!(resolved("links.view"), Ok((Origin::Ours(Ours::View), "links.view".into())));
        assert_eq!(resolved("this.links"), Ok((Origin::This(0), "this.links".into())));
        assert!(resolved("links").is_err() && resolved("links.view.x").is_err());
        assert!(resolved("../../../x").is_err());
        assert!(resolve("firstName", &[]).is_err());
        assert!(resolve("@index", &[]).is_err());
        assert!(resolve("this", &[]).is_err());
    }
}
