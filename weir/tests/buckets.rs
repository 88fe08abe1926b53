//! Sinks whose files are objects of a store.
#![cfg(feature = "object-stores")]
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use support::s3::{Fault, Object, S3, SECRET};
use support::{Project, Ran};

const TARGET: &str = "out/stock";

/// A task that writes deliveries to a bucket.
fn project(server: &S3, mode: &str, files: &str) -> Project {
    let project = Project::empty();
    project.file("weir.yaml", server.settings());
    let read = if mode.contains("append") { "read: new" } else { "read: all" };
    project.file(
        "task.yaml",
        format!(
            "name: stock
sources:
  delivery:
    files: {{path: 'in/*.csv', format: csv}}
    {read}
    columns: {{item: string, amount: bigint}}
sinks:
  stock: {{from: delivery, mode: {mode}, files: {{{files}}}}}
"
        ),
    );
    project
}

/// A task that writes documents of deliveries to a bucket, with this SQL as their text.
fn documents(server: &S3, text: &str) -> Project {
    let files = "path: 's3://stock/out/stock', format: csv";
    let project = project(server, "overwrite", files);
    project.task("sinks:\n", "models: {document: document.sql}\nsinks:\n");
    project.task("from: delivery", "from: document");
    let documents = "documents: {path: 's3://stock/out/stock', name: '${item}.txt', body: body}";
    project.task(&format!("files: {{{files}}}"), documents);
    project.file("document.sql", format!("select item, {text} as body from delivery"));
    project
}

fn overwriting(server: &S3) -> Project {
    project(server, "overwrite", "path: 's3://stock/out/stock', format: csv")
}

fn weir(project: &Project, arguments: &[&str]) -> Ran {
    let mut command = project.command(arguments);
    Ran::of(command.env("STORE_SECRET", SECRET).env("NO_PROXY", "*").output().unwrap())
}

fn run(project: &Project) -> Ran {
    weir(project, &["run", "task.yaml", "--state", ".weir"])
}

fn deliver(project: &Project, name: &str, rows: &str) {
    project.file(&format!("in/{name}.csv"), format!("item,amount\n{rows}\n"));
}

fn manifest(server: &S3) -> Option<Value> {
    server.get("out/stock/_SUCCESS").map(|text| serde_json::from_str(&text).unwrap())
}

