//! CSV as other programs write it: each form is read by an option, and the error without it proposes the option.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Project, Ran};

/// A task that reads `in/*.csv` in a form, and writes accepted rows and unreadable records.
fn task(form: &str, columns: &str) -> String {
    format!(
        r#"
name: read
sources:
  src:
    files: {{path: "in/*.csv", format: csv{form}}}
    columns: {columns}
sinks:
  rows: {{from: src, mode: overwrite, files: {{path: out/rows, format: csv}}}}
  broken: {{from: src.rejected, mode: overwrite, publish: always, files: {{path: out/broken, format: csv}}}}
"#
    )
}

const COLUMNS: &str = "{id: integer, name: string}";

/// Reads one file in a form.
fn read(form: &str, columns: &str, file: impl AsRef<[u8]>) -> (Project, Ran) {
    let project = Project::empty();
    project.file("task.yaml", task(form, columns));
    project.file("in/a.csv", file);
    let ran = project.run(&[]);
    (project, ran)
}

/// Checks that a file is an error which proposes a form, and that with the form its rows are these.
fn proposed(file: impl AsRef<[u8]>, said: &str, option: &str, rows: &[&str]) {
    let (_, ran) = read("", COLUMNS, &file);
    ran.ended(1, said);
    ran.ended(1, &format!("`{option}`"));
    accepted(&format!(", {option}"), file, rows);
}

fn accepted(form: &str, file: impl AsRef<[u8]>, rows: &[&str]) -> Project {
    let (project, ran) = read(form, COLUMNS, file);
    ran.ended(0, "");
    assert_eq!(project.rows("out/rows")[1..], *rows, "{form}");
    project
}

fn utf_16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

#[test]
fn another_delimiter_is_proposed() {
    proposed("id;name\n1;Ann, Lee\n", "separated by \";\", not by \",\"", "delimiter: \";\"", &["1,\"Ann, Lee\""]);
    proposed("id\tname\n1\tAnn\n", "separated by \"\\t\"", "delimiter: tab", &["1,Ann"]);
    proposed("sep=;\nid;name\n1;Ann\n", "says that columns are separated by \";\"", "delimiter: \";\"", &["1,Ann"]);
    accepted("", "sep=,\nid,name\n1,Ann\n", &["1,Ann"]);
    accepted(", delimiter: \"||\"", "id||name\n1||a|b\n", &["1,a|b"]);
}

#[test]
fn what_a_file_is_in_place_of_csv_is_told() {
    proposed("id||name\n1||a|b\n", "separated by \"||\"", "delimiter: \"||\"", &["1,a|b"]);
    let mut tar = vec![0; 600];
    tar[..5].copy_from_slice(b"a.csv");
    tar[257..262].copy_from_slice(b"ustar");
    let utf_32: Vec<u8> = "\u{feff}id,name\n".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
    for (file, said, help) in [
        (
            &b"{\"id\": 1, \"name\": \"Ann, Lee\"}\n{\"id\": 2}\n"[..],
            "its first line is a JSON object",
            "`format: jsonl`",
        ),
        (b"[\n  {\"id\": 1}\n]\n", "is JSON, and no CSV", "`format: json`"),
        (b"{\n  \"id\": 1\n}\n", "is JSON, and no CSV", "`format: json`"),
        (b"\x04\x22\x4d\x18\x64\x40\xa7", "is compressed with lz4, which is not read", "unpack it"),
        (&tar, "is a tar archive, which is not read", "tar -xf"),
        (&utf_32, "is UTF-32, which is not read", "iconv -f UTF-32"),
        (&utf_32[4..], "is UTF-32, which is not read", "iconv -f UTF-32"),
    ] {
        let (project, ran) = read("", COLUMNS, file);
        ran.ended(1, &format!("in/a.csv: {said}"));
        ran.ended(1, help);
        if !said.contains("JSON") {
            project.weir(&["init", "in/a.csv"]).ended(1, said.trim_start_matches("is "));
        }
    }
    let project = Project::empty();
    project.file("task.yaml", task("", COLUMNS).replace("*.csv", "*"));
    project.file("in/a.tgz", b"\x1f\x8b\x08\0\0\0\0\0");
    project.run(&[]).ended(1, "in/a.tgz: is a tar archive");
}

