//! Sheets of workbooks as sources.
#![cfg(feature = "excel")]
#![allow(clippy::unwrap_used)]

mod support;

use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook, Worksheet};
use support::Project;

/// A task that reads `in/*`.
fn project(files: &str, more: &str, columns: &str) -> Project {
    Project::reading(&format!("format: excel{files}"), more, columns)
}

/// Writes the cells of a sheet.
type Write<'a> = &'a dyn Fn(&mut Worksheet);

/// Writes a workbook with a sheet for each of these.
fn save(project: &Project, path: &str, sheets: &[(&str, Write<'_>)]) {
    let mut book = Workbook::new();
    for (name, write) in sheets {
        write(book.add_worksheet().set_name(*name).unwrap());
    }
    project.file(path, book.save_to_buffer().unwrap());
}

/// Writes texts, one row after the other; an empty text is no cell.
fn texts(sheet: &mut Worksheet, first: u32, rows: &[&[&str]]) {
    for (row, texts) in (first..).zip(rows) {
        for (column, text) in (0..).zip(*texts).filter(|(_, text)| !text.is_empty()) {
            sheet.write(row, column, *text).unwrap();
        }
    }
}

/// The rejected rows, without the path of the file.
fn rejected(project: &Project) -> Vec<String> {
    let text = project.text("out/bad.csv");
    text.lines().skip(1).map(|line| line.split_once(".xlsx,").unwrap().1.to_owned()).collect()
}

const TYPES: &str = "{id: bigint, price: 'decimal(10,2)', ratio: double, day: date, at: timestamp, hour: time, ok: boolean, \
                     note: string}";

#[test]
fn values_are_those_that_are_stored_and_rows_have_their_numbers() {
    let project = project("", "", TYPES);
    save(
        &project,
        "in/a.xlsx",
        &[("Orders", &|sheet| {
            texts(sheet, 0, &[&["id", "price", "ratio", "day", "at", "hour", "ok", "note"]]);
            let (date, time) = (Format::new().set_num_format("dd.mm.yyyy"), Format::new().set_num_format("hh:mm"));
            let at = Format::new().set_num_format("yyyy-mm-dd hh:mm:ss");
            let day = |text: &str| ExcelDateTime::parse_from_str(text).unwrap();
            for row in [1, 3] {
                sheet.write(row, 0, 7).unwrap();
                sheet.write_with_format(row, 1, 12.5, &Format::new().set_num_format("0")).unwrap();
                sheet.write(row, 2, 0.1 + 0.2).unwrap();
                sheet.write_with_format(row, 3, day("2024-02-29"), &date).unwrap();
                sheet.write_with_format(row, 4, day("2024-02-29 08:30:15.5"), &at).unwrap();
                sheet.write_with_format(row, 5, day("08:30:00"), &time).unwrap();
                sheet.write(row, 6, true).unwrap();
                sheet.write(row, 7, "two\nlines, \"quoted\"").unwrap();
            }
            // The time of a timestamp at midnight, and a date with a time, which is no date.
            sheet.write_with_format(5, 4, day("2024-02-29"), &at).unwrap();
            sheet.write_with_format(6, 3, day("2024-02-29 08:30:00"), &date).unwrap();
            sheet.write(7, 1, 0.1 + 0.2).unwrap();
            sheet.write_with_format(8, 7, day("2024-02-29"), &date).unwrap();
            sheet.write_with_format(9, 7, 60, &date).unwrap();
        })],
    );
    project.run(&[]).ended(0, "");
    let row =
        "7,12.50,0.30000000000000004,2024-02-29,2024-02-29 08:30:15.500,08:30:00,true,\"two\nlines, \"\"quoted\"\"\"\n";
    let expected =
        format!("id,price,ratio,day,at,hour,ok,note\n{row}{row},,,,2024-02-29 00:00:00,,,\n,,,,,,,2024-02-29\n");
    assert_eq!(project.text("out/rows.csv").replace('T', " "), expected);
    assert_eq!(
        rejected(&project),
        [
            "7,\",,,2024-02-29T08:30:00,,,,\",invalid_day",
            "8,\",0.30000000000000004,,,,,,\",invalid_price",
            "10,\",,,,,,,#NO_DATE 60\",invalid_note",
        ]
    );
}

#[test]
fn the_date_system_of_1904_is_that_of_the_workbook() {
    let project = project("", "", "{day: date}");
    save(
        &project,
        "in/a.xlsx",
        &[("A", &|sheet| {
            sheet.write(0, 0, "day").unwrap();
            sheet.write_with_format(1, 0, 43_831, &Format::new().set_num_format("yyyy-mm-dd")).unwrap();
        })],
    );
    let book = std::fs::read(project.path("in/a.xlsx")).unwrap();
    project.file(
        "in/a.xlsx",
        support::zip::replaced(&book, "xl/workbook.xml", "<workbookPr ", "<workbookPr date1904=\"1\" "),
    );
    project.run(&[]).ended(0, "");
    assert_eq!(project.text("out/rows.csv"), "day\n2024-01-02\n");
}

#[test]
fn errors_and_formulas_without_a_value_reject_their_row_and_empty_results_are_null() {
    let project = project(
        "",
        "\n    null_values: ['-', '#REF!']",
        "{id: bigint, note: string, other: {type: string, on_invalid: set_null}}",
    );
    save(
        &project,
        "in/a.xlsx",
        &[("A", &|sheet| {
            texts(sheet, 0, &[&["id", "note", "other"]]);
            let error = |text: &str| Formula::new("=1/0").set_result(text);
            sheet.write(1, 0, 1).unwrap();
            sheet.write(1, 1, error("#N/A")).unwrap();
            sheet.write(2, 0, error("#DIV/0!")).unwrap();
            sheet.write(3, 0, 3).unwrap();
            sheet.write(3, 1, "#N/A").unwrap();
            sheet.write(3, 2, Formula::new("=\"\"").set_result("blank")).unwrap();
            sheet.write(4, 0, 4).unwrap();
            sheet.write(4, 1, Formula::new("=6*7").set_result("42")).unwrap();
            sheet.write(4, 2, error("#VALUE!")).unwrap();
            sheet.write(5, 0, 5).unwrap();
            sheet.write(5, 1, Formula::new("=UPPER(A1)").set_result("none")).unwrap();
            sheet.write(6, 0, error("#REF!")).unwrap();
            sheet.write(6, 1, "-").unwrap();
        })],
    );
    let book = std::fs::read(project.path("in/a.xlsx")).unwrap();
    let without = support::zip::replaced(&book, "xl/worksheets/sheet1.xml", "<v>none</v>", "");
    let blank = support::zip::replaced(&without, "xl/worksheets/sheet1.xml", "<v>blank</v>", "<v></v>");
    project.file("in/a.xlsx", blank);
    let ran = project.run(&[]);
    ran.ended(0, "excel_error_note");
    assert_eq!(project.text("out/rows.csv"), "id,note,other\n3,#N/A,\n4,42,\n,,\n");
    assert_eq!(
        rejected(&project),
        [
            "2,\"1,#N/A,\",excel_error_note",
            "3,\"#DIV/0!,,\",excel_error_id",
            "6,\"5,#NO_VALUE,\",formula_without_value_note",
        ]
    );
    assert!(format!("{}{}", ran.out, ran.err).contains("excel_error_other"), "{ran:?}");
}

#[test]
fn a_sheet_is_chosen_by_its_name_or_its_number() {
    let write = |project: &Project| {
        save(
            project,
            "in/a.xlsx",
            &[
                ("2024", &|sheet| texts(sheet, 0, &[&["id"], &["1"]])),
                ("Empty", &|_| {}),
                ("More", &|sheet| texts(sheet, 0, &[&["id"], &["3"]])),
            ],
        );
    };
    for (sheet, id) in [("2024", "1"), ("1", "1"), ("3", "3"), ("More", "3"), ("'${which}'", "3")] {
        let project = project(&format!(", sheet: {sheet}"), "", "{id: bigint}");
        project.task("sources:", "params: {which: {type: string, default: More}}\nsources:");
        write(&project);
        project.run(&[]).ended(0, "");
        assert_eq!(project.text("out/rows.csv"), format!("id\n{id}\n"), "{sheet}");
    }
    let none = project("", "", "{id: bigint}");
    write(&none);
    none.run(&[]).ended(1, "in/a.xlsx: has several sheets: `2024`, `More`");
    let unknown = project(", sheet: Mor", "", "{id: bigint}");
    write(&unknown);
    unknown.run(&[]).ended(1, "has no sheet `Mor`; it has: `2024`, `Empty`, `More`");
    let empty = project(", sheet: Empty", "", "{id: bigint}");
    write(&empty);
    empty.run(&[]).ended(1, "in/a.xlsx: is empty");
    let skipped = project(", sheet: Empty", "\n    if_empty: skip", "{id: bigint}");
    write(&skipped);
    skipped.run(&[]).ended(0, "");
}

#[test]
fn the_only_sheet_with_content_is_read_and_the_header_may_be_in_any_row() {
    let rows: &[&[&str]] = &[
        &["Report"],
        &[],
        &["", "", "made by Ann"],
        &["", "Name", "Amount"],
        &["", "a", "1"],
        &[],
        &["", "Name", "Amount"],
        &["", "b", "2"],
        &["", "total", "3"],
    ];
    let write = |project: &Project| {
        save(project, "in/a.xlsx", &[("Cover", &|_| {}), ("Data", &|sheet| texts(sheet, 0, rows))]);
    };
    let columns = "{name: string, amount: {type: bigint}}";
    let first = project("", "", columns);
    write(&first);
    first.run(&[]).ended(1, "row 1 of its sheet `Data` has none of the declared columns");
    let exact = project(", headers: loose", "", columns);
    write(&exact);
    exact.run(&[]).ended(1, "specify `header: 4` next to its path");
    let fourth = project(", headers: loose, header: 4, skip_last: 1", "", columns);
    write(&fourth);
    fourth.run(&[]).ended(0, "");
    assert_eq!(fourth.text("out/rows.csv"), "name,amount\na,1\nb,2\n");
    assert_eq!(rejected(&fourth), ["7,\",Name,Amount\",repeated_header"]);
}

#[test]
fn without_a_header_the_columns_are_those_of_the_sheet() {
    let rows: &[&[&str]] = &[&["made by Ann"], &["1", "", "x"], &["2"]];
    let declared = "{id: bigint, note: {type: string, position: 3}, line: {type: bigint, from: line}, second: {type: string, \
                    position: 2, optional: true}}";
    let project = project(", header: false, skip_lines: 1", "", declared);
    save(&project, "in/a.xlsx", &[("A", &|sheet| texts(sheet, 0, rows))]);
    project.run(&[]).ended(0, "");
    assert_eq!(project.text("out/rows.csv"), "id,note,line,second\n1,x,2,\n2,,3,\n");
    save(&project, "in/a.xlsx", &[("A", &|sheet| texts(sheet, 0, &[&["t"], &["1", "y"]]))]);
    project.run(&[]).ended(1, "its sheet `A` has nothing in column C");
    save(&project, "in/a.xlsx", &[("A", &|sheet| texts(sheet, 0, &[&["t"], &["1", "", "x", "y"]]))]);
    project.run(&[]).ended(1, "its sheet `A` has a column D that is not declared");
}

#[test]
fn columns_without_a_name_count_if_they_have_content() {
    let project = project("", "", "{id: bigint, note: string}");
    save(&project, "in/a.xlsx", &[("A", &|sheet| texts(sheet, 0, &[&["id", "", "note"], &["1", "", "x"]]))]);
    project.run(&[]).ended(0, "");
    assert_eq!(project.text("out/rows.csv"), "id,note\n1,x\n");
    save(&project, "in/a.xlsx", &[("A", &|sheet| texts(sheet, 0, &[&["id", "", "note"], &["1", "y", "x"]]))]);
    project.run(&[]).ended(1, "its header has a column without a name");
}

#[test]
fn numbers_have_no_decimal_point_of_a_language_and_texts_may_have_one() {
    let columns = "{id: bigint, amount: 'decimal(10,3)'}";
    let project = project("", "\n    decimal_point: ','\n    thousands: '.'", columns);
    save(
        &project,
        "in/a.xlsx",
        &[("A", &|sheet| {
            texts(sheet, 0, &[&["id", "amount"], &["1", "1.234,5"]]);
            sheet.write(2, 0, 2).unwrap();
            sheet.write(2, 1, 1.234).unwrap();
        })],
    );
    project.run(&[]).ended(0, "");
    assert_eq!(project.text("out/rows.csv"), "id,amount\n1,1234.500\n2,1.234\n");
}

#[test]
fn files_that_are_no_workbooks_and_workbooks_read_as_csv_are_told() {
    let project = project("", "", "{id: bigint}");
    for (content, said) in [
        (&b"id\n1\n"[..], "is text, and no workbook"),
        (b"<html><table><tr><td>id</td></tr></table></html>", "is an HTML page, whatever its name is"),
        (b"PK\x03\x04 and no more", "its workbook is damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and no more", "its workbook is damaged"),
        (b"\0\x01\x02\x03", "is not a workbook of Excel or OpenDocument"),
        (b"", "is empty"),
    ] {
        project.file("in/a.xlsx", content);
        project.run(&[]).ended(1, said);
    }
    save(&project, "in/a.xlsx", &[("A", &|sheet| texts(sheet, 0, &[&["id"], &["1"]]))]);
    project.task("format: excel", "format: csv");
    project.run(&[]).ended(1, "`format: excel`");
}

#[test]
fn a_file_is_read_once_and_copies_without_rows_are_none() {
    let project = project("", "\n    read: new", "{id: bigint}");
    save(&project, "in/a.xlsx", &[("A", &|sheet| texts(sheet, 0, &[&["id"], &["1"]]))]);
    save(&project, "in/b.xlsx", &[("A", &|sheet| texts(sheet, 0, &[&["id"]]))]);
    std::fs::copy(project.path("in/b.xlsx"), project.path("in/c.xlsx")).unwrap();
    project.run(&[]).ended(0, "");
    assert_eq!(project.text("out/rows.csv"), "id\n1\n");
    project.run(&[]).ended(0, "skipped");
}

#[test]
fn keys_of_other_formats_are_refused() {
    for (files, said) in [
        (", delimiter: ';'", "`delimiter` is not for files with `format: excel`"),
        (", encoding: utf-8", "`encoding` is not for files with `format: excel`"),
        (", compression: gzip", "a workbook is compressed already"),
    ] {
        project(files, "", "{id: bigint}").weir(&["validate", "--task-config", "task.yaml"]).ended(2, said);
    }
    let csv = project(", sheet: A", "", "{id: bigint}");
    csv.task("format: excel", "format: csv");
    csv.weir(&["validate", "--task-config", "task.yaml"]).ended(2, "`sheet` is not for files with `format: csv`");
}

/// What is read of the sheet `Orders` in `tests/data/kinds.*`, which LibreOffice has written.
fn kinds(path: &str) -> (String, Vec<String>) {
    let columns =
        "{id: bigint, price: 'decimal(10,2)', day: date, at: timestamp, hour: time, ok: boolean, note: string}";
    let project = project(", sheet: Orders", "", columns);
    // The kind of a workbook is told by its content.
    std::fs::create_dir(project.path("in")).unwrap();
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/");
    std::fs::copy(format!("{data}{path}"), project.path("in/a.xlsx")).unwrap();
    project.run(&[]).ended(0, "");
    (project.text("out/rows.csv"), rejected(&project))
}

#[test]
fn workbooks_of_excel_97_and_of_opendocument_have_the_same_values() {
    let rows = "id,price,day,at,hour,ok,note
7,12.50,2024-02-29,2024-02-29T08:30:15,08:30:00,true,\"a, \"\"b\"\"\"
10,,,,,,
11,42.00,,,,,X
12,,,,,,#N/A
";
    let bad = ["4,\"8,#DIV/0!,,,,,divided\",excel_error_price", "5,\"9,,,,,,#N/A\",excel_error_note"];
    for path in ["kinds.xls", "kinds.ods"] {
        let (read, rejected) = kinds(path);
        assert_eq!(read.replace("2024-02-29 08:30:15", "2024-02-29T08:30:15"), rows, "{path}");
        assert_eq!(rejected, bad, "{path}");
    }
}

/// A record of a binary workbook.
fn record(kind: u16, parts: &[&[u8]]) -> Vec<u8> {
    let data = parts.concat();
    let mut out = match kind {
        0..0x80 => vec![kind as u8],
        _ => vec![kind as u8 | 0x80, (kind >> 7) as u8],
    };
    assert!(data.len() < 0x80);
    out.push(data.len() as u8);
    out.extend(data);
    out
}

fn wide(text: &str) -> Vec<u8> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let length = (units.len() as u32).to_le_bytes();
    length.into_iter().chain(units.into_iter().flat_map(u16::to_le_bytes)).collect()
}

/// A binary workbook of one sheet with these records.
fn binary(cells: &[Vec<u8>]) -> Vec<u8> {
    let zero = &[0; 4][..];
    let book = [
        record(0x83, &[]),
        record(0x99, &[zero, zero, zero]),
        record(0x9c, &[zero, &1_u32.to_le_bytes(), &wide("rId1"), &wide("A")]),
        record(0x90, &[]),
        record(0x9d, &[]),
        record(0x84, &[]),
    ];
    let sheet = [record(0x81, &[]), record(0x94, &[&[0; 16]]), record(0x91, &[])];
    let sheet = sheet.iter().chain(cells).cloned().chain([record(0x92, &[]), record(0x82, &[])]);
    let relations = "<Relationships><Relationship Id=\"rId1\" Target=\"worksheets/sheet1.bin\"/></Relationships>";
    support::zip::archive(&[
        ("[Content_Types].xml", b"<Types/>".to_vec()),
        ("xl/workbook.bin", book.concat()),
        ("xl/_rels/workbook.bin.rels", relations.into()),
        ("xl/worksheets/sheet1.bin", sheet.collect::<Vec<_>>().concat()),
    ])
}

#[test]
fn binary_workbooks_are_read_and_the_errors_of_their_formulas_reject_the_row() {
    let row = |row: u32| record(0x00, &[&row.to_le_bytes(), &[0; 13]]);
    let cell = |kind: u16, column: u32, value: &[u8]| record(kind, &[&column.to_le_bytes(), &[0; 4], value]);
    let formula = [7, 0, 0, 0, 0x1e, 1, 0, 0x1e, 0, 0, 0x06, 0, 0, 0, 0];
    let project = project("", "", "{id: bigint, note: string}");
    project.file(
        "in/a.xlsx",
        binary(&[
            row(0),
            cell(0x06, 0, &wide("id")),
            cell(0x06, 1, &wide("note")),
            row(1),
            cell(0x05, 0, &1.0_f64.to_le_bytes()),
            // The error of a formula.
            cell(0x0b, 1, &[&[0x07, 0, 0][..], &formula].concat()),
            row(2),
            cell(0x02, 0, &(2_u32 << 2 | 2).to_le_bytes()),
            // The empty text of a formula, and then an error that is no formula.
            cell(0x08, 1, &[&wide("")[..], &[0, 0], &formula].concat()),
            row(3),
            cell(0x03, 1, &[0x2a]),
        ]),
    );
    project.run(&[]).ended(0, "");
    assert_eq!(project.text("out/rows.csv"), "id,note\n2,\n");
    assert_eq!(rejected(&project), ["2,\"1,#ERROR\",excel_error_note", "4,\",#N/A\",excel_error_note"]);
}

#[test]
fn a_workbook_with_a_password_is_told() {
    let project = project("", "", "{id: bigint}");
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    project.file("in/a.xlsx", [&b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..], &[0; 1000], &name].concat());
    project.run(&[]).ended(1, "in/a.xlsx: is protected by a password");
}

