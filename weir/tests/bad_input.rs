//! Invalid input gives a clear error or a rejected record with its reason; never a wrong row, and nothing is lost.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use support::{Project, Ran, TASK};

/// A project with a sink for unreadable lines.
fn project() -> Project {
    let project = Project::people();
    let sink =
        "  broken:\n    from: person.rejected\n    mode: overwrite\n    files: {path: out/broken, format: csv}\n";
    project.file("task.yaml", format!("{TASK}{sink}"));
    project
}

#[test]
fn an_empty_file_is_an_error_and_a_header_alone_has_no_rows() {
    let project = project();
    project.file("in/b.csv", "");
    project.run(&[]).ended(1, "in/b.csv: is empty");
    project.file("in/b.csv", "name,age");
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/good").len(), 3);
    assert_eq!(project.rows("out/broken"), ["_file,_line,_raw,reasons"]);
}

#[test]
fn a_file_of_blank_lines_is_empty() {
    let project = project();
    for blank in ["\n", "\r\n\r\n", "\u{feff}\n"] {
        project.task("    files: {path: \"in/*.csv\"", "    if_empty: skip\n    files: {path: \"in/*.csv\"");
        project.file("in/b.csv", blank);
        project.run(&[]).ended(0, "");
        assert_eq!(project.rows("out/good").len(), 3);
        assert_eq!(project.rows("out/broken"), ["_file,_line,_raw,reasons"]);
        project.task("    if_empty: skip\n", "");
        let ran = project.run(&[]);
        ran.ended(1, "in/b.csv: is empty");
        ran.ended(1, "specify `if_empty: skip`");
    }
    // A record of empty fields is a record.
    project.task("    files: {path: \"in/*.csv\"", "    if_empty: skip\n    files: {path: \"in/*.csv\"");
    project.file("in/b.csv", ",\n");
    project.run(&[]).ended(1, "in/b.csv: its first line has none of the declared columns");
}

#[test]
fn a_header_alone_that_would_replace_all_rows_proposes_what_allows_it() {
    let project = project();
    let proposed = "specify `quality: {adult: {gate: {min_rows: 0}}}`";
    project.task("gate: {max_rejected: 60%, min_rows: 1}", "gate: {max_rejected: 100%}");
    project.file("in/a.csv", "name,age\n");
    project.run(&[]).ended(3, proposed);
    project.file("in/a.csv", "name,age\nBob,17\n");
    let ran = project.run(&[]);
    ran.ended(3, "whose rows would be replaced by nothing");
    assert!(!format!("{}{}", ran.out, ran.err).contains(proposed), "{}", ran.out);
    project.task("gate: {max_rejected: 100%}", "gate: {min_rows: 0}");
    project.file("in/a.csv", "name,age\n");
    project.run(&[]).ended(0, "");
}

#[test]
fn a_byte_order_mark_and_crlf_line_ends_are_not_part_of_the_values() {
    let project = project();
    project.file("in/a.csv", "\u{feff}name,age\r\nAnn,30\r\n\r\n\"B\r\nb\",40\r\n");
    project.run(&[]).ended(0, "");
    assert_eq!(
        std::fs::read_to_string(project.path("out/good/part-00000.csv")).unwrap(),
        "name,age\nAnn,30\n\"B\r\nb\",40\n"
    );
}

#[test]
fn a_broken_record_loses_only_its_own_line() {
    let project = project();
    project.file("in/a.csv", b"name,age\nAnn,30\n\"Bob,40\nCid\0,50\nD\xff,60\nEve,7\0\n\"Fay\"x,80\nGil,90\n");
    project.run(&[]).ended(0, "");
    assert_eq!(project.rows("out/good"), ["name,age", "Ann,30", "Cid\0,50", "Gil,90"]);
    assert_eq!(
        project.rows("out/broken")[1..],
        [
            "in/a.csv,3,\"\"\"Bob,40\",invalid_quotes",
            "in/a.csv,5,\"D\u{fffd},60\",invalid_utf8",
            "in/a.csv,6,\"Eve,7\0\",invalid_age",
            "in/a.csv,7,\"\"\"Fay\"\"x,80\",invalid_quotes",
        ]
    );
}

