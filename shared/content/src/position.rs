/// Line and column (both from 1, the column in characters) of a byte offset.
pub(crate) fn line_column(source: &str, offset: usize) -> (usize, usize) {
    let before = &source.as_bytes()[..offset.min(source.len())];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    // Continuation bytes of UTF-8 are not characters of their own.
    let column = before[line_start..].iter().filter(|&&byte| byte & 0xC0 != 0x80).count() + 1;
    (line, column)
}

/// The position in the whole of what is at `within` in a part of it that begins at `start`.
pub(crate) const fn moved(start: (usize, usize), within: (usize, usize)) -> (usize, usize) {
    match within {
        (1, column) => (start.0, start.1 + column - 1),
        (line, column) => (start.0 + line - 1, column),
    }
}

/// The byte offset of a line and column as [`line_column`] gives them.
#[cfg(feature = "lower")]
pub(crate) fn offset_of(source: &str, line: usize, column: usize) -> usize {
    let line_start = source
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum::<usize>()
        .min(source.len());
    let rest = &source[line_start..];
    let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    line_start + within
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_turn_back() {
        let source = "ab\nżółw x";
        let offset = source.find('x').expect("is there");
        assert_eq!(line_column(source, offset), (2, 6));
        assert_eq!(offset_of(source, 2, 6), offset);
        assert_eq!(line_column(source, 0), (1, 1));
        for at in [0, 2, 3, 5] {
            let (part, start) = (&source[at..], line_column(source, at));
            assert_eq!(moved(start, line_column(part, offset - at)), (2, 6));
        }
    }
}
