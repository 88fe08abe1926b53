//! Sources whose files are objects of a store.
#![cfg(feature = "object-stores")]
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::s3::{Fault, Object, S3, SECRET};
use support::{Project, Ran};

/// A task that reads objects of a server.
fn project(server: &S3, path: &str, source: &str, columns: &str) -> Project {
    let project = Project::empty();
    project.file("weir.yaml", server.settings());
    project.file(
        "task.yaml",
        format!(
            "name: stock
sources:
  delivery:
    files: {{path: '{path}', format: csv}}{source}
    columns: {{item: string, amount: bigint{columns}}}
sinks:
  stock: {{from: delivery, mode: overwrite, publish: always, files: {{file: out/stock.csv, format: csv}}}}
"
        ),
    );
    project
}

fn weir(project: &Project, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = project.command(arguments);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL"] {
        command.env_remove(name);
    }
    command.env("STORE_SECRET", SECRET).env("NO_PROXY", "*").envs(variables.iter().copied());
    Ran::of(command.output().unwrap())
}

fn run(project: &Project) -> Ran {
    weir(project, &["run", "--task-config", "task.yaml"], &[])
}

fn rows(project: &Project) -> Vec<String> {
    let text = project.text("out/stock.csv");
    let mut rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    rows.sort();
    rows
}

fn csv(row: &str) -> String {
    format!("item,amount\n{row}\n")
}

#[test]
fn objects_are_found_page_by_page_by_the_rules_of_local_patterns() {
    let server = S3::start();
    server.pages_of(2);
    for key in [
        "in/a.csv",
        "in/b.csv",
        "in/c.txt",
        "in/sub/d.csv",
        "in/sub/deep/e.csv",
        "in/.hidden.csv",
        "in/[x].csv",
        "other/f.csv",
    ] {
        server.put(key, csv(&format!("{},1", key.rsplit('/').next().unwrap())));
    }
    // What consoles show as an empty folder.
    server.put("in/empty.csv/", "");
    for (pattern, expected) in [
        ("in/*.csv", vec!["[x].csv,1", "a.csv,1", "b.csv,1"]),
        ("in/[ab].csv", vec!["a.csv,1", "b.csv,1"]),
        ("in/?.csv", vec!["a.csv,1", "b.csv,1"]),
        ("in/**/*.csv", vec!["[x].csv,1", "a.csv,1", "b.csv,1", "d.csv,1", "e.csv,1"]),
        ("in/sub/*/*.csv", vec!["e.csv,1"]),
        ("in/[x].csv", vec!["[x].csv,1"]),
        ("other/f.csv", vec!["f.csv,1"]),
    ] {
        let project = project(&server, &format!("s3://stock/{pattern}"), "", "");
        run(&project).ended(0, "done");
        assert_eq!(rows(&project), expected, "{pattern}");
    }
}

#[test]
fn only_what_is_below_the_literal_beginning_of_a_pattern_is_listed() {
    let server = S3::start();
    server.pages_of(3);
    (0..30).for_each(|number| server.put(&format!("in/2023-{number:02}.csv"), csv("old,1")));
    server.put("in/2024-01.csv", csv("new,1"));
    let project = project(&server, "s3://stock/in/2024-*.csv", "", "");
    run(&project).ended(0, "done");
    let lists = server.requests().iter().filter(|request| *request == "GET stock/").count();
    assert_eq!(lists, 1);
}

#[test]
fn columns_come_from_the_url_and_its_folders_and_unreadable_rows_name_it() {
    let server = S3::start();
    server.put("in/day=2024-02-03/a b+c.csv", csv("bolt,1") + "nut,many\n");
    let columns = ", file: {type: string, from: file}, day: {type: date, from: folder}";
    let project = project(&server, "s3://stock/in/*/*.csv", "", columns);
    project.task("sinks:\n", "sinks:\n  bad: {from: delivery.rejected, mode: overwrite, publish: always, files: {file: out/bad.csv, format: csv}}\n");
    run(&project).ended(0, "done");
    let url = "s3://stock/in/day=2024-02-03/a b+c.csv";
    assert_eq!(rows(&project), [format!("bolt,1,{url},2024-02-03")]);
    assert!(project.text("out/bad.csv").contains(&format!("{url},3,")), "{}", project.text("out/bad.csv"));
}