/// The rows of the files that the manifest names, sorted. Fails if one is not there.
fn rows(server: &S3) -> Vec<String> {
    let manifest = manifest(server).unwrap();
    let files = manifest["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap());
    let mut rows: Vec<String> = files
        .flat_map(|file| {
            let text = server.get(&format!("{TARGET}/{file}")).unwrap_or_else(|| panic!("{file} is not there"));
            text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    rows.sort();
    rows
}

/// Fails unless the folder holds what its manifest names, and nothing else.
#[track_caller]
fn is_complete(server: &S3, expected: &[&str]) {
    assert_eq!(rows(server), expected);
    let manifest = manifest(server).unwrap();
    let mut named: Vec<String> = manifest["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| format!("{TARGET}/{}", file.as_str().unwrap()))
        .collect();
    named.push(format!("{TARGET}/_SUCCESS"));
    named.sort();
    assert_eq!(server.keys(), named);
    assert_eq!(server.open_uploads(), 0);
}

#[test]
fn a_request_that_fails_at_any_step_leaves_the_old_content_or_the_new() {
    type Make = fn() -> Fault;
    let faults: [(&str, Make, &[&str]); 2] = [
        ("access denied", || Fault::Answer(403, "AccessDenied"), &["overwrite", "append", "documents"]),
        ("answer lost", || Fault::DropAnswer, &["overwrite", "documents"]),
    ];
    for (name, fault, modes) in faults {
        for mode in modes.iter().copied() {
            let server = S3::start();
            let project = match mode {
                "documents" => documents(&server, "concat('item,amount', chr(10), item, ',', amount)"),
                mode => project(&server, mode, "path: 's3://stock/out/stock', format: csv"),
            };
            deliver(&project, "a", "bolt,0");
            run(&project).ended(0, "done");
            let mut before = vec!["bolt,0".to_owned()];
            for number in 0.. {
                let new = format!("bolt,{}", number + 1);
                deliver(&project, if mode == "append" { &new[5..] } else { "a" }, &new);
                let mut after = if mode == "append" { before.clone() } else { vec![] };
                after.push(new);
                after.sort();
                let requests = Arc::new(AtomicUsize::new(0));
                let counted = requests.clone();
                server.fail(move |_, _| (counted.fetch_add(1, Ordering::Relaxed) == number).then(fault));
                let ran = run(&project);
                server.heal();
                let found = rows(&server);
                assert!(found == before || found == after, "{name} {mode} {number}: {found:?} {ran:#?}");
                run(&project).ended(0, "");
                is_complete(&server, &after.iter().map(String::as_str).collect::<Vec<_>>());
                before = after;
                if requests.load(Ordering::Relaxed) <= number {
                    assert!(number > 8, "{number} requests");
                    break;
                }
            }
        }
    }
}

#[test]
fn a_process_that_is_killed_at_any_request_leaves_the_old_content_or_the_new() {
    let server = S3::start();
    let partitions = "overwrite, partition_by: [item]";
    is_whole_when_killed(&server, &project(&server, partitions, "path: 's3://stock/out/stock', format: jsonl"));
    let server = S3::start();
    is_whole_when_killed(&server, &documents(&server, "concat('{\"amount\":', amount, '}', chr(10))"));
}

/// Kills the task at each of its requests. Its one file has the amount as JSON.
fn is_whole_when_killed(server: &S3, project: &Project) {
    deliver(project, "a", "bolt,0");
    run(project).ended(0, "done");
    let amount = |server: &S3| {
        let manifest = manifest(server).unwrap();
        let file = manifest["files"][0].as_str().unwrap();
        server.get(&format!("{TARGET}/{file}")).unwrap_or_else(|| panic!("{file} is not there"))
    };
    for number in 0.. {
        let before = amount(server);
        deliver(project, "a", &format!("bolt,{}", number + 1));
        let after = format!("{{\"amount\":{}}}\n", number + 1);
        let (requests, pid) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicI32::new(0)));
        let (counted, known) = (requests.clone(), pid.clone());
        server.fail(move |_, _| {
            if counted.fetch_add(1, Ordering::Relaxed) != number {
                return None;
            }
            while known.load(Ordering::Relaxed) == 0 {
                std::thread::yield_now();
            }
            let pid = rustix::process::Pid::from_raw(known.load(Ordering::Relaxed)).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            // The request had arrived, or not.
            Some(if number % 2 == 0 { Fault::DropAnswer } else { Fault::Drop })
        });
        let mut command = project.command(&["run", "task.yaml", "--state", ".weir"]);
        let mut child = command.env("STORE_SECRET", SECRET).env("NO_PROXY", "*").spawn().unwrap();
        pid.store(child.id() as i32, Ordering::Relaxed);
        child.wait().unwrap();
        server.heal();
        let found = amount(server);
        assert!(found == before || found == after, "{number}: {found}");
        run(project).ended(0, "done");
        assert_eq!(amount(server), after);
        assert_eq!(server.keys().len(), 2, "{:?}", server.keys());
        if requests.load(Ordering::Relaxed) <= number {
            assert!(number > 8, "{number} requests");
            break;
        }
    }
}

#[test]
fn a_run_that_another_one_overtakes_publishes_nothing() {
    let server = S3::start();
    let project = overwriting(&server);
    deliver(&project, "a", "bolt,1");
    run(&project).ended(0, "done");
    for key in ["part-", "/_SUCCESS"] {
        deliver(&project, "a", "nut,2");
        let other = Arc::new(Mutex::new(None));
        let kept = other.clone();
        server.fail(move |request, buckets| {
            // Another run publishes while this one writes, or just before it publishes.
            if request.method == "PUT" && request.key.contains(key) && kept.lock().unwrap().is_none() {
                let bucket = buckets.get_mut("stock").unwrap();
                let manifest = bucket["out/stock/_SUCCESS"].content.clone();
                let mut manifest: Value = serde_json::from_slice(&manifest).unwrap();
                manifest["run"] = format!("20200101T000000Z-{}", manifest["run"].as_str().unwrap().len()).into();
                manifest["other"] = key.into();
                let manifest = serde_json::to_vec(&manifest).unwrap();
                *kept.lock().unwrap() = Some(manifest.clone());
                bucket.insert("out/stock/_SUCCESS".to_owned(), Object::new(manifest));
            }
            None
        });
        let ran = run(&project);
        ran.ended(1, "another run has published to it since this one began; nothing of this run is published");
        server.heal();
        let manifest = server.get("out/stock/_SUCCESS").unwrap().into_bytes();
        assert_eq!(Some(manifest), *other.lock().unwrap());
        is_complete(&server, &["bolt,1"]);
        weir(&project, &["recover", "task.yaml", "--state", ".weir"]).ended(0, "have ended");
    }
    run(&project).ended(0, "done");
    is_complete(&server, &["nut,2"]);
}

/// Google's store goes by numbers of versions, and otherwise answers in the form of S3.
#[test]
fn a_folder_in_a_bucket_of_google_is_committed_by_its_generation() {
    let server = S3::start();
    let project = project(&server, "overwrite", "path: 'gs://stock/out/stock', format: csv");
    let key = format!(
        "{{\"gcs_base_url\": \"{}\", \"disable_oauth\": true, \"client_email\": \"\", \"private_key\": \"\", \
         \"private_key_id\": \"\"}}",
        server.address()
    );
    project.file("key.json", key);
    project.file("weir.yaml", "stores: {'gs://stock': {service_account_key: '${file:key.json}', allow_http: true}}");
    for row in ["bolt,1", "nut,2"] {
        deliver(&project, "a", row);
        run(&project).ended(0, "done");
        is_complete(&server, &[row]);
    }
    deliver(&project, "a", "screw,3");
    let is_done = AtomicUsize::new(0);
    server.fail(move |request, buckets| {
        if request.is("PUT", "/_SUCCESS") && is_done.fetch_add(1, Ordering::Relaxed) == 0 {
            let bucket = buckets.get_mut("stock").unwrap();
            let same = bucket["out/stock/_SUCCESS"].content.clone();
            bucket.insert("out/stock/_SUCCESS".to_owned(), Object::new(same));
        }
        None
    });
    run(&project).ended(1, "another run has published to it since this one began");
    is_complete(&server, &["nut,2"]);
}

#[test]
fn a_large_file_is_uploaded_in_parts_and_a_run_that_fails_leaves_none() {
    let server = S3::start();
    let project = overwriting(&server);
    let lines: String = (0..600_000).map(|number| format!("an item with a long name,{number}\n")).collect();
    deliver(&project, "a", lines.trim_end());
    weir(&project, &["run", "task.yaml", "--state", ".weir", "--threads", "1"]).ended(0, "done");
    assert_eq!(rows(&server).len(), 600_000);
    let parts = server.requests().iter().filter(|request| request.starts_with("PUT stock/out/stock/part-")).count();
    assert!(parts >= 3, "{parts}");
    assert_eq!(server.open_uploads(), 0);

    deliver(&project, "a", &(lines + "nut,many"));
    let before = server.keys();
    weir(&project, &["run", "task.yaml", "--state", ".weir", "--threads", "1"]).ended(1, "invalid_amount");
    assert!(server.requests().iter().any(|request| request.starts_with("POST stock/out/stock/part-")));
    assert_eq!(server.open_uploads(), 0);
    assert_eq!(server.keys(), before);
}

#[test]
fn partitions_are_replaced_and_read_back() {
    let server = S3::start();
    let project = project(&server, "replace, partition_by: [item]", "path: 's3://stock/out/stock', format: parquet");
    deliver(&project, "a", "bolt,1\nnut/M4,2");
    run(&project).ended(0, "done");
    deliver(&project, "a", "bolt,3\nscrew,4");
    run(&project).ended(0, "done");
    let partitions: Vec<String> = server
        .keys()
        .iter()
        .filter_map(|key| Some(key.strip_prefix("out/stock/item=")?.split('/').next()?.to_owned()))
        .collect();
    assert_eq!(partitions, ["bolt", "nut%2FM4", "screw"]);
    project.file(
        "back.yaml",
        "name: back
sources:
  stock:
    files: {path: 's3://stock/out/stock/*/part-*.parquet', format: parquet}
    columns: {item: {type: string, from: folder}, amount: bigint}
sinks:
  back: {from: stock, mode: overwrite, files: {file: back.csv, format: csv}}
",
    );
    weir(&project, &["run", "back.yaml"]).ended(0, "done");
    let mut back: Vec<String> = project.text("back.csv").lines().skip(1).map(str::to_owned).collect();
    back.sort();
    assert_eq!(back, ["bolt,3", "nut/M4,2", "screw,4"]);
}

#[test]
fn what_a_closed_gate_let_through_is_replaced_by_the_run_that_reads_it_again() {
    let server = S3::start();
    let project = project(&server, "append, publish: always", "path: 's3://stock/out/stock', format: csv");
    project.task("sinks:\n", "quality: {delivery: {gate: {max_rejected: 0%}}}\nsinks:\n  bad: {from: delivery.rejected, mode: overwrite, publish: always, files: {file: out/bad.csv, format: csv}}\n");
    deliver(&project, "a", "bolt,1");
    run(&project).ended(0, "done");
    deliver(&project, "b", "nut,2\nscrew,many");
    run(&project).ended(3, "gate closed");
    is_complete(&server, &["bolt,1", "nut,2"]);
    deliver(&project, "b", "nut,2\nscrew,3");
    run(&project).ended(0, "done");
    is_complete(&server, &["bolt,1", "nut,2", "screw,3"]);
}

#[test]
fn what_runs_have_left_that_are_over_is_removed_and_what_others_have_written_stays() {
    let server = S3::start();
    let project = overwriting(&server);
    deliver(&project, "a", "bolt,1");
    run(&project).ended(0, "done");
    let run_id = manifest(&server).unwrap()["run"].as_str().unwrap().to_owned();
    // As a request leaves it that arrives after its run has ended.
    server.put(&format!("out/stock/part-{run_id}-00099.csv"), "late");
    server.put("out/stock.csv", "mine");
    server.put("out/stock-2/part-00000.csv", "mine");
    run(&project).ended(0, "done");
    assert_eq!(server.keys().len(), 4, "{:?}", server.keys());
    // Of a run of another window, which is going on.
    let other = "20270101T000000Z-ba9876543210";
    let ledger = rusqlite::Connection::open(project.path(".weir/ledger.sqlite")).unwrap();
    let sql = "create temp table other as select * from run where id = ?1;
               update other set id = ?2, state = 'running', \"window\" = '2027-01-01', ended = null;
               insert into run select * from other;";
    let current = manifest(&server).unwrap()["run"].as_str().unwrap().to_owned();
    ledger.execute_batch(&sql.replace("?1", &format!("'{current}'")).replace("?2", &format!("'{other}'"))).unwrap();
    let of_window = [format!("out/stock/part-{other}-00000.csv"), format!("out/stock/.weir-{other}")];
    of_window.iter().for_each(|key| server.put(key, "half"));
    run(&project).ended(0, "done");
    assert!(of_window.iter().all(|key| server.get(key).is_some()), "{:?}", server.keys());
    of_window.iter().for_each(|key| drop(server.bucket(|bucket| bucket.remove(key))));
    // Of a run that this ledger does not know, which may be going on.
    let stranger = "out/stock/part-20270101T000000Z-0123456789ab-00000.csv";
    server.put(stranger, "item,amount\nnut,2\n");
    run(&project).ended(1, "was not written by a run of this task");
    assert!(server.get(stranger).is_some());
}

#[test]
#[cfg(debug_assertions)]
fn a_dead_run_ends_when_its_bucket_is_gone() {
    for point in ["prepared", "committed"] {
        let server = S3::start();
        let project = overwriting(&server);
        deliver(&project, "a", "bolt,1");
        let mut command = project.command(&["run", "task.yaml", "--state", ".weir"]);
        command.env("STORE_SECRET", SECRET).env("NO_PROXY", "*").env("WEIR_FAULT", point);
        assert_eq!(command.output().unwrap().status.code(), None);
        server.remove_bucket();
        weir(&project, &["recover", "--retry", "--task-config", "task.yaml", "--state", ".weir"]).ended(0, "");
        weir(&project, &["recover", "--task-config", "task.yaml", "--state", ".weir"]).ended(0, "have ended");
        run(&project).ended(1, "there is no such bucket");
    }
}

#[test]
fn a_folder_that_a_console_shows_and_an_empty_delivery_are_no_hindrance() {
    let server = S3::start();
    let project = overwriting(&server);
    server.put("out/stock/", "");
    server.put("out/stock/empty/", "");
    deliver(&project, "a", "bolt,1");
    run(&project).ended(0, "done");
    assert_eq!(rows(&server), ["bolt,1"]);
    project.task("sinks:\n", "quality: {delivery: {gate: {min_rows: 0}}}\nsinks:\n");
    deliver(&project, "a", "");
    run(&project).ended(0, "done");
    assert_eq!(rows(&server), [""; 0]);
    assert_eq!(manifest(&server).unwrap()["columns"][1]["name"], "amount");
}

#[test]
fn what_a_bucket_cannot_do_is_refused_in_the_task() {
    let server = S3::start();
    let at = "path: 's3://stock/out/stock', format: csv";
    for (mode, files, message) in [
        (
            "overwrite",
            "file: 's3://stock/out/stock.csv', format: csv",
            "only files of this machine can be written there",
        ),
        ("overwrite", "path: 's3://stock', format: csv", "is a whole bucket"),
        ("overwrite", "path: 's3://stock/out/*', format: csv", "a target is no pattern"),
        ("append, compact: 10", at, "`compact` merges files of this machine"),
        ("overwrite, adopt: true", at, "`adopt` is for tables and files"),
        ("replace", at, "`mode: replace` replaces partitions"),
        ("merge, primary_key: [item]", at, "which has no keys"),
    ] {
        let project = project(&server, mode, files);
        weir(&project, &["validate", "task.yaml"]).ended(2, message);
    }
    let whole = overwriting(&server);
    whole.task("sinks:\n", "replace_folder: out\nsinks:\n");
    weir(&whole, &["validate", "task.yaml"]).ended(2, "`replace_folder` renames a folder of this machine");
    let twice = overwriting(&server);
    twice.task(
        "sinks:\n",
        "sinks:\n  more: {from: delivery, mode: overwrite, files: {path: 's3://stock/out/stock/more', format: csv}}\n",
    );
    weir(&twice, &["validate", "task.yaml"]).ended(2, "share the folder");
    let archived = project(&server, "overwrite", at);
    archived.task("in/*.csv", "s3://stock/in/*.csv");
    archived.task("    read: all", "    archive: s3://stock/out/stock/done");
    weir(&archived, &["validate", "task.yaml"])
        .ended(2, "the archive of source `delivery` shares the folder of sink `stock`");
    assert_eq!(server.requests(), [""; 0]);
}

#[test]
fn doctor_writes_and_removes_an_object_and_tells_a_store_without_conditional_writes() {
    let server = S3::start();
    let project = overwriting(&server);
    deliver(&project, "a", "bolt,1");
    weir(&project, &["doctor", "task.yaml"]).ended(0, "s3://stock/out/stock: can be written");
    assert_eq!(server.keys(), [""; 0]);
    server.fail(|request, _| (request.method == "PUT").then_some(Fault::Answer(403, "AccessDenied")));
    weir(&project, &["doctor", "task.yaml"]).ended(1, "access is denied");
    server.fail(|request, _| (request.method == "PUT").then_some(Fault::Accept));
    weir(&project, &["doctor", "task.yaml"]).ended(1, "it ignores `If-None-Match`");
}
