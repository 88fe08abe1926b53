//! Private columns: sinks have something else in place of their values, and nothing else that a run leaves has them either.
#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
#[cfg(debug_assertions)]
use std::process::Stdio;

use support::warehouse::Warehouse;
use support::{Project, Ran};

/// The private values, which stand in no file but the input.
const NAMES: [&str; 6] =
    ["Ann Oddly-Lee", "Bob Quaintley", "Cid Rarington", "Dora Strangewell", "Eve Unlikely", "Fay Seldomby"];
const NUMBERS: [&str; 6] = ["900-11-7731", "901-22-7732", "902-33-7733", "903-44-7734", "904-55-7735", "905-66-7736"];

const TASK: &str = r#"
name: patients
sources:
  raw_patient:
    files: {path: "in/*.csv", format: csv}
    columns:
      id: integer
      name: {type: string, private: hash}
      email: {type: string, private: {partial: '^(.).*(@.*)$'}}
      number: {type: string, private: encrypt}
      born: {type: date, private: redact}
      note: {type: string, private: drop}
      city: string
models: {patient: sql/patient.sql, city: sql/city.sql}
quality:
  patient:
    reject_unless: {adult: "born < date '2008-01-01'"}
    warn_unless: {short_name: length(name) < 14}
    gate: {max_rejected: 90%}
sinks:
  patient: {from: patient, mode: overwrite, files: {path: out/patient, format: csv}}
  patient_json: {from: patient, mode: overwrite, files: {path: out/json, format: jsonl}}
  patient_parquet: {from: patient, mode: overwrite, files: {path: out/parquet, format: parquet}}
  city: {from: city, mode: overwrite, public: [patients], files: {path: out/city, format: csv}}
  rejected: {from: patient.rejected, mode: overwrite, publish: always, files: {path: out/rejected, format: csv}}
  unreadable: {from: raw_patient.rejected, mode: overwrite, publish: always, files: {path: out/unreadable, format: csv}}
"#;

const PATIENT: &str =
    "select id, name, upper(name) as upper_name, email, reverse(email) as turned, number, born, note, city,
       id || ' in ' || city as label from raw_patient";
const CITY: &str = "select city, count(name) as patients, min(name) as first_name from patient group by city";

fn patients() -> Project {
    let project = Project::empty();
    project.file("task.yaml", TASK);
    project.file("weir.yaml", "keys: {default: {id: '1', secret: '${env:PATIENT_KEY}'}}\n");
    project.file("sql/patient.sql", PATIENT);
    project.file("sql/city.sql", CITY);
    project.file("in/a.csv", rows());
    project
}

/// Two patients of two cities, one that is too young, and three records that cannot be read.
fn rows() -> String {
    let mut rows = "id,name,email,number,born,note,city\n".to_owned();
    for (i, (name, number)) in NAMES.iter().zip(NUMBERS).enumerate() {
        let email = format!("{}@example.com", name.replace(' ', "."));
        let (id, born) = match i {
            3 => ("4", "2015-04-01"),
            4 => (name as &str, "1990-01-01"),
            5 => ("6", number),
            _ => (["1", "2", "3"][i], "1980-05-06"),
        };
        writeln!(rows, "{id},{name},{email},{number},{born},{name} is well,{}", ["Oslo", "Rome"][i % 2]).unwrap();
    }
    rows
}

const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

fn run(project: &Project, more: &[(&str, &str)]) -> Ran {
    let mut command = project.command(&["run", "task.yaml", "--report", "report.json"]);
    command.env("PATIENT_KEY", KEY).env("WEIR_LOG", "trace").env("WEIR_SHOW_VALUES", "true");
    command.envs(more.iter().copied());
    Ran::of(command.output().unwrap())
}

/// Every file below a folder but the input and what the user wrote.
fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.ends_with("in") || path.ends_with("sql") => {}
            true => files(&path, into),
            false => into.push(path),
        }
    }
}