#[test]
fn a_large_object_is_read_by_ranges_of_one_version() {
    let server = S3::start();
    let lines: String = (0..400_000).map(|number| format!("item {number},{number}\n")).collect();
    server.put("in/a.csv", format!("item,amount\n{lines}"));
    let project = project(&server, "s3://stock/in/*.csv", "", "");
    run(&project).ended(0, "done");
    assert_eq!(rows(&project).len(), 400_000);

    let reads = AtomicUsize::new(0);
    server.fail(move |request, buckets| {
        if request.is("GET", "a.csv") && reads.fetch_add(1, Ordering::Relaxed) == 2 {
            let object = buckets.get_mut("stock").unwrap().get_mut("in/a.csv").unwrap();
            let mut content = object.content.clone();
            content[20] ^= 1;
            *object = Object::new(content);
        }
        None
    });
    run(&project).ended(1, "changed or vanished while it was being read");
}

#[test]
fn each_object_is_read_once_and_a_changed_one_is_told_even_within_a_second() {
    let server = S3::start();
    server.put("in/a.csv", csv("bolt,1"));
    let project = project(&server, "s3://stock/in/*.csv", "\n    read: new\n    if_missing: skip", "");
    run(&project).ended(0, "done");
    run(&project).ended(0, "nothing to do");
    server.put("in/b.csv", csv("nut,2"));
    run(&project).ended(0, "done");
    assert_eq!(rows(&project), ["nut,2"]);
    server.put("in/b.csv", csv("nut,3"));
    run(&project).ended(1, "its content has changed since run");
    project.task("read: new", "read: new\n    if_changed: read");
    run(&project).ended(0, "done");
    assert_eq!(rows(&project), ["nut,3"]);
}

#[test]
fn an_overloaded_store_and_lost_connections_are_asked_again() {
    let server = S3::start();
    server.put("in/a.csv", csv("bolt,1"));
    let project = project(&server, "s3://stock/in/*.csv", "", "");
    let requests = AtomicUsize::new(0);
    // Of each four requests three fail.
    server.fail(move |_, _| match requests.fetch_add(1, Ordering::Relaxed) % 4 {
        0 => Some(Fault::Answer(503, "SlowDown")),
        1 => Some(Fault::Drop),
        2 => Some(Fault::Answer(500, "InternalError")),
        _ => None,
    });
    run(&project).ended(0, "done");
    assert_eq!(rows(&project), ["bolt,1"]);
}

#[test]
fn what_a_store_refuses_is_told_apart_with_what_to_do() {
    let server = S3::start();
    server.put("in/a.csv", csv("bolt,1"));
    for (status, code, message, help) in [
        (400, "ExpiredToken", "the credentials have expired", "get new ones"),
        (403, "AccessDenied", "access is denied", "rights that the guide lists"),
        (301, "PermanentRedirect", "the bucket is in another region", "set `region`"),
        (403, "SignatureDoesNotMatch", "does not accept the credentials", "check the credentials"),
        (403, "RequestTimeTooSkewed", "the clock of this machine", "set the clock"),
        (418, "Teapot", "the store responds with 418: Teapot", "check the settings"),
    ] {
        for pattern in ["in/*.csv", "in/a.csv"] {
            let project = project(&server, &format!("s3://stock/{pattern}"), "", "");
            server.fail(move |_, _| Some(Fault::Answer(status, code)));
            let ran = run(&project);
            ran.ended(1, message);
            ran.ended(1, help);
            let told = weir(&project, &["doctor", "task.yaml"], &[]);
            told.ended(1, message);
            assert!(!format!("{}{}", ran.err, told.out).contains(SECRET));
        }
    }
    server.heal();
    for pattern in ["in/*.csv", "in/a.csv"] {
        let project = project(&server, &format!("s3://stocks/{pattern}"), "", "");
        run(&project).ended(1, "there is no such bucket");
    }
    let elsewhere = project(&server, "s3://stock/in/*.csv", "", "");
    elsewhere.file("weir.yaml", elsewhere.text("weir.yaml").replace("region: eu-test-1", "region: us-east-1"));
    run(&elsewhere).ended(1, "the bucket is in another region (eu-test-1)");
    let stranger = project(&server, "s3://stock/in/*.csv", "", "");
    stranger.file("weir.yaml", stranger.text("weir.yaml").replace("test-key", "other-key"));
    run(&stranger).ended(1, "does not accept the credentials (InvalidAccessKeyId)");
}

