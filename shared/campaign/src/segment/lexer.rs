//! A rule's text, token by token.

use super::RuleError;

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'s> {
    /// A name, and the words `true`, `false`, `null` and `in`.
    Name(&'s str),
    /// A whole number without its sign.
    Int(u64),
    /// A whole number with a `u` behind it.
    Uint(u64),
    /// A number with a fraction or an exponent.
    Double(f64),
    /// A text, unescaped.
    Text(String),
    /// An operator or a bracket.
    Sign(&'static str),
    /// The end of the text.
    End,
}

impl Token<'_> {
    /// What to call it in an error.
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Name(name) => format!("`{name}`"),
            Token::Int(number) | Token::Uint(number) => format!("`{number}`"),
            Token::Double(number) => format!("`{number}`"),
            Token::Text(_) => "a text".to_owned(),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::End => "the end".to_owned(),
        }
    }
}

/// Longer signs before their beginnings.
const SIGNS: [&str; 23] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ".", ",", "(", ")",
    "[", "]", "{",
];

/// Reads tokens off a text.
pub(super) struct Lexer<'s> {
    source: &'s str,
    at: usize,
}

impl<'s> Lexer<'s> {
    pub(super) const fn new(source: &'s str) -> Self {
        Self { source, at: 0 }
    }

    /// An error at this offset.
    pub(super) fn error(&self, at: usize, message: impl Into<String>) -> RuleError {
        let before = &self.source[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        RuleError {
            line: count(before.matches('\n').count() + 1),
            column: count(before[line_start..].chars().count() + 1),
            message: message.into(),
        }
    }

    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    /// The next token and the offset at which it starts.
    pub(super) fn next(&mut self) -> Result<(Token<'s>, usize), RuleError> {
        self.skip_blank();
        let start = self.at;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok((Token::End, start));
        };
        let token = match first {
            'a'..='z' | 'A'..='Z' | '_' => self.word()?,
            '0'..='9' => self.number()?,
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number()?,
            '"' | '\'' => self.text(Escapes::Read)?,
            _ => {
                let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
                let sign = sign.ok_or_else(|| self.error(start, format!("unexpected {first:?}")))?;
                self.at += sign.len();
                Token::Sign(sign)
            }
        };
        Ok((token, start))
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest().trim_start_matches([' ', '\t', '\r', '\n', '\u{c}']);
            self.at = self.source.len() - rest.len();
            if !rest.starts_with("//") {
                return;
            }
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
    }

    /// A name, or a text behind a prefix.
    fn word(&mut self) -> Result<Token<'s>, RuleError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        if behind.starts_with(['"', '\'']) {
            match word {
                "r" | "R" => {
                    self.at += 1;
                    return self.text(Escapes::Keep);
                }
                "b" | "B" | "br" | "bR" | "Br" | "BR" | "rb" | "rB" | "Rb" | "RB" => {
                    return Err(self.error(self.at, "byte strings are not supported"));
                }
                _ => {}
            }
        }
        self.at += end;
        Ok(Token::Name(word))
    }

    fn number(&mut self) -> Result<Token<'s>, RuleError> {
        let start = self.at;
        let rest = self.rest();
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        if let Some(hex) = rest.strip_prefix("0x") {
            let len = hex.bytes().take_while(u8::is_ascii_hexdigit).count();
            let value = u64::from_str_radix(&hex[..len], 16);
            return self.whole(start, 2 + len, value.ok());
        }
        let mut len = digits(rest);
        let mut is_whole = true;
        if rest[len..].starts_with('.') && digits(&rest[len + 1..]) > 0 {
            is_whole = false;
            len += 1 + digits(&rest[len + 1..]);
        }
        if rest[len..].starts_with(['e', 'E']) {
            let signed = &rest[len + 1..];
            let exponent = signed.strip_prefix(['+', '-']).unwrap_or(signed);
            if digits(exponent) > 0 {
                is_whole = false;
                len += 1 + (signed.len() - exponent.len()) + digits(exponent);
            }
        }
        if is_whole {
            return self.whole(start, len, rest[..len].parse().ok());
        }
        let number: f64 = rest[..len].parse().map_err(|_| self.error(start, "this is no number"))?;
        self.end_number(start, len)?;
        if number.is_finite() {
            Ok(Token::Double(number))
        } else {
            Err(self.error(start, "the number is too large"))
        }
    }

    fn whole(&mut self, start: usize, len: usize, value: Option<u64>) -> Result<Token<'s>, RuleError> {
        let value = value.ok_or_else(|| self.error(start, "the number is too large, or has no digits"))?;
        if self.rest()[len..].starts_with(['u', 'U']) {
            self.end_number(start, len + 1)?;
            return Ok(Token::Uint(value));
        }
        self.end_number(start, len)?;
        Ok(Token::Int(value))
    }

    /// Moves behind a number, which a letter may not follow.
    fn end_number(&mut self, start: usize, len: usize) -> Result<(), RuleError> {
        if self.rest()[len..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            return Err(self.error(start, "a letter follows the number"));
        }
        self.at += len;
        Ok(())
    }

    /// A text in one or three quotes of either kind.
    fn text(&mut self, escapes: Escapes) -> Result<Token<'s>, RuleError> {
        let start = self.at;
        let rest = self.rest();
        let quote = if rest.starts_with('"') { "\"" } else { "'" };
        let long = quote.repeat(3);
        let is_long = rest.starts_with(&long);
        let quote = if is_long { long.as_str() } else { quote };
        let body = &rest[quote.len()..];
        let mut text = String::new();
        let mut at = 0;
        loop {
            let left = &body[at..];
            if left.starts_with(quote) {
                self.at = start + quote.len() + at + quote.len();
                return Ok(Token::Text(text));
            }
            let here = start + quote.len() + at;
            match left.chars().next() {
                None => return Err(self.error(start, "the text has no closing quote")),
                Some('\n' | '\r') if !is_long => {
                    return Err(self.error(start, "the text has no closing quote"));
                }
                Some('\\') if matches!(escapes, Escapes::Read) => {
                    let (c, len) = unescape(&left[1..]).ok_or_else(|| self.error(here, "unknown escape"))?;
                    text.push(c);
                    at += 1 + len;
                }
                // As in CEL, a line end within a text is a newline, however the file was saved.
                Some('\r') => {
                    text.push('\n');
                    at += if left.starts_with("\r\n") { 2 } else { 1 };
                }
                Some(c) => {
                    text.push(c);
                    at += c.len_utf8();
                }
            }
        }
    }
}

/// Whether a backslash means something.
#[derive(Clone, Copy)]
enum Escapes {
    Read,
    Keep,
}

/// The character that an escape means, and the length of what follows its backslash.
fn unescape(rest: &str) -> Option<(char, usize)> {
    let coded = |from: usize, len: usize, radix: u32| {
        let digits = rest.get(from..from + len)?;
        if !digits.chars().all(|c| c.is_digit(radix)) {
            return None;
        }
        Some((char::from_u32(u32::from_str_radix(digits, radix).ok()?)?, from + len))
    };
    let c = match rest.chars().next()? {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        c @ ('\\' | '?' | '"' | '\'' | '`') => c,
        'x' | 'X' => return coded(1, 2, 16),
        'u' => return coded(1, 4, 16),
        'U' => return coded(1, 8, 16),
        '0'..='3' => return coded(0, 3, 8),
        _ => return None,
    };
    Some((c, 1))
}