/// Fails if a private value is in a file of the project or in what was printed.
#[track_caller]
fn holds_no_private_value(project: &Project, ran: &Ran, when: &str) {
    let mut all = vec![];
    files(&project.path(""), &mut all);
    assert!(all.iter().any(|path| path.ends_with("ledger.sqlite")), "{when}: {all:?}");
    let mut texts: Vec<(String, Vec<u8>)> =
        all.into_iter().map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
    texts.push(("standard output".to_owned(), ran.out.clone().into_bytes()));
    texts.push(("standard error".to_owned(), ran.err.clone().into_bytes()));
    for (name, content) in texts {
        let content = String::from_utf8_lossy(&content).to_lowercase();
        for value in NAMES.iter().chain(&NUMBERS) {
            let (value, dotted) = (value.to_lowercase(), value.to_lowercase().replace(' ', "."));
            let turned: String = dotted.chars().rev().collect();
            for form in [value, dotted, turned] {
                assert!(!content.contains(&form), "{when}: {name} holds `{form}`:\n{}{}", ran.out, ran.err);
            }
        }
    }
}

#[test]
fn sinks_have_what_the_methods_say() {
    let project = patients();
    let ran = run(&project, &[]);
    ran.ended(0, "");
    holds_no_private_value(&project, &ran, "a run");
    let rows = project.rows("out/patient");
    assert_eq!(rows[0], "id,name,upper_name,email,turned,number,born,city,label");
    let fields: Vec<&str> = rows[1].split(',').collect();
    let is_token = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(is_token(fields[1]) && is_token(fields[2]), "{rows:?}");
    assert_ne!(fields[1], fields[2], "the hash of another value");
    assert_eq!(fields[3], format!("A{}@example.com", "*".repeat(NAMES[0].len() - 1)));
    assert_eq!(fields[4], "[redacted]", "a pattern is not for what is computed from the value");
    assert!(fields[5].starts_with("weir:default:1:"), "{}", fields[5]);
    assert_eq!(&fields[6..], ["", "Oslo", "1 in Oslo"]);
    // The same value, the same token, in every sink.
    assert!(project.text("out/json/part-00000.jsonl").contains(fields[1]));
    let cities = project.rows("out/city");
    assert_eq!(cities[0], "city,patients,first_name");
    assert!(cities[1].starts_with("Oslo,2,") && cities[2].starts_with("Rome,1,"), "{cities:?}");
    assert_eq!(cities[2].split(',').nth(2).map(str::len), Some(64));
    // The young patient, with its columns protected; the records that cannot be read, without them.
    let rejected = project.rows("out/rejected");
    assert!(rejected[1].ends_with(",Rome,4 in Rome,adult"), "{rejected:?}");
    let unreadable = project.rows("out/unreadable");
    assert_eq!(unreadable.len(), 3);
    assert!(unreadable[1].contains("[redacted]"), "{unreadable:?}");
    // Again with the same key: the same rows.
    run(&project, &[]).ended(0, "");
    assert_eq!(project.rows("out/patient"), rows);
}

#[test]
fn no_failure_tells_a_private_value() {
    let cases: [(&str, &str, &str, &str, i32); 8] = [
        ("a closed gate", "max_rejected: 90%", "max_rejected: 1%", PATIENT, 3),
        ("a rule that fails", "warn_unless: {short_name", "fail_unless: {short_name", PATIENT, 1),
        ("a failing cast", "name: patients", "name: patients", "select *, cast(name as int) as n from raw_patient", 3),
        (
            "a failing cast below an aggregate",
            "reject_unless: {adult: \"born < date '2008-01-01'\"}",
            "reject_unless: {}",
            "select max(id) as id, min(name) as name, min(born) as born, max(cast(number as int)) as n, min(city) as city from raw_patient",
            1,
        ),
        ("an invalid value that ends the run", "id: integer", "id: {type: integer, on_invalid: fail}", PATIENT, 1),
        ("an invalid value that becomes null", "id: integer", "id: {type: integer, on_invalid: set_null}", PATIENT, 0),
        ("wrong SQL", "name: patients", "name: patients", "select nothing_like_it from raw_patient", 2),
        (
            "several rows with one name",
            "sinks:",
            "sinks:\n  doc: {from: patient, mode: overwrite, documents: {path: out/doc, name: \"${city}.json\", body: label}}",
            PATIENT,
            1,
        ),
    ];
    for (when, from, to, sql, code) in cases {
        let project = patients();
        project.task(from, to);
        project.file("sql/patient.sql", sql);
        if sql != PATIENT {
            project.file("sql/city.sql", "select city, count(name) as patients from patient group by city");
        }
        let ran = run(&project, &[]);
        assert_eq!(ran.code, Some(code), "{when}: {}{}", ran.out, ran.err);
        if code != 2 {
            holds_no_private_value(&project, &ran, when);
        }
        let shown = project.command(&["runs", "task.yaml", "--json"]).env("PATIENT_KEY", KEY).output().unwrap();
        holds_no_private_value_in(&shown.stdout, when);
    }
}