#[test]
fn without_credentials_the_machine_is_asked_and_then_the_user() {
    let server = S3::start();
    let project = project(&server, "s3://stock/in/*.csv", "", "");
    let settings = format!("stores: {{'s3://': {{endpoint: '{}', allow_http: true}}}}", server.address());
    project.file("weir.yaml", settings);
    let nobody = [("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")];
    let ran = weir(&project, &["run", "--task-config", "task.yaml"], &nobody);
    ran.ended(1, "there are no credentials");
    ran.ended(1, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    let of_environment =
        [("AWS_ACCESS_KEY_ID", "test-key"), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_REGION", "eu-test-1")];
    server.put("in/a.csv", csv("bolt,1"));
    weir(&project, &["run", "--task-config", "task.yaml"], &of_environment).ended(0, "done");
    project.file("weir.yaml", server.settings().replace("${env:STORE_SECRET}", "${env:NOT_SET}"));
    run(&project).ended(2, "the environment variable `NOT_SET` is not set");
}

#[test]
fn the_secret_of_a_store_is_shown_and_kept_nowhere() {
    let server = S3::start();
    server.put("in/a.csv", csv("bolt,1"));
    let project = project(&server, "s3://stock/in/*.csv", "", "");
    let mut seen = String::new();
    for arguments in
        [&["run", "task.yaml", "--log-format", "json"][..], &["plan", "task.yaml"], &["doctor", "task.yaml"]]
    {
        let ran = weir(&project, arguments, &[("WEIR_LOG", "trace")]);
        ran.ended(0, "");
        seen.push_str(&(ran.out + &ran.err));
    }
    seen.push_str(&String::from_utf8_lossy(&std::fs::read(project.path(".weir/ledger.sqlite")).unwrap()));
    assert!(!seen.contains(SECRET), "{seen}");
}

/// A task that moves what it has read.
fn archiving(server: &S3) -> Project {
    project(server, "s3://stock/in/*.csv", "\n    read: new\n    if_missing: skip\n    archive: s3://stock/done", "")
}

#[test]
fn what_was_read_is_moved_to_the_archive_and_a_taken_name_gets_the_runs_id() {
    let server = S3::start();
    let project = archiving(&server);
    server.put("in/a.csv", csv("bolt,1"));
    server.put("in/b.csv", csv("nut,2"));
    run(&project).ended(0, "done");
    assert_eq!(server.keys(), ["done/a.csv", "done/b.csv"]);
    server.put("in/a.csv", csv("screw,3"));
    // Archived files are read no more: that it has the name of one does not matter.
    project.task("read: new", "read: new\n    if_changed: read");
    run(&project).ended(0, "done");
    let keys = server.keys();
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert!(keys[0].starts_with("done/a-2") && keys[0].ends_with(".csv"), "{keys:?}");
    assert_eq!(server.get("done/a.csv").unwrap(), csv("bolt,1"));
    let pruned = weir(&project, &["prune", "task.yaml", "--keep", "90d"], &[]);
    pruned.ended(0, "");
    weir(&project, &["doctor", "task.yaml"], &[]).ended(0, "its archive s3://stock/done is writable");
    assert_eq!(server.keys(), keys);
}

#[test]
#[cfg(debug_assertions)]
fn a_move_that_was_interrupted_is_completed_by_the_next_start() {
    for point in ["committed", "archive_copied", "file_archived", "archived"] {
        let server = S3::start();
        let project = archiving(&server);
        server.put("in/a.csv", csv("bolt,1"));
        let arguments = ["run", "--task-config", "task.yaml"];
        let ran = weir(&project, &arguments, &[("WEIR_FAULT", point)]);
        assert_eq!(ran.code, None, "{point}: {ran:#?}");
        run(&project).ended(0, "nothing to do");
        assert_eq!(server.keys(), ["done/a.csv"], "{point}");
    }
}

#[test]
fn an_object_that_changed_after_it_was_read_is_not_moved() {
    let server = S3::start();
    let project = archiving(&server);
    server.put("in/a.csv", csv("bolt,1"));
    let heads = Arc::new(AtomicUsize::new(0));
    let (counted, is_copied) = (heads.clone(), AtomicUsize::new(0));
    // It changes between its copy and its removal.
    server.fail(move |request, buckets| {
        if request.is("PUT", "done/a.csv") {
            is_copied.store(1, Ordering::Relaxed);
        } else if request.is("HEAD", "in/a.csv") && is_copied.load(Ordering::Relaxed) == 1 {
            counted.fetch_add(1, Ordering::Relaxed);
            buckets.get_mut("stock").unwrap().insert("in/a.csv".to_owned(), Object::new(csv("nut,2")));
        }
        None
    });
    run(&project).ended(0, "changed while it was moved: it stays");
    assert!(heads.load(Ordering::Relaxed) > 0);
    assert_eq!(server.get("in/a.csv").unwrap(), csv("nut,2"));
}

#[test]
fn archives_are_removed_when_they_are_old() {
    let server = S3::start();
    let project = archiving(&server);
    project.file("weir.yaml", server.settings() + "\nretention: {archives: 30d}\n");
    server.put("in/a.csv", csv("bolt,1"));
    server.put("in/b.csv", csv("nut,2"));
    run(&project).ended(0, "done");
    server.put("done/b.csv", csv("mine,3"));
    project.age_runs("-31 days");
    run(&project).ended(0, "nothing to do");
    // What somebody else has put in its place stays.
    assert_eq!(server.keys(), ["done/b.csv"]);
}

#[test]
fn plan_and_doctor_list_the_bucket_and_init_and_profile_read_an_object() {
    let server = S3::start();
    server.put("in/a.csv", csv("bolt,1"));
    let project = project(&server, "s3://stock/in/*.csv", "", "");
    weir(&project, &["plan", "task.yaml"], &[]).ended(0, "1 file");
    weir(&project, &["doctor", "task.yaml"], &[]).ended(0, "1 file, 19 B; can be read, columns match");
    project.file("new/weir.yaml", server.settings());
    project.file("newer/weir.yaml", server.settings());
    let made = weir(&project, &["init", "s3://stock/in/a.csv", "--folder", "new"], &[]);
    made.ended(0, "--param input='s3://stock/in/a.csv'");
    let ran = weir(&project, &["run", "new/a.yaml", "--param", "input=s3://stock/in/a.csv"], &[]);
    ran.ended(0, "done");
    weir(&project, &["profile", "s3://stock/in/a.csv"], &[]).ended(0, "wrote a.profile.html");
    weir(&project, &["init", "s3://stock/in/", "--folder", "newer"], &[]).ended(2, "is not one object");
    weir(&project, &["init", "s3://stock/in/z.csv", "--folder", "newer"], &[]).ended(1, "there is no such object");
}

#[test]
fn wrong_paths_are_refused_before_anything_is_asked() {
    let server = S3::start();
    for (path, message) in [
        ("s3://stock", "names a bucket"),
        ("s3:///in/a.csv", "names no bucket"),
        ("s3://stock/in//a.csv", "cannot be read"),
        ("s3://st*ck/a.csv", "is no pattern"),
        ("ftp://stock/a.csv", "`ftp`: only local paths, s3://, gs:// and az:// URLs"),
    ] {
        weir(&project(&server, path, "", ""), &["validate", "task.yaml"], &[]).ended(2, message);
    }
    let elsewhere = project(&server, "s3://stock/in/*.csv", "\n    archive: done", "");
    weir(&elsewhere, &["validate", "task.yaml"], &[]).ended(2, "is not a URL");
    let elsewhere = project(&server, "in/*.csv", "\n    archive: s3://stock/done", "");
    weir(&elsewhere, &["validate", "task.yaml"], &[]).ended(2, "is no folder of this machine");
    assert_eq!(server.requests(), [""; 0]);
}

#[test]
fn settings_that_lack_something_are_told_before_anything_is_asked() {
    let server = S3::start();
    let project = project(&server, "az://claims/in/*.csv", "", "");
    project.file("weir.yaml", "stores: {'az://claims': {account_key: '${env:STORE_SECRET}'}}");
    let ran = run(&project);
    ran.ended(1, "az://claims/in/*.csv: ");
    ran.ended(1, "check the settings of the store, under `stores` in weir.yaml and in the environment");
    assert!(!ran.err.contains(SECRET), "{}", ran.err);
    project.file("weir.yaml", "stores: {'az://claims': {acount: insurer}}");
    run(&project).ended(2, "did you mean `account`?");
    project.file("weir.yaml", "stores: {'az://claims': {account: insurer, region: north}}");
    run(&project).ended(2, "`region` is for s3://");
}

/// Google's store answers in the form of S3.
#[test]
fn public_objects_of_google_are_read_without_credentials() {
    let server = S3::start();
    server.put("in/a.csv", csv("bolt,1"));
    let project = project(&server, "gs://stock/in/*.csv", "", "");
    let settings =
        format!("stores: {{'gs://stock': {{endpoint: '{}', allow_http: true, anonymous: true}}}}", server.address());
    project.file("weir.yaml", settings);
    run(&project).ended(0, "done");
    assert_eq!(rows(&project), ["bolt,1"]);
}
