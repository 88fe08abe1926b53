//! `ref`: a task reads what another one has published, with its columns, types and private columns.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Project, Ran};
use weir_mysql_testing::Server;
use weir_postgres_testing::Cluster;

/// Values of every type, as CSV.
const VALUES: &str = "id,text,flag,small,large,ratio,price,day,at,moment,clock,document,key
1,\"a, \"\"b\"\"\",true,7,9007199254740993,0.1,12.30,2026-11-01,2026-11-01T10:00:00.000001,2026-11-01T10:00:00Z,10:00:00,[1],6f9619ff-8b86-d011-b42d-00c04fc964ff
2,\"\",false,,,,,,,,,,
3,,,-1,-9223372036854775808,1e300,-0.01,0001-01-01,9999-12-31T23:59:59.999999,1969-12-31T23:59:59Z,00:00:00,7,6f9619ff-8b86-d011-b42d-00c04fc964ff
";

const COLUMNS: &str = "id: integer, text: string, flag: boolean, small: integer, large: bigint, ratio: double, price: 'decimal(12,2)', \
                       day: date, at: timestamp, moment: timestamptz, clock: time, document: json, key: uuid";

fn writes(sink: &str) -> String {
    format!(
        "name: values
sources: {{given: {{files: {{path: given.csv, format: csv}}, columns: {{{COLUMNS}}}}}}}
sinks: {{all: {{from: given, mode: overwrite, {sink}}}, unreadable: {{from: given.rejected, mode: overwrite, files: {{path: bad, format: csv}}}}}}
"
    )
}

const READS: &str = "name: reads
sources: {of_values: {ref: values.all}}
sinks:
  copy: {from: of_values, mode: overwrite, files: {path: copy, format: csv}}
  unreadable: {from: of_values.rejected, mode: overwrite, files: {path: copy_bad, format: csv}}
";

fn run(project: &Project, task: &str) -> Ran {
    project.weir(&["run", task, "--state", ".weir"])
}

#[test]
fn values_of_every_type_are_read_as_they_were_written_whatever_the_form_of_the_files() {
    let sinks = [
        "files: {path: out, format: csv}",
        "files: {path: out, format: csv, compression: gzip, header: false, delimiter: ';', line_end: crlf, null_text: '\\N'}",
        "files: {path: out, format: csv, encoding: utf-16le, bom: true, quoting: all, delimiter: tab}",
        "files: {path: out, format: jsonl, compression: zstd}",
        "files: {path: out, format: parquet}",
        "files: {file: 'out/[all].csv', format: csv, null_text: 'null'}",
        "partition_by: [day, flag], files: {path: 'out of it', format: parquet}",
    ];
    for sink in sinks {
        let project = Project::empty();
        project.file("given.csv", VALUES);
        project.file("values.yaml", writes(sink));
        project.file(
            "reads.yaml",
            READS.replace(
                "from: of_values, mode: overwrite,",
                &format!("from: of_values, mode: overwrite, columns: [{}],", names()),
            ),
        );
        run(&project, "values.yaml").ended(0, "done: `values`");
        run(&project, "reads.yaml").ended(0, "done: `reads`");
        project.file(
            "direct.yaml",
            writes("files: {path: direct, format: csv}")
                .replace("name: values", "name: direct")
                .replace("path: bad", "path: direct_bad"),
        );
        run(&project, "direct.yaml").ended(0, "done: `direct`");
        assert_eq!(project.rows("copy"), project.rows("direct"), "{sink}");
        assert_eq!(project.rows("copy_bad").len(), 1, "{sink}");
    }
}

