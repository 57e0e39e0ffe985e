//! Segments: who. A list of members, or a rule over the profile.
//!
//! A rule is an expression of the [Common Expression Language](https://cel.dev), compiled once into a small tree of
//! our own and walked over the profile's JSON in place: `profile.country in ["de", "at"] && profile.orders > 3`.
//!
//! What a rule may use:
//!
//! | | |
//! |---|---|
//! | variables | `profile`, `now` (the instant the run started), what a macro binds |
//! | literals | text, int, uint, double, `true`, `false`, `null`, lists |
//! | fields | `profile.a.b`, `profile["a"]`, `profile.list[0]`, `has(profile.a.b)` |
//! | operators | `== != < <= > >=`, `&& \|\| !`, `? :`, `in` (a list's elements, an object's keys), `+ - * / %` |
//! | text | `+`, `contains`, `startsWith`, `endsWith`, `matches` (the pattern a literal), `lowerAscii`, `upperAscii` |
//! | lists and objects | `+` of lists, `size`, `exists`, `all`, `exists_one`, `filter`, `map` |
//! | time | `timestamp(text or seconds)`, `duration("1h30m")`, their comparison, sums and differences |
//!
//! Anything else is an error when the rule is compiled, never a surprise when it runs.
//!
//! What JSON cannot say, or says otherwise than CEL's own types:
//!
//! - A field that is missing, or whose type an operator does not know, leaves the rule [`Undecided`](Match::Undecided):
//!   the profile is not in the segment, and is counted as such. So `profile.plan != "free"` leaves out whoever has no
//!   plan; `!has(profile.plan) || profile.plan != "free"` takes them in. As in CEL, `true || undecided` is true and
//!   `false && undecided` is false, on either side.
//! - `==` between types that differ is false, and numbers compare by value whatever their type, as in CEL.
//! - `has(profile.a.b)` is false, not undecided, where `profile.a` is missing or is no object.
//! - `+ - * /` take an int with a double: JSON does not tell `1` from `1.0`.
//! - JSON has no instants. `profile.last_seen < now` is refused: write `timestamp(profile.last_seen) < now`.

mod compile;
mod lexer;
mod time;
mod tree;
mod value;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use tree::{Context, Node};

/// The longest rule, in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 16 * 1024;
/// How deep a rule may nest: brackets in brackets, and operators on the results of operators.
pub const MAX_DEPTH: usize = 100;
/// How deep `exists`, `all`, `exists_one`, `filter` and `map` may nest in each other.
pub const MAX_MACRO_DEPTH: usize = 3;

/// A segment as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SegmentKind {
    /// Whoever a rule is true of, at the time a run starts.
    Rule {
        /// The rule, as its author wrote it.
        expression: String,
    },
    /// Whoever was uploaded.
    List {
        /// Which upload counts; a run pins it.
        generation: u32,
        /// Over how many partitions the members are spread.
        partitions: u32,
        /// How many they are.
        members: u64,
    },
}

/// Why a text is no rule, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {message}")]
pub struct RuleError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong there.
    pub message: String,
}

/// Whether a profile is in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Match {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// The rule cannot be decided, because a field is missing, has a type the rule does not expect, or because the
    /// work would take too long: not in the segment, and counted apart from [`No`](Match::No).
    Undecided,
}

/// A compiled rule.
///
/// ```
/// use campaign::segment::{Match, Rule};
/// use serde_json::json;
///
/// let rule = Rule::compile(r#"profile.country == "de" && timestamp(profile.seen) > now - duration("24h")"#)?;
/// let profile = json!({"country": "de", "seen": "2026-01-01T12:00:00+01:00"});
/// let now = "2026-01-02T00:00:00Z".parse().unwrap();
/// assert_eq!(rule.matches(profile.as_object().unwrap(), now), Match::Yes);
///
/// let error = Rule::compile("profile.age > old").unwrap_err();
/// assert_eq!(error.to_string(), "line 1, column 15: unknown variable `old`: there are `profile` and `now`");
/// # Ok::<(), campaign::segment::RuleError>(())
/// ```
#[derive(Debug)]
pub struct Rule {
    root: Node,
    fields: Vec<Vec<String>>,
}

impl Rule {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Where it is no expression, is too long or too deep, uses what a rule may not, or cannot give true or false.
    pub fn compile(expression: &str) -> Result<Self, RuleError> {
        let (root, mut fields) = compile::compile(expression)?;
        fields.sort_unstable();
        fields.dedup();
        Ok(Self { root, fields })
    }

    /// Whether this profile is in the segment. `now` is what the rule's `now` means: the instant the run started, the
    /// same for every profile.
    pub fn matches(&self, profile: &Map<String, Value>, now: Timestamp) -> Match {
        let context = Context::new(profile, now);
        match self.root.test(&context, None) {
            _ if context.is_exhausted() => Match::Undecided,
            Ok(true) => Match::Yes,
            Ok(false) => Match::No,
            Err(_) => Match::Undecided,
        }
    }

    /// The paths of the profile's fields that the rule mentions, sorted: `profile.person.name` is
    /// `["person", "name"]`. A path ends where an index that is not a literal name begins.
    pub fn fields(&self) -> &[Vec<String>] {
        &self.fields
    }
}
