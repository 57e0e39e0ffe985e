//! Carrying template tags through tools that know only HTML.
//!
//! The MJML compiler and the CSS inliner move text out of tables, drop doubled attributes and encode quotes. So each
//! tag is replaced by something they leave alone where it stands, and put back afterwards: a comment in text, a word
//! in attribute values and raw elements, one attribute for all of an element whose attributes a tag divides, one
//! custom property for the whole of a `style` that holds a tag.

use std::collections::HashMap;
use std::ops::Range;

use super::limits::Markup;
use super::links;
use super::tokens::{Attribute, Open, Token, is_one_of};
use crate::error::ContentError;
use crate::position::line_column;
use crate::template::lex::Tag;

/// Marks style elements that the inliner must leave alone.
pub(super) const IGNORE: &str = " data-css-inline=\"ignore\"";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `<!--word-->`; must come back exactly once and in order.
    Comment,
    /// `word`; must come back at least once.
    Word,
    /// `word` inside CSS, which the inliner may drop with a rule that nothing needs.
    CssWord,
    /// `word=""`, for an element's attributes.
    Attributes,
    /// `--word:1`, for the value of a `style`.
    Style,
}

#[derive(Debug)]
struct Kept {
    original: String,
    form: Form,
    /// Where it stood in the source; `None` for what was added later.
    at: Option<usize>,
}

/// A source without template tags, and what is needed to put them back.
#[derive(Debug)]
pub(super) struct Protected {
    pub(super) html: String,
    /// The CSS of `<mj-style inline="inline">`, which goes to the inliner and not into the head.
    pub(super) inline_css: String,
    prefix: String,
    kept: Vec<Kept>,
    /// (offset in `html`, offset in the source) of every piece, ascending.
    map: Vec<(usize, usize)>,
}

struct Protecting<'s> {
    source: &'s str,
    tags: &'s [Tag],
    markup: Markup,
    out: Protected,
}

pub(super) fn protect(source: &str, tags: &[Tag], tokens: &[Token], markup: Markup) -> Protected {
    let mut prefix = "hbs".to_owned();
    // The word must not occur by itself; the HTML parser may change case, so the comparison must not see it.
    let lower = source.to_ascii_lowercase();
    while lower.contains(&prefix) {
        prefix.push('q');
    }
    let html = String::with_capacity(source.len() + tags.len() * 8);
    let out = Protected { html, inline_css: String::new(), prefix, kept: Vec::new(), map: Vec::new() };
    let mut protecting = Protecting { source, tags, markup, out };
    let frame = if markup == Markup::Html { Frame::of(source, tokens) } else { Frame::Whole };
    if frame == Frame::Missing {
        protecting.out.html.push_str(
            "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\"></head><body>",
        );
    }
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        if let Some(length) = protecting.inline_style(&tokens[index..], markup) {
            index += length;
            continue;
        }
        protecting.token(token, &tokens[index + 1..]);
        if frame == Frame::BodyAfter(index) {
            protecting.out.html.push_str("<body>");
        }
        index += 1;
    }
    if frame == Frame::Missing {
        protecting.out.html.push_str("</body></html>");
    }
    protecting.out
}

/// What the source has of a document's frame. Where the parser had to make up a `<body>`, it would do so in the middle
/// of a block.
#[derive(Debug, PartialEq, Eq)]
enum Frame {
    Whole,
    /// The body has to start after this token.
    BodyAfter(usize),
    Missing,
}

impl Frame {
    fn of(source: &str, tokens: &[Token]) -> Self {
        let mut after = None;
        for (index, token) in tokens.iter().enumerate() {
            match token {
                Token::Open(open) if source[open.name.clone()].eq_ignore_ascii_case("body") => {
                    return Self::Whole;
                }
                Token::Open(open)
                    if after.is_none() && source[open.name.clone()].eq_ignore_ascii_case("html") =>
                {
                    after = Some(index);
                }
                Token::Close { name, .. } if source[name.clone()].eq_ignore_ascii_case("head") => {
                    after = Some(index);
                }
                _ => {}
            }
        }
        after.map_or(Self::Missing, Self::BodyAfter)
    }
}

