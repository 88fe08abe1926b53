//! Files with `format: fixed_width`.
#![allow(clippy::unwrap_used)]

mod support;

use support::Project;

const COLUMNS: &str = "{id: {type: bigint, characters: 1-4}, name: {type: string, characters: 5-12}, \
                       paid: {type: date, format: '%Y%m%d', characters: 13-20}, code: {type: string, characters: 21}}";

/// A task that reads `in/*`.
fn project(files: &str, more: &str, columns: &str) -> Project {
    Project::reading(&format!("format: fixed_width{files}"), more, columns)
}

/// The rows that are read from a file.
fn read(project: &Project, file: &[u8]) -> String {
    project.file("in/payments.txt", file);
    project.run(&[]).ended(0, "");
    project.text("out/rows.csv")
}

#[test]
fn columns_are_the_characters_of_a_line_without_blanks_around_them() {
    let project = project("", "", COLUMNS);
    let rows = read(&project, "0001Zoë     20260105A\r\n   2Bob J.           \r\n\n0003        20260230A\n".as_bytes());
    assert_eq!(rows, "id,name,paid,code\n1,Zoë,2026-01-05,A\n2,Bob J.,,\n");
    let unreadable = project.text("out/bad.csv");
    assert!(unreadable.contains("payments.txt,4,0003        20260230A,invalid_paid"), "{unreadable}");
}

#[test]
fn short_lines_and_characters_of_no_column_are_rejected_and_the_errors_propose_how_to_read_them() {
    let project = project("", "", COLUMNS);
    project.file("in/payments.txt", "0001Ann     20260105A\n0002Bob     2026010\n0003Cyd     20260105A x\n");
    let ran = project.run(&[]);
    ran.ended(0, "`short_lines: fill`");
    ran.ended(0, "`unknown_columns: ignore`");
    let unreadable = project.text("out/bad.csv");
    assert!(unreadable.contains(",2,0002Bob     2026010,too_few_characters"), "{unreadable}");
    assert!(unreadable.contains(",3,0003Cyd     20260105A x,undeclared_characters"), "{unreadable}");

    let columns = COLUMNS.replace("5-12", "5-12, on_invalid: reject");
    let project = self::project(", short_lines: fill", "\n    unknown_columns: ignore", &columns);
    let rows = read(&project, b"0001Ann     20260105A x\n0002Bob\n");
    assert_eq!(rows, "id,name,paid,code\n1,Ann,2026-01-05,A\n2,Bob,,\n");
}

#[test]
fn columns_of_later_generations_may_be_missing_at_the_end_of_lines() {
    let columns = COLUMNS.replace("characters: 21}", "characters: 21-, optional: true, default: old}");
    let project = project("", "", &columns);
    let rows = read(&project, b"0001Ann     20260105\n0002Bob     20260106new one\n0003Cyd     20260106 \n");
    assert_eq!(rows, "id,name,paid,code\n1,Ann,2026-01-05,old\n2,Bob,2026-01-06,new one\n3,Cyd,2026-01-06,\n");
}

#[test]
fn lines_that_are_no_rows_are_skipped_and_the_text_may_be_in_another_encoding_and_compressed() {
    let form = ", skip_lines: 1, skip_last: 1, comment: '#', encoding: windows-1252, trim: false, compression: gzip";
    let project = project(form, "\n    null_values: ['NONE']", COLUMNS);
    let lines = b"PAYMENTS OF 2026\n# by hand\n0001Zo\xeb     20260105A\n0002NONE    20260106B\nTOTAL 2\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, lines).unwrap();
    let rows = read(&project, &gzip.finish().unwrap());
    assert_eq!(rows, "id,name,paid,code\n1,Zoë     ,2026-01-05,A\n2,,2026-01-06,B\n");
}

#[test]
fn a_file_that_has_grown_is_read_from_its_former_end_on() {
    let project = project("", "\n    read: new\n    if_changed: new_rows", COLUMNS);
    read(&project, b"0001Ann     20260105A\n");
    let rows = read(&project, b"0001Ann     20260105A\n0002Bob     20260106B\n");
    assert_eq!(rows, "id,name,paid,code\n2,Bob,2026-01-06,B\n");
}

#[test]
fn files_without_rows_are_no_copies_of_each_other() {
    let project = project(", skip_lines: 1", "\n    read: new", COLUMNS);
    project.file("in/a.txt", "PAYMENTS\n");
    project.file("in/b.txt", "PAYMENTS\n");
    project.file("in/c.txt", "PAYMENTS\n0001Ann     20260105A\n");
    project.run(&[]).ended(0, "");
    assert_eq!(project.text("out/rows.csv").lines().count(), 2);
    project.file("in/d.txt", "PAYMENTS\n0001Ann     20260105A\n");
    project.run(&[]).ended(1, "if_copied");
}

#[test]
fn a_test_may_give_lines() {
    let project = project("", "", COLUMNS);
    let task = project.text("task.yaml").replace("sinks:", "models: {paid: sql/paid.sql}\nsinks:");
    project.file("task.yaml", task.replace("from: row,", "from: paid,"));
    project.file("sql/paid.sql", "select id, name from row where paid is not null");
    project.file(
        "sql/paid.test.yaml",
        "a_line:\n  given:\n    row: |\n      0001Ann     20260105A\n      0002Bob             B\n  expect:\n    \
         paid: [{id: 1, name: Ann}]\n",
    );
    project.weir(&["test", "task.yaml"]).ended(0, "1 case, all ok");
}

#[test]
fn characters_that_do_not_fit_are_errors_at_their_position() {
    let wrong = |files: &str, columns: &str, said: &str| {
        project(files, "", columns).weir(&["validate", "task.yaml"]).ended(2, said);
    };
    wrong("", "{a: {type: string, characters: 1-8}, b: string}", "column `b`: `characters` is missing");
    wrong("", "{a: {type: string, characters: 1-8}, b: {type: string, characters: 8-9}}", "overlap those of `a`, 1-8");
    wrong("", "{a: {type: string, characters: 8-1}}", "`8-1` are no characters of a line");
    wrong("", "{a: {type: string, characters: 1-8, header: A}}", "remove `header`");
    wrong("", "{a: {type: string, characters: 1-8, position: 1}}", "`position` is for CSV and Excel");
    wrong("", "{a: {type: string, position: 1}}", "write `characters: 1-8` instead");
    wrong(", delimiter: ','", "{a: {type: string, characters: 1-8}}", "`delimiter` is not for files");
    wrong(", header: false", "{a: {type: string, characters: 1-8}}", "`header` is not for files");
    let csv = project("", "", "{a: {type: string, characters: 1-8}}");
    let task = csv.text("task.yaml").replace("fixed_width", "csv");
    csv.file("task.yaml", task);
    csv.weir(&["validate", "task.yaml"]).ended(2, "`characters` is for columns of files with `format: fixed_width`");
}
