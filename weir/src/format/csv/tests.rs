//! The scan compared with the `csv` crate and with a simple implementation of the rules.

use datafusion::arrow::datatypes::DataType;
use proptest::prelude::*;

use super::reference::{reference, reference_of};
use super::{Csv, Dialect, Head};
use crate::format::testing::{Reading, plain};
use crate::route::{Findings, RejectedRoute};

/// The records by the `csv` crate, which does not distinguish an unquoted empty field from a quoted one.
fn csv_crate(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "bc",
        "0123456789abcdef",
        "é",
        ",",
        ",",
        "\n",
        "\n",
        "\r\n",
        "\"",
        "\"\"",
        "\",\"",
        "\"\n\"",
        " ",
        "\nc0,c1\n",
        "\n\u{feff}",
    ]);
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// A dialect, and a text of what matters in it.
fn dialects() -> impl Strategy<Value = (Dialect, String)> {
    let enclosing = (
        prop::sample::select(vec![",", ";", "\t", "||", "|x|", "§", " "]),
        prop::sample::select(vec![Some(b'"'), Some(b'\''), None]),
        prop::sample::select(vec![None, Some(b'\\'), Some(b'^')]),
        prop::sample::select(vec![b'\n', b'\n', b'\r']),
    );
    let comment = prop::sample::select(vec![None, Some("#"), Some("//")]);
    let null_text = prop::sample::select(vec![None, None, Some("a")]);
    let lines = (comment, null_text, any::<bool>(), any::<bool>(), any::<bool>(), 0usize..3);
    let dialect = (enclosing, lines).prop_map(|((delimiter, quote, escape, line_end), lines)| {
        let (comment, null_text, trim, trailing_delimiter, skip_repeated_header, skip_last) = lines;
        Dialect {
            delimiter: delimiter.to_owned(),
            quote,
            escape,
            line_end,
            comment: comment.map(str::to_owned),
            trim,
            trailing_delimiter,
            skip_repeated_header,
            skip_last,
            null_text: null_text.map(str::to_owned),
        }
    });
    dialect.prop_flat_map(|dialect| {
        let delimiter = dialect.delimiter.clone();
        let line_end = if dialect.line_end == b'\n' { "\n" } else { "\r" }.to_owned();
        let quote = dialect.quote.map_or('"', char::from).to_string();
        let escape = dialect.escape.map_or('\\', char::from).to_string();
        let mut pieces = vec![
            delimiter.clone(),
            line_end.clone(),
            quote.clone(),
            quote.repeat(2),
            escape.clone(),
            format!("{quote}{delimiter}{quote}"),
            format!("{quote}{line_end}{quote}"),
            format!("{line_end}c0{delimiter}c1{line_end}"),
            format!("{escape}{line_end}"),
        ];
        pieces.extend(
            ["a", "xy", "é", "x123456789abcdefg", "#", "/", " ", "\u{a0}", "\u{feff}", "|", "x|"].map(str::to_owned),
        );
        pieces.extend([delimiter.clone(), delimiter, line_end.clone(), line_end]);
        if dialect.line_end == b'\n' {
            pieces.extend(["\r\n".to_owned(), format!("{escape}\r\n"), "\r".to_owned()]);
        }
        let text = proptest::collection::vec(prop::sample::select(pieces), 0..60);
        (Just(dialect), text.prop_map(|pieces| pieces.concat()))
    })
}

fn fields() -> impl Strategy<Value = Vec<(String, String, String)>> {
    let field = || prop_oneof![3 => "[a-z]{0,5}", 1 => "[a-z,\"\n ]{0,20}", 1 => "[a-zé€]{13,40}", 1 => "\r?\n?,?\"?"];
    proptest::collection::vec((field(), field(), field()), 0..40)
}

