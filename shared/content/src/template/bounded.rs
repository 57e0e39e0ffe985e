//! Writing that stops at a limit, and not where memory ends.

use std::fmt;

/// Appends to a text as long as that has no more bytes than the limit. What would make it longer is an error, and not written.
pub(super) struct Bounded<'o> {
    out: &'o mut String,
    limit: usize,
}

impl<'o> Bounded<'o> {
    pub(super) const fn new(out: &'o mut String, limit: usize) -> Self {
        Self { out, limit }
    }
}

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.out.len() + text.len() > self.limit {
            return Err(fmt::Error);
        }
        self.out.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_would_go_beyond_the_limit_is_not_written() {
        let mut out = String::from("ab");
        assert!(Bounded::new(&mut out, 4).write_str("cd").is_ok());
        assert!(Bounded::new(&mut out, 4).write_str("e").is_err());
        assert_eq!(out, "abcd");
        let long = json!([1, 2, 3, "x".repeat(100)]);
        assert!(write!(Bounded::new(&mut out, 20), "{long}").is_err());
        assert!(out.len() <= 20);
    }
}
