//! Sinks that write one file or a folder of partitions, and the options of their files.
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

/// The first example of the guide that has this text.
fn example(with: &str) -> String {
    let guide = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/GUIDE.md")).unwrap();
    let mut blocks = guide.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.find(|block| block.contains(with)).unwrap().to_owned()
}

#[test]
fn the_example_of_the_guide_writes_one_file() {
    let project = project("path: out, format: csv");
    let task = project.text("task.yaml");
    let task = task.split("sinks:").next().unwrap();
    project.file(
        "task.yaml",
        format!("{task}params: {{output: {{type: string, default: out}}}}\n{}", example("file: \"")),
    );
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
    let text = project.text("out/stock.csv");
    let amounts = text.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse::<u32>().unwrap());
    assert!(amounts.eq(0..=50_000));
    let mut left = project.left("out");
    left.sort();
    assert_eq!(left, [".stock.csv.weir-success", "stock.csv"]);
}

#[test]
fn rules_about_related_rows_do_not_disturb_the_order() {
    for by in ["amount", "lower(item) desc, amount"] {
        let project = project("file: out/stock.csv, format: csv");
        project.task("models:", "  known: {files: {path: known.csv, format: csv}, columns: {item: string}}\nmodels:");
        project.task("sinks:", "quality:\n  stock:\n    reject_unless:\n      unknown: {in: {item: known.item}}\n      twice: {unique: amount, keep: first by item}\nsinks:");
        project.task("from: stock,", "from: stock, columns: [amount],");
        project
            .task("sinks:", "sinks:\n  bad: {from: stock.rejected, mode: overwrite, files: {path: bad, format: csv}}");
        project.file("stock.sql", format!("select item, amount from delivery order by {by}"));
        let rows: String =
            (0..20_000).map(|i| format!("{},{}\n", ["a", "b", "c"][i % 3], (i * 7919) % 20_000)).collect();
        project.file("in/a.csv", format!("item,amount\n{rows}"));
        project.file("known.csv", "item\na\nb\nd\n");
        run(&project).ended(0, "out/stock.csv");
        let text = project.text("out/stock.csv");
        let got: Vec<usize> = text.lines().skip(1).map(|line| line.parse().unwrap()).collect();
        let mut expected: Vec<(usize, usize)> =
            (0..20_000).map(|i| (i % 3, (i * 7919) % 20_000)).filter(|row| row.0 < 2).collect();
        match by {
            "amount" => expected.sort_by_key(|(_, amount)| *amount),
            _ => expected.sort_by_key(|(item, amount)| (std::cmp::Reverse(*item), *amount)),
        }
        assert_eq!(got, expected.into_iter().map(|(_, amount)| amount).collect::<Vec<_>>(), "{by}");
    }
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
    assert_eq!(jsonl.text("out/stock.jsonl"), "{\"item\":\"bolt\",\"amount\":5}\n{\"item\":\"nut\",\"amount\":7}\n");
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
    assert_eq!(project.text("out/stock.csv"), "item,amount\n");
}

#[test]
fn a_file_that_was_taken_away_is_written_again() {
    let project = project("file: out/stock.csv, format: csv");
    run(&project).ended(0, "done");
    fs::remove_file(project.path("out/stock.csv")).unwrap();
    run(&project).ended(0, "done");
    assert_eq!(project.text("out/stock.csv"), "item,amount\nbolt,5\nnut,7\n");
}

#[test]
fn a_file_that_somebody_has_changed_is_replaced_only_if_the_task_adopts_it() {
    let project = project("file: out/stock.csv, format: csv");
    run(&project).ended(0, "done");
    project.file("out/stock.csv", "item,amount\nmine,1\n");
    let refused = run(&project);
    refused.ended(1, "it has changed since run");
    refused.ended(1, "`adopt: true`");
    assert_eq!(project.text("out/stock.csv"), "item,amount\nmine,1\n");
    project.task("mode: overwrite,", "mode: overwrite, adopt: true,");
    run(&project).ended(0, "done");
    assert_eq!(project.text("out/stock.csv"), "item,amount\nbolt,5\nnut,7\n");
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
    assert_eq!(project.text("out/stock.csv"), "item,amount\nscrew,1\n");
}

