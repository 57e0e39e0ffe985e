//! What becomes of files as people have them.

use proptest::prelude::*;

use super::*;

/// What a file gives, pushed in chunks of this many bytes.
struct Table {
    header: Vec<String>,
    rows: Vec<Result<(u64, Vec<String>), ReadError>>,
}

fn read_with(bytes: &[u8], chunk: usize, limits: Limits) -> Table {
    let mut reader = RowReader::new(limits);
    let mut rows = Vec::new();
    let mut drain = |reader: &mut RowReader| {
        while let Some(row) = reader.next_row() {
            rows.push(row.map(|row| (row.line(), row.fields().map(str::to_owned).collect())));
        }
    };
    for chunk in bytes.chunks(chunk) {
        reader.push(chunk);
        drain(&mut reader);
    }
    reader.finish();
    drain(&mut reader);
    let header = reader.header().map(|header| header.names().to_vec()).unwrap_or_default();
    Table { header, rows }
}

/// Reads a file whole and byte by byte, which must come to the same.
fn read(bytes: &[u8]) -> Table {
    let whole = read_with(bytes, usize::MAX, Limits::default());
    for chunk in [1, 2, 3, 7] {
        let pieces = read_with(bytes, chunk, Limits::default());
        assert_eq!((&pieces.header, &pieces.rows), (&whole.header, &whole.rows), "in chunks of {chunk}");
    }
    whole
}

fn rows(text: &str) -> Vec<(u64, Vec<String>)> {
    read(text.as_bytes())
        .rows
        .into_iter()
        .map(|row| row.unwrap_or_else(|error| panic!("{text:?}: {error}")))
        .collect()
}

fn row(line: u64, fields: &[&str]) -> (u64, Vec<String>) {
    (line, fields.iter().map(|field| (*field).to_owned()).collect())
}

fn refusal(bytes: &[u8]) -> FileError {
    let table = read(bytes);
    match table.rows.as_slice() {
        [Err(ReadError::File(error))] => error.clone(),
        other => panic!("{bytes:?} gave {other:?}"),
    }
}

/// Row G1.
#[test]
fn a_byte_order_mark_hides_no_column() {
    let table = read(b"\xEF\xBB\xBFemail,name\na@x.io,Ann\n");
    assert_eq!(table.header, ["email", "name"]);
    assert_eq!(table.rows, [Ok(row(2, &["a@x.io", "Ann"]))]);
    assert_eq!(read(b"\xEF\xBB\xBF\"email\",name\n").header, ["email", "name"]);
}

/// Row G4.
#[test]
fn a_line_end_within_quotes_is_text() {
    assert_eq!(
        rows("email,note\na@x.io,\"line1\nline2\r\n\rline4\"\nb@x.io,x"),
        [row(2, &["a@x.io", "line1\nline2\r\n\rline4"]), row(6, &["b@x.io", "x"])]
    );
}

/// Row G5.
#[test]
fn a_short_row_is_padded_and_a_long_one_reported() {
    let table = read(b"name,email,city\ngeorge,g@x.io\na,b,c,d\nx,y,z\n");
    let problem = RowProblem::TooManyFields { expected: 3, found: 4 };
    assert_eq!(
        table.rows,
        [
            Ok(row(2, &["george", "g@x.io", ""])),
            Err(RowError { line: 3, problem }.into()),
            Ok(row(4, &["x", "y", "z"]))
        ]
    );
    let mut reader = RowReader::new(Limits::default());
    reader.push(b"a,b\n1");
    reader.finish();
    let row = reader.next_row().unwrap().unwrap();
    assert_eq!((row.given(), row.get(0), row.get(1), row.get(2)), (1, Some("1"), Some(""), None));
}

/// Row G6.
#[test]
fn a_file_in_another_encoding_is_refused_and_the_encoding_named() {
    let windows = b"email,name\r\na@x.io,Ann\r\nj@x.io,Jos\xe9\r\n";
    assert_eq!(refusal(windows), FileError::Encoding { suspected: Encoding::Windows1252, line: 3 });
    assert_eq!(
        refusal(windows).to_string(),
        "line 3: the file is not UTF-8, it seems to be windows-1252 or a similar encoding: save it as UTF-8"
    );
    assert_eq!(refusal(b"pr\xe9nom\n"), FileError::Encoding { suspected: Encoding::Windows1252, line: 1 });
    let utf16 = |encode: fn(u16) -> [u8; 2], text: &str| -> Vec<u8> {
        text.encode_utf16().flat_map(encode).collect()
    };
    for (text, line) in [("\u{feff}email,name\na,b", 1), ("email,name\na,b", 1)] {
        let suspected = Encoding::Utf16Le;
        assert_eq!(refusal(&utf16(u16::to_le_bytes, text)), FileError::Encoding { suspected, line });
        let suspected = Encoding::Utf16Be;
        assert_eq!(refusal(&utf16(u16::to_be_bytes, text)), FileError::Encoding { suspected, line });
    }
    let shift_jis = b"\x96\xbc\x91O,\x83\x81\x81[\x83\x8b\n";
    assert_eq!(refusal(shift_jis), FileError::Encoding { suspected: Encoding::Unknown, line: 1 });
    let cut = b"name\nJos\xc3";
    assert_eq!(refusal(cut), FileError::Encoding { suspected: Encoding::Windows1252, line: 2 });
}