#[test]
fn values_of_every_type_and_the_columns_of_the_sink_itself_are_read_from_tables() {
    let connections = [
        format!("postgres: '{}'", Cluster::shared().database()),
        format!("mysql: '{}'", Server::shared().url(&Server::shared().new_database())),
    ];
    for connection in connections {
        let kind = connection.split(':').next().unwrap();
        let project = Project::empty();
        project.file("weir.yaml", format!("connections: {{warehouse: {{{connection}}}}}\n"));
        project.file("given.csv", VALUES);
        // No table has a time of day.
        let columns = names().replace(" clock,", "");
        let table = |name: &str| {
            format!("columns: [{columns}], {kind}: {{connection: warehouse, table: {name}, create: true}}")
        };
        project.file("values.yaml", writes(&table("all_of_them")));
        project.file("reads.yaml", READS);
        run(&project, "reads.yaml").ended(1, "task `values` has not published its sink `all` yet");
        run(&project, "values.yaml").ended(0, "done: `values`");
        run(&project, "reads.yaml").ended(0, "done: `reads`");
        let direct = writes(&format!("columns: [{columns}], files: {{path: direct, format: csv}}"))
            .replace("name: values", "name: direct");
        project.file("direct.yaml", direct.replace("path: bad", "path: direct_bad"));
        run(&project, "direct.yaml").ended(0, "done: `direct`");
        assert_eq!(project.rows("copy"), project.rows("direct"), "{kind}");

        // The history of rows, and marks of deleted ones.
        let modes = [
            ("scd2, primary_key: [id], deleted_when: flag = false", "history", "id, valid_from, valid_to"),
            ("merge, primary_key: [id], deleted_when: flag = false, soft_delete: gone_at", "marked", "id, gone_at"),
        ];
        for (mode, name, own) in modes {
            project.file(
                "values.yaml",
                writes(&table(name).replace(&columns, "id, text, flag")).replacen(
                    "mode: overwrite",
                    &format!("mode: {mode}"),
                    1,
                ),
            );
            // A row that is gone was there before.
            project.file("given.csv", "id,text,flag,small,large,ratio,price,day,at,moment,clock,document,key\n1,a,true,,,,,,,,,,\n2,b,true,,,,,,,,,,\n");
            run(&project, "values.yaml").ended(0, "done: `values`");
            project.file(
                "given.csv",
                "id,text,flag,small,large,ratio,price,day,at,moment,clock,document,key\n2,b,false,,,,,,,,,,\n",
            );
            run(&project, "values.yaml").ended(0, "done: `values`");
            let of_sink = format!("of_values, mode: overwrite, columns: [{own}],");
            project.file(
                "reads.yaml",
                READS
                    .replace("of_values, mode: overwrite,", &of_sink)
                    .replacen("path: copy", &format!("path: {name}"), 1)
                    .replace("name: reads", &format!("name: reads_{name}"))
                    .replace("path: copy_bad", &format!("path: {name}_bad")),
            );
            run(&project, "reads.yaml").ended(0, "done: `reads");
            let rows = project.rows(name);
            let ended: Vec<bool> = rows[1..].iter().map(|row| !row.ends_with(',')).collect();
            assert_eq!(ended, [false, true], "{kind}: {rows:?}");
        }
    }
}

fn names() -> String {
    COLUMNS.split(", ").map(|column| column.split_once(':').unwrap().0.trim()).collect::<Vec<_>>().join(", ")
}

#[test]
fn what_cannot_be_read_is_told_before_anything_is() {
    let cases = [
        ("ref: values.all", "ref: nothing.all", "there is no task `nothing` in "),
        ("ref: values.all", "ref: values.al", "did you mean `all`?"),
        ("ref: values.all", "ref: values", "`values` is no sink of another task: write `task.sink`"),
        ("ref: values.all", "ref: reads.copy", "source `of_values` reads what this task publishes"),
        ("ref: values.all", "ref: values.all, columns: {id: integer}", "`columns` is not for a source with `ref`"),
        ("ref: values.all", "ref: values.all, null_values: [x]", "`null_values` is not for a source with `ref`"),
        ("ref: values.all", "ref: values.all, files: {path: x, format: csv}", "`files` is not for a source with `ref`"),
    ];
    let project = Project::empty();
    project.file("given.csv", VALUES);
    project.file("values.yaml", writes("files: {path: out, format: csv}"));
    for (from, to, why) in cases {
        project.file("reads.yaml", READS.replace(from, to));
        project.weir(&["validate", "reads.yaml"]).ended(2, why);
        run(&project, "reads.yaml").ended(2, why);
    }
    // Tasks in a circle.
    project.file("reads.yaml", READS);
    project.file(
        "values.yaml",
        "name: values
sources: {of_reads: {ref: reads.copy}}
sinks: {all: {from: of_reads, mode: overwrite, files: {path: out, format: csv}}}
",
    );
    project.weir(&["validate", "reads.yaml"]).ended(2, "tasks that read from each other: reads, values, reads");
}

