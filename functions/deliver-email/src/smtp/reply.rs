//! Replies, read from whatever pieces the connection brings.

use memchr::memchr;

/// The longest reply we listen to.
const MAX_REPLY_BYTES: usize = 64 * 1024;
/// The longest text kept of a reply.
const MAX_TEXT_CHARS: usize = 500;

/// What came is not SMTP.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Nonsense;

/// A whole reply: its code, and where its lines stand in the [`Inbox`]. Good until the next reply is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    from: usize,
    to: usize,
}

impl Reply {
    /// 2yz.
    pub(super) fn is_success(&self) -> bool {
        self.code / 100 == 2
    }

    /// 4yz or 5yz.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.code / 100, 4 | 5)
    }
}

/// The words of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    /// The enhanced status code (RFC 3463), if there is one and it agrees with the basic code.
    pub(super) enhanced: Option<[u16; 3]>,
    /// All lines in one, without codes and without addresses.
    pub(super) text: String,
}

/// What was received and not yet read.
#[derive(Debug)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; 4096], start: 0, end: 0 }
    }

    /// Whether nothing is waiting to be read.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Where to receive more; never empty. Earlier replies lose their words.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.bytes.len() {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// Says that `count` bytes were received into [`Inbox::space`].
    pub(super) fn received(&mut self, count: usize) {
        self.end += count;
    }

    /// The next reply, if it is here whole.
    pub(super) fn next(&mut self) -> Result<Option<Reply>, Nonsense> {
        let mut at = self.start;
        let mut code = None;
        while let Some(length) = memchr(b'\n', &self.bytes[at..self.end]) {
            let line = trim_end(&self.bytes[at..at + length]);
            let (own, is_last) = parse_line(line).ok_or(Nonsense)?;
            if code.is_some_and(|code| code != own) {
                return Err(Nonsense);
            }
            code = Some(own);
            at += length + 1;
            if is_last {
                let reply = Reply { code: own, from: self.start, to: at };
                self.start = at;
                return Ok(Some(reply));
            }
        }
        if self.end - self.start > MAX_REPLY_BYTES {
            return Err(Nonsense);
        }
        Ok(None)
    }

    /// The texts of the lines of `reply`.
    pub(super) fn lines(&self, reply: &Reply) -> impl Iterator<Item = &[u8]> {
        self.bytes[reply.from..reply.to]
            .split(|&b| b == b'\n')
            .map(|line| trim_end(line).get(4..).unwrap_or_default())
            .filter(|text| !text.is_empty())
    }

    /// The words of `reply`.
    pub(super) fn words(&self, reply: &Reply) -> Words {
        let mut enhanced = None;
        let mut text = String::new();
        for line in self.lines(reply) {
            let line = String::from_utf8_lossy(line);
            let mut line = line.trim();
            if let Some((code, rest)) = split_enhanced(line)
                && code[0] == reply.code / 100
            {
                enhanced = enhanced.or(Some(code));
                line = rest;
            }
            for word in line.split_whitespace() {
                if text.len() >= MAX_TEXT_CHARS {
                    break;
                }
                if !text.is_empty() {
                    text.push(' ');
                }
                // Servers like to repeat the recipient; texts end in reports, where addresses do not belong.
                if word.contains('@') {
                    text.push_str("[address]");
                } else {
                    text.extend(word.chars().filter(|c| !c.is_control()).take(MAX_TEXT_CHARS));
                }
            }
        }
        Words { enhanced, text }
    }
}

fn trim_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The code of a line, and whether it is the last.
fn parse_line(line: &[u8]) -> Option<(u16, bool)> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(&digits[0]) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest.first() {
        None | Some(b' ') => Some((code, true)),
        Some(b'-') => Some((code, false)),
        Some(_) => None,
    }
}

/// `5.1.1 rest` as its code and the rest.
fn split_enhanced(text: &str) -> Option<([u16; 3], &str)> {
    let (head, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut parts = head.split('.');
    let mut number = || {
        let part = parts.next()?;
        (part.len() <= 3 && !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse().ok())
            .flatten()
    };
    let code = [number()?, number()?, number()?];
    (parts.next().is_none() && matches!(code[0], 2 | 4 | 5)).then_some((code, rest.trim_start()))
}

/// What the server said it can, in its reply to EHLO.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Extensions {
    pub(super) pipelining: bool,
    pub(super) starttls: bool,
    pub(super) eight_bit: bool,
    pub(super) smtp_utf8: bool,
    pub(super) auth_plain: bool,
    pub(super) auth_login: bool,
    /// The largest message in bytes, if there is a limit.
    pub(super) size: Option<u64>,
}

