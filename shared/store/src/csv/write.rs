//! Writing rows.

/// Writes a row for people, who open it in a spreadsheet: comma, CRLF, quotes where they are needed (RFC 4180), and a
/// `'` in front of every field that begins with `=`, `+`, `-`, `@`, a tab, a CR or an LF, because a spreadsheet would run
/// it as a formula and a profile's fields are written by strangers.
///
/// That changes fields: a phone number becomes `'+49...`. Where the file is to be read back by a program, use
/// [`write_row_verbatim`].
///
/// ```
/// let mut out = Vec::new();
/// store::csv::write_row(&mut out, ["a@x.io", "=1+1", "Lee, \"Ann\""]);
/// assert_eq!(out, b"a@x.io,'=1+1,\"Lee, \"\"Ann\"\"\"\r\n");
/// ```
pub fn write_row<I>(out: &mut Vec<u8>, fields: I)
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    write(out, fields, |field| field.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']));
}

/// Writes a row as [`write_row`] does, but every field as it is. Not for files that people open in a spreadsheet.
pub fn write_row_verbatim<I>(out: &mut Vec<u8>, fields: I)
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    write(out, fields, |_| false);
}

fn write<I>(out: &mut Vec<u8>, fields: I, is_formula: impl Fn(&str) -> bool)
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let start = out.len();
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_field(out, field.as_ref(), &is_formula);
    }
    // A line with nothing on it would be no row.
    if out.len() == start {
        out.extend_from_slice(b"\"\"");
    }
    out.extend_from_slice(b"\r\n");
}

fn write_field(out: &mut Vec<u8>, field: &str, is_formula: impl Fn(&str) -> bool) {
    let prefix = if is_formula(field) { "'" } else { "" };
    // Semicolons and tabs too: who guesses the delimiter counts what is outside quotes.
    let is_quoted = field.contains([',', ';', '\t', '"', '\r', '\n']) || field.starts_with('\u{feff}');
    if !is_quoted {
        out.extend_from_slice(prefix.as_bytes());
        out.extend_from_slice(field.as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(prefix.as_bytes());
    for (index, part) in field.split('"').enumerate() {
        if index > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}