impl Protecting<'_> {
    fn text(&self, range: &Range<usize>) -> &str {
        &self.source[range.clone()]
    }

    fn copy(&mut self, range: Range<usize>) {
        self.out.map.push((self.out.html.len(), range.start));
        self.out.html.push_str(&self.source[range]);
    }

    fn keep(&mut self, original: String, form: Form, at: usize) -> String {
        self.out.map.push((self.out.html.len(), at));
        self.out.keep(original, form, Some(at))
    }

    fn token(&mut self, token: &Token, following: &[Token]) {
        match token {
            Token::Text(range) => self.copy(range.clone()),
            Token::Template(index) => {
                let range = self.tags[*index].range.clone();
                if self.source[..range.start].ends_with("\\\\") {
                    // The first of several backslashes only says that the tag is one. What is left is text.
                    self.out.html.pop();
                }
                let word = self.keep(self.text(&range).to_owned(), Form::Comment, range.start);
                self.out.html.push_str("<!--");
                self.out.html.push_str(&word);
                self.out.html.push_str("-->");
            }
            Token::Open(open) => self.open(open, following),
            Token::Close { range, .. } => self.copy(range.clone()),
            Token::Comment(range) => self.words(range.clone(), Form::Word),
            Token::Raw { range, element } => {
                let css = is_one_of(self.text(element), &["style", "mj-style"]);
                self.words(range.clone(), if css { Form::CssWord } else { Form::Word });
            }
        }
    }

    fn tags_in(&self, range: &Range<usize>) -> &[Tag] {
        let first = self.tags.partition_point(|tag| tag.range.start < range.start);
        let last = self.tags.partition_point(|tag| tag.range.start < range.end);
        &self.tags[first..last.max(first)]
    }

    /// Copies a stretch with a word for each tag in it.
    fn words(&mut self, range: Range<usize>, form: Form) {
        let tags: Vec<_> = self.tags_in(&range).iter().map(|tag| tag.range.clone()).collect();
        let mut at = range.start;
        for tag in tags {
            self.copy(at..tag.start);
            let word = self.keep(self.text(&tag).to_owned(), form, tag.start);
            self.out.html.push_str(&word);
            at = tag.end;
        }
        self.copy(at..range.end);
    }

    fn open(&mut self, open: &Open, following: &[Token]) {
        let name = self.text(&open.name).to_owned();
        if open.loose {
            self.words(open.range.start..open.name.end, Form::Word);
            let end = open.range.end - if open.self_closing { 2 } else { 1 };
            let attributes = self.text(&(open.name.end..end)).trim().to_owned();
            let word = self.keep(attributes, Form::Attributes, open.name.end);
            self.out.html.push(' ');
            self.out.html.push_str(&word);
            // MJML wants a value.
            self.out.html.push_str("=\"\"");
            self.copy(end..open.range.end);
        } else {
            let mut at = open.range.start;
            for attribute in &open.attributes {
                if self.is_of_mjml(open) && self.text(&attribute.name) == "href" {
                    self.words(at..attribute.value.end, Form::Word);
                    at = attribute.value.end;
                    self.notes(open);
                    continue;
                }
                if !self.style_to_keep(attribute) {
                    continue;
                }
                self.words(at..attribute.value.start, Form::Word);
                let value = quotable(
                    self.text(&attribute.value),
                    self.tags_in(&attribute.value),
                    attribute.value.start,
                );
                let quoted = matches!(self.source.as_bytes()[attribute.value.start - 1], b'"' | b'\'');
                let word = self.keep(value, Form::Style, attribute.value.start);
                let quote = if quoted { "" } else { "\"" };
                self.out.html.extend([quote, "--", &word, ":1", quote]);
                at = attribute.value.end;
            }
            self.words(at..open.range.end, Form::Word);
        }
        if name.eq_ignore_ascii_case("style") && self.blocks_follow(following) {
            let at = self.out.html.rfind('>').unwrap_or(self.out.html.len());
            self.out.html.insert_str(at, IGNORE);
        }
    }

    fn is_of_mjml(&self, open: &Open) -> bool {
        self.markup == Markup::Mjml && self.text(&open.name).starts_with("mj-")
    }

    /// What is said of a link by attributes that MJML's own elements lose: it goes with the target, which they keep.
    fn notes(&mut self, open: &Open) {
        let value = |name: &str| {
            let found = open.attributes.iter().find(|attribute| self.text(&attribute.name) == name)?;
            Some(self.text(&found.value).trim())
        };
        let track = value(links::TRACK).map(|value| links::note(links::TRACK, value));
        let label = value(links::LABEL).map(|value| links::note(links::LABEL, value));
        for note in [track, label].into_iter().flatten().flatten() {
            let word = self.out.keep(note, Form::Word, None);
            self.out.html.push_str(&word);
        }
    }

    /// Whether the attribute is a style the inliner can't read: one with template tags, or one that is not plain
    /// declarations, over which it would give up.
    fn style_to_keep(&self, attribute: &Attribute) -> bool {
        let value = self.text(&attribute.value);
        let plain = |value: &str| {
            !value.contains(['{', '}', '&'])
                && value.split(';').all(|part| {
                    let part = part.trim();
                    part.is_empty()
                        || part
                            .split_once(':')
                            .is_some_and(|(name, value)| !name.trim().is_empty() && !value.trim().is_empty())
                })
        };
        self.text(&attribute.name).eq_ignore_ascii_case("style")
            && !value.is_empty()
            && (!self.tags_in(&attribute.value).is_empty() || !plain(value))
    }

    /// Whether the style element just opened holds blocks, which no CSS parser can make sense of.
    fn blocks_follow(&self, following: &[Token]) -> bool {
        match following.first() {
            Some(Token::Raw { range, .. }) => self.tags_in(range).iter().any(|tag| tag.kind.is_block()),
            _ => false,
        }
    }

    /// Takes `<mj-style inline="inline">...</mj-style>` out; how many tokens that were.
    fn inline_style(&mut self, tokens: &[Token], markup: Markup) -> Option<usize> {
        let Some(Token::Open(open)) = tokens.first() else {
            return None;
        };
        let inline = |attribute: &Attribute| {
            self.text(&attribute.name) == "inline" && self.text(&attribute.value) == "inline"
        };
        if markup != Markup::Mjml
            || self.text(&open.name) != "mj-style"
            || !open.attributes.iter().any(inline)
        {
            return None;
        }
        match tokens.get(1..3)? {
            [Token::Raw { range, .. }, Token::Close { .. }] => {
                // Written as if into the document, then moved, so that its tags become words.
                let start = self.out.html.len();
                self.words(range.clone(), Form::CssWord);
                let css = self.out.html.split_off(start);
                self.out.map.retain(|(out, _)| *out < start);
                self.out.inline_css.push_str(&css);
                self.out.inline_css.push('\n');
                Some(3)
            }
            _ => None,
        }
    }
}