#[test]
fn utf_16_without_a_mark_is_recognised_in_any_language() {
    let rows: String = (0..40).map(|i| format!("{i},Иванов Пётр из Ленинграда\n")).collect();
    let chinese: String = (0..40).map(|i| format!("{i},一丁丂七丄丅丆万丈三上下\n")).collect();
    for (rows, to_bytes, encoding) in [
        (&rows, u16::to_le_bytes as fn(u16) -> [u8; 2], "utf-16le"),
        (&rows, u16::to_be_bytes, "utf-16be"),
        (&chinese, u16::to_le_bytes, "utf-16le"),
    ] {
        let (_, ran) = read("", COLUMNS, utf_16(&format!("номер,имя\n{rows}"), to_bytes));
        ran.ended(1, "is UTF-16, not UTF-8");
        ran.ended(1, &format!("`encoding: {encoding}`"));
    }
    // Zeros in a text in UTF-8 are characters of it.
    accepted("", "id,name\n1,a\0b\n2,\0\0\0\n", &["1,a\0b", "2,\0\0\0"]);
}

#[test]
fn the_last_records_of_files_may_be_a_footer() {
    for (footer, said, option) in [
        ("Total 2\n", "if the last record of every file is a total or a footer", "skip_last: 1"),
        ("\nTotal 2\nend", "if the last 2 records of every file are a total or a footer", "skip_last: 2"),
    ] {
        let file = format!("id,name\n1,Ann\n2,Bob\n{footer}");
        let (_, ran) = read("", COLUMNS, &file);
        let said = format!("{said}, specify `{option}`");
        assert!(ran.out.split_whitespace().collect::<Vec<_>>().join(" ").contains(&said), "{}", ran.out);
        accepted(&format!(", {option}"), &file, &["1,Ann", "2,Bob"]);
    }
    // A record within the file is no footer, and footers of different lengths are none.
    for (one, other) in [("id,name\n1\n2,Bob\n3\n", ""), ("id,name\n1,Ann\nx\n", "id,name\n1,Ann\nx\ny\n")] {
        let (project, _) = read("", COLUMNS, one);
        if !other.is_empty() {
            project.file("in/b.csv", other);
        }
        let ran = project.run(&[]);
        assert!(!format!("{}{}", ran.out, ran.err).contains("skip_last"), "{}", ran.out);
    }
}

#[test]
fn text_in_another_encoding_is_read_by_its_name() {
    let excel = utf_16("\u{feff}id\tname\r\n1\tZoë\r\n", u16::to_le_bytes);
    let (_, ran) = read(", delimiter: tab", COLUMNS, &excel);
    ran.ended(1, "is UTF-16, not UTF-8");
    ran.ended(1, "`encoding: utf-16`");
    accepted(", delimiter: tab, encoding: utf-16", &excel, &["1,Zoë"]);
    accepted(", encoding: utf-16", utf_16("\u{feff}id,name\n1,Zoë\n", u16::to_be_bytes), &["1,Zoë"]);
    let without_mark = utf_16("id,name\n1,Zoë\n", u16::to_be_bytes);
    proposed(without_mark, "is UTF-16, not UTF-8", "encoding: utf-16be", &["1,Zoë"]);
    for label in ["latin-1", "windows-1252", "ISO-8859-15"] {
        accepted(&format!(", encoding: {label}"), b"id,name\n1,Zo\xeb\n", &["1,Zoë"]);
    }
    accepted(", encoding: shift_jis", b"id,name\n1,\x93\xfa\x96\x7b\n", &["1,日本"]);
    let (_, ran) = read("", "{id: integer, größe: string}", b"id,gr\xf6\xdfe\n1,x\n");
    ran.ended(1, "its header line is not UTF-8");
    ran.ended(1, "`encoding: windows-1252`");
}

#[test]
fn what_is_no_text_in_the_encoding_rejects_its_row_alone() {
    let file = b"id,name\n1,\x93\xfa\n2,\x93\n3,\xff\xff\n4,ok\n";
    let (project, ran) = read(", encoding: shift_jis", COLUMNS, file);
    ran.ended(0, "invalid_encoding");
    assert_eq!(project.rows("out/rows")[1..], ["1,日", "4,ok"]);
    let broken = project.rows("out/broken");
    assert_eq!(broken.len(), 3, "{broken:?}");
    assert!(broken[1].starts_with("in/a.csv,3,") && broken[1].ends_with("invalid_encoding"), "{broken:?}");
}

