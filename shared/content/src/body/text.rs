//! Deriving the text part from the HTML, as a template: its tags survive, so nothing is derived per message.

use super::protect::Protected;
use super::tokens::{Open, Token, VOID, is_one_of, tokenize};
use crate::template::lex::{self, TagKind};

/// Elements of which nothing is read.
const SKIPPED: [&str; 7] = ["head", "script", "style", "title", "template", "noscript", "select"];
/// Elements around which a line ends.
const LINE: [&str; 18] = [
    "div",
    "section",
    "article",
    "header",
    "footer",
    "main",
    "nav",
    "aside",
    "center",
    "address",
    "figure",
    "figcaption",
    "form",
    "dl",
    "dt",
    "dd",
    "li",
    "pre",
];
/// Elements around which there is an empty line.
const PARAGRAPH: [&str; 11] = ["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote", "hr"];

/// The text template of a protected document (as the inliner wrote it, so it is well formed).
pub(super) fn derive(html: &str, protected: &Protected) -> String {
    let mut text =
        Deriving { html, protected, out: Lines::default(), links: Vec::new(), layouts: Vec::new() };
    // How many elements are open inside the skipped one, itself included.
    let mut skipping = 0_usize;
    for token in tokenize(html, &[]) {
        match &token {
            Token::Open(open) => {
                let name = &html[open.name.clone()];
                let void = is_one_of(name, &VOID);
                if skipping > 0 {
                    skipping += usize::from(!void);
                } else if is_one_of(name, &SKIPPED) || text.is_hidden(open) {
                    skipping = usize::from(!void);
                } else {
                    text.open(name, open);
                }
            }
            Token::Close { .. } if skipping > 0 => skipping -= 1,
            _ if skipping > 0 => {}
            Token::Close { name, .. } => text.close(&html[name.clone()]),
            Token::Text(range) | Token::Raw { range, .. } => text.out.text(&decode(&html[range.clone()])),
            Token::Comment(range) => text.comment(&html[range.clone()]),
            Token::Template(_) => {}
        }
    }
    text.out.text
}

struct Deriving<'h> {
    html: &'h str,
    protected: &'h Protected,
    out: Lines,
    /// The open links: where their label starts, and where they go.
    links: Vec<(usize, String)>,
    /// For each open table, whether it only lays things out.
    layouts: Vec<bool>,
}

impl Deriving<'_> {
    fn attribute(&self, open: &Open, name: &str) -> Option<String> {
        let found = open.attributes.iter().find(|attribute| self.html[attribute.name.clone()] == *name)?;
        Some(decode(&self.html[found.value.clone()]))
    }

    fn is_hidden(&self, open: &Open) -> bool {
        let style = self.attribute(open, "style").unwrap_or_default().to_ascii_lowercase();
        let declares_none = |declaration: &str| {
            declaration
                .split_once(':')
                .is_some_and(|(name, value)| name.trim() == "display" && value.trim() == "none")
        };
        style.split(';').any(declares_none) || self.attribute(open, "hidden").is_some()
    }

    fn open(&mut self, name: &str, open: &Open) {
        match name {
            "br" => self.out.line_break(),
            "td" | "th" => self.out.space = true,
            "table" => {
                self.layouts.push(self.attribute(open, "role").as_deref() == Some("presentation"));
                self.out.end_line(1);
            }
            "tr" => self.row(),
            "a" => {
                let target = self.attribute(open, "href").unwrap_or_default();
                self.links.push((self.out.text.len(), target));
            }
            "img" => self.out.text(&self.attribute(open, "alt").unwrap_or_default()),
            _ => self.edge(name),
        }
        if name == "hr" {
            self.out.text("---");
            self.out.end_line(2);
        } else if name == "li" {
            self.out.bullet();
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "table" => {
                self.layouts.pop();
                self.out.end_line(1);
            }
            "tr" => self.row(),
            "a" => self.close_link(),
            _ => self.edge(name),
        }
    }

    /// A row of a layout table is a block of its own; one of a data table is a line.
    fn row(&mut self) {
        self.out.end_line(if self.layouts.last() == Some(&true) { 2 } else { 1 });
    }

    fn edge(&mut self, name: &str) {
        if PARAGRAPH.contains(&name) {
            self.out.end_line(2);
        } else if LINE.contains(&name) {
            self.out.end_line(1);
        }
    }

    fn close_link(&mut self) {
        let Some((start, target)) = self.links.pop() else {
            return;
        };
        let target = target.trim();
        let shown = target.strip_prefix("mailto:").unwrap_or(target);
        let label = self.out.text[start..].trim();
        if shown.is_empty() || shown.starts_with('#') || shown.starts_with("tel:") || label == shown {
            return;
        }
        if label.is_empty() {
            self.out.text(shown);
        } else {
            self.out.append(&format!(" ({shown})"));
        }
    }

    fn comment(&mut self, comment: &str) {
        let Some(word) = self.protected.word(comment) else {
            return;
        };
        let tag = self.protected.original(word);
        match lex::tags(tag, usize::MAX).ok().and_then(|tags| tags.first().map(|tag| tag.kind)) {
            Some(kind) if kind.is_block() => self.out.block_tag(word),
            Some(TagKind::Comment) => {}
            _ => self.out.text(word),
        }
    }
}