#[test]
fn a_line_of_fifty_megabytes_is_rejected_with_its_beginning() {
    let project = project();
    let long = "x".repeat(50 << 20);
    project.file("in/a.csv", format!("name,age\nAnn,30\n{long}\nBob,40\n"));
    let started = std::time::Instant::now();
    project.run(&[]).ended(0, "record_too_long");
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    assert_eq!(project.rows("out/good"), ["name,age", "Ann,30", "Bob,40"]);
    let broken = project.rows("out/broken");
    assert!(broken[1].starts_with("in/a.csv,3,xxx") && broken[1].ends_with("xxx,record_too_long"));
    assert!(broken[1].len() > 16 << 20 && broken[1].len() < 17 << 20);
}

#[test]
fn a_truncated_gzip_file_publishes_nothing() {
    let project = project();
    project.task("in/*.csv", "in/*");
    let text: String = (0..200_000).map(|i| format!("n{i},{}\n", i * 7919 % 10_007)).collect();
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(format!("name,age\n{text}").as_bytes()).unwrap();
    let whole = encoder.finish().unwrap();
    project.file("in/b.csv.gz", &whole[..whole.len() - 100]);
    project.run(&[]).ended(1, "in/b.csv.gz: its gzip data is damaged or truncated");
    assert_eq!(project.left("out"), [""; 0]);
    project.file("in/b.csv.gz", &whole);
    project.run(&["--param", "least_age=0"]).ended(0, "");
    assert_eq!(project.rows("out/good").len(), 1 + 3 + 200_000);
}

/// Runs the project's task as a user without privileges.
fn run_without_privileges(project: &Project) -> Ran {
    let mut command = project.command(&["run", "--task-config", "task.yaml"]);
    if rustix::process::getuid().is_root() {
        // Neither the binary nor the project may be in a folder that only root can read.
        let binary = project.path("weir");
        if !binary.exists() {
            let built = env!("CARGO_BIN_EXE_weir");
            std::fs::hard_link(built, &binary).or_else(|_| std::fs::copy(built, &binary).map(|_| ())).unwrap();
        }
        allow(&project.path(""), 0o777);
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        command = Command::new(binary);
        command.args(arguments).current_dir(project.path("")).uid(65_534).gid(65_534);
    }
    Ran::of(command.output().unwrap())
}

fn allow(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn an_unreadable_folder_or_file_is_an_error() {
    let project = project();
    project.file("in/b.csv", "name,age\nDan,50\n");
    allow(&project.path("in/b.csv"), 0);
    run_without_privileges(&project).ended(1, "in/b.csv: ");
    allow(&project.path("in/b.csv"), 0o644);
    allow(&project.path("in"), 0);
    let ran = run_without_privileges(&project);
    allow(&project.path("in"), 0o755);
    ran.ended(1, "Permission denied");
    ran.ended(1, "give the user that runs weir read access");
    run_without_privileges(&project).ended(0, "");
}

#[test]
fn what_a_file_is_instead_is_said() {
    let project = Project::people();
    project.file("in/a.csv", "name,age,\nAnn,30\n");
    project.run(&[]).ended(1, "its header ends with a delimiter: the last column has no name");
    project.task("path: \"in/*.csv\", format: csv}", "path: \"in/*.json\", format: jsonl}");
    project.file("in/a.json", "\n[{\"name\": \"Ann\", \"age\": 30}]\n");
    project.run(&[]).ended(1, "is a JSON array, and JSON Lines has an object on each line");
}

#[test]
fn a_column_in_capitals_is_told_to_be_quoted() {
    let project = Project::people();
    project.task("columns: {name: string, age: integer}", "columns: {Name: string, age: integer}");
    project.file("sql/adult.sql", "select Name as name, age from person");
    let ran = project.run(&[]);
    ran.ended(2, "column 'name' not found");
    ran.ended(2, "write \"Name\" with double quotes");
}