#[test]
fn merged_cells_are_an_error_unless_the_task_says_which_of_them_have_the_value() {
    let columns = "{region: string, id: bigint, note: {type: string, optional: true}}";
    let write = |project: &Project| {
        save(
            project,
            "in/a.xlsx",
            &[("A", &|sheet| {
                let format = Format::new();
                sheet.merge_range(0, 0, 0, 2, "Report", &format).unwrap();
                texts(sheet, 1, &[&["region", "id", "note"]]);
                sheet.merge_range(2, 0, 4, 0, "North", &format).unwrap();
                (2..5).for_each(|row| _ = sheet.write(row, 1, row).unwrap());
                sheet.merge_range(5, 0, 6, 0, "South", &format).unwrap();
                sheet.write(5, 1, 5).unwrap();
                sheet.merge_range(7, 0, 7, 2, "made by Ann", &format).unwrap();
            })],
        );
    };
    for (files, rows) in [
        ("header: 2, skip_last: 1, merged_cells: fill", "North,2,\nNorth,3,\nNorth,4,\nSouth,5,\n"),
        ("header: 2, skip_last: 1, merged_cells: first", "North,2,\n,3,\n,4,\nSouth,5,\n"),
    ] {
        let project = project(&format!(", {files}"), "", columns);
        write(&project);
        project.run(&[]).ended(0, "");
        assert_eq!(project.text("out/rows.csv"), format!("region,id,note\n{rows}"));
    }
    let refused = project(", header: 2, skip_last: 1", "", columns);
    write(&refused);
    refused.run(&[]).ended(1, "its sheet `A` has merged cells, A3:A5: only the first has a value");
    // Columns that are not read do not matter, and neither do rows that are none.
    let others = project(", header: 2, skip_last: 1", "\n    unknown_columns: ignore", "{id: bigint}");
    write(&others);
    others.run(&[]).ended(0, "");
    let last = project(", header: 2", "\n    unknown_columns: ignore", "{id: bigint}");
    write(&last);
    last.run(&[]).ended(1, "has merged cells, A8:C8");
    let old = project(", sheet: Merged", "", "{region: string, id: bigint}");
    std::fs::create_dir(old.path("in")).unwrap();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/kinds.xls"), old.path("in/a.xls")).unwrap();
    old.run(&[]).ended(1, "in/a.xls: its sheet `Merged` has merged cells, A2:A3");
}