#[test]
fn an_error_says_where_it_is_also_if_the_rows_go_through_an_exchange() {
    let project = patients();
    project.task("id: integer", "id: {type: integer, on_invalid: fail}");
    project.task("reject_unless: {", "reject_unless: {once: {unique: id, keep: first by id}, ");
    let ran = run(&project, &[]);
    ran.ended(1, "column `id`: invalid_id, and the task specifies `on_invalid: fail`");
    holds_no_private_value(&project, &ran, "an exchange");
}

#[track_caller]
fn holds_no_private_value_in(text: &[u8], when: &str) {
    let text = String::from_utf8_lossy(text);
    assert!(NAMES.iter().chain(&NUMBERS).all(|value| !text.contains(value)), "{when}: {text}");
}

/// What does not fit into memory, and what a killed run leaves, is not on a disk.
#[cfg(debug_assertions)]
#[test]
fn a_killed_run_leaves_no_private_value_on_a_disk() {
    for fault in ["inputs_entered", "prepared", "committed", "published"] {
        let project = patients();
        // Two readers: the accepted rows are kept.
        project.task("city: sql/city.sql}", "city: sql/city.sql, other: sql/city.sql}");
        project
            .task("sinks:", "sinks:\n  other: {from: other, mode: overwrite, files: {path: out/other, format: csv}}");
        let ran = run(&project, &[("WEIR_FAULT", fault)]);
        assert_eq!(ran.code, None, "{fault}: {}{}", ran.out, ran.err);
        holds_no_private_value(&project, &ran, fault);
        let ran = run(&project, &[]);
        ran.ended(0, "");
        holds_no_private_value(&project, &ran, fault);
    }
}

/// Neither do the files that a run has open, also those that no folder has any more.
#[cfg(debug_assertions)]
#[test]
fn no_file_that_a_run_has_open_holds_a_private_value_on_a_disk() {
    for point in ["inputs_entered", "prepared", "decided", "committed", "published"] {
        let project = patients();
        project.task("city: sql/city.sql}", "city: sql/city.sql, other: sql/city.sql}");
        project
            .task("sinks:", "sinks:\n  other: {from: other, mode: overwrite, files: {path: out/other, format: csv}}");
        let mut command = project.command(&["run", "task.yaml"]);
        command.env("PATIENT_KEY", KEY).env("WEIR_LOG", "trace").env("WEIR_FAULT", format!("{point}+stop"));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        let is_stopped = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
        };
        while !is_stopped() {
            assert!(child.try_wait().unwrap().is_none(), "it ends before {point}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let mut seen = 0;
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
            let open = entry.unwrap().path();
            let Ok(target) = std::fs::read_link(&open) else { continue };
            let is_input = target.starts_with(project.path("in"));
            if is_input || target.starts_with("/dev") || !std::fs::metadata(&open).is_ok_and(|file| file.is_file()) {
                continue;
            }
            seen += 1;
            holds_no_private_value_in(&std::fs::read(&open).unwrap(), &format!("{point}: {}", target.display()));
        }
        assert!(seen > 0, "{point}: the ledger is open");
        let all = [rustix::process::Signal::CONT, rustix::process::Signal::KILL];
        all.iter().for_each(|signal| {
            rustix::process::kill_process(rustix::process::Pid::from_child(&child), *signal).unwrap();
        });
        child.wait().unwrap();
    }
}