#[test]
fn a_byte_order_mark_of_another_encoding_is_told() {
    let (_, ran) = read(", encoding: windows-1252", COLUMNS, "\u{feff}id,name\n1,Ann\n");
    ran.ended(1, "in/a.csv: begins with the byte order mark of UTF-8, and `encoding` is windows-1252");
    ran.ended(1, "specify `encoding: utf-8`");
    let (_, ran) = read(", encoding: utf-16le", COLUMNS, utf_16("\u{feff}id,name\n", u16::to_be_bytes));
    ran.ended(1, "specify `encoding: utf-16`");
}

#[test]
fn a_compressed_file_can_have_an_encoding() {
    let project = Project::empty();
    project.file("task.yaml", task(", encoding: utf-16", COLUMNS).replace("*.csv\"", "*.csv.zst\""));
    let text: String = (0..50_000).map(|i| format!("{i},naïve {i}\n")).collect();
    let text = utf_16(&format!("\u{feff}id,name\n{text}"), u16::to_le_bytes);
    project.file("in/a.csv.zst", zstd::stream::encode_all(&text[..], 1).unwrap());
    project.run(&[]).ended(0, "50,000");
    assert_eq!(project.rows("out/rows").len(), 50_001);
}

#[test]
fn a_file_without_a_header_is_read_in_the_declared_order() {
    proposed("1,Ann\n2,Bob\n", "its first line has none of the declared columns", "header: false", &["1,Ann", "2,Bob"]);
    let (_, ran) = read(", header: false", COLUMNS, "name,id\nAnn,1\n");
    ran.ended(1, "its first line has the names of the columns, and `header: false` takes it for a row");
    let (_, ran) =
        read(", header: false", "{id: {type: integer, position: 1}, name: {type: string, position: 3}}", "1,x,Ann\n");
    ran.ended(1, "its column 2 is not declared");
}

#[test]
fn lines_before_the_header_and_totals_after_the_rows_are_skipped() {
    let report = "Report,\nof 2024-01-31,\n\nid,name\n1,Ann\n2,Bob\n";
    proposed(report, "its first line has none of the declared columns", "header: 4", &["1,Ann", "2,Bob"]);
    accepted(", skip_lines: 2", report, &["1,Ann", "2,Bob"]);
    // The number of fields tells that the last records are no rows, or their text.
    for (footer, behind) in [("Total,\n", 1), ("Total\n", 1), ("\nsum:\n\"the\nend\"", 2)] {
        let both = format!("header: 4, skip_last: {behind}");
        let said = "its first line has none of the declared columns";
        proposed(report.to_owned() + footer, said, &both, &["1,Ann", "2,Bob"]);
    }
    for footer in ["3,Total\n", "Total,2\n", "Total\n1\n\n2\n"] {
        let (_, ran) = read("", COLUMNS, report.to_owned() + footer);
        ran.ended(1, "specify `header: 4` next to its path");
        assert!(!ran.err.contains("skip_last"), "{}", ran.err);
    }
    accepted(", header: 4, skip_last: 1", report.to_owned() + "Total,2\n\n", &["1,Ann", "2,Bob"]);
    let (_, ran) = read(", skip_lines: 9", COLUMNS, report);
    ran.ended(1, "has only 6 lines, and 9 are skipped before the first record");
}

#[test]
fn records_at_the_end_are_skipped_in_files_of_any_size() {
    let rows: String = (0..100_000).map(|i| format!("{i},\"a\nb\"\n")).collect();
    let (project, ran) = read(", skip_last: 2", COLUMNS, format!("id,name\n{rows}Sum,\n,\"x\ny\""));
    ran.ended(0, "100,000");
    assert_eq!(project.rows("out/broken").len(), 1);
    accepted(", skip_last: 2", "id,name\n1,Ann\nSum,\n,", &["1,Ann"]);
}

#[test]
fn comments_are_no_records() {
    let file = "# by the station\nid,name\n1,Ann\n# \"gap\n2,Bob\n";
    proposed(file, "its first line has none of the declared columns", "comment: \"#\"", &["1,Ann", "2,Bob"]);
}

#[test]
fn blanks_around_values_and_names_are_trimmed_on_demand() {
    let file = " id ,name\n 1 ,\u{a0}Ann \n2, \" Bob \" \n3,  \n";
    let (_, ran) = read("", COLUMNS, file);
    ran.ended(1, "column `id` is missing");
    let project = accepted(", trim: true", file, &["1,Ann", "2, Bob ", "3,"]);
    assert_eq!(project.rows("out/broken").len(), 1);
}