/// A style's text, fit to stand between double quotes.
fn quotable(value: &str, tags: &[Tag], start: usize) -> String {
    let mut out = String::with_capacity(value.len());
    let mut at = 0;
    for tag in tags {
        out.push_str(&value[at..tag.range.start - start].replace('"', "&quot;"));
        out.push_str(&value[tag.range.start - start..tag.range.end - start]);
        at = tag.range.end - start;
    }
    out.push_str(&value[at..].replace('"', "&quot;"));
    out
}

impl Protected {
    fn keep(&mut self, original: String, form: Form, at: Option<usize>) -> String {
        self.kept.push(Kept { original, form, at });
        format!("{}{}x", self.prefix, self.kept.len() - 1)
    }

    /// A comment that stands for a tag which was not in the source.
    pub(super) fn add(&mut self, tag: &str) -> String {
        format!("<!--{}-->", self.keep(tag.to_owned(), Form::Comment, None))
    }

    /// Where in the source the offset of the protected HTML comes from.
    pub(super) fn source_offset(&self, offset: usize) -> usize {
        let after = self.map.partition_point(|(out, _)| *out <= offset);
        after.checked_sub(1).map_or(0, |at| {
            let (out, source) = self.map[at];
            source + (offset - out)
        })
    }

    /// If `comment` (with its delimiters) stands for a tag: the tag's word.
    pub(super) fn word<'c>(&self, comment: &'c str) -> Option<&'c str> {
        comment.strip_prefix("<!--")?.strip_suffix("-->").filter(|word| self.number(word).is_some())
    }

    /// The tag that the word stands for.
    pub(super) fn original(&self, word: &str) -> &str {
        self.number(word).map_or("", |number| self.kept[number].original.as_str())
    }

    fn number(&self, word: &str) -> Option<usize> {
        let number = word.strip_prefix(&self.prefix)?.strip_suffix('x')?.parse().ok()?;
        (number < self.kept.len()).then_some(number)
    }

    /// Puts the tags back into `html`. Double braces that come from nowhere else (from entities, say) are escaped.
    ///
    /// # Errors
    /// Where a tag was lost or moved on the way: it stood where HTML or MJML has no place for it.
    pub(super) fn restore(
        &self,
        html: &str,
        source: &str,
        field: &'static str,
    ) -> Result<String, ContentError> {
        let mut seen: HashMap<usize, usize> = HashMap::new();
        let mut newest = None;
        let mut moved = None;
        let restored = self.replace(html, Parting::Html, |number, form| {
            *seen.entry(number).or_default() += 1;
            if form == Form::Comment && self.kept[number].at.is_some() {
                if newest.is_some_and(|newest| newest >= number) {
                    moved = moved.or(Some(number));
                }
                newest = Some(number);
            }
        });
        let lost = (0..self.kept.len()).find(|number| {
            let kept = &self.kept[*number];
            kept.at.is_some() && kept.form != Form::CssWord && !seen.contains_key(number)
        });
        match lost.or(moved) {
            None => Ok(restored),
            Some(number) => {
                let kept = &self.kept[number];
                let message = format!("{} stands where the document has no place for it", kept.original);
                Err(ContentError::new("misplaced_tag", field, message)
                    .at(kept.at.map(|at| line_column(source, at))))
            }
        }
    }

    /// As [`Self::restore`], for a text that need not hold every tag.
    pub(super) fn restore_some(&self, text: &str) -> String {
        self.replace(text, Parting::Text, |_, _| {})
    }

    fn replace(&self, html: &str, parting: Parting, mut saw: impl FnMut(usize, Form)) -> String {
        let mut out = String::with_capacity(html.len() + html.len() / 4);
        let mut rest = html;
        while let Some(start) = rest.find(&self.prefix) {
            let digits = start + self.prefix.len();
            let end = rest[digits..].find('x').map_or(rest.len(), |length| digits + length + 1);
            let Some(number) = self.number(&rest[start..end]) else {
                push_literal(&mut out, &rest[..digits]);
                rest = &rest[digits..];
                continue;
            };
            let kept = &self.kept[number];
            let (mut before, mut after) = (&rest[..start], &rest[end..]);
            let stripped = match kept.form {
                Form::Comment => before.strip_suffix("<!--").zip(after.strip_prefix("-->")),
                Form::Attributes => {
                    after = after.strip_prefix("=\"\"").unwrap_or(after);
                    None
                }
                Form::Style => before
                    .strip_suffix("--")
                    .zip(after.strip_prefix(": 1").or_else(|| after.strip_prefix(":1"))),
                Form::Word | Form::CssWord => None,
            };
            if let Some(both) = stripped {
                (before, after) = both;
            }
            if kept.form == Form::CssWord {
                push_literal(&mut out, before);
            } else {
                // The run goes off before anything is escaped: half of an escape would be one for the tag.
                let head = before.trim_end_matches(['{', '\\']);
                push_literal(&mut out, head);
                parting.push_run(&mut out, &before[head.len()..], kept.form);
            }
            out.push_str(&kept.original);
            saw(number, kept.form);
            rest = after;
        }
        push_literal(&mut out, rest);
        out.replace(IGNORE, "")
    }
}

