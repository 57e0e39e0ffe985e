//! The links of the finished HTML: each gets a number, and its target becomes something that can be rendered both ways, plain
//! and past us. Whether clicks are counted is the configuration's to say, and may change under a campaign.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

use campaign::lowered::LoweredLink;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, Token as HtmlToken, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use super::tokens::{self, Attribute, Open, Token, is_one_of};
use crate::template::lex::{Tag, TagKind};
use crate::template::{LINK, OPEN, Ours, push_literal};
use crate::url;

/// Takes a link out of those whose clicks are counted, where it is `off`.
pub(super) const TRACK: &str = "data-envoi-track";
/// Tells a link from others that lead to the same URL.
pub(super) const LABEL: &str = "data-envoi-label";

/// What an attribute says, as a template's comment: where the attribute itself can't go. `None` where it can't be written so.
pub(super) fn note(name: &str, value: &str) -> Option<String> {
    (!value.contains(['{', '}'])).then(|| format!("{{{{!{name} {value}}}}}"))
}

/// HTML whose links are numbered.
pub(super) struct Marked {
    /// The HTML, each link's target in a block of its own, and the place for the picture that tells of opens.
    pub(super) html: String,
    /// The links by their numbers.
    pub(super) links: Vec<LoweredLink>,
    /// What looks like a link into the web and lacks the scheme that would make it one, each once.
    pub(super) without_scheme: Vec<String>,
}

/// Numbers the links of a template of HTML, of which `tags` are the tags.
pub(super) fn mark(html: &str, tags: &[Tag]) -> Marked {
    let mut marking = Marking {
        html,
        tags,
        edits: Vec::new(),
        links: Vec::new(),
        numbers: HashMap::new(),
        without_scheme: Vec::new(),
    };
    let end = marking.stretch(0..html.len()).unwrap_or(html.len());
    // A brace or a backslash before a tag would make it another.
    let apart = if html[..end].ends_with(['{', '\\']) { "<!---->" } else { "" };
    marking.edits.push((end..end, format!("{apart}{{{{{OPEN}}}}}")));
    marking.edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(html.len() + 24 * marking.edits.len());
    let mut copied = 0;
    for (range, text) in marking.edits {
        out.push_str(&html[copied..range.start]);
        out.push_str(&text);
        copied = range.end;
    }
    out.push_str(&html[copied..]);
    Marked { html: out, links: marking.links, without_scheme: marking.without_scheme }
}

struct Marking<'h> {
    html: &'h str,
    tags: &'h [Tag],
    /// What is to be put in the place of what.
    edits: Vec<(Range<usize>, String)>,
    links: Vec<LoweredLink>,
    numbers: HashMap<LoweredLink, u16>,
    without_scheme: Vec<String>,
}

