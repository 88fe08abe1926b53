//! `weir replay`: records that runs have rejected are judged again, from files of every format, and what would do harm is
//! refused.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Project, Ran};

/// A task that appends what it accepts, with its quarantine.
const TASK: &str = "
name: stock
sources:
  delivery:
    files: {path: 'in/*', format: csv}
    read: new
    columns:
      item: string
      amount: bigint
      file: {type: string, from: file}
      line: {type: bigint, from: line}
models: {stock: stock.sql}
quality: {stock: {reject_unless: {too_many: amount < 10}}}
sinks:
  stock: {from: stock, mode: append, columns: [item, amount], files: {path: good, format: csv}}
  bad: {from: stock.rejected, mode: append, publish: always, files: {path: bad, format: csv}}
  unreadable: {from: delivery.rejected, mode: append, publish: always, files: {path: unreadable, format: csv}}
";

const SQL: &str = "select * from delivery";

fn project(task: &str) -> Project {
    let project = Project::empty();
    project.file("task.yaml", task);
    project.file("stock.sql", SQL);
    project
}

fn replay(project: &Project, more: &[&str]) -> Ran {
    let arguments: Vec<&str> = ["replay", "task.yaml"].iter().chain(more).copied().collect();
    project.weir(&arguments)
}

#[track_caller]
fn has(project: &Project, rows: &[&str]) {
    assert_eq!(project.rows("good")[1..], *rows);
}

/// Writes rows with the program itself, in a format of its own.
fn write_as(project: &Project, format: &str, csv: &str) {
    let writer = format!(
        "name: writer
sources: {{row: {{files: {{path: given.csv, format: csv}}, columns: {{item: string, amount: bigint}}}}}}
sinks: {{row: {{from: row, mode: overwrite, files: {{file: 'in/a.{format}', format: {format}}}}}}}
"
    );
    std::fs::create_dir_all(project.path("in")).unwrap();
    project.file("given.csv", csv);
    project.file("writer.yaml", writer);
    project.weir(&["run", "writer.yaml", "--state", ".writer"]).ended(0, "done: `writer`");
}

#[test]
fn records_of_files_of_every_format_are_judged_again() {
    const CSV: &str = "item,amount\nbolt,5\nnut,70\nscrew,80\npin,7\nwasher,90\n";
    for format in ["csv", "jsonl", "parquet", "csv.gz", "zip"] {
        let project = project(TASK);
        match format {
            "csv" => project.file("in/a.csv", CSV),
            "csv.gz" => {
                project.file("a.csv", CSV);
                std::fs::create_dir(project.path("in")).unwrap();
                let packed =
                    format!("gzip -c {} > {}", project.path("a.csv").display(), project.path("in/a.csv.gz").display());
                assert!(std::process::Command::new("sh").args(["-c", &packed]).status().unwrap().success());
            }
            "zip" => {
                std::fs::create_dir(project.path("in")).unwrap();
                let script = format!(
                    "import zipfile; z = zipfile.ZipFile('{}', 'w'); z.writestr('x/one.csv', '''{CSV}'''); z.writestr('two.csv', '''item,amount\ngear,1\ncog,60\n''')",
                    project.path("in/a.zip").display()
                );
                assert!(std::process::Command::new("python3").args(["-c", &script]).status().unwrap().success());
            }
            _ => {
                write_as(&project, format, CSV);
                project.task("format: csv}\n    read", &format!("format: {format}}}\n    read"));
                let _ = std::fs::remove_file(project.path(&format!("in/.a.{format}.weir-success")));
            }
        }
        let accepted: &[&str] = if format == "zip" { &["bolt,5", "gear,1", "pin,7"] } else { &["bolt,5", "pin,7"] };
        project.run(&[]).ended(0, "done: `stock`");
        has(&project, accepted);
        project.task("amount < 10", "amount < 85");
        let replayed = replay(&project, &[]);
        let rows: &[&str] = match format {
            "zip" => {
                replayed.ended(
                    0,
                    "judged again: 4 rejected records of 2 files; 3 accepted and published, 1 rejected again",
                );
                &["bolt,5", "cog,60", "gear,1", "nut,70", "pin,7", "screw,80"]
            }
            _ => {
                replayed
                    .ended(0, "judged again: 3 rejected records of 1 file; 2 accepted and published, 1 rejected again");
                &["bolt,5", "nut,70", "pin,7", "screw,80"]
            }
        };
        has(&project, rows);
        replay(&project, &["--list"]).ended(0, "1 rejected record of 1 file to be judged again");
        // The next delivery is read as ever.
        if format == "csv" {
            project.file("in/b.csv", "item,amount\nlast,1\nheavy,99\n");
            project.run(&[]).ended(0, "done: `stock`");
            replay(&project, &["--list"]).ended(0, "2 rejected records of 2 files");
        }
    }
}