#[test]
fn what_is_not_published_yet_is_an_error_or_nothing() {
    let project = Project::empty();
    project.file("given.csv", VALUES);
    project.file("values.yaml", writes("files: {path: out, format: csv}"));
    project.file("reads.yaml", READS);
    let missing = run(&project, "reads.yaml");
    missing.ended(1, "task `values` has not published its sink `all` yet");
    missing.ended(1, "run values.yaml first");
    project.file("reads.yaml", READS.replace("ref: values.all", "ref: values.all, if_missing: skip"));
    run(&project, "reads.yaml").ended(0, "nothing to do");
    project.file("reads.yaml", READS);
    run(&project, "values.yaml").ended(0, "done");
    // What else lies there is no part of it.
    project.file("out/part-99999.csv", "id\n9\n");
    run(&project, "reads.yaml").ended(0, "done: `reads`");
    assert_eq!(project.rows("copy").len(), 4);
    std::fs::remove_file(project.path("out/part-00000.csv")).unwrap();
    run(&project, "reads.yaml").ended(1, "is gone, which a run of task `values` had written");
    // A folder of another environment.
    project.file(
        "values.yaml",
        writes("files: {path: out, format: csv}").replace("name: values", "name: values\nenvironments: {prod: {}}"),
    );
    project.file(
        "reads.yaml",
        READS.replace("name: reads", "name: reads\nenvironments: {prod: {}}").replace("path: copy", "path: prod"),
    );
    project.weir(&["run", "reads.yaml", "--env", "prod"]).ended(1, "was written by sink `all` of `values.default`");
}

#[test]
fn an_appended_folder_is_read_delivery_by_delivery() {
    let project = Project::empty();
    project.file(
        "values.yaml",
        "name: values
sources: {given: {files: {path: 'in/*.csv', format: csv}, read: new, columns: {id: integer}}}
sinks: {all: {from: given, mode: append, files: {path: out, format: csv}}, unreadable: {from: given.rejected, mode: append, files: {path: bad, format: csv}}}
",
    );
    project.file(
        "reads.yaml",
        READS.replace("ref: values.all", "ref: values.all, read: new").replace("mode: overwrite", "mode: append"),
    );
    for (number, rows) in [(1, 2), (2, 3), (3, 4)] {
        project.file(&format!("in/{number}.csv"), format!("id\n{number}\n"));
        run(&project, "values.yaml").ended(0, "done");
        run(&project, "reads.yaml").ended(0, "done: `reads`");
        run(&project, "reads.yaml").ended(0, "nothing to do");
        assert_eq!(project.rows("copy").len(), rows);
    }
}

#[test]
fn private_columns_stay_private_and_tokens_are_read_as_they_are() {
    const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let project = Project::empty();
    project.file("weir.yaml", "keys: {default: {id: '1', secret: '${env:WEIR_KEY}'}}\n");
    project.file("given.csv", "id,name,born\n1,Adelaide,1990-01-01\n2,Bartholomew,1980-01-01\n");
    project.file(
        "people.yaml",
        "name: people
sources:
  given:
    files: {path: given.csv, format: csv}
    columns: {id: integer, name: {type: string, private: hash}, born: {type: date, private: redact}}
sinks:
  tokens: {from: given, mode: overwrite, files: {path: tokens, format: csv}}
  nurses: {from: given, mode: overwrite, public: [name], files: {path: nurses, format: csv}}
  unreadable: {from: given.rejected, mode: overwrite, files: {path: bad, format: csv}}
",
    );
    let reads = |sink: &str, public: &str| {
        format!(
            "name: reads
sources: {{of_people: {{ref: people.{sink}}}}}
sinks:
  copy: {{from: of_people, mode: overwrite, {public}files: {{path: copy, format: csv}}}}
  unreadable: {{from: of_people.rejected, mode: overwrite, files: {{path: copy_bad, format: csv}}}}
"
        )
    };
    let with_key = |task: &str| {
        let mut command = project.command(&["run", task, "--state", ".weir"]);
        Ran::of(command.env("WEIR_KEY", KEY).output().unwrap())
    };
    with_key("people.yaml").ended(0, "done: `people`");
    let tokens = project.rows("tokens");
    assert!(!tokens.join("").contains("Adelaide") && tokens[1].len() > 64, "{tokens:?}");
    // A token is no value any more.
    project.file("reads.yaml", reads("tokens", ""));
    with_key("reads.yaml").ended(0, "done: `reads`");
    assert_eq!(project.rows("copy"), tokens);
    // What is public there is not public here.
    project.file("reads.yaml", reads("nurses", ""));
    with_key("reads.yaml").ended(0, "done: `reads`");
    assert_eq!(project.rows("copy"), tokens);
    project.file("reads.yaml", reads("nurses", "public: [name], "));
    with_key("reads.yaml").ended(0, "done: `reads`");
    assert!(project.rows("copy").join("\n").contains("Bartholomew"));
}