impl Marking<'_> {
    /// Marks what is in a stretch; where the body ends in it.
    fn stretch(&mut self, range: Range<usize>) -> Option<usize> {
        let mut end = None;
        for token in tokens::tokenize_part(self.html, range, self.tags) {
            match token {
                Token::Open(open) if is_link(&self.html[open.name.clone()]) => self.element(&open),
                Token::Close { range, name } if self.html[name.clone()].eq_ignore_ascii_case("body") => {
                    end = Some(range.start);
                }
                Token::Comment(comment) => {
                    if let Some(inside) = conditional(self.html, &comment) {
                        self.stretch(inside);
                    }
                }
                _ => {}
            }
        }
        end
    }

    fn element(&mut self, open: &Open) {
        let named =
            |attribute: &&Attribute, name: &str| self.html[attribute.name.clone()].eq_ignore_ascii_case(name);
        let value = |name| {
            let of = |wanted| open.attributes.iter().find(|attribute| named(attribute, wanted));
            let noted = || self.noted(&of("href")?.value, name);
            let written = of(name).map(|found| &self.html[found.value.clone()]).or_else(noted)?;
            Some(decode(written).trim().to_owned())
        };
        let is_off = value(TRACK).is_some_and(|value| value.eq_ignore_ascii_case("off"));
        let label = value(LABEL).filter(|label| !label.is_empty());
        for attribute in &open.attributes {
            if named(&attribute, TRACK) || named(&attribute, LABEL) {
                // Without quotes, a value goes on to where it may take the end of a block with it.
                if is_balanced(self.tags_in(&attribute.value)) {
                    self.edits.push((self.whole(attribute), String::new()));
                }
                continue;
            }
            if !named(&attribute, "href") {
                continue;
            }
            let written = self.html[attribute.value.clone()].trim();
            if written.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."))
                && !self.without_scheme.iter().any(|known| known == written)
            {
                self.without_scheme.push(written.to_owned());
            }
            if !is_off
                && let Some(target) = self.target(&attribute.value)
                && let Some(number) = self.number(target.url, label.clone())
            {
                let quote = if is_quoted(self.html, attribute) { "" } else { "\"" };
                let body = target.body;
                let text = format!("{quote}{{{{#{LINK} {number}}}}}{body}{{{{/{LINK}}}}}{quote}");
                self.edits.push((attribute.value.clone(), text));
            }
        }
    }

    /// What a [`note`] in a link's target says.
    fn noted(&self, target: &Range<usize>, name: &str) -> Option<&str> {
        let notes = self.tags_in(target).iter().filter(|tag| tag.kind == TagKind::Comment);
        let mut texts = notes.map(|tag| &self.html[tag.range.clone()]);
        texts.find_map(|text| {
            text.strip_prefix("{{!")?.strip_prefix(name)?.strip_prefix(' ')?.strip_suffix("}}")
        })
    }

    fn tags_in(&self, range: &Range<usize>) -> &[Tag] {
        let first = self.tags.partition_point(|tag| tag.range.start < range.start);
        let last = self.tags.partition_point(|tag| tag.range.start < range.end);
        &self.tags[first..last.max(first)]
    }

    /// An attribute with its quotes and the space before it.
    fn whole(&self, attribute: &Attribute) -> Range<usize> {
        let before = &self.html[..attribute.name.start];
        let end = attribute.value.end + usize::from(is_quoted(self.html, attribute));
        before.trim_end_matches(|next: char| next.is_ascii_whitespace()).len()..end
    }

    /// The number of a link, the same for the same URL and label. There are not more than a number can tell apart.
    fn number(&mut self, url: String, label: Option<String>) -> Option<u16> {
        let link = LoweredLink { url, label };
        if let Some(number) = self.numbers.get(&link) {
            return Some(*number);
        }
        let number = u16::try_from(self.links.len()).ok()?;
        self.links.push(link.clone());
        self.numbers.insert(link, number);
        Some(number)
    }

    /// What is in the value of an `href`, where it leads, or may lead, into the web.
    fn target(&self, value: &Range<usize>) -> Option<Target> {
        let tags = self.tags_in(value);
        if !is_balanced(tags) {
            return None;
        }
        // Literals and tags take turns.
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut at = value.start;
        for tag in tags {
            literal.push_str(&read(&self.html[at..tag.range.start]));
            at = tag.range.end;
            let text = &self.html[tag.range.clone()];
            match tag.kind {
                TagKind::Comment => {}
                TagKind::Escaped => literal.push_str(&text[1..]),
                _ => pieces.extend([Piece::Literal(std::mem::take(&mut literal)), Piece::Tag(text)]),
            }
        }
        literal.push_str(&read(&self.html[at..value.end]));
        pieces.push(Piece::Literal(literal));
        Target::of(pieces)
    }
}

enum Piece<'h> {
    /// As a browser reads it.
    Literal(String),
    Tag(&'h str),
}

struct Target {
    /// What stands in the block.
    body: String,
    /// What reports call it.
    url: String,
}