#[test]
fn a_repaired_declaration_reads_records_that_could_not_be_read() {
    let project = project(TASK);
    project.file("in/a.csv", "item,amount\nbolt,5\nnut,\"1,000\"\nbroken\npin,3\n");
    project.run(&[]).ended(0, "done: `stock`");
    assert_eq!(project.rows("unreadable").len(), 3);
    project.task("amount: bigint", "amount: {type: bigint, thousands: ','}");
    project.task("amount < 10", "amount < 10000");
    let report = project.path("report.json");
    replay(&project, &["--report", report.to_str().unwrap()]).ended(0, "1 accepted and published, 1 rejected again");
    has(&project, &["bolt,5", "nut,1000", "pin,3"]);
    // What is rejected again is there once, and the others stay where they are: it is known which were published.
    assert_eq!(project.rows("unreadable").len(), 3);
    let report: serde_json::Value = serde_json::from_str(&project.text("report.json")).unwrap();
    let replayed = &report["report"]["replay"];
    assert_eq!((replayed["records"].as_u64(), replayed["accepted"].as_u64()), (Some(2), Some(1)));
    assert_eq!(report["report"]["outputs"].as_array().unwrap().len(), 1, "{report}");
    replay(&project, &[]).ended(0, "0 accepted and published, 1 rejected again");
}

#[test]
fn files_are_found_in_the_archive_and_what_has_changed_or_is_gone_is_left_out() {
    let task = TASK.replace("    read: new", "    read: new\n    archive: done");
    let project = project(&task);
    for name in ["a", "b", "c"] {
        project.file(&format!("in/{name}.csv"), format!("item,amount\n{name},1\n{name}{name},20\n"));
    }
    project.run(&[]).ended(0, "done: `stock`");
    assert_eq!(project.left("in"), [""; 0]);
    project.task("amount < 10", "amount < 100");
    project.file("done/b.csv", "item,amount\nchanged,1\n");
    std::fs::remove_file(project.path("done/c.csv")).unwrap();
    // Files that no run has read are of no matter.
    project.file("in/d.csv", "item,amount\nother,2\nworse,30\n");
    let listed = replay(&project, &["--list"]);
    listed.ended(0, "1 rejected record of 1 file to be judged again");
    listed.ended(0, "b.csv has changed since it was read");
    listed.ended(0, "c.csv is gone");
    replay(&project, &[]).ended(0, "1 accepted and published, 0 rejected again");
    has(&project, &["a,1", "aa,20", "b,1", "c,1"]);
    replay(&project, &[]).ended(0, "no rejected record is left to be judged again");
    project.run(&[]).ended(0, "done: `stock`");
    has(&project, &["a,1", "aa,20", "b,1", "c,1", "other,2", "worse,30"]);
}

#[test]
fn what_a_closed_gate_has_rejected_is_read_again_by_the_next_run_and_not_replayed() {
    let task = TASK.replace("too_many: amount < 10}}", "too_many: amount < 10}, gate: {max_rejected: 10%}}");
    let project = project(&task);
    project.file("in/a.csv", "item,amount\nbolt,5\nnut,70\n");
    project.run(&[]).ended(3, "gate closed");
    let listed = replay(&project, &["--list"]);
    listed.ended(0, "no published run has read");
    project.task("amount < 10", "amount < 100");
    replay(&project, &[]).ended(0, "no rejected record is left");
    project.run(&[]).ended(0, "done: `stock`");
    has(&project, &["bolt,5", "nut,70"]);
    replay(&project, &[]).ended(0, "no rejected record is left");
    has(&project, &["bolt,5", "nut,70"]);
}

