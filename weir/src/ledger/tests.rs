//! Tests of the ledger.

use serde_json::json;

use super::*;

#[test]
fn a_ledger_whose_writer_was_killed_can_be_read() {
    let state = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(state.path()).unwrap();
    ledger.begin("1", &RunKey::new("people", "default"), "{}", &[]).unwrap();
    // As a kill leaves it: pages of a transaction in the file, and the journal that undoes them.
    ledger.connection.pragma_update(None, "cache_size", 1).unwrap();
    ledger.connection.execute_batch("begin immediate").unwrap();
    for number in 0..200 {
        let of = params![format!("more {number}"), "x".repeat(2000)];
        let insert = "insert into run (id, task, environment, started, state, pid, parameters)
                          values (?1, ?2, '', '', 'running', 0, '{}')";
        ledger.connection.execute(insert, of).unwrap();
    }
    let killed = tempfile::tempdir().unwrap();
    for name in [FILE.to_owned(), format!("{FILE}-journal")] {
        std::fs::copy(state.path().join(&name), killed.path().join(&name)).unwrap();
    }
    let read = Ledger::read_only(killed.path()).unwrap().unwrap();
    assert_eq!(read.runs(None, 10).unwrap().len(), 1);
}

#[test]
fn a_ledger_that_stays_locked_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    drop(Ledger::open(folder.path()).unwrap());
    let mut other = Connection::open(folder.path().join("ledger.sqlite")).unwrap();
    let _held = other.transaction_with_behavior(TransactionBehavior::Exclusive).unwrap();
    let error = Ledger::open_waiting(folder.path(), |_| false).unwrap_err();
    assert!(error.to_string().ends_with("ledger.sqlite: database is locked"), "{error}");
    let help = miette::Diagnostic::help(&error).unwrap().to_string();
    assert_eq!(help, "another process is writing to it: try again");
}

/// Targets as they were before they had a tag.
const FOLDER_V1: &str = r#"{"task":"t.default","sink":"files","run":"2","target":"/out/a","staging":"/out/.a.weir-2",
        "after":null}"#;
const TABLE_V1: &str = r#"{"sink":"rows","connection":"warehouse","load":{"run":"2","sink":"rows","staging":"stage_2_0",
        "table":{"schema":null,"name":"stock","columns":[{"name":"item","kind":"text","not_null":false,"comment":null}],
        "primary_key":["item"],"indexes":[],"comment":null},"mode":{"merge":{"update_key":null}},"create":true},
        "staged":{"rows":1,"superseded":0}}"#;

#[test]
fn the_tables_of_version_1_become_those_of_today_and_keep_their_rows() {
    let (old, fresh) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let connection = Connection::open(old.path().join("ledger.sqlite")).unwrap();
    connection.execute_batch(include_str!("../../tests/support/ledger_v1.sql")).unwrap();
    let row = "insert into run (id, task, environment, started, state, pid, parameters) \
                   values ('1', 't', 'default', '2026-01-01T00:00:00Z', 'done', 1, '{}')";
    connection.execute_batch(row).unwrap();
    connection.execute_batch(&row.replace("'1'", "'2'").replace("'done'", "'publishing'")).unwrap();
    connection.execute_batch("insert into input values ('1', 's', 'a.csv', 3, 'then')").unwrap();
    for (sink, target) in [("files", FOLDER_V1), ("rows", TABLE_V1)] {
        let sql = "insert into output (run, sink, folder, publish) values ('2', ?1, ?2, 1)";
        connection.execute(sql, [sink, target]).unwrap();
    }
    drop(connection);
    let tables = |ledger: &Ledger| {
        let all = ledger.ask(|c| {
            let mut query = c.prepare("select name, sql from sqlite_schema order by name")?;
            let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        });
        all.unwrap()
    };
    let old = Ledger::open(old.path()).unwrap();
    assert_eq!(tables(&old), tables(&Ledger::open(fresh.path()).unwrap()));
    assert_eq!(old.runs(None, 9).unwrap()[1].id, "1");
    // A run that the older program left behind its commit record can be finished: its targets have their kinds.
    let dead = old.unfinished(&RunKey::new("t", "default")).unwrap().remove(0);
    let sinks = dead.targets.iter().map(|(target, publish)| (target.read().unwrap(), *publish));
    let sinks: Vec<_> = sinks.map(|(sink, publish)| (sink.sink().to_owned(), sink.kind(), publish)).collect();
    assert_eq!(sinks, [("files".to_owned(), "folder", true), ("rows".to_owned(), "postgres", true)]);
    let input = old.ask(|c| c.query_row("select path, hash from input", [], |row| Ok((row.get(0)?, row.get(1)?))));
    assert_eq!(input.unwrap(), ("a.csv".to_owned(), None::<String>));
}

#[test]
fn the_targets_of_runs_that_have_ended_are_found_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(folder.path()).unwrap();
    let explain = format!("explain query plan {FORGET_TARGETS}");
    let plan: String = ledger.ask(|c| c.query_row(&explain, [], |row| row.get(3))).unwrap();
    assert!(plan.contains("output_with_target"), "{plan}");
}

#[test]
fn a_year_of_hourly_files_stays_small() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(folder.path()).unwrap();
    // Only the size counts here.
    ledger.connection.pragma_update(None, "synchronous", "off").unwrap();
    ledger.connection.pragma_update(None, "journal_mode", "memory").unwrap();
    let (key, long) = (RunKey::new("applications", "default"), "/srv/weir/data/applications/2026-05-01");
    let reason = |name: &str| json!({"name": name, "effect": "reject", "rows": 1234, "samples": []});
    let table = |name: &str| {
        let names =
            ["missing_name", "incomplete_name", "invalid_birthday", "under_18", "invalid_mobile", "invalid_email"];
        json!({"table": name, "is_source": false, "rows": 12345, "accepted": 12345, "rejected": 12345,
                   "reasons": names.map(reason)})
    };
    let output = |sink: &str| json!({"sink": sink, "path": format!("{long}/{sink}"), "rows": 12345, "bytes": 1234567, "published": true});
    let steps = ["find", "applicant", "drain", "prepare", "publish"];
    let target = PendingTarget { sink: "successful_application".into(), target: FOLDER_V1.repeat(3) };
    // Every twelfth hour.
    for hour in 0..365 * 2 {
        let id = format!("20260501T{hour:06}Z-0123456789ab");
        ledger.begin(&id, &key, "{\"input\":\"data/applications\"}", std::slice::from_ref(&target)).unwrap();
        let insert = "insert into input (run, source, path, bytes, modified, hash) values (?1, 'application', ?2, 1234567, ?3, ?4)";
        let of = params![
            id,
            format!("{long}/{hour:06}.csv"),
            "2026-05-01T10:00:00.123456789+00:00",
            "0".repeat(60) + &format!("{hour:04}")
        ];
        ledger.write(|t| t.execute(insert, of).map(drop)).unwrap();
        let report = json!({"run": id, "task": "applications", "environment": "default", "outcome": "done", "breaches": [],
                "tables": [table("application"), table("applicant")], "seconds": 1.23456, "peak_memory": 123456789,
                "outputs": (["successful_application", "unsuccessful_application", "malformed_application"].map(output)),
                "steps": steps.map(|name| json!({"name": name, "seconds": 0.123456}))});
        let report: Report = serde_json::from_value(report).unwrap();
        ledger.commit(&report, std::slice::from_ref(&target)).unwrap();
        ledger.end(&report, None).unwrap();
    }
    let size = std::fs::metadata(folder.path().join(FILE)).unwrap().len();
    assert!(size * 12 < 50_000_000, "{size}");
}
