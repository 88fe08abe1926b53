//! Sinks that write one file.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use support::{Project, Ran};

/// A task that writes its rows to one file.
fn project(files: &str) -> Project {
    let project = Project::empty();
    project.file(
        "task.yaml",
        format!(
            "name: stock
sources:
  delivery:
    files: {{path: 'in/*.csv', format: csv}}
    columns: {{item: string, amount: bigint}}
models: {{stock: stock.sql}}
sinks:
  stock: {{from: stock, mode: overwrite, files: {{{files}}}}}
"
        ),
    );
    project.file("stock.sql", "select item, amount from delivery order by amount");
    project.file("in/a.csv", "item,amount\nnut,7\nbolt,5\n");
    project
}

fn run(project: &Project) -> Ran {
    project.weir(&["run", "--task-config", "task.yaml"])
}

fn text(project: &Project, path: &str) -> String {
    fs::read_to_string(project.path(path)).unwrap()
}

/// The first example of the guide that has this text.
fn example(with: &str) -> String {
    let guide = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/GUIDE.md")).unwrap();
    let mut blocks = guide.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.find(|block| block.contains(with)).unwrap().to_owned()
}

#[test]
fn the_example_of_the_guide_writes_one_file() {
    let project = project("path: out, format: csv");
    let task = text(&project, "task.yaml");
    let task = task.split("sinks:").next().unwrap();
    project
        .file("task.yaml", format!("{task}params: {{output: {{type: string, default: out}}}}\n{}", example("file:")));
    run(&project).ended(0, "out/stock.csv.gz");
    assert!(fs::read(project.path("out/stock.csv.gz")).unwrap().starts_with(b"\x1f\x8b"));
}

#[test]
fn a_file_has_the_chosen_name_and_the_order_of_the_model() {
    let project = project("file: out/stock.csv, format: csv");
    let rows: String = (0..50_000).map(|i| format!("item {i},{}\n", (i * 7919) % 50_000)).collect();
    project.file("in/a.csv", format!("item,amount\n{rows}"));
    project.file("in/b.csv", "item,amount\nlast,50000\n");
    run(&project).ended(0, "out/stock.csv");
    let text = text(&project, "out/stock.csv");
    let amounts = text.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse::<u32>().unwrap());
    assert!(amounts.eq(0..=50_000));
    let mut left = project.left("out");
    left.sort();
    assert_eq!(left, [".stock.csv.weir-success", "stock.csv"]);
}

#[test]
fn a_file_is_compressed_as_its_name_tells() {
    let with = project("file: out/stock.csv.gz, format: csv");
    run(&with).ended(0, "done");
    let mut unpacked = String::new();
    let file = fs::File::open(with.path("out/stock.csv.gz")).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut unpacked).unwrap();
    assert_eq!(unpacked, "item,amount\nbolt,5\nnut,7\n");
    let other = project("file: out/stock.csv.gz, format: csv, compression: zstd");
    run(&other).ended(2, "the name of its file tells another compression");
}

#[test]
fn every_format_can_be_one_file() {
    let jsonl = project("file: out/stock.jsonl, format: jsonl");
    run(&jsonl).ended(0, "done");
    assert_eq!(text(&jsonl, "out/stock.jsonl"), "{\"item\":\"bolt\",\"amount\":5}\n{\"item\":\"nut\",\"amount\":7}\n");
    let parquet = project("file: out/stock.parquet, format: parquet");
    run(&parquet).ended(0, "done");
    assert!(fs::read(parquet.path("out/stock.parquet")).unwrap().ends_with(b"PAR1"));
}

#[test]
fn a_file_without_rows_tells_its_columns() {
    let project = project("file: out/stock.csv, format: csv");
    project.task("sinks:", "quality: {stock: {gate: {min_rows: 0}}}\nsinks:");
    project.file("in/a.csv", "item,amount\n");
    run(&project).ended(0, "done");
    assert_eq!(text(&project, "out/stock.csv"), "item,amount\n");
}

#[test]
fn a_file_that_was_taken_away_is_written_again() {
    let project = project("file: out/stock.csv, format: csv");
    run(&project).ended(0, "done");
    fs::remove_file(project.path("out/stock.csv")).unwrap();
    run(&project).ended(0, "done");
    assert_eq!(text(&project, "out/stock.csv"), "item,amount\nbolt,5\nnut,7\n");
}

#[test]
fn a_file_that_somebody_has_changed_is_replaced_only_if_the_task_adopts_it() {
    let project = project("file: out/stock.csv, format: csv");
    run(&project).ended(0, "done");
    project.file("out/stock.csv", "item,amount\nmine,1\n");
    let refused = run(&project);
    refused.ended(1, "it has changed since run");
    refused.ended(1, "`adopt: true`");
    assert_eq!(text(&project, "out/stock.csv"), "item,amount\nmine,1\n");
    project.task("mode: overwrite,", "mode: overwrite, adopt: true,");
    run(&project).ended(0, "done");
    assert_eq!(text(&project, "out/stock.csv"), "item,amount\nbolt,5\nnut,7\n");
}

#[test]
fn a_file_keeps_its_rights_and_a_link_to_it_stays() {
    let project = project("file: out/stock.csv, format: csv");
    run(&project).ended(0, "done");
    fs::set_permissions(project.path("out/stock.csv"), fs::Permissions::from_mode(0o640)).unwrap();
    run(&project).ended(0, "done");
    assert_eq!(fs::metadata(project.path("out/stock.csv")).unwrap().permissions().mode() & 0o777, 0o640);
    symlink("stock.csv", project.path("out/link.csv")).unwrap();
    project.task("out/stock.csv", "out/link.csv");
    project.file("in/a.csv", "item,amount\nscrew,1\n");
    run(&project).ended(0, "done");
    assert!(project.path("out/link.csv").is_symlink());
    assert_eq!(text(&project, "out/stock.csv"), "item,amount\nscrew,1\n");
}

#[test]
fn several_files_can_lie_in_one_folder_and_not_in_that_of_a_sink() {
    let project = project("file: out/stock.csv, format: csv");
    project.task("sinks:", "sinks:\n  all: {from: delivery, mode: overwrite, files: {file: out/all.csv, format: csv}}");
    run(&project).ended(0, "done");
    assert_eq!(text(&project, "out/all.csv"), "item,amount\nnut,7\nbolt,5\n");
    project.task("file: out/all.csv", "path: out");
    run(&project).ended(2, "share the file or its folder out/stock.csv");
}

#[test]
fn what_one_file_cannot_do_is_refused() {
    for (files, from, to, said) in [
        ("file: a.csv, path: b, format: csv", "", "", "has both `path`, a folder, and `file`, one file"),
        ("format: csv", "", "", "specify `path`, a folder, or `file`, one file"),
        ("file: a.csv, format: csv", "mode: overwrite", "mode: append", "cannot be appended to"),
        ("file: a.csv, format: csv", "mode: overwrite", "mode: overwrite, compact: 9", "`compact` is for folders"),
        ("file: a.csv, format: csv", "sinks:", "replace_folder: out\nsinks:", "`replace_folder` publishes folders"),
        ("file: 's3://a/b.csv', format: csv", "", "", "only local files can be written"),
        ("path: a, format: csv", "mode: overwrite", "mode: overwrite, adopt: true", "`adopt` is for tables and files"),
    ] {
        let project = project(files);
        project.task(from, to);
        project.weir(&["validate", "--task-config", "task.yaml"]).ended(2, said);
    }
    let folder = project("file: in, format: csv");
    run(&folder).ended(1, "is a folder");
}