#[test]
fn parameters_of_the_command_line_lead_to_the_same_place() {
    let project = Project::empty();
    project.file("given.csv", VALUES);
    let param = "params: {output: {type: string, default: elsewhere}}\n";
    project.file(
        "values.yaml",
        writes("files: {path: '${output}/all', format: csv}").replace("sources:", &format!("{param}sources:")),
    );
    project.file(
        "reads.yaml",
        READS
            .replace("sources:", &format!("{param}sources:"))
            .replace("path: copy,", "path: '${output}/copy',")
            .replace("path: copy_bad,", "path: '${output}/copy_bad',"),
    );
    let with = ["--state", ".weir", "--param", "output=here"];
    let run = |task: &str| project.weir(&[&["run", task], &with[..]].concat());
    run("values.yaml").ended(0, "done");
    run("reads.yaml").ended(0, "done: `reads`");
    assert_eq!(project.rows("here/copy").len(), 4);
    project.weir(&["plan", "reads.yaml", "--param", "output=here"]).ended(0, "1 file");
    project.weir(&["doctor", "reads.yaml", "--param", "output=here"]).ended(0, "");
    project.weir(&["lineage", "reads.yaml"]).ended(0, "of_values.price");
    project
        .weir(&["profile", "of_values", "--task-config", "reads.yaml", "--param", "output=here", "--json"])
        .ended(0, "\"price\"");
}

#[test]
fn a_model_over_what_another_task_publishes_has_fixtures() {
    let project = Project::empty();
    project.file("values.yaml", writes("files: {path: out, format: parquet}"));
    project.file(
        "reads.yaml",
        "name: reads
sources: {of_values: {ref: values.all}}
models: {cheap: cheap.sql}
sinks: {copy: {from: cheap, mode: overwrite, files: {path: copy, format: csv}}}
",
    );
    project.file("cheap.sql", "select id, price * 2 as twice from of_values where price < 1");
    project.file(
        "cheap.test.yaml",
        "below_one:\n  given: {of_values: [{id: 1, price: 0.50}, {id: 2, price: 1.00}]}\n  expect: {cheap: [{id: 1, twice: 1.00}]}\n",
    );
    project.weir(&["test", "reads.yaml"]).ended(0, "1 case, all ok");
}

#[test]
fn a_scheduler_runs_a_task_after_those_that_it_reads_from() {
    let project = Project::empty();
    project.file("given.csv", VALUES);
    let schedule = "schedule: {cron: '0 0 * * *'}\nsources:";
    project.file("values.yaml", writes("files: {path: out, format: csv}").replace("sources:", schedule));
    // Both are due at the same time, and the one that reads is named first.
    project.file("reads.yaml", READS.replace("sources:", schedule));
    let mut command = project.command(&["schedule", "reads.yaml", "values.yaml", "--state", ".weir", "--jobs", "2"]);
    let mut scheduler = command.env("WEIR_TEST_SCHEDULE", "2 1000").spawn().unwrap();
    let is_done = || project.path("copy/_SUCCESS").exists();
    for _ in 0..300 {
        if is_done() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&scheduler), rustix::process::Signal::TERM).unwrap();
    scheduler.wait().unwrap();
    assert!(is_done());
    let runs = project.weir(&["runs", "--state", ".weir", "--json", "--last", "100"]);
    // The oldest run of the reader is no failure: something was there to read.
    let first = runs.out.lines().rev().find(|line| line.contains("\"task\":\"reads\"")).unwrap().to_owned();
    assert!(first.contains("\"state\":\"done\""), "{first}");
}
