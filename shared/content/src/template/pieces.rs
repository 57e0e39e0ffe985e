//! Cutting a source into pieces that mean the same alone as in their place.
//!
//! The `handlebars` crate counts lines from the beginning of what it is given for each word and sign in a tag, so its work
//! grows with the number of those times the number of bytes. Cut between its blocks a document costs what its pieces cost;
//! what is left, what one block holds, has a limit.

use std::ops::Range;

use super::lex::{Tag, TagKind};
use crate::error::ContentError;
use crate::position::line_column;

/// The smallest piece, in bytes: smaller ones cost more to begin than they save.
pub(super) const LEAST_BYTES: usize = 2048;
/// The most that the words and signs in a piece's tags and its bytes may come to when they are multiplied. `{{profile.x}}` has
/// seven, so this is more than 2,000 variables in 256 KB.
const MOST_WORK: usize = 256 * 1024 * 16_000;

/// The pieces of a source with these tags, each of at least `least` bytes, save the last.
///
/// # Errors
/// Where a block has too many tags for its length.
pub(super) fn cut(
    source: &str,
    tags: &[Tag],
    least: usize,
    field: &'static str,
) -> Result<Vec<Range<usize>>, ContentError> {
    let mut pieces = Vec::new();
    let (mut start, mut words_in_piece, mut depth, mut behind) = (0, 0, 0_usize, 0);
    for tag in tags {
        let between = behind.max(start + least)..tag.range.start;
        if depth == 0
            && let Some(at) = seam(source, between)
        {
            pieces.push((start..at, words_in_piece));
            (start, words_in_piece) = (at, 0);
        }
        match tag.kind {
            TagKind::Open => depth += 1,
            TagKind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        words_in_piece += words(source, tag);
        behind = tag.range.end;
    }
    pieces.push((start..source.len(), words_in_piece));
    match pieces.iter().find(|(piece, words)| piece.len().saturating_mul(*words) > MOST_WORK) {
        None => Ok(pieces.into_iter().map(|(piece, _)| piece).collect()),
        Some((piece, words)) => {
            let message = format!(
                "from here on there are {} bytes that can't be parted, with {words} words and signs in their tags: make the \
                 block shorter, or end it and begin another",
                piece.len()
            );
            Err(ContentError::new("too_large", field, message).at(Some(line_column(source, piece.start))))
        }
    }
}

/// How many words and signs a tag has.
fn words(source: &str, tag: &Tag) -> usize {
    if tag.kind == TagKind::Comment {
        return 1;
    }
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    let mut before = b' ';
    source.as_bytes()[tag.range.clone()]
        .iter()
        .filter(|&&byte| {
            let goes_on = is_word(before) && is_word(byte);
            before = byte;
            !byte.is_ascii_whitespace() && !goes_on
        })
        .count()
}

/// Where the text in `between` can be cut: between two characters that no tag before or behind reads, as tags do with white
/// space, braces and backslashes.
fn seam(source: &str, between: Range<usize>) -> Option<usize> {
    let bytes = source.as_bytes().get(between.clone())?;
    let is_firm = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}' | b'\\' | b'~');
    bytes.windows(2).position(|pair| pair.iter().all(is_firm)).map(|at| between.start + at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::lex;

    fn pieces(source: &str, least: usize) -> Result<Vec<&str>, ContentError> {
        let tags = lex::tags(source, usize::MAX).expect("accepted");
        Ok(cut(source, &tags, least, "text")?.into_iter().map(|piece| &source[piece]).collect())
    }

    #[test]
    fn blocks_stay_whole_and_white_space_with_its_tag() {
        let source = "ab {{x}} cd{{#if y}}ef{{z}}gh{{/if}}\n\n{{! c }}\nij\\{{kl{{m}}no";
        assert_eq!(
            pieces(source, 1).unwrap(),
            ["ab {{x}} c", "d{{#if y}}ef{{z}}gh{{/if}}\n\n{{! c }}\ni", "j\\{{k", "l{{m}}no"]
        );
        assert_eq!(pieces(source, 1000).unwrap(), [source]);
        assert_eq!(pieces("", 1).unwrap(), [""]);
        assert_eq!(pieces("abc{{x}}{{#if x}}cd", 1).unwrap(), ["ab", "c{{x}}{{#if x}}cd"]);
        assert_eq!(pieces("ab{{#if x}}cd", 1).unwrap(), ["ab{{#if x}}cd"]);
    }

    #[test]
    fn what_a_piece_costs_has_a_limit_and_documents_stay_below_it() {
        let row = |bytes: usize| format!("<tr><td>{{{{profile.x}}}}</td>{}</tr>\n", "x".repeat(bytes - 33));
        let around = |inner: &str| format!("{{{{#if profile.y}}}}{inner}{{{{/if}}}}");
        // A table of 240 KB with 2,000 variables, a newsletter of 102 KB with 300 all in one block.
        let table = row(120).repeat(2000);
        let cut = pieces(&table, LEAST_BYTES).unwrap();
        assert!(cut.iter().all(|piece| piece.len() < 2 * LEAST_BYTES), "{}", cut.len());
        for block in [around(&table), around(&row(340).repeat(300))] {
            assert_eq!(pieces(&block, LEAST_BYTES).unwrap().len(), 1);
        }
        // Nothing but tags, all in one block, or all in one tag.
        for source in [
            "{{profile.abcdefgh}}".repeat(12_000),
            around(&"{{profile.x}}a".repeat(16_000)),
            format!("{{{{or{}}}}}", " a".repeat(100_000)),
        ] {
            let error = pieces(&source, LEAST_BYTES).unwrap_err();
            assert_eq!((error.code, error.line, error.column), ("too_large", Some(1), Some(1)));
        }
    }
}