#[test]
fn records_of_a_file_that_was_read_with_several_contents_are_left_out() {
    // A corrected delivery under the same name: what stands at the line now may be there already.
    let project = project(&TASK.replace("    read: new", "    read: new\n    if_changed: read"));
    project.file("in/a.csv", "item,amount\nbolt,5\nnut,70\n");
    project.run(&[]).ended(0, "done: `stock`");
    project.file("in/a.csv", "item,amount\nscrew,1\nnut,7\n");
    project.run(&[]).ended(0, "done: `stock`");
    replay(&project, &[]).ended(0, "in/a.csv was read with several contents");
    has(&project, &["bolt,5", "nut,7", "screw,1"]);

    // What a closed gate let through is replaced by the run that reads the corrected file.
    let task = TASK.replace("too_many: amount < 10}}", "too_many: amount < 10}, gate: {max_rejected: 10%}}");
    let project = self::project(&task);
    project.file("in/a.csv", "item,amount\nbolt,5\nnut,70\n");
    project.run(&[]).ended(3, "gate closed");
    project.file("in/a.csv", "item,amount\nbolt,5\nnut,7\n");
    project.run(&[]).ended(0, "done: `stock`");
    replay(&project, &[]).ended(0, "no rejected record is left");
    has(&project, &["bolt,5", "nut,7"]);

    // A log that grows keeps its lines.
    let project = self::project(&TASK.replace("    read: new", "    read: new\n    if_changed: new_rows"));
    project.file("in/a.csv", "item,amount\nbolt,5\nnut,70\n");
    project.run(&[]).ended(0, "done: `stock`");
    project.file("in/a.csv", "item,amount\nbolt,5\nnut,70\ngear,80\n");
    project.run(&[]).ended(0, "done: `stock`");
    project.task("amount < 10", "amount < 100");
    replay(&project, &[]).ended(0, "2 accepted and published");
    has(&project, &["bolt,5", "gear,80", "nut,70"]);
}

#[test]
fn several_records_of_one_line_are_told_apart_or_refused() {
    let project = project(&TASK.replace("format: csv}\n    read", "format: json}\n    read"));
    let records = r#"[{"item":"bolt","amount":5},{"item":"nut","amount":70},{"item":"gear","amount":80}]"#;
    project.file("in/a.json", records);
    project.run(&[]).ended(0, "done: `stock`");
    has(&project, &["bolt,5"]);
    project.task("amount < 10", "amount < 75");
    replay(&project, &[]).ended(0, "1 accepted and published, 1 rejected again");
    has(&project, &["bolt,5", "nut,70"]);
}