#[test]
fn a_line_behind_a_broken_record_is_read_anew_whatever_was_escaped_in_it() {
    let dialect = Dialect { escape: Some(b'^'), ..Dialect::default() };
    // The quote that is not closed breaks the record, whose lines are then read one by one.
    let text = "\"a\n\nb\n\",^x,\"\nc\n";
    let expected = reference_of(&dialect, text, 2).sorted();
    assert_eq!(expected.rejected.len(), 4, "{expected:?}");
    let csv = Csv { rules: dialect, head: Head::default() };
    let outcome = Reading::texts(2).cut(1000, 1).read_as(csv, format!("c0,c1\n{text}").as_bytes()).unwrap();
    assert_eq!(outcome.sorted(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_read_by_the_rules_for_any_blocks_and_threads(text in pieces(), block_bytes in 1usize..64, partitions in 1usize..5) {
        let expected = reference(&text, 2).sorted();
        let file = format!("c0,c1\n{text}");
        let scan = Reading::texts(2).cut(block_bytes, partitions);
        prop_assert_eq!(scan.read::<Csv>(file.as_bytes()).unwrap().sorted(), expected);
    }

    #[test]
    fn any_text_is_read_by_the_rules_of_its_dialect_for_any_blocks_and_threads(
        (dialect, text) in dialects(),
        ends in prop::sample::select(vec!["", "\u{1a}"]),
        block_bytes in 1usize..64,
        partitions in 1usize..5,
    ) {
        let text = format!("{text}{ends}");
        let expected = reference_of(&dialect, &text, 2).sorted();
        let line_end = char::from(dialect.line_end);
        let file = format!("c0{}c1{line_end}{text}", dialect.delimiter);
        let scan = Reading::texts(2).cut(block_bytes, partitions);
        let csv = Csv { rules: dialect, head: Head::default() };
        prop_assert_eq!(scan.read_as(csv, file.as_bytes()).unwrap().sorted(), expected);
    }

    #[test]
    fn any_text_is_read_by_the_rules_in_any_parts(
        (dialect, text) in dialects(),
        block_bytes in 1usize..64,
        part_bytes in 1u64..100,
    ) {
        let line_end = char::from(dialect.line_end);
        let file = format!("c0{}c1{line_end}{text}", dialect.delimiter);
        let scan = Reading::texts(2).cut(block_bytes, 1);
        let csv = || Csv { rules: dialect.clone(), head: Head::default() };
        let expected = scan.read_as(csv(), file.as_bytes()).unwrap();
        if let Some(parts) = scan.read_parts(csv, file.as_bytes(), part_bytes).unwrap() {
            prop_assert_eq!(parts, expected);
        }
    }

    #[test]
    fn records_with_another_delimiter_quote_and_escape_are_what_the_csv_crate_reads(
        records in proptest::collection::vec(("[ax,;'\"\\\\\n]{0,12}", "[ax;' ]{0,14}"), 0..40),
        is_escaped in any::<bool>(),
        block_bytes in 1usize..200,
        partitions in 1usize..5,
    ) {
        let mut builder = csv::WriterBuilder::new();
        builder.delimiter(b';').quote(b'\'').quote_style(csv::QuoteStyle::Always);
        if is_escaped {
            builder.double_quote(false).escape(b'^');
        }
        let mut writer = builder.from_writer(vec![]);
        for (a, b) in &records {
            writer.write_record([a, b]).unwrap();
        }
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let escape = is_escaped.then_some(b'^');
        let dialect = Dialect { delimiter: ";".to_owned(), quote: Some(b'\''), escape, ..Dialect::default() };
        let csv = Csv { rules: dialect, head: Head::default() };
        let scan = Reading::texts(2).cut(block_bytes, partitions);
        let outcome = scan.read_as(csv, format!("c0;c1\n{text}").as_bytes()).unwrap().sorted();
        let mut expected: Vec<_> = records.into_iter().map(|(a, b)| vec![a, b]).collect();
        expected.sort();
        prop_assert_eq!(plain(&outcome.rows), expected);
        prop_assert_eq!(outcome.rejected, vec![]);
    }

    #[test]
    fn well_formed_records_are_what_the_csv_crate_reads(records in fields(), always in any::<bool>(), crlf in any::<bool>(), block_bytes in 1usize..200, partitions in 1usize..5) {
        let style = if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let end = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().quote_style(style).terminator(end).from_writer(vec![]);
        for (a, b, c) in &records {
            writer.write_record([a, b, c]).unwrap();
        }
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let scan = Reading::texts(3).cut(block_bytes, partitions);
        let outcome = scan.read::<Csv>(format!("c0,c1,c2\n{text}").as_bytes()).unwrap().sorted();
        let mut expected = csv_crate(&text);
        expected.sort();
        prop_assert_eq!(plain(&outcome.rows), expected);
        prop_assert_eq!(outcome.rejected, vec![]);
    }
}

#[test]
fn a_record_that_is_too_long_is_one_in_any_parts() {
    let line = |n: usize| format!("{n},{}\n", "x".repeat(1000));
    let lines: String = (0..3000).map(line).collect();
    // The quote is not closed within the longest record.
    let file = format!("c0,c1\n{lines}\"0,{}\n{lines}", "y".repeat(3 << 20));
    let mut scan = Reading::texts(2).cut(256 << 10, 1);
    scan.options.max_record = 2 << 20;
    let whole = scan.read::<Csv>(file.as_bytes()).unwrap();
    assert_eq!((whole.rows.len(), whole.rejected.len()), (6000, 1));
    for bytes in [1 << 18, 1 << 20, 5_000_001] {
        let parts = scan.read_parts(<Csv>::default, file.as_bytes(), bytes).unwrap().unwrap();
        assert!(parts == whole, "{} rows, {} rejected", parts.rows.len(), parts.rejected.len());
    }
}

#[test]
fn an_empty_field_is_null_and_a_quoted_empty_field_is_empty_text() {
    let rows = Reading::texts(3).read::<Csv>(b"c0,c1,c2\n,\"\",x\n").unwrap().rows;
    assert_eq!(rows, [vec![None, Some(String::new()), Some("x".into())]]);
}

#[test]
fn null_values_are_null_and_only_where_they_are_not_quoted() {
    let scan = Reading { null_values: vec!["NA".into()], ..Reading::texts(2) };
    assert_eq!(scan.read::<Csv>(b"c0,c1\nNA,\"NA\"\n").unwrap().rows, [vec![None, Some("NA".into())]]);
}

#[test]
fn unreadable_records_are_rejected_with_their_lines_and_the_rest_is_kept() {
    let file = b"c0,c1\n1,\"a\nb\"\n2\n3,x,y\n\n4,\"z\"z\n5,\xff\n6,ok\n";
    let outcome = Reading::texts(2).cut(7, 3).read::<Csv>(file).unwrap().sorted();
    assert_eq!(plain(&outcome.rows), [["1", "a\nb"], ["6", "ok"]]);
    let rejected: Vec<_> =
        outcome.rejected.iter().map(|(line, raw, why)| (*line, raw.as_str(), why.as_str())).collect();
    assert_eq!(
        rejected,
        [
            (4, "2", "too_few_fields"),
            (5, "3,x,y", "too_many_fields"),
            (7, "4,\"z\"z", "invalid_quotes"),
            (8, "5,\u{fffd}", "invalid_utf8"),
        ]
    );
}

#[test]
fn an_unclosed_quote_costs_its_own_line_only() {
    let file = b"c0,c1\n1,\"a\n2,b\n3,c\n";
    let outcome = Reading::texts(2).read::<Csv>(file).unwrap();
    assert_eq!(plain(&outcome.rows), [["2", "b"], ["3", "c"]]);
    assert_eq!(outcome.rejected, [(2, "1,\"a".into(), "invalid_quotes".into())]);
}

#[test]
fn a_record_above_the_maximum_length_is_rejected_for_any_blocks() {
    let long = "x".repeat(100);
    let file = format!("c0,c1\n1,a\n2,{long}\n3,b\n4,\"{long}\n5,c\n");
    for block_bytes in [1, 10, 64, 1000] {
        let mut scan = Reading::texts(2).cut(block_bytes, 1);
        scan.options.max_record = 50;
        let outcome = scan.read::<Csv>(file.as_bytes()).unwrap();
        assert_eq!(plain(&outcome.rows), [["1", "a"], ["3", "b"], ["5", "c"]], "blocks of {block_bytes}");
        let lines: Vec<_> = outcome.rejected.iter().map(|(line, ..)| *line).collect();
        assert_eq!(lines, [3, 5], "blocks of {block_bytes}");
    }
}

#[test]
fn files_of_one_source_may_order_their_columns_differently() {
    let files: [&[u8]; 2] = [b"c0,c1\n1,2\n", b"c1,c0\n4,3\n"];
    let rows = Reading::texts(2).query::<Csv>(&files, "select * from t").unwrap().sorted().rows;
    assert_eq!(plain(&rows), [["1", "2"], ["3", "4"]]);
}

#[test]
fn a_query_reads_only_the_columns_it_names_and_counts_without_any() {
    let files: [&[u8]; 1] = [b"c0,c1,c2\n1,2,3\n4,5,6\n7\n"];
    let scan = Reading::texts(3);
    assert_eq!(plain(&scan.query::<Csv>(&files, "select c2, c0 from t").unwrap().rows), [["3", "1"], ["6", "4"]]);
    assert_eq!(plain(&scan.query::<Csv>(&files, "select count(*) from t").unwrap().rows), [["2"]]);
}

#[test]
fn rows_that_a_query_does_not_read_are_counted_and_their_bad_records_passed_on() {
    let file: String = (0..1000).map(|i| if i % 10 == 9 { "x\n".to_owned() } else { format!("{i},b\n") }).collect();
    let file = format!("c0,c1\n{file}");
    let scan = Reading::texts(2).cut(50, 3);
    for sql in ["select * from t limit 3", "select * from t where 1 = 0", "select count(*) from t"] {
        assert_eq!(scan.query::<Csv>(&[file.as_bytes()], sql).unwrap().rejected.len(), 100, "{sql}");
    }
}

#[test]
fn whether_a_record_can_be_read_does_not_depend_on_the_query() {
    let scan = Reading::of(&[("id", DataType::Utf8View), ("n", DataType::Int64)]);
    for (sql, rows) in [("select id, n from t", 1), ("select id from t", 1), ("select count(*) from t", 1)] {
        let outcome = scan.query::<Csv>(&[b"id,n\na,1\nb,x\n"], sql).unwrap();
        assert_eq!((outcome.rows.len(), outcome.rejected.len()), (rows, 1), "{sql}");
    }
    assert_eq!(plain(&scan.query::<Csv>(&[b"id,n\na,1\nb,x\n"], "select count(*) from t").unwrap().rows), [["1"]]);
}

#[test]
fn a_text_that_does_not_fit_its_type_rejects_its_record() {
    let scan = Reading::of(&[("day", DataType::Date32), ("n", DataType::Int64), ("t", DataType::Utf8View)]);
    let outcome = scan.read::<Csv>(b"day,n,t\n2022-01-31,7,a\n2022-02-30,x,b\n,,c\n2022-01-01,8,\n").unwrap();
    let row = |values: [&str; 3]| values.map(|v| (!v.is_empty()).then(|| v.to_owned())).to_vec();
    assert_eq!(outcome.rows, [row(["2022-01-31", "7", "a"]), row(["", "", "c"]), row(["2022-01-01", "8", ""])]);
    assert_eq!(outcome.rejected, [(3, "2022-02-30,x,b".into(), "invalid_day;invalid_n".into())]);
}

#[test]
fn a_value_in_another_form_than_its_types_rejects_its_record() {
    let amount = DataType::Decimal128(12, 2);
    let scan = Reading::of(&[("yes", DataType::Boolean), ("day", DataType::Date32), ("amount", amount)]);
    let good = ["true,2022-01-31,1.50", "FALSE,0001-01-01,-7", "true,9999-12-31,1.500"];
    let bad =
        ["ye,2022-01-31,1", "true,20220131,1", "true,2022-01-31,1.005", "true,+12022-01-31,1", "true,2022-1-31,1"];
    let file = format!("yes,day,amount\n{}\n{}\n", good.join("\n"), bad.join("\n"));
    let outcome = scan.read::<Csv>(file.as_bytes()).unwrap();
    assert_eq!(outcome.rows.len(), good.len(), "{outcome:?}");
    assert_eq!(outcome.rejected.len(), bad.len(), "{outcome:?}");
}

#[test]
fn numbers_are_finite_and_times_with_an_offset_become_utc() {
    let time = DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Microsecond, None);
    let scan = Reading::of(&[("f", DataType::Float64), ("t", time)]);
    let good = [
        "1e3,2024-01-01 23:59:59.123456",
        "-.5,2024-01-01T00:00:00",
        "1,2024-01-01T23:59:59+08:00",
        "2,2024-01-01T15:59:59Z",
        "3,2024-01-01 10:59:59-05",
        "4,2024-01-01 23:59:59 +0800",
    ];
    let bad = [
        "1e400,2024-01-01T00:00:00",
        "NaN,2024-01-01T00:00:00",
        "inf,2024-01-01T00:00:00",
        "1,2024-01-01T23:59:60",
        "1,2024-01-01T23:59:59.1234567",
        "1,2024-01-01T23:59:59+8",
        "1,2024-01-01T23:59:59+08:0",
        "1,2024-01-01T23:59:59+08:60",
        "1,2024-01-01T23:59:59+24:00",
        "1,2024-01-01T23:59:59+08:",
        "1,9999-12-31T23:59:59-08:00",
        "1,0001-01-01T00:00:00+08:00",
        "1,2024-01-01T23:59:59 CET",
    ];
    let outcome = scan.read::<Csv>(format!("f,t\n{}\n{}\n", good.join("\n"), bad.join("\n")).as_bytes()).unwrap();
    assert_eq!((outcome.rows.len(), outcome.rejected.len()), (good.len(), bad.len()), "{outcome:?}");
    let utc = outcome.rows[2..].iter().map(|row| row[1].as_deref());
    assert!(utc.into_iter().all(|time| time == Some("2024-01-01T15:59:59")), "{outcome:?}");
}

#[test]
fn without_a_sink_the_first_unreadable_record_ends_the_run() {
    let rejected = RejectedRoute::new("application");
    let record = crate::route::RejectedRecord {
        file: "in/a.csv".into(),
        line: 7,
        raw: "1,2,3".into(),
        reason: "too_many_fields".into(),
    };
    let error = rejected.send(Findings { rejected: vec![record], ..Findings::default() }).unwrap_err();
    assert_eq!(error.to_string(), "in/a.csv:7: a record cannot be read: too_many_fields");
    let help = miette::Diagnostic::help(&error).unwrap().to_string();
    assert!(help.contains("from: application.rejected"), "{help}");
}

#[test]
fn after_a_backslash_letters_are_the_characters_that_databases_mean_by_them() {
    let dialect = Dialect { escape: Some(b'\\'), delimiter: "\t".to_owned(), quote: None, ..Dialect::default() };
    let scan = Reading { null_values: vec!["\\N".into()], ..Reading::texts(2) };
    let file = b"c0\tc1\na\\tb\\nc\\\\n\t\\N\nd\\\ne\t\\\\N\n";
    let outcome = scan.read_as(Csv { rules: dialect, head: Head::default() }, file).unwrap();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(outcome.rows, [vec![text("a\tb\nc\\n"), None], vec![text("d\ne"), text("\\N")]]);
}

#[test]
fn lines_that_are_skipped_count() {
    let head = Head { header: true, skip_lines: 2 };
    let file = b"Report\n\"unclosed,\nc0,c1\n1,2\n3\n";
    let outcome = Reading::texts(2).read_as(Csv { rules: super::Strict, head }, file).unwrap();
    assert_eq!(plain(&outcome.rows), [["1", "2"]]);
    assert_eq!(outcome.rejected, [(5, "3".into(), "too_few_fields".into())]);
    let error = Reading::texts(2).read_as(Csv { rules: super::Strict, head }, b"Report\n").unwrap_err();
    assert_eq!(error.to_string(), "0: has only 1 lines, and 2 are skipped before the first record");
}

#[test]
fn without_a_header_fields_are_the_columns_in_order() {
    let csv = || Csv { rules: super::Strict, head: Head { header: false, skip_lines: 0 } };
    let outcome = Reading::texts(2).read_as(csv(), b"\xef\xbb\xbf1,2\n3,4,5\n").unwrap();
    assert_eq!(plain(&outcome.rows), [["1", "2"]]);
    assert_eq!(outcome.rejected, [(2, "3,4,5".into(), "too_many_fields".into())]);
    let lenient = Reading { ignore_unknown: true, ..Reading::texts(2) };
    assert_eq!(plain(&lenient.read_as(csv(), b"1,2,x\n3,4,y\n").unwrap().rows), [["1", "2"], ["3", "4"]]);
    assert!(
        Reading::texts(2).read_as(csv(), b"c1,c0\n1,2\n").unwrap_err().to_string().contains("the names of the columns")
    );
}
