//! Files with `format: avro`. The tests of the format itself are next to it.
#![allow(clippy::unwrap_used)]

mod support;

use support::Project;

/// A file of two orders; the lengths in it are less than 64, or have two bytes.
fn orders() -> Vec<u8> {
    let text = |text: &str| {
        let length = text.len() * 2;
        let length = if length < 128 { vec![length as u8] } else { vec![length as u8 | 0x80, (length >> 7) as u8] };
        [length, text.into()].concat()
    };
    let schema = r#"{"type": "record", "name": "order", "fields": [
        {"name": "id", "type": "long"}, {"name": "customer", "type": ["null", "string"]},
        {"name": "tags", "type": {"type": "array", "items": "string"}}]}"#;
    let header = [b"Obj\x01\x02".to_vec(), text("avro.schema"), text(schema), vec![0], b"sixteen bytes...".to_vec()];
    let first = [vec![2, 2], text("Ann"), vec![4], text("new"), text("paid"), vec![0]].concat();
    let data = [first, vec![4, 0, 0]].concat();
    let block = [vec![4, data.len() as u8 * 2], data, b"sixteen bytes...".to_vec()].concat();
    [header.concat(), block].concat()
}

#[test]
fn init_recognises_avro_and_its_task_reads_the_file() {
    let project = Project::empty();
    project.file("orders.avro", orders());
    project.weir(&["init", "orders.avro"]).ended(0, "");
    let task = std::fs::read_to_string(project.path("orders.yaml")).unwrap();
    for part in ["format: avro", "id: ", "bigint", "tags: ", "json"] {
        assert!(task.contains(part), "{part} is not in:\n{task}");
    }
    project.weir(&["test", "orders.yaml"]).ended(0, "ok");
    project.weir(&["run", "orders.yaml"]).ended(0, "2");
}

#[test]
fn files_without_rows_are_no_copies_of_each_other() {
    let project = Project::reading("format: avro", "\n    read: new", "{id: bigint, customer: string, tags: json}");
    let orders = orders();
    let marker = orders.windows(16).position(|bytes| bytes == b"sixteen bytes...").unwrap();
    let header = &orders[..marker + 16]; // no block follows it
    project.file("in/a.avro", header);
    project.file("in/b.avro", header);
    project.file("in/c.avro", &orders);
    project.run(&[]).ended(0, "");
    assert_eq!(project.text("out/rows.csv").lines().count(), 3);
    project.file("in/d.avro", &orders);
    project.run(&[]).ended(1, "if_copied");
}

#[test]
fn a_file_that_is_no_avro_or_is_read_as_another_format_says_so() {
    let project = Project::empty();
    let task = |format: &str| {
        format!(
            "name: orders
sources:
  o: {{files: {{path: o.avro, format: {format}}}, columns: {{id: bigint}}, unknown_columns: ignore}}
sinks: {{o: {{from: o, mode: overwrite, files: {{path: out, format: csv}}}}}}
"
        )
    };
    project.file("o.avro", orders());
    project.file("task.yaml", task("csv"));
    project.run(&[]).ended(1, "is an Avro file\nhelp: specify `format: avro`");
    project.file("task.yaml", task("avro, compression: gzip"));
    project.run(&[]).ended(2, "Parquet and Avro files specify their own compression");
    project.file("task.yaml", task("avro"));
    project.run(&[]).ended(0, "");
    project.file("o.avro", "id\n1\n");
    project.run(&[]).ended(1, "is not an Avro file");
}
