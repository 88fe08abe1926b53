//! Sheets of workbooks as sources.
#![cfg(feature = "excel")]
#![allow(clippy::unwrap_used)]

mod support;

use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook, Worksheet};
use support::Project;

/// A task that reads `in/*`.
fn project(files: &str, more: &str, columns: &str) -> Project {
    let project = Project::empty();
    project.file(
        "task.yaml",
        format!(
            "name: orders
sources:
  order:
    files: {{path: 'in/*', format: excel{files}}}{more}
    columns: {columns}
sinks:
  orders: {{from: order, mode: overwrite, publish: always, files: {{file: out/orders.csv, format: csv}}}}
  bad: {{from: order.rejected, mode: overwrite, publish: always, files: {{file: out/bad.csv, format: csv}}}}
"
        ),
    );
    project
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

fn text(project: &Project, path: &str) -> String {
    std::fs::read_to_string(project.path(path)).unwrap()
}

/// The rejected rows, without the path of the file.
fn rejected(project: &Project) -> Vec<String> {
    let text = text(project, "out/bad.csv");
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
    assert_eq!(text(&project, "out/orders.csv").replace('T', " "), expected);
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
    assert_eq!(text(&project, "out/orders.csv"), "day\n2024-01-02\n");
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
    assert_eq!(text(&project, "out/orders.csv"), "id,note,other\n3,#N/A,\n4,42,\n,,\n");
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
        assert_eq!(text(&project, "out/orders.csv"), format!("id\n{id}\n"), "{sheet}");
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
    assert_eq!(text(&fourth, "out/orders.csv"), "name,amount\na,1\nb,2\n");
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
    assert_eq!(text(&project, "out/orders.csv"), "id,note,line,second\n1,x,2,\n2,,3,\n");
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
    assert_eq!(text(&project, "out/orders.csv"), "id,note\n1,x\n");
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
    assert_eq!(text(&project, "out/orders.csv"), "id,amount\n1,1234.500\n2,1.234\n");
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
    assert_eq!(text(&project, "out/orders.csv"), "id\n1\n");
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
