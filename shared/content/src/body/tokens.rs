//! A tokenizer for HTML and MJML that still hold template tags.
//!
//! It only has to know where text, attributes and comments begin and end, by the rules browsers follow, while a
//! template tag is opaque wherever it stands: in `title="{{default x "y"}}"` the inner quotes end nothing.

use std::ops::Range;

use crate::template::lex::Tag;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Text without template tags.
    Text(Range<usize>),
    /// The template tag of this number, in text.
    Template(usize),
    Open(Open),
    Close {
        range: Range<usize>,
        name: Range<usize>,
    },
    /// A comment, a doctype or a processing instruction.
    Comment(Range<usize>),
    /// The content of an element whose content is not markup, and the element's name.
    Raw {
        range: Range<usize>,
        element: Range<usize>,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) range: Range<usize>,
    pub(super) name: Range<usize>,
    pub(super) attributes: Vec<Attribute>,
    /// Whether a template tag stands among the attributes, outside of any value.
    pub(super) loose: bool,
    pub(super) self_closing: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: Range<usize>,
    /// Without its quotes; empty where there is none.
    pub(super) value: Range<usize>,
}

/// Elements whose content is text to the very closing tag. In MJML's own, comments can't stand for template tags.
const RAW: [&str; 9] = [
    "script",
    "style",
    "title",
    "textarea",
    "mj-style",
    "mj-title",
    "mj-preview",
    "mj-accordion-title",
    "mj-accordion-text",
];

/// Elements that never have content.
pub(super) const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr",
];

pub(super) fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// How many tags may be cut off by the end of the source until no more are looked for. Each is read to the end before that
/// is known; documents have one, where somebody forgot a quote.
const MOST_CUT_OFF: usize = 32;

struct Tokenizer<'s> {
    source: &'s str,
    bytes: &'s [u8],
    tags: &'s [Tag],
    /// The first tag that does not lie before the position.
    next: usize,
    at: usize,
    /// Behind the last `>`, which every tag has at its end.
    last_end: usize,
    /// How many tags were cut off by the end.
    cut_off: usize,
    tokens: Vec<Token>,
}

pub(super) fn tokenize(source: &str, tags: &[Tag]) -> Vec<Token> {
    tokenize_part(source, 0..source.len(), tags)
}

/// The tokens of a part of a source, in the source's own offsets.
pub(super) fn tokenize_part(source: &str, part: Range<usize>, tags: &[Tag]) -> Vec<Token> {
    let source = &source[..part.end];
    let mut tokenizer = Tokenizer {
        source,
        bytes: source.as_bytes(),
        tags,
        next: 0,
        at: part.start,
        last_end: source.rfind('>').map_or(0, |at| at + 1),
        cut_off: 0,
        tokens: Vec::new(),
    };
    tokenizer.run();
    tokenizer.tokens
}