#[test]
fn init_finds_the_table_of_a_workbook() {
    let project = Project::empty();
    save(
        &project,
        "book.xlsx",
        &[
            ("Cover", &|sheet| texts(sheet, 0, &[&["Orders of the shop"]])),
            ("Orders 2024", &|sheet| {
                texts(sheet, 0, &[&["Report"], &[], &["", "Order No", "day", "at", "note"]]);
                let (date, at) =
                    (Format::new().set_num_format("dd.mm.yyyy"), Format::new().set_num_format("dd.mm.yyyy hh:mm"));
                for row in 3..6 {
                    sheet.write(row, 1, row).unwrap();
                    let day = ExcelDateTime::from_ymd(2024, 2, row as u8).unwrap();
                    sheet.write_with_format(row, 2, &day, &date).unwrap();
                    let time = if row == 3 { day } else { day.and_hms(8, 30, 0).unwrap() };
                    sheet.write_with_format(row, 3, &time, &at).unwrap();
                    sheet.write(row, 4, "a, b").unwrap();
                }
            }),
        ],
    );
    let ran = project.weir(&["init", "book.xlsx"]);
    ran.ended(0, "book.xlsx: its sheet `Orders 2024` has the most rows; not read: `Cover`");
    let task = project.text("book.yaml");
    for line in [
        "format: excel, sheet: \"Orders 2024\", header: 3}",
        "      order_no: {type: bigint, header: \"Order No\"}\n",
        "      day: date\n",
        "      at: timestamp\n",
        "      note: string\n",
    ] {
        assert!(task.contains(line), "no `{line}` in\n{task}");
    }
    project.weir(&["test", "book.yaml"]).ended(0, "");
    project.weir(&["run", "book.yaml"]).ended(0, "done: `book`");
    assert_eq!(project.rows("out/book").len(), 4);
}