impl Target {
    fn of(mut pieces: Vec<Piece<'_>>) -> Option<Self> {
        // What surrounds a URL does not count. Inside of blocks that is only seen when it is rendered.
        if let Some(Piece::Literal(first)) = pieces.first_mut() {
            *first = first.trim_start_matches(|next| next <= ' ').to_owned();
        }
        if let Some(Piece::Literal(last)) = pieces.last_mut() {
            *last = last.trim_end_matches(|next| next <= ' ').to_owned();
        }
        let leads_into_web = match &pieces[..] {
            [Piece::Literal(whole)] => url::is_web(whole),
            [Piece::Literal(start), ..] => url::may_become_web(start),
            _ => false,
        };
        if !leads_into_web {
            return None;
        }
        let (mut body, mut url) = (String::new(), String::new());
        for piece in &pieces {
            match piece {
                Piece::Literal(text) => {
                    push_literal(&mut body, text);
                    url.push_str(text);
                }
                Piece::Tag(tag) => {
                    body.push_str(tag);
                    push_tag(&mut url, tag);
                }
            }
        }
        let is_ours = [Ours::Unsubscribe, Ours::View]
            .iter()
            .any(|ours| url.trim_start_matches(['{', '&']).trim_end_matches('}').trim() == ours.name());
        (!is_ours).then_some(Self { body, url })
    }
}

/// A tag as it was written, without what the decoding of its entities filled it up with.
fn push_tag(out: &mut String, tag: &str) {
    let inside = tag.trim_end_matches('}');
    let trimmed = inside.trim_end();
    out.push_str(if trimmed.len() + 1 < inside.len() { trimmed } else { inside });
    out.push_str(&tag[inside.len()..]);
}

/// `a` and `area`; Outlook's own shapes, which stand in for buttons there.
fn is_link(name: &str) -> bool {
    is_one_of(name, &["a", "area"]) || name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("v:"))
}

/// What is markup inside of a comment: Outlook's conditional ones, `<!--[if mso]>...<![endif]-->`.
fn conditional(html: &str, comment: &Range<usize>) -> Option<Range<usize>> {
    let text = &html[comment.clone()];
    let start = text.strip_prefix("<!--[if")?.find("]>")? + "<!--[if".len() + "]>".len();
    let end = text.rfind("<![endif]")?;
    (start < end).then_some(comment.start + start..comment.start + end)
}

fn is_quoted(html: &str, attribute: &Attribute) -> bool {
    let before = html.as_bytes().get(attribute.value.start.wrapping_sub(1));
    attribute.value.start > attribute.name.end && matches!(before, Some(b'"' | b'\''))
}

/// Whether blocks begin and end inside: a value that ends in the middle of one is no place for another.
fn is_balanced(tags: &[Tag]) -> bool {
    let mut open = 0_usize;
    for tag in tags {
        match tag.kind {
            TagKind::Open => open += 1,
            TagKind::Else | TagKind::ElseChain if open == 0 => return false,
            TagKind::Close => match open.checked_sub(1) {
                Some(left) => open = left,
                None => return false,
            },
            _ => {}
        }
    }
    open == 0
}

/// The literal text of an attribute, as a browser reads a URL of it.
fn read(text: &str) -> String {
    let mut text = decode(text);
    text.retain(|next| !matches!(next, '\t' | '\n' | '\r'));
    text
}

/// The text of an attribute's value, its entities decoded once, by the parser whose business that is: `&copy=1` is none,
/// `&copy;` and `&copy` at the end are.
fn decode(text: &str) -> String {
    struct Value(RefCell<String>);

    impl TokenSink for Value {
        type Handle = ();

        fn process_token(&self, token: HtmlToken, _: u64) -> TokenSinkResult<()> {
            if let HtmlToken::TagToken(tag) = token
                && let Some(attribute) = tag.attrs.first()
            {
                *self.0.borrow_mut() = attribute.value.to_string();
            }
            TokenSinkResult::Continue
        }
    }

    if !text.contains(['&', '\0']) {
        return text.to_owned();
    }
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(format!("<a b=\"{}\">", text.replace('"', "&quot;"))));
    let tokenizer = Tokenizer::new(Value(RefCell::default()), TokenizerOpts::default());
    // A sink that never asks for scripts is never left waiting for one.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner()
}

#[cfg(test)]
mod tests;