#[test]
fn bytes_that_are_no_utf8_late_in_a_file_cost_their_row_only() {
    let mut file = b"email,name\n".to_vec();
    while file.len() < PREVIEW_BYTES - 1 {
        file.extend_from_slice(b"a@x.io,Ann\n");
    }
    // A character across the preview's end is no error.
    file.truncate(PREVIEW_BYTES - 1);
    file.extend_from_slice("\u{e9}\nj@x.io,Jos".as_bytes());
    file.extend_from_slice(b"\xe9\nb@x.io,Bob\n");
    for chunk in [1, 1_000, usize::MAX] {
        let rows = read_with(&file, chunk, Limits::default()).rows;
        let [.., before, wrong, after] = rows.as_slice() else { panic!("rows are missing") };
        let line = rows.len() as u64;
        let problem = RowProblem::Encoding { suspected: Encoding::Windows1252 };
        assert!(before.as_ref().is_ok_and(|(_, fields)| fields.concat().ends_with('\u{e9}')), "{before:?}");
        assert_eq!(*wrong, Err(RowError { line, problem }.into()));
        assert_eq!(*after, Ok(row(line + 1, &["b@x.io", "Bob"])));
    }
}

/// Row G10.
#[test]
fn the_last_row_needs_no_line_end() {
    let mut file = "email\n".to_owned();
    for number in 0..65 {
        file.push_str(&format!("p{number}@x.io\n"));
    }
    file.pop();
    let rows = rows(&file);
    assert_eq!(rows.len(), 65);
    assert_eq!(rows[64], row(66, &["p64@x.io"]));
    assert_eq!(self::rows("a,b\n1,"), [row(2, &["1", ""])]);
    assert_eq!(self::rows("a,b\n1,\"\""), [row(2, &["1", ""])]);
}

/// Row G11.
#[test]
fn the_delimiter_is_found_out_or_told() {
    for (file, header) in [
        ("email;name\na,b;c", vec!["email", "name"]),
        ("email\tname\na,b\tc", vec!["email", "name"]),
        ("\"a;b;c;d\",name\nx,y", vec!["a;b;c;d", "name"]),
        ("sep=;\r\nemail,x;name\r\na,b;c", vec!["email,x", "name"]),
        ("\u{feff}SEP=|\nemail|name\na,b|c", vec!["email", "name"]),
        ("\"sep=;\"\n\nemail;name\na,b;c", vec!["email", "name"]),
        ("sep=\t\nemail\tname\na,b\tc", vec!["email", "name"]),
        ("email\na b", vec!["email"]),
    ] {
        let table = read(file.as_bytes());
        assert_eq!(table.header, header, "{file:?}");
        assert_eq!(table.rows.len(), 1, "{file:?}");
        assert!(table.rows[0].is_ok(), "{file:?}");
    }
    assert_eq!(rows("sep=;\r\n\r\na;b\r\n1;2"), [row(4, &["1", "2"])]);
    assert_eq!(refusal(b"sep=x\nax b\n"), FileError::Delimiter);
}

#[test]
fn every_line_end_counts_once_and_blank_lines_are_no_rows() {
    for end in ["\n", "\r", "\r\n"] {
        let file = ["", "a,b", "", "1,2", "", "", "\"x", "y\",\"\"", "3,4", "", ""].join(end);
        let x = format!("x{end}y");
        assert_eq!(rows(&file), [row(4, &["1", "2"]), row(7, &[&x, ""]), row(9, &["3", "4"])], "{end:?}");
    }
    assert_eq!(rows("a\r\r\n\n1\n\r2"), [row(4, &["1"]), row(6, &["2"])]);
    assert_eq!(rows("a,b\n\"1\r\",\"\n2\"\n3,4"), [row(2, &["1\r", "\n2"]), row(5, &["3", "4"])]);
}

#[test]
fn quotes_out_of_place_are_text() {
    assert_eq!(
        rows("a,b\n5\" pipe,\"x\"y\n \"1\",\"\"\"q\"\"\"\n"),
        [row(2, &["5\" pipe", "xy"]), row(3, &[" \"1\"", "\"q\""])]
    );
}