impl Tokenizer<'_> {
    fn run(&mut self) {
        let mut text_start = self.at;
        while self.at < self.bytes.len() {
            let start = self.at;
            let next = self.next;
            if let Some(end) = self.tag_end() {
                self.text(text_start, start);
                self.tokens.push(Token::Template(self.next));
                self.at = end;
                text_start = end;
            } else if self.bytes[start] == b'<' {
                if let Some(token) = self.markup() {
                    self.text(text_start, start);
                    let raw = match &token {
                        Token::Open(open) if !open.self_closing => Some(open.name.clone()),
                        _ => None,
                    };
                    self.tokens.push(token);
                    if let Some(name) = raw.filter(|name| is_one_of(&self.source[name.clone()], &RAW)) {
                        self.raw(name);
                    }
                    text_start = self.at;
                } else {
                    // What was passed over is looked at again, tags too.
                    (self.at, self.next) = (start + 1, next);
                }
            } else {
                self.at += 1;
            }
        }
        self.text(text_start, self.bytes.len());
    }

    fn text(&mut self, start: usize, end: usize) {
        if start < end {
            self.tokens.push(Token::Text(start..end));
        }
    }

    /// The end of the template tag at the position, if one starts there.
    fn tag_end(&mut self) -> Option<usize> {
        while self.tags.get(self.next).is_some_and(|tag| tag.range.start < self.at) {
            self.next += 1;
        }
        self.tags.get(self.next).filter(|tag| tag.range.start == self.at).map(|tag| tag.range.end)
    }

    /// What the `<` at the position starts; the position is then behind it. `None` where it is a mere character.
    fn markup(&mut self) -> Option<Token> {
        let start = self.at;
        let rest = &self.source[start..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            let end = comment.find("-->").map_or(self.bytes.len(), |length| start + 4 + length + 3);
            self.at = end;
            return Some(Token::Comment(start..end));
        }
        match *self.bytes.get(start + 1)? {
            b'/' | b'a'..=b'z' | b'A'..=b'Z' if start >= self.last_end => None,
            b'!' | b'?' => {
                let end = rest.find('>').map_or(self.bytes.len(), |length| start + length + 1);
                self.at = end;
                Some(Token::Comment(start..end))
            }
            b'/' if self.bytes.get(start + 2)?.is_ascii_alphabetic() => {
                let end = start + rest.find('>')? + 1;
                let name_end = start
                    + 2
                    + self.source[start + 2..end]
                        .find(|next: char| next.is_ascii_whitespace() || matches!(next, '>' | '/'))?;
                self.at = end;
                Some(Token::Close { range: start..end, name: start + 2..name_end })
            }
            byte if byte.is_ascii_alphabetic() && self.cut_off < MOST_CUT_OFF => {
                let open = self.open();
                self.cut_off += usize::from(open.is_none());
                open
            }
            _ => None,
        }
    }

    fn open(&mut self) -> Option<Token> {
        let start = self.at;
        self.at += 1;
        self.until(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'));
        let name = start + 1..self.at;
        let mut open =
            Open { range: start..start, name, attributes: Vec::new(), loose: false, self_closing: false };
        loop {
            if let Some(end) = self.tag_end() {
                open.loose = true;
                self.at = end;
                continue;
            }
            match *self.bytes.get(self.at)? {
                b'>' => {
                    self.at += 1;
                    open.range.end = self.at;
                    return Some(Token::Open(open));
                }
                b'/' => {
                    open.self_closing = self.bytes.get(self.at + 1) == Some(&b'>');
                    self.at += 1;
                }
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => self.attribute(&mut open)?,
            }
        }
    }

    fn attribute(&mut self, open: &mut Open) -> Option<()> {
        let start = self.at;
        // A leading `=` belongs to the name, as browsers have it.
        self.at += 1;
        let tags_before = self.next;
        self.until(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/' | b'='));
        let mut tags = self.tags[tags_before..].iter().take_while(|tag| tag.range.start < self.at);
        open.loose |= tags.any(|tag| tag.range.start >= start);
        let name = start..self.at;
        let mut value_at = self.at;
        while self.bytes.get(value_at).is_some_and(u8::is_ascii_whitespace) {
            value_at += 1;
        }
        if self.bytes.get(value_at) != Some(&b'=') {
            open.attributes.push(Attribute { name, value: self.at..self.at });
            return Some(());
        }
        value_at += 1;
        while self.bytes.get(value_at).is_some_and(u8::is_ascii_whitespace) {
            value_at += 1;
        }
        self.at = value_at;
        let value = match self.bytes.get(value_at) {
            Some(&quote @ (b'"' | b'\'')) => {
                self.at += 1;
                self.until(|byte| byte == quote);
                self.bytes.get(self.at)?;
                self.at += 1;
                value_at + 1..self.at - 1
            }
            _ => {
                self.until(|byte| byte.is_ascii_whitespace() || byte == b'>');
                value_at..self.at
            }
        };
        open.attributes.push(Attribute { name, value });
        Some(())
    }

    /// Moves to the first byte that `stops`, stepping over template tags.
    fn until(&mut self, stops: impl Fn(u8) -> bool) {
        while self.at < self.bytes.len() {
            if let Some(end) = self.tag_end() {
                self.at = end;
            } else if stops(self.bytes[self.at]) {
                return;
            } else {
                self.at += 1;
            }
        }
    }

    fn raw(&mut self, element: Range<usize>) {
        let start = self.at;
        let name = &self.bytes[element.clone()];
        let end = (start..self.bytes.len())
            .find(|&at| {
                self.bytes[at] == b'<'
                    && self.bytes.get(at + 1) == Some(&b'/')
                    && self
                        .bytes
                        .get(at + 2..at + 2 + name.len())
                        .is_some_and(|found| found.eq_ignore_ascii_case(name))
            })
            .unwrap_or(self.bytes.len());
        if start < end {
            self.tokens.push(Token::Raw { range: start..end, element });
        }
        self.at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::lex;

    #[test]
    fn template_tags_are_opaque_wherever_they_stand() {
        let source =
            r#"<a {{#if x}}class="y"{{/if}} title='{{default x "a>b'"}}' href={{u "a b"}}/q>t {{x}}</a>"#;
        let tags = lex::tags(source, 64).expect("fine");
        let tokens = tokenize(source, &tags);
        let Token::Open(open) = &tokens[0] else { panic!("{tokens:?}") };
        assert!(open.loose && !open.self_closing);
        let values: Vec<_> =
            open.attributes.iter().map(|attribute| &source[attribute.value.clone()]).collect();
        assert_eq!(values, ["y", r#"{{default x "a>b'"}}"#, r#"{{u "a b"}}/q"#]);
        assert!(
            matches!(tokens[1..], [Token::Text(_), Token::Template(_), Token::Close { .. }]),
            "{tokens:?}"
        );
    }

    #[test]
    fn comments_and_raw_elements_hold_no_markup() {
        let source = "<!--[if mso]><p><![endif]--><style>a>b{}<c></STYLE><br/>1 < 2";
        let tokens = tokenize(source, &[]);
        assert!(
            matches!(
                tokens[..],
                [
                    Token::Comment(_),
                    Token::Open(_),
                    Token::Raw { .. },
                    Token::Close { .. },
                    Token::Open(_),
                    Token::Text(_)
                ]
            ),
            "{tokens:?}"
        );
    }

    #[test]
    fn template_tags_behind_cut_off_markup_are_found() {
        let source = "<a href=\"{{x}}>{{y}}";
        let tags = lex::tags(source, 64).expect("fine");
        let tokens = tokenize(source, &tags);
        assert_eq!(
            tokens,
            [Token::Text(0..9), Token::Template(0), Token::Text(14..15), Token::Template(1)],
            "{tokens:?}"
        );
    }

    #[test]
    fn what_is_cut_off_again_and_again_is_not_read_to_the_end_each_time() {
        let steps = |source: &str| {
            let mut tokenizer = Tokenizer {
                source,
                bytes: source.as_bytes(),
                tags: &[],
                next: 0,
                at: 0,
                last_end: source.rfind('>').map_or(0, |at| at + 1),
                cut_off: 0,
                tokens: Vec::new(),
            };
            tokenizer.run();
            assert_eq!(tokenizer.tokens, [Token::Text(0..source.len())]);
            tokenizer.cut_off
        };
        assert_eq!(steps(&"<a ".repeat(20_000)), 0);
        assert_eq!(steps(&"</a ".repeat(20_000)), 0);
        assert_eq!(steps(&format!("{}<b c=\"z>", "<a x=y ".repeat(20_000))), MOST_CUT_OFF);
    }

    #[test]
    fn cut_off_markup_is_text() {
        for source in ["<a href=\"x", "<", "</", "<a", "</p", "<!--", "<!", "<style>"] {
            let tokens = tokenize(source, &[]);
            assert!(tokens.len() <= 2, "{source}: {tokens:?}");
        }
    }
}