impl Extensions {
    /// Read from the lines of the reply to EHLO; the first is a greeting.
    pub(super) fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut extensions = Self::default();
        for line in lines.skip(1) {
            let line = String::from_utf8_lossy(line).to_ascii_uppercase();
            // Some old servers write "AUTH=PLAIN".
            let mut words = line.split([' ', '=']);
            match words.next().unwrap_or_default() {
                "PIPELINING" => extensions.pipelining = true,
                "STARTTLS" => extensions.starttls = true,
                "8BITMIME" => extensions.eight_bit = true,
                "SMTPUTF8" => extensions.smtp_utf8 = true,
                // 0 means "no fixed limit" (RFC 1870).
                "SIZE" => extensions.size = words.next().and_then(|n| n.parse().ok()).filter(|&n| n > 0),
                "AUTH" => {
                    for mechanism in words {
                        extensions.auth_plain |= mechanism == "PLAIN";
                        extensions.auth_login |= mechanism == "LOGIN";
                    }
                }
                _ => {}
            }
        }
        extensions
    }
}

#[cfg(test)]
pub(super) fn words_of(reply: &str) -> (u16, Words) {
    let mut inbox = Inbox::new();
    fill(&mut inbox, reply.as_bytes());
    let reply = inbox.next().expect("a reply").expect("a whole reply");
    (reply.code, inbox.words(&reply))
}

#[cfg(test)]
fn fill(inbox: &mut Inbox, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let space = inbox.space();
        let count = space.len().min(bytes.len());
        space[..count].copy_from_slice(&bytes[..count]);
        inbox.received(count);
        bytes = &bytes[count..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reply_of_several_lines_is_one() {
        let (code, words) = words_of("550-5.7.1 Not today,\r\n550 5.7.1 <bob@example.com> friend\r\n");
        assert_eq!(code, 550);
        assert_eq!(words, Words { enhanced: Some([5, 7, 1]), text: "Not today, [address] friend".into() });
    }

    #[test]
    fn bare_codes_and_bare_line_feeds_are_understood() {
        assert_eq!(words_of("250\r\n"), (250, Words { enhanced: None, text: String::new() }));
        assert_eq!(words_of("250 ok\n").1.text, "ok");
    }

    #[test]
    fn an_enhanced_code_of_another_class_is_only_text() {
        assert_eq!(words_of("450 5.1.1 odd\r\n").1, Words { enhanced: None, text: "5.1.1 odd".into() });
        assert_eq!(words_of("550 1.2.3.4 is blocked\r\n").1.enhanced, None);
    }

    #[test]
    fn what_is_no_reply_is_nonsense() {
        for bytes in
            ["hello\r\n", "25\r\n", "999 no\r\n", "250_no\r\n", "\r\n", "250-a\r\n550 b\r\n", "100 a\r\n"]
        {
            let mut inbox = Inbox::new();
            fill(&mut inbox, bytes.as_bytes());
            assert_eq!(inbox.next(), Err(Nonsense), "{bytes:?}");
        }
    }

    #[test]
    fn a_reply_without_end_is_nonsense() {
        let mut inbox = Inbox::new();
        fill(&mut inbox, &vec![b'2'; MAX_REPLY_BYTES + 1]);
        assert_eq!(inbox.next(), Err(Nonsense));
    }

    #[test]
    fn a_long_text_is_cut() {
        let (_, words) = words_of(&format!("550 {} {}\r\n", "x".repeat(2000), "word ".repeat(500)));
        assert!(words.text.len() <= MAX_TEXT_CHARS + 20);
    }

    #[test]
    fn extensions_are_read_from_the_reply_to_ehlo() {
        let mut inbox = Inbox::new();
        fill(
            &mut inbox,
            b"250-PIPELINING.example.com at your service\r\n250-STARTTLS\r\n250-size 1000\r\n\
              250-AUTH LOGIN plain XOAUTH2\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
        );
        let reply = inbox.next().unwrap().unwrap();
        let expected = Extensions {
            pipelining: false,
            starttls: true,
            eight_bit: true,
            smtp_utf8: true,
            auth_plain: true,
            auth_login: true,
            size: Some(1000),
        };
        assert_eq!(Extensions::read(inbox.lines(&reply)), expected);
    }

    proptest! {
        #[test]
        fn replies_are_the_same_in_any_pieces(cuts in prop::collection::vec(1_usize..20, 1..40)) {
            let stream: &[u8] = b"250-one\r\n250 two\r\n354 go\n421 4.3.2 bye\r\n250\r\n";
            let mut inbox = Inbox::new();
            let mut rest = stream;
            let mut codes = Vec::new();
            for cut in cuts.into_iter().chain([stream.len()]) {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                rest = after;
                fill(&mut inbox, piece);
                while let Some(reply) = inbox.next().unwrap() {
                    codes.push((reply.code, inbox.words(&reply).text));
                }
            }
            let expected = [(250, "one two"), (354, "go"), (421, "bye"), (250, "")];
            prop_assert_eq!(codes, expected.map(|(code, text)| (code, text.to_owned())));
            prop_assert!(inbox.is_empty());
        }
    }
}