#[test]
fn a_replay_is_no_run_that_was_due() {
    let task = TASK.replace("name: stock\n", "name: stock\nschedule: {cron: '0 0 * * *'}\n");
    let project = project(&task);
    project.file("in/a.csv", "item,amount\nbolt,5\nnut,70\n");
    project.run(&[]).ended(0, "done");
    project.age_runs("-2 days");
    project.weir(&["check", "task.yaml"]).ended(1, "");
    project.task("amount < 10", "amount < 100");
    replay(&project, &[]).ended(0, "1 accepted");
    project.weir(&["check", "task.yaml"]).ended(1, "");
    // Neither is the task well again because of it, nor was it run, as far as metrics and alerts tell.
    project.file(
        "weir.yaml",
        "metrics: {textfile: weir.prom}\nalerts: {all: {command: [./tell], events: [recovered, failed]}}\n",
    );
    project.file("tell", "#!/bin/sh\necho $WEIR_ALERT_EVENT >>told\n");
    assert!(std::process::Command::new("chmod").arg("+x").arg(project.path("tell")).status().unwrap().success());
    project.file("in/b.csv", "not,the,columns\n");
    project.run(&[]).ended(1, "");
    let last = || {
        let metrics = project.text("weir.prom");
        let lines = metrics.lines().filter(|line| line.starts_with("weir_last_"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = last();
    assert!(!before.is_empty());
    replay(&project, &[]).ended(0, "no rejected record is left");
    assert_eq!(last(), before);
    assert_eq!(project.text("told"), "failed\n");
}

#[test]
fn what_would_do_harm_is_refused() {
    let cases = [
        ("    read: new\n", "", "no sink has the rejected records of a source with `read: new`"),
        ("from: stock, mode: append", "from: stock, mode: overwrite", "would replace its rows by those of the replay"),
        ("      line: {type: bigint, from: line}\n", "", "sink `stock` cannot be replayed: it appends"),
        (
            "too_many: amount < 10",
            "too_many: amount < 10, same: {unique: item, keep: first by amount}",
            "rule `same` rejects rows with the same key",
        ),
    ];
    for (from, to, why) in cases {
        let mut task = TASK.replace(from, to);
        assert_ne!(task, TASK, "{from}");
        if from.contains("read: new") {
            task = task.replace("mode: append", "mode: overwrite");
        }
        let project = project(&task);
        project.file("in/a.csv", "item,amount\nbolt,5\nnut,70\n");
        replay(&project, &[]).ended(2, why);
    }
    let queries = [
        (
            "select item, sum(amount) as amount, min(file) as file, min(line) as line from delivery group by item",
            "an aggregate",
        ),
        ("select item, max(amount) over (partition by item) as amount, file, line from delivery", "a window function"),
        (
            "select one.* from delivery one join delivery other on one.item = other.item and one.line < other.line",
            "a join of the records with each other",
        ),
        ("select distinct * from delivery", "an aggregate"),
        ("select * from delivery order by item limit 3", "a limit"),
        ("select * from delivery where amount > (select avg(amount) from delivery)", "the records"),
    ];
    for (sql, why) in queries {
        let project = project(TASK);
        project.file("stock.sql", sql);
        project.file("in/a.csv", "item,amount\nbolt,5\nnut,70\n");
        let ran = replay(&project, &[]);
        ran.ended(2, "cannot be replayed");
        ran.ended(2, why);
    }
}

#[test]
fn a_record_whose_rows_were_accepted_in_part_is_not_appended_again() {
    let project = project(TASK);
    project
        .file("stock.sql", "select item, unnest(make_array(amount, amount * 100)) as amount, file, line from delivery");
    project.file("in/a.csv", "item,amount\nbolt,5\n");
    project.run(&[]).ended(0, "done: `stock`");
    has(&project, &["bolt,5"]);
    project.task("amount < 10", "amount < 1000");
    replay(&project, &[]).ended(1, "makes several rows");
    has(&project, &["bolt,5"]);
}

#[test]
fn a_sink_that_has_the_rows_that_another_model_rejects_is_not_appended_again() {
    let task = TASK
        .replace("models: {stock: stock.sql}", "models: {stock: stock.sql, all_of_them: all.sql}")
        .replace("sinks:\n", "sinks:\n  all: {from: all_of_them, mode: append, files: {path: all, format: csv}}\n");
    let project = project(&task);
    project.file("all.sql", SQL);
    project.file("in/a.csv", "item,amount\nbolt,5\nnut,70\n");
    project.run(&[]).ended(0, "done: `stock`");
    replay(&project, &[]).ended(2, "has the rows that `stock` rejects: they would be there twice");
}

#[test]
fn private_values_are_protected_as_in_any_run() {
    let task = TASK.replace("item: string", "item: {type: string, private: hash}");
    let project = project(&task);
    project.file("weir.yaml", "keys: {default: {id: '1', secret: '${env:WEIR_KEY}'}}\n");
    project.file("in/a.csv", "item,amount\nbolt,5\nbolt,70\n");
    let with_key = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        Ran::of(command.env("WEIR_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=").output().unwrap())
    };
    with_key(&["run", "task.yaml"]).ended(0, "done: `stock`");
    project.task("amount < 10", "amount < 100");
    with_key(&["replay", "task.yaml"]).ended(0, "1 accepted and published");
    let rows = project.rows("good");
    let tokens: Vec<&str> = rows[1..].iter().map(|row| row.split_once(',').unwrap().0).collect();
    assert!(tokens.len() == 2 && tokens[0] == tokens[1] && tokens[0].len() == 64, "{rows:?}");
}