#[test]
fn names_are_compared_loosely_on_demand() {
    proposed("ID, Name \n1,Ann\n", "column `id` is missing", "headers: loose", &["1,Ann"]);
    let project = Project::empty();
    project.file("task.yaml", task("", "{id: integer, name: {type: string, header: [name, Nom, Surname]}}"));
    project.file("in/a.csv", "id,Nom\n1,Ann\n");
    project.file("in/b.csv", "Surname,id\nBob,2\n");
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/rows")[1..], ["1,Ann", "2,Bob"]);
}

#[test]
fn columns_with_one_name_are_taken_apart_by_their_positions() {
    let file = "id,name,name\n1,Ann,Lee\n";
    let (_, ran) = read("", COLUMNS, file);
    ran.ended(1, "duplicate column `name`: its columns 2 and 3");
    ran.ended(1, "name: {type: ..., position: 2}");
    let columns = "{id: integer, name: {type: string, position: 2}, surname: {type: string, position: 3}}";
    let (project, ran) = read("", columns, file);
    ran.ended(0, "");
    assert_eq!(project.rows("out/rows")[1..], ["1,Ann,Lee"]);
}

#[test]
fn a_delimiter_behind_the_last_column_is_nothing_on_demand() {
    let said = "its header ends with a delimiter: the last column has no name";
    proposed("id,name,\n1,Ann,\n2,Bob,\n", said, "trailing_delimiter: true", &["1,Ann", "2,Bob"]);
    proposed("id,name,\n1,Ann\n2,Bob\n", said, "trailing_delimiter: true", &["1,Ann", "2,Bob"]);
    let (project, ran) = read(", trailing_delimiter: true", COLUMNS, "id,name\n1,Ann,\n2,Bob,x\n3,\"\",\"\"\n");
    ran.ended(0, "too_many_fields");
    assert_eq!(project.rows("out/rows")[1..], ["1,Ann"]);
    assert_eq!(project.rows("out/broken").len(), 3);
}

#[test]
fn quotes_and_escapes_are_those_of_the_program_that_wrote_the_file() {
    let mysql = "\"id\",\"name\"\n\"1\",\"foo (\\\"foo\\\")\"\n2,Lee\\, Cid\n3,\\N\n";
    let project = Project::empty();
    project.file("task.yaml", task(", escape: \"\\\\\", null_text: '\\N'", COLUMNS));
    project.file("in/a.csv", mysql);
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/rows")[1..], ["1,\"foo (\"\"foo\"\")\"", "2,\"Lee, Cid\"", "3,"]);
    accepted(", quote: none", "id,name\n1,\"5\n", &["1,\"\"\"5\""]);
    accepted(", quote: \"'\"", "id,name\n1,'a,''b'\n", &["1,\"a,'b\""]);
}

#[test]
fn lines_that_end_with_carriage_returns_are_read_on_demand() {
    proposed("id,name\r1,Ann\r2,Bob\r", "has a bare carriage return", "line_end: cr", &["1,Ann", "2,Bob"]);
    let (_, ran) = read(", line_end: cr", COLUMNS, "id,name\r\n1,Ann\r\n");
    ran.ended(1, "remove `line_end: cr`");
    // Its lines have numbers, too.
    let columns = "{id: integer, line: {type: bigint, from: line}}";
    let rows: String = (2..100_000).map(|line| format!("{line}\r")).collect();
    let (project, ran) = read(", line_end: cr", columns, format!("id\r{rows}"));
    ran.ended(0, "");
    let expected = (2..100_000).map(|line| format!("{line},{line}"));
    let (mut expected, rows): (Vec<String>, _) = (expected.collect(), project.rows("out/rows"));
    expected.sort();
    assert_eq!(rows[1..], expected);
}

#[test]
fn files_that_were_put_together_have_no_header_among_their_rows() {
    let file = "id,name\n1,Ann\n\u{feff}id,name\n2,Bob\n\u{feff}3,Cy\n\u{1a}";
    let (project, ran) = read("", COLUMNS, file);
    ran.ended(0, "repeated_header");
    ran.ended(0, "byte_order_mark");
    assert_eq!(project.rows("out/rows")[1..], ["1,Ann", "2,Bob"]);
    let (project, ran) = read(", repeated_header: skip", COLUMNS, "id,name\n1,Ann\nid,name\n2,Bob\n");
    ran.ended(0, "");
    assert_eq!(project.rows("out/rows")[1..], ["1,Ann", "2,Bob"]);
    assert_eq!(project.rows("out/broken").len(), 1);
}

