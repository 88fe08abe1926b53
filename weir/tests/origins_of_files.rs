//! Files that are not plain local ones: compressed, in archives, from standard input.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::process::Stdio;

use support::{Project, Ran};

/// A task that reads files.
fn project(path: &str, more: &str) -> Project {
    let project = Project::empty();
    project.file(
        "task.yaml",
        format!(
            "name: stock
sources:
  delivery:
    files: {{path: '{path}', format: csv}}{more}
    columns: {{item: string, amount: bigint}}
sinks:
  stock: {{from: delivery, mode: overwrite, files: {{file: out/stock.csv, format: csv}}}}
  unreadable: {{from: delivery.rejected, mode: overwrite, publish: always, files: {{path: out/unreadable, format: csv}}}}
"
        ),
    );
    project
}

fn run_with(project: &Project, input: &[u8]) -> Ran {
    let mut command = project.command(&["run", "--task-config", "task.yaml"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A run that fails early does not read it.
    let _ = child.stdin.take().unwrap().write_all(input);
    Ran::of(child.wait_with_output().unwrap())
}

fn rows(project: &Project) -> Vec<String> {
    let text = std::fs::read_to_string(project.path("out/stock.csv")).unwrap();
    let mut rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    rows.sort();
    rows
}

fn archive(members: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut out);
    for (name, text) in members {
        let (mut entry, config) =
            archive.new_file(name).compression_method(rawzip::CompressionMethod::DEFLATE).start().unwrap();
        let encoder = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::default());
        let mut writer = config.wrap(encoder);
        writer.write_all(text.as_bytes()).unwrap();
        let (encoder, descriptor) = writer.finish().unwrap();
        encoder.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    out
}

fn bzip2(text: &str) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(vec![], bzip2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn members_of_archives_and_compressed_files_are_read_next_to_plain_ones() {
    let project = project("in/*", "");
    project.file("in/a.csv", "item,amount\nbolt,1\n");
    project.file("in/b.CSV.BZ2", [bzip2("item,amount\nnut,2\n"), bzip2("nut,3\n")].concat());
    project.file(
        "in/c.zip",
        archive(&[("x/one.csv", "item,amount\nscrew,4\nscrew,many\n"), ("two.csv", "item,amount\nnail,5\n")]),
    );
    project.run(&[]).ended(0, "done");
    assert_eq!(rows(&project), ["bolt,1", "nail,5", "nut,2", "nut,3", "screw,4"]);
    assert_eq!(project.rows("out/unreadable")[1], "in/c.zip/x/one.csv,3,\"screw,many\",invalid_amount");
}

#[test]
fn a_compression_that_no_suffix_tells_is_proposed_and_can_be_specified() {
    let project = project("in/*", "");
    project.file("in/a.csv", bzip2("item,amount\nnut,2\n"));
    project.run(&[]).ended(1, "`compression: bzip2`");
    project.task("in/*', format: csv}", "in/*', format: csv, compression: bzip2}");
    project.run(&[]).ended(0, "done");
    assert_eq!(rows(&project), ["nut,2"]);
    let zip = project_of_zip();
    zip.run(&[]).ended(1, "`compression: zip`");
    zip.task("in/*', format: csv}", "in/*', format: csv, compression: zip}");
    zip.run(&[]).ended(0, "done");
    assert_eq!(rows(&zip), ["nut,2"]);
}

fn project_of_zip() -> Project {
    let project = project("in/*", "");
    project.file("in/a.csv", archive(&[("a.csv", "item,amount\nnut,2\n")]));
    project
}

#[test]
fn what_can_only_be_read_is_not_written() {
    for (from, to, said) in [
        ("stock.csv, format: csv", "stock.csv, format: csv, compression: bzip2", "which can only be read"),
        ("stock.csv, format: csv", "stock.csv.xz, format: csv", "sink `stock`: "),
    ] {
        let project = project("in/*", "");
        project.task(from, to);
        project.weir(&["validate", "--task-config", "task.yaml"]).ended(2, said);
    }
}

#[test]
fn standard_input_is_a_file() {
    for path in ["-", "/dev/stdin"] {
        let project = project(path, "");
        run_with(&project, b"item,amount\nbolt,1\nnut,many\n").ended(0, "done");
        assert_eq!(rows(&project), ["bolt,1"]);
        assert_eq!(project.rows("out/unreadable")[1], "standard input,3,\"nut,many\",invalid_amount");
        run_with(&project, b"").ended(1, "standard input: is empty");
        let arguments = ["plan", "--task-config", "task.yaml"];
        project.weir(&arguments).ended(0, "is read when the task runs");
    }
}

#[test]
fn standard_input_that_was_read_before_is_known_by_its_content() {
    let project = project("-", "\n    read: new");
    run_with(&project, b"item,amount\nbolt,1\n").ended(0, "done");
    run_with(&project, b"item,amount\nbolt,1\n").ended(0, "nothing to do");
    run_with(&project, b"item,amount\nbolt,2\n").ended(0, "done");
    assert_eq!(rows(&project), ["bolt,2"]);
}

#[test]
fn standard_input_has_one_reader_and_no_archive() {
    let archived = project("-", "\n    archive: done");
    archived.weir(&["validate", "--task-config", "task.yaml"]).ended(2, "standard input cannot be moved to an archive");
    let twice = project("-", "");
    twice.task("sources:\n", "sources:\n  other: {files: {path: '-', format: csv}, columns: {a: string}}\n");
    twice.task("sinks:\n", "sinks:\n  other: {from: other, mode: overwrite, files: {path: out/other, format: csv}}\n");
    twice.weir(&["validate", "--task-config", "task.yaml"]).ended(2, "standard input is read by two sources");
}