#[test]
fn a_quote_that_never_closes_is_an_error_of_its_row() {
    let table = read(b"a,b\n1,2\n3,\"four\n5,6\n");
    let error = RowError { line: 3, problem: RowProblem::Unclosed };
    assert_eq!(table.rows, [Ok(row(2, &["1", "2"])), Err(error.into())]);
    assert_eq!(refusal(b"a,\"b\n1,2\n"), FileError::HeaderTooLong { line: 1 });
}

#[test]
fn header_names_are_trimmed_and_must_be_there_once_each() {
    assert_eq!(read(b" email ,\" first name\"\n").header, ["email", "first name"]);
    assert_eq!(refusal(b"email,,name\n"), FileError::NoName { column: 2 });
    let same = FileError::SameName { name: "email".to_owned(), first: 1, second: 3 };
    assert_eq!(refusal(b"email,name, email\n"), same);
    for empty in ["", "\n\r\n", "\u{feff}", "sep=;", "sep=;\n\n"] {
        assert_eq!(refusal(empty.as_bytes()), FileError::Empty, "{empty:?}");
    }
    assert!(read(b"email").rows.is_empty());
    assert_eq!(refusal("x".repeat(PREVIEW_BYTES + 1).as_bytes()), FileError::HeaderTooLong { line: 1 });
}

#[test]
fn a_row_over_the_limit_is_an_error_and_is_not_kept() {
    let limits = Limits { max_row_bytes: 10 };
    let problem = RowProblem::TooLong { max: 10 };
    for long in ["123456789,1", "\"12345\n67890\",1", ",,,,,,,,,,,,", "12345678901234567890123"] {
        let file = format!("a,b\n{long}\n12345678,\n");
        for chunk in [1, 4, usize::MAX] {
            let table = read_with(file.as_bytes(), chunk, limits);
            let after = 3 + long.matches('\n').count() as u64;
            let error = RowError { line: 2, problem: problem.clone() };
            assert_eq!(table.rows, [Err(error.into()), Ok(row(after, &["12345678", ""]))], "{long:?}");
        }
    }
    let mut reader = RowReader::new(Limits::default());
    reader.push(b"a\n\"");
    for _ in 0..4_000 {
        reader.push(&[b'x'; 1_024]);
        assert!(reader.next_row().is_none());
        assert!(reader.held_bytes() <= 2 * (1024 * 1024 + PREVIEW_BYTES), "{}", reader.held_bytes());
    }
}

/// Row G12.
#[test]
fn cells_that_a_spreadsheet_would_run_are_defused() {
    let mut out = Vec::new();
    write_row(&mut out, ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "a=b", "", "'x", "=\"a\""]);
    let expected = "'=1+1,'+1,'-1,'@x,\"'\tx\",\"'\rx\",a=b,,'x,\"'=\"\"a\"\"\"\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

/// A table's text in a dialect: fields are quoted where they must be and where `quote_all` says so.
fn write_in(
    table: &[Vec<String>],
    delimiter: char,
    end: &str,
    quote_all: &[bool],
    is_ended: bool,
) -> (String, Vec<u64>) {
    let mut text = String::new();
    let mut lines = Vec::new();
    let mut always = quote_all.iter().cycle();
    for (index, row) in table.iter().enumerate() {
        let ends = text.matches('\n').count() + text.matches('\r').count() - text.matches("\r\n").count();
        lines.push(1 + ends as u64);
        for (column, field) in row.iter().enumerate() {
            if column > 0 {
                text.push(delimiter);
            }
            let must =
                field.contains([',', ';', '\t', '"', '\r', '\n']) || row.len() == 1 && field.is_empty();
            if must || field.starts_with('\u{feff}') || *always.next().unwrap_or(&true) {
                text.push_str(&format!("\"{}\"", field.replace('"', "\"\"")));
            } else {
                text.push_str(field);
            }
        }
        if is_ended || index + 1 < table.len() {
            text.push_str(end);
        }
    }
    (text, lines)
}

fn table() -> impl Strategy<Value = Vec<Vec<String>>> {
    let field = || prop_oneof!["[a-z,;\t\"\r\n \u{e9}=]{0,6}", "\\PC{0,12}", Just(String::new())];
    (1..5_usize).prop_flat_map(move |width| {
        let names = prop::collection::hash_set("[a-y\u{e4}\",;\r\n]{0,4}[a-y]", width)
            .prop_map(|names| names.into_iter().map(|name| format!("z{name}")).collect::<Vec<_>>());
        let rows = prop::collection::vec(prop::collection::vec(field(), width), 0..8);
        (names, rows).prop_map(|(names, rows)| std::iter::once(names).chain(rows).collect())
    })
}

fn assert_reads_back(bytes: &[u8], table: &[Vec<String>], lines: &[u64], chunk: usize) {
    let found = read_with(bytes, chunk, Limits::default());
    assert_eq!(found.header, table[0]);
    let expected: Vec<_> = lines.iter().copied().zip(table.iter().cloned()).skip(1).map(Ok).collect();
    assert_eq!(found.rows, expected);
}