#[test]
fn options_that_a_format_does_not_have_are_errors_at_their_position() {
    let wrong = |files: &str, said: &str| {
        let project = Project::empty();
        let text = task("", COLUMNS).replace("format: csv}\n    columns", &format!("{files}}}\n    columns"));
        project.file("task.yaml", text);
        project.weir(&["validate", "--task-config", "task.yaml"]).ended(2, said);
    };
    wrong("format: parquet, delimiter: \";\"", "task.yaml:5:59: `delimiter` is not for files with `format: parquet`");
    wrong("format: jsonl, header: false", "`header` is not for files with `format: jsonl`");
    wrong("format: csv, encoding: klingon", "`klingon` is not an encoding that can be read");
    wrong("format: csv, encoding: iso-2022-kr", "`iso-2022-kr` is not an encoding that can be read");
    wrong("format: csv, header: 0", "`0` is not true, false or the number of a line, from 1");
    wrong("format: csv, header: 3, skip_lines: 2", "`header` has the number of a line");
    wrong("format: csv, quote: \"''\"", "`quote` is one character of ASCII that is no letter and no digit, or `none`");
    wrong("format: csv, delimiter: \"'\", quote: \"'\"", "`delimiter` and `quote` have the same character");
    wrong("format: csv, delimiter: \"\"", "`delimiter` is empty");
    wrong("format: csv, skip_last: 5000", "`skip_last` is at most 1000");
}

#[test]
fn columns_that_no_file_can_have_are_errors_at_their_position() {
    let wrong = |form: &str, columns: &str, said: &str| {
        let project = Project::empty();
        project.file("task.yaml", task(form, columns));
        project.weir(&["validate", "--task-config", "task.yaml"]).ended(2, said);
    };
    wrong(
        "",
        "{a: string, b: {type: string, header: a}}",
        "column `b`: it has the same name in the files as column `a`",
    );
    wrong(", headers: loose", "{a: string, b: {type: string, header: \" A\"}}", "same name in the files as column `a`");
    wrong(
        ", header: false",
        "{a: string, b: {type: string, position: 1}}",
        "same position in the files as column `a`, 1",
    );
    wrong("", "{a: {type: string, position: 0}}", "positions begin with 1");
}

/// A task whose sink writes `source.csv` in a form, and one that reads this with the same form.
fn round_trip(form: &str, reads: &str) -> (Project, Project) {
    let columns = "{id: bigint, name: string, day: date, ok: boolean}";
    let text = task("", columns);
    let written = text.replace("out/rows, format: csv", &format!("out/rows, format: csv{form}"));
    let (writes, again) = (Project::empty(), Project::empty());
    writes.file("task.yaml", written);
    writes.file(
        "in/a.csv",
        "id,name,day,ok\n1,\"a;b,c|d\te\",2024-01-31,true\n2,\"say \"\"hi\"\" 'x' \\n ^ §\",,false\n3,\"two\nlines\r\nand \",,\n\
         4,,,\n5,\"\\N\",,\n6,Zoë,,\n7,\" x \",,\n",
    );
    writes.run(&[]).ended(0, "");
    again.file("task.yaml", task(reads, columns));
    for file in writes.left("out/rows").iter().filter(|file| file.ends_with(".csv")) {
        again.file(&format!("in/{file}"), std::fs::read(writes.path(&format!("out/rows/{file}"))).unwrap());
    }
    again.run(&[]).ended(0, "");
    (writes, again)
}

#[test]
fn what_a_sink_writes_in_a_form_a_source_with_the_same_form_reads_back() {
    let (plain, _) = round_trip("", "");
    for form in [
        ", delimiter: \";\"",
        ", delimiter: tab, encoding: utf-16",
        ", delimiter: \"||\", quote: \"'\", header: false",
        ", delimiter: \"§\", escape: \"\\\\\"",
        ", encoding: windows-1252, line_end: crlf",
        ", line_end: cr, escape: \"^\"",
        ", quote: none, escape: \"\\\\\", delimiter: tab, null_text: '\\N'",
        ", null_text: 'NULL', quote: \"'\", escape: \"\\\\\"",
    ] {
        let (_, again) = round_trip(form, form);
        assert_eq!(again.rows("out/rows"), plain.rows("out/rows"), "{form}");
        assert_eq!(again.rows("out/broken").len(), 1, "{form}");
    }
    for form in [", quoting: all", ", bom: true", ", encoding: utf-16le, bom: true"] {
        let reads = if form.contains("utf-16") { ", encoding: utf-16" } else { "" };
        let (_, again) = round_trip(form, reads);
        assert_eq!(again.rows("out/rows"), plain.rows("out/rows"), "{form}");
    }
}