/// Appends text in which double braces can only be meant literally.
fn push_literal(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        out.push_str(&rest[..at]);
        out.push_str("\\{{");
        rest = &rest[at + 2..];
    }
    out.push_str(rest);
}

/// How what stands before a tag, and would make another of it, is written: a backslash would turn it into text, a brace into
/// another tag. Neither comes from the source as it is, where they would have done so before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parting {
    /// By entities.
    Html,
    /// By tags that print them: a text has no entities.
    Text,
}

impl Parting {
    /// Appends the braces and backslashes right before a tag, so that they are printed and the tag stays the tag that it is.
    fn push_run(self, out: &mut String, run: &str, form: Form) {
        match self {
            // In a script, where entities mean nothing, this comes from the source, and is its escape still.
            Self::Html if form != Form::Comment && run.len() > 1 && !run.contains('{') => out.push_str(run),
            Self::Html => out.push_str(&run.replace('{', "&#123;").replace('\\', "&#92;")),
            Self::Text => {
                // Literal braces of the source's own would take those of the tag for theirs.
                let braces = if out.ends_with("\\{{") { "{{" } else { "" };
                if !braces.is_empty() {
                    out.truncate(out.len() - 3);
                }
                if !braces.is_empty() || !run.is_empty() {
                    out.extend(["{{trim \"", braces, &run.replace('\\', "\\\\"), "\"}}"]);
                }
            }
        }
    }
}