#[test]
fn encrypted_values_are_read_and_encrypted_again() {
    let project = patients();
    run(&project, &[]).ended(0, "");
    let with_keys = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        Ran::of(command.env("PATIENT_KEY", KEY).env("NEW_KEY", KEY.replace('M', "N")).output().unwrap())
    };
    let decrypted = with_keys(&["decrypt", "out/patient/part-00000.csv"]);
    decrypted.ended(0, NUMBERS[0]);
    assert_eq!(decrypted.out.lines().count(), 4);
    project.file(
        "weir.yaml",
        "keys: {default: {id: '2', secret: '${env:NEW_KEY}', former: {'1': '${env:PATIENT_KEY}'}}}\n",
    );
    let rotated = with_keys(&["rotate", "out/patient/part-00000.csv"]);
    rotated.ended(0, "3 values encrypted again");
    assert!(rotated.out.contains("weir:default:2:") && !rotated.out.contains("weir:default:1:"), "{}", rotated.out);
    project.file("rotated.csv", &rotated.out);
    assert_eq!(with_keys(&["decrypt", "rotated.csv"]).out, decrypted.out);
    project.file("weir.yaml", "keys: {default: {id: '2', secret: '${env:NEW_KEY}'}}\n");
    with_keys(&["decrypt", "out/patient/part-00000.csv"]).ended(2, "`1` of key `default`");
}

#[test]
fn what_would_tell_a_private_value_is_refused() {
    let refused = |from: &str, to: &str, said: &str| {
        let project = patients();
        project.task(from, to);
        let ran = project.weir(&["validate", "task.yaml"]);
        ran.ended(2, said);
    };
    let sink = "patient: {from: patient, mode: overwrite,";
    refused(sink, "patient: {from: patient, mode: overwrite, partition_by: [name],", "`partition_by`");
    refused(sink, "patient: {from: patient, mode: overwrite, columns: [id, note],", "`private: drop`");
    refused(sink, "patient: {from: patient, mode: overwrite, public: [city],", "not computed from a private one");
    refused(sink, "patient: {from: patient, mode: overwrite, public: [nam],", "did you mean `name`");
    refused(
        "public: [patients], files: {path: out/city, format: csv}",
        "documents: {path: out/city, name: \"${first_name}.json\", body: city}",
        "the `name` of documents",
    );
    refused("private: hash}", "private: partial}", "needs a pattern");
    refused("'^(.).*(@.*)$'", "'.*'", "has no group");
    refused("private: hash}", "private: hide}", "none of hash, redact, partial, encrypt and drop");
    refused(
        "path: \"in/*.csv\", format: csv}",
        "path: \"in/*.csv\", format: csv}\n    read: new\n    archive: in/done",
        "archive_private: true",
    );
    let project = patients();
    project.task(
        "patient: {from: patient, mode: overwrite, files: {path: out/patient, format: csv}}",
        "patient: {from: patient, mode: merge, primary_key: [id], deleted_when: \"email = 'gone'\", \
         postgres: {connection: shop, table: patient}}",
    );
    let shop = "connections: {shop: {postgres: 'postgres://nobody@localhost/shop'}}";
    project.file("weir.yaml", format!("{shop}\nkeys: {{default: {{id: '1', secret: '${{env:PATIENT_KEY}}'}}}}\n"));
    project
        .weir(&["validate", "task.yaml"])
        .ended(2, "column `email` is computed from a private one and cannot be in `deleted_when`");
    let project = patients();
    project.file("weir.yaml", "keys: {'my key': {id: '1', secret: '${env:PATIENT_KEY}'}}\n");
    run(&project, &[]).ended(2, "key `my key`: `my key` can have letters, digits");
    project.file("weir.yaml", "keys: {other: {id: '1', secret: '${env:PATIENT_KEY}'}}\n");
    run(&project, &[]).ended(2, "there is no key `default`");
    project.file("weir.yaml", format!("keys: {{default: {{id: '1', secret: '{KEY}'}}}}\n"));
    run(&project, &[]).ended(2, "the secret stands in the file");
    project.file("weir.yaml", "keys: {default: {id: '1', secret: '${env:PATIENT_KEY}'}}\n");
    run(&project, &[("PATIENT_KEY", "c2hvcnQ=")]).ended(2, "not base64 of 32 bytes or more");
}