proptest! {
    #[test]
    fn any_table_reads_back_as_it_was_written(
        table in table(),
        delimiter in prop::sample::select(vec![',', ';', '\t']),
        end in prop::sample::select(vec!["\n", "\r", "\r\n"]),
        quote_all in prop::collection::vec(any::<bool>(), 0..5),
        is_ended in any::<bool>(),
        has_bom in any::<bool>(),
        chunk in 1..40_usize,
    ) {
        let (text, lines) = write_in(&table, delimiter, end, &quote_all, is_ended);
        let bom = if has_bom { "\u{feff}" } else { "" };
        assert_reads_back(format!("{bom}{text}").as_bytes(), &table, &lines, chunk);
    }

    #[test]
    fn what_write_row_writes_reads_back(table in table(), chunk in 1..40_usize) {
        let mut out = Vec::new();
        let mut lines = Vec::new();
        for row in &table {
            let text = String::from_utf8_lossy(&out).into_owned();
            let ends = text.matches('\n').count() + text.matches('\r').count() - text.matches("\r\n").count();
            lines.push(1 + ends as u64);
            write_row_verbatim(&mut out, row);
        }
        assert_reads_back(&out, &table, &lines, chunk);
    }

    #[test]
    fn any_bytes_give_rows_or_errors_and_an_end(
        bytes in prop::collection::vec(prop::sample::select(b"a,;\"\r\n\t=\xc3\xa9\xff\0sep".to_vec()), 0..60),
        chunk in 1..20_usize,
    ) {
        let pieces = read_with(&bytes, chunk, Limits { max_row_bytes: 12 });
        let whole = read_with(&bytes, usize::MAX, Limits { max_row_bytes: 12 });
        prop_assert_eq!(pieces.rows, whole.rows);
    }
}

/// Reads a file up to byte `cut`, and the rest by another reader; how much of the file was read twice, too.
fn read_in_two(bytes: &[u8], cut: usize, limits: Limits) -> (Table, u64) {
    let mut rows = Vec::new();
    let mut drain = |reader: &mut RowReader| {
        while let Some(row) = reader.next_row() {
            rows.push(row.map(|row| (row.line(), row.fields().map(str::to_owned).collect())));
        }
    };
    let mut first = RowReader::new(limits);
    for chunk in bytes[..cut].chunks(10_000) {
        first.push(chunk);
        drain(&mut first);
    }
    let position = first.position().expect("the header is known");
    let kept = serde_json::to_string(&position).unwrap();
    let position: Position = serde_json::from_str(&kept).unwrap();
    let preview = &bytes[..bytes.len().min(PREVIEW_BYTES)];
    let mut second = RowReader::resume(limits, preview, position).unwrap();
    second.push(&bytes[usize::try_from(position.offset).unwrap()..]);
    drain(&mut second);
    second.finish();
    drain(&mut second);
    assert_eq!(second.position().unwrap().offset, bytes.len() as u64);
    let header = second.header().unwrap().names().to_vec();
    (Table { header, rows }, cut as u64 - position.offset)
}

#[test]
fn a_reading_goes_on_wherever_it_was_broken_off() {
    let mut text = String::from("\u{feff}email;name;note\r\n");
    while text.len() < PREVIEW_BYTES {
        text.push_str("filler@x.io;\"F\";-\r\n");
    }
    let begin = text.len();
    text.push_str(
        "a@x.io;\"An\"\"n\";\"line1\nline2\r\nline3\"\r\n\r\n\rb@x.io\nc;c;c;c\r\nd@x.io;\";\";x\n",
    );
    text.push_str(&format!(
        "e@x.io;\"{}\r\n{}\"\"\";-\r\nf@x.io;F;-\r\n;;\"open\r\n",
        "long ".repeat(30),
        "x\n".repeat(20)
    ));
    let limits = Limits { max_row_bytes: 100 };
    let whole = read_with(text.as_bytes(), usize::MAX, limits);
    assert_eq!(whole.rows.iter().filter(|row| row.is_err()).count(), 3, "a long, a too long and an open one");
    for cut in begin..=text.len() {
        let (table, twice) = read_in_two(text.as_bytes(), cut, limits);
        assert_eq!((&table.header, &table.rows), (&whole.header, &whole.rows), "cut at {cut}");
        assert!(twice <= 110, "no more is read twice than a row that fits: {twice} at {cut}");
    }
}

#[test]
fn a_reading_goes_on_in_its_own_file_only() {
    let position = Position { offset: 10, line: 2, is_after_cr: false, too_long: None };
    let other = RowReader::resume(Limits::default(), b"", position);
    assert_eq!(other.err(), Some(FileError::Empty));
}