#[test]
fn several_files_can_lie_in_one_folder_and_not_in_that_of_a_sink() {
    let project = project("file: out/stock.csv, format: csv");
    project.task("sinks:", "sinks:\n  all: {from: delivery, mode: overwrite, files: {file: out/all.csv, format: csv}}");
    run(&project).ended(0, "done");
    assert_eq!(project.text("out/all.csv"), "item,amount\nnut,7\nbolt,5\n");
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
        ("file: 's3://a/b.csv', format: csv", "", "", "only files of this machine can be written"),
        ("path: a, format: csv", "mode: overwrite", "mode: overwrite, adopt: true", "`adopt` is for tables and files"),
    ] {
        let project = project(files);
        project.task(from, to);
        project.weir(&["validate", "--task-config", "task.yaml"]).ended(2, said);
    }
    let folder = project("file: in, format: csv");
    run(&folder).ended(1, "is a folder");
}

#[test]
fn a_folder_with_the_name_of_a_file_proposes_one_file() {
    let project = project("path: 'out/stock.csv', format: csv");
    let said = "for one file of this name specify `file: out/stock.csv` in place of `path`";
    project.weir(&["validate", "--task-config", "task.yaml"]).ended(0, said);
    run(&project).ended(0, said);
    // The folder is there: it is meant.
    let again = run(&project);
    assert!(!again.err.contains("specify `file:"), "{}", again.err);
}

/// A task that writes its rows to a folder for each day.
fn partitioned(mode: &str) -> Project {
    let project = project("path: out, format: csv");
    project.task("mode: overwrite", &format!("mode: {mode}, partition_by: [day, shop]"));
    project.task("columns: {item: string, amount: bigint}", "columns: {day: date, shop: string, amount: bigint}");
    project.file("stock.sql", "select amount, day, shop from delivery order by amount");
    project
}

/// The files of a sink, with their rows.
fn files(project: &Project) -> Vec<String> {
    fn below(folder: &std::path::Path, name: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{name}/{}", entry.file_name().into_string().unwrap());
            match path.strip_suffix("/_SUCCESS") {
                _ if entry.path().is_dir() => below(&entry.path(), &path, found),
                Some(_) => {}
                None => {
                    let rows = fs::read_to_string(entry.path()).unwrap().replace('\n', " ");
                    found.push(format!("{} {}", name.trim_start_matches('/'), rows.trim_end()));
                }
            }
        }
    }
    let mut found = vec![];
    below(&project.path("out"), "", &mut found);
    found.sort();
    found
}

#[test]
fn partitions_are_folders_named_by_values_and_replaced_one_by_one() {
    let project = partitioned("replace");
    project.file("in/a.csv", "day,shop,amount\n2024-01-01,a/b,2\n2024-01-01,a/b,1\n2024-01-02,,3\n");
    run(&project).ended(0, "done");
    let first = ["day=2024-01-01/shop=a%2Fb amount 1 2", "day=2024-01-02/shop=__HIVE_DEFAULT_PARTITION__ amount 3"];
    assert_eq!(files(&project), first);
    project.file("in/a.csv", "day,shop,amount\n2024-01-01,a/b,7\n2024-01-03,x,9\n");
    for _ in 0..2 {
        run(&project).ended(0, "done");
        assert_eq!(files(&project), ["day=2024-01-01/shop=a%2Fb amount 7", first[1], "day=2024-01-03/shop=x amount 9"]);
    }
    let manifest: serde_json::Value = serde_json::from_str(&project.text("out/_SUCCESS")).unwrap();
    assert_eq!((manifest["rows"].as_u64(), manifest["mode"].as_str()), (Some(3), Some("replace")));
    // No rows: nothing is replaced.
    project.file("in/a.csv", "day,shop,amount\n");
    project.task("sinks:", "quality: {stock: {gate: {min_rows: 0}}}\nsinks:");
    run(&project).ended(0, "done");
    assert_eq!(files(&project).len(), 3);
    // `overwrite` follows, and replaces all of them; then `replace` again.
    project.file("in/a.csv", "day,shop,amount\n2024-02-01,x,1\n");
    project.task("mode: replace", "mode: overwrite");
    run(&project).ended(0, "done");
    assert_eq!(files(&project), ["day=2024-02-01/shop=x amount 1"]);
    project.task("mode: overwrite", "mode: replace");
    project.file("in/a.csv", "day,shop,amount\n2024-02-02,x,1\n");
    run(&project).ended(0, "done");
    assert_eq!(files(&project).len(), 2);
    project.task("[day, shop]", "[day]");
    run(&project).ended(1, "its files are partitioned by (day, shop), and the sink by (day)");
}