#[test]
fn files_are_written_for_excel() {
    let (project, _) = round_trip(", delimiter: \";\", bom: true, line_end: crlf, quoting: all", ", delimiter: \";\"");
    let text = std::fs::read_to_string(project.path("out/rows/part-00000.csv")).unwrap();
    assert!(
        text.starts_with("\u{feff}\"id\";\"name\";\"day\";\"ok\"\r\n\"1\";\"a;b,c|d\te\";\"2024-01-31\";\"true\"\r\n"),
        "{text}"
    );
    assert!(text.contains("\r\n\"4\";;;\r\n"), "{text}");
}

#[test]
fn a_row_that_looks_like_the_beginning_of_a_file_is_read_back() {
    let project = Project::empty();
    project.file("task.yaml", task("", "{a: string, b: string}"));
    project.file("in/a.csv", "a,b\n\"a\",b\n\"\u{feff}x\",y\n");
    project.run(&[]).ended(0, "");
    std::fs::rename(project.path("out/rows/part-00000.csv"), project.path("in/a.csv")).unwrap();
    std::fs::remove_dir_all(project.path("out")).unwrap();
    std::fs::remove_dir_all(project.path(".weir")).unwrap();
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/broken").len(), 1);
    assert_eq!(project.rows("out/rows")[1..], ["\"a\",b", "\"\u{feff}x\",y"]);
}

#[test]
fn a_value_that_the_form_cannot_hold_ends_the_run_and_says_what_to_do() {
    let fails = |form: &str, row: &str, said: &[&str]| {
        let project = Project::empty();
        let text = task("", COLUMNS).replace("out/rows, format: csv", &format!("out/rows, format: csv{form}"));
        project.file("task.yaml", text);
        project.file("in/a.csv", format!("id,name\n{row}\n"));
        let ran = project.run(&[]);
        said.iter().for_each(|said| ran.ended(1, said));
    };
    fails(
        ", encoding: windows-1252",
        "1,日本",
        &["column `name` has the character U+65E5, which windows-1252", "encoding: utf-8"],
    );
    fails(", quote: none", "1,\"a,b\"", &["column `name` has a value with a delimiter or a line break", "escape: "]);
    fails(
        ", quote: none",
        "1,\"\"",
        &["column `name` has a text that without quotes would be read as null", "null_text"],
    );
}

#[test]
fn wrong_forms_of_a_sink_are_errors_at_their_position() {
    let wrong = |form: &str, said: &str| {
        let project = Project::empty();
        project.file("task.yaml", task("", COLUMNS).replace("out/rows, format: csv", &format!("out/rows, {form}")));
        project.weir(&["validate", "--task-config", "task.yaml"]).ended(2, said);
    };
    wrong("format: parquet, bom: true", "`bom` is not for files with `format: parquet`");
    wrong("format: jsonl, delimiter: tab", "`delimiter` is not for files with `format: jsonl`");
    wrong("format: csv, encoding: windows-1252, bom: true", "`bom` is for encodings of Unicode");
    wrong("format: csv, quote: none, quoting: all", "`quoting: all` needs a `quote`");
    wrong("format: csv, null_text: \"a,b\"", "`null_text` has a delimiter or a quote");
}

#[test]
fn files_of_another_form_are_not_added_to_a_folder() {
    let project = Project::empty();
    let text = task("", COLUMNS).replace("rows: {from: src, mode: overwrite", "rows: {from: src, mode: append");
    project.file("task.yaml", text.replace("    columns:", "    read: new\n    columns:"));
    project.file("in/a.csv", "id,name\n1,Ann\n");
    project.run(&[]).ended(0, "");
    project.file("in/b.csv", "id,name\n2,Bob\n");
    project.task("out/rows, format: csv", "out/rows, format: csv, delimiter: tab");
    project.run(&[]).ended(1, "its files have another form");
    project.task(", delimiter: tab", "");
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/rows")[1..], ["1,Ann", "2,Bob"]);
}

#[test]
fn a_path_with_brackets_is_the_file_of_that_name_if_there_is_one() {
    let project = Project::empty();
    project.file("task.yaml", task("", COLUMNS));
    project.task("in/*.csv", "in/report [1].csv");
    project.file("in/report 1.csv", "id,name\n1,Ann\n");
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/rows")[1..], ["1,Ann"]);
    project.file("in/report [1].csv", "id,name\n2,Bob\n");
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/rows")[1..], ["2,Bob"]);
}