/// What the current line holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Line {
    #[default]
    Empty,
    /// Only a block tag; alone on its line it vanishes with it when rendered.
    Tag,
    Content,
}

#[derive(Debug)]
struct Lines {
    text: String,
    line: Line,
    /// Line ends right before the current line: 2 is an empty line, and so is the beginning.
    above: usize,
    /// Line ends still to be written before more text.
    pending: usize,
    /// Whether white space came since the last word.
    space: bool,
    /// Whether the line holds a list item's bullet and nothing else yet.
    bullet: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self { text: String::new(), line: Line::Empty, above: 2, pending: 0, space: false, bullet: false }
    }
}

impl Lines {
    fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(start) = rest.find(|next: char| !next.is_whitespace()) {
            self.space |= start > 0;
            let word = &rest[start..];
            let end = word.find(char::is_whitespace).unwrap_or(word.len());
            self.word(&word[..end]);
            rest = &word[end..];
        }
        self.space |= !rest.is_empty();
    }

    fn word(&mut self, word: &str) {
        // Invisible characters only pad preheaders and hint at hyphens.
        let visible =
            |next: &char| !matches!(next, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{feff}');
        if !word.chars().any(|next| visible(&next)) {
            return;
        }
        self.start();
        self.text.extend(word.chars().filter(visible));
        self.line = Line::Content;
        self.bullet = false;
    }

    fn bullet(&mut self) {
        if !self.bullet {
            self.word("-");
            self.bullet = true;
        }
        self.space = true;
    }

    /// Writes the line ends and the space that are due.
    fn start(&mut self) {
        if self.pending > 0 {
            self.text.extend(std::iter::repeat_n('\n', self.pending));
            self.above = if self.line == Line::Content { self.pending } else { self.above + self.pending };
            self.pending = 0;
            self.line = Line::Empty;
        } else if self.space && self.line == Line::Content {
            self.text.push(' ');
        }
        self.space = false;
    }

    /// Sees to it that what follows starts `ends - 1` empty lines below.
    fn end_line(&mut self, ends: usize) {
        if self.bullet {
            // A paragraph inside a list item begins beside the bullet.
            self.space = true;
            return;
        }
        if self.line == Line::Tag {
            self.text.push('\n');
            self.line = Line::Empty;
        }
        let wanted = if self.line == Line::Content { ends } else { ends.saturating_sub(self.above) };
        self.pending = self.pending.max(wanted);
        self.space = false;
    }

    /// One more line end, two at most.
    fn line_break(&mut self) {
        let due = if self.line == Line::Content { self.pending } else { self.above + self.pending };
        self.end_line((due + 1).min(2));
    }

    /// A block tag: on a line of its own where a line starts, else inside the line.
    fn block_tag(&mut self, word: &str) {
        self.start();
        if self.line == Line::Tag {
            self.text.push('\n');
        }
        self.text.push_str(word);
        if self.line != Line::Content {
            self.line = Line::Tag;
        }
    }

    /// Appends to the last word, before the line ends that are due.
    fn append(&mut self, text: &str) {
        self.text.push_str(text);
        self.line = Line::Content;
    }
}

/// The entities that an HTML serializer writes.
fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&nbsp;", ' ')];
        let (length, character) = known
            .iter()
            .find(|(entity, _)| rest.starts_with(entity))
            .map_or((1, '&'), |(entity, character)| (entity.len(), *character));
        out.push(character);
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}