#[test]
fn many_partitions_are_written_with_few_open_files() {
    let project = partitioned("append");
    project.task("files: {path: 'in/*.csv', format: csv}", "files: {path: 'in/*.csv', format: csv}\n    read: new");
    let rows: String = (0..2000).map(|i| format!("2024-01-01,shop {},{i}\n", i % 500)).collect();
    project.file("in/a.csv", format!("day,shop,amount\n{rows}"));
    run(&project).ended(0, "done");
    let folder = project.path("out/day=2024-01-01");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 500);
    let mode = fs::Permissions::from_mode(0o750);
    fs::set_permissions(project.path("out"), mode).unwrap();
    project.file("in/b.csv", "day,shop,amount\n2024-01-02,x,7\n2024-01-01,shop 3,8\n");
    run(&project).ended(0, "done");
    assert_eq!(
        files(&project)
            .iter()
            .map(|file| file.split(' ').filter(|word| word.parse::<u32>().is_ok()).count())
            .sum::<usize>()
            - 500
            - 1,
        2002
    );
    assert_eq!(fs::metadata(project.path("out/day=2024-01-02")).unwrap().permissions().mode() & 0o777, 0o750);
}

#[test]
fn the_options_of_the_files_are_kept() {
    let parquet =
        project("file: out/stock.parquet, format: parquet, row_group_rows: 2, compression: zstd, compression_level: 9");
    parquet.file("in/a.csv", "item,amount\na,1\nb,2\nc,3\n");
    run(&parquet).ended(0, "done");
    let file = fs::File::open(parquet.path("out/stock.parquet")).unwrap();
    let metadata = parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
    let rows: Vec<i64> = metadata.row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(rows, [2, 1]);
    let size = |level: u8| {
        let files = format!("file: out/stock.csv, format: csv, compression: gzip, compression_level: {level}");
        let project = project(&files);
        let rows: String = (0..5000).map(|i| format!("item {},{i}\n", i * 7919 % 1000)).collect();
        project.file("in/a.csv", format!("item,amount\n{rows}"));
        run(&project).ended(0, "done");
        fs::metadata(project.path("out/stock.csv")).unwrap().len()
    };
    assert!(size(1) > size(9));
}

#[test]
fn options_that_do_not_fit_are_refused() {
    for (files, from, to, said) in [
        ("path: a, format: csv", "sink", "sink", ""),
        ("path: a, format: csv, compression_level: 3", "", "", "`compression_level` is for gzip and zstd"),
        ("path: a, format: csv, compression: gzip, compression_level: 10", "", "", "has the levels 1 to 9"),
        ("path: a, format: csv, row_group_rows: 10", "", "", "`row_group_rows` is for Parquet files"),
        ("path: a, format: parquet, row_group_rows: 0", "", "", "at least one row"),
        ("path: a, format: csv", "mode: overwrite", "mode: replace", "name their columns with `partition_by`"),
        ("path: a, format: csv", "mode: overwrite", "mode: overwrite, partition_by: [itme]", "`item`"),
        (
            "path: a, format: csv",
            "mode: overwrite",
            "mode: overwrite, partition_by: [item, amount]",
            "no column besides",
        ),
        (
            "file: a, format: csv",
            "mode: overwrite",
            "mode: overwrite, partition_by: [item]",
            "`partition_by` is for folders",
        ),
    ] {
        let project = project(files);
        project.task(from, to);
        let code = if said.is_empty() { 0 } else { 2 };
        project.weir(&["validate", "--task-config", "task.yaml"]).ended(code, said);
    }
}