/// What the tables of a database hold, also those of weir.
fn content(warehouse: &Warehouse) -> String {
    let tables = warehouse.sql(
        "select format('%I.%I', schemaname, tablename) from pg_tables
         where schemaname not in ('pg_catalog', 'information_schema')",
    );
    let rows = tables.lines().map(|table| warehouse.sql(&format!("select t::text from {table} as t")));
    rows.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_database_holds_no_private_value_and_no_message_of_it_does() {
    let table = "mode: merge, primary_key: [number], postgres: {connection: warehouse, table: patient, create: true}";
    let task = TASK.replace("mode: overwrite, files: {path: out/patient, format: csv}", table);
    let warehouse = Warehouse::with(&task, "");
    let project = &warehouse.project;
    project.file("sql/patient.sql", PATIENT);
    project.file("sql/city.sql", CITY);
    project.file("in/a.csv", rows());
    let keys = "keys: {default: {id: '1', secret: '${env:PATIENT_KEY}'}}\n";
    project.file("weir.yaml", format!("connections: {{warehouse: {{postgres: '{}'}}}}\n{keys}", warehouse.url));
    for counts in ["3 inserted", "0 inserted, 0 updated, 3 unchanged"] {
        let ran = run(project, &[]);
        ran.ended(0, counts);
        holds_no_private_value(project, &ran, counts);
    }
    // Rows that the table refuses, and a run that dies with its rows staged.
    warehouse.sql("alter table patient add check (number like 'nothing%') not valid");
    project.file("in/b.csv", rows().replace("1980-05-06", "1981-05-06").replace("Oslo", "Bergen"));
    std::fs::remove_file(project.path("in/a.csv")).unwrap();
    let changed = run(project, &[]);
    changed.ended(1, "");
    let died = run(project, &[("WEIR_FAULT", "prepared")]);
    for ran in [&changed, &died] {
        holds_no_private_value(project, ran, "refused");
    }
    holds_no_private_value_in(content(&warehouse).as_bytes(), "the database");
    assert!(content(&warehouse).contains("weir:default:1:"));
    // Null in place of a date.
    warehouse.sql("drop table patient; create table patient (number text primary key, born date not null)");
    project.task("primary_key: [number],", "primary_key: [number], columns: [number, born],");
    run(project, &[]).ended(1, "`born` is not null, and null is written in place of its private values");
    warehouse.sql("drop table patient; create table patient (number text primary key, name varchar(20))");
    project.task("columns: [number, born]", "columns: [number, name]");
    run(project, &[]).ended(1, "64 characters are written in place of its private values");
}

#[test]
fn doctor_looks_where_the_scratch_folder_is() {
    let project = patients();
    let doctor = |variable: &str, value: &str| {
        let mut command = project.command(&["doctor", "task.yaml"]);
        Ran::of(command.env("PATIENT_KEY", KEY).env("COLUMNS", "400").env(variable, value).output().unwrap())
    };
    doctor("LANG", "C").ended(0, "free at /dev/shm");
    let folder = project.path("encrypted");
    std::fs::create_dir(&folder).unwrap();
    let elsewhere = doctor("WEIR_PRIVATE_SCRATCH", folder.to_str().unwrap());
    elsewhere.ended(0, "outputs and scratch space may need");
    assert!(!elsewhere.out.contains("/dev/shm"), "{}", elsewhere.out);
}

#[test]
fn a_profile_shows_no_private_value() {
    let project = patients();
    let arguments = ["profile", "--task-config", "task.yaml", "raw_patient", "--json", "--output", "page.html"];
    let ran = Ran::of(project.command(&arguments).env("WEIR_SHOW_VALUES", "true").output().unwrap());
    ran.ended(0, "Oslo");
    let page = project.text("page.html");
    for text in [&ran.out, &ran.err, &page] {
        assert!(NAMES.iter().chain(&NUMBERS).all(|value| !text.contains(value)), "{text}");
    }
}

#[test]
fn a_test_case_has_the_values() {
    let project = patients();
    project.file(
        "sql/city.test.yaml",
        "by_city:\n  given:\n    patient: [{city: Oslo, name: Ann}]\n  expect:\n    city: [{city: Oslo, patients: 1, first_name: Ann}]\n",
    );
    project.weir(&["test", "task.yaml"]).ended(0, "1");
}
