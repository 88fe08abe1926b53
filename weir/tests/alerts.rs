//! Alerts: sent to receivers in this process, which answer late, wrongly or never. They never change a run.
#![allow(clippy::unwrap_used)]

mod support;

#[path = "support/monitoring.rs"]
mod monitoring;
#[path = "support/receiver.rs"]
mod receiver;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use receiver::{Answer, MailServer, Receiver};
use serde_json::{Value, json};
use support::{Project, Ran};

/// A value of a row, which nobody must be told.
const PRIVATE: &str = "S1234567D";

/// The task, with a private name in a row that is rejected, and these alerts in weir.yaml.
fn people(alerts: &str) -> Project {
    let project = Project::people();
    project.file("in/a.csv", format!("name,age\nAnn,30\n{PRIVATE},17\n\"Lee, Cid\",44\n"));
    project.file("weir.yaml", format!("alerts:\n{alerts}"));
    project
}

/// One alert by webhook, to this URL, for all events.
fn webhook(url: &str, more: &str) -> String {
    let events = "[failed, gate_closed, warned, late, recovered]";
    format!("  ops: {{webhook: {{url: '{url}'}}, events: {events}{more}}}\n")
}

/// Runs the task as cron does, with a log of everything.
fn run(project: &Project, more: &[&str]) -> Ran {
    let mut command = command(project, &[&["run", "--task-config", "task.yaml"], more].concat());
    Ran::of(command.output().unwrap())
}

fn command(project: &Project, arguments: &[&str]) -> Command {
    let mut command = project.command(arguments);
    command.env("WEIR_LOG", "trace").env("WEIR_SHOW_VALUES", "false");
    command
}

/// No output and no alert has a secret, or a value of a row.
#[track_caller]
fn hides(ran: &Ran, receiver: &Receiver) {
    for secret in ["s3cret", PRIVATE, "Lee, Cid"] {
        assert!(!ran.out.contains(secret) && !ran.err.contains(secret), "{secret}: {}{}", ran.out, ran.err);
    }
    for received in receiver.received() {
        assert!(!received.body.contains(PRIVATE) && !received.body.contains("s3cret"), "{}", received.body);
    }
}

/// All alerts are as `docs/alert.schema.json` says.
#[track_caller]
fn fit_the_schema(receiver: &Receiver) {
    let all: Vec<Value> = receiver.received().iter().map(receiver::Received::json).collect();
    monitoring::fit_schema("alert.schema.json", &all);
}

/// Waits until a process has stopped at the point that its fault names, where it holds the lock.
fn wait_until_stopped(process: &std::process::Child) {
    let stat = format!("/proc/{}/stat", process.id());
    for _ in 0..600 {
        if std::fs::read_to_string(&stat).unwrap().rsplit(')').next().unwrap().starts_with(" T") {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the process did not stop");
}

/// Lets all alerts be sent again.
fn age_alerts(project: &Project) {
    let ledger = rusqlite::Connection::open(project.path(".weir/ledger.sqlite")).unwrap();
    ledger.execute("update alert set sent = '2020-01-01T00:00:00Z'", []).unwrap();
}

#[test]
fn a_run_that_fails_and_one_that_recovers_are_told() {
    let receiver = Receiver::new();
    let project = people(&webhook("${env:HOOK}", ""));
    let run = |project: &Project| {
        let mut command = command(project, &["run", "--task-config", "task.yaml"]);
        Ran::of(command.env("HOOK", &receiver.url).output().unwrap())
    };
    run(&project).ended(0, "done");
    assert_eq!(receiver.events(), Vec::<String>::new(), "a success is no news");

    project.task(
        "too_young: age >= $least_age",
        "too_young: age >= $least_age\n    fail_unless:\n      known: name not like 'S%'",
    );
    let ran = run(&project);
    ran.ended(1, "rule `known` (fail_unless) failed");
    hides(&ran, &receiver);
    let failed = receiver.received()[0].json();
    assert_eq!((&failed["event"], &failed["version"], &failed["suppressed"]), (&json!("failed"), &json!(1), &json!(0)));
    assert_eq!(failed["title"], "people (default): failed");
    assert_eq!(failed["outcome"], "failed");
    assert_eq!(failed["error"]["code"], "rule_failed");
    assert_eq!(failed["error"]["message"], "table `adult`: rule `known` (fail_unless) failed for at least 1 row");
    assert_eq!(failed["tables"][0]["table"], "person");
    let ledger = rusqlite::Connection::open(project.path(".weir/ledger.sqlite")).unwrap();
    let id: String = ledger.query_row("select id from run order by rowid desc limit 1", [], |row| row.get(0)).unwrap();
    assert_eq!(failed["run"], id.as_str());

    project.task("name not like 'S%'", "name is not null");
    run(&project).ended(0, "done");
    run(&project).ended(0, "done");
    assert_eq!(receiver.events(), ["failed", "recovered"]);
    let recovered = receiver.received()[1].json();
    assert_eq!((&recovered["recovered_from"]["runs"], &recovered["error"]), (&json!(1), &Value::Null));
    fit_the_schema(&receiver);
}

#[test]
fn a_closed_gate_and_warnings_are_told_with_their_counts() {
    let receiver = Receiver::new();
    let project = people(&webhook(&receiver.url, ""));
    project.task("max_rejected: 60%", "max_rejected: 10%");
    let ran = run(&project, &[]);
    ran.ended(3, "gate closed");
    hides(&ran, &receiver);
    let closed = receiver.received()[0].json();
    assert_eq!(closed["event"], "gate_closed");
    assert_eq!(closed["breaches"], json!(["adult: rejected: 1 of 3 rows (33.3%), more than 10%"]));
    assert_eq!(closed["tables"][1]["reasons"], json!([{"name": "too_young", "effect": "reject", "rows": 1}]));
    let outputs = closed["outputs"].as_array().unwrap();
    let published: Vec<_> =
        outputs.iter().map(|of| (of["sink"].as_str().unwrap(), of["published"].as_bool().unwrap())).collect();
    assert_eq!(published, [("good", false), ("bad", true)]);

    project.task("max_rejected: 10%", "max_rejected: 60%");
    project.task("    gate:", "    warn_unless:\n      old: age > 40\n    gate:");
    let ran = run(&project, &[]);
    ran.ended(0, "done");
    hides(&ran, &receiver);
    let mut events = receiver.events();
    events[1..].sort();
    assert_eq!(events, ["gate_closed", "recovered", "warned"]);
    fit_the_schema(&receiver);
}

#[test]
fn another_attempt_is_made_after_an_error_of_the_server() {
    for answer in [Answer::Status(500), Answer::Status(429), Answer::Close] {
        let receiver = Receiver::answering(&[answer, Answer::Status(204)]);
        let project = people(&webhook(&receiver.url, ""));
        project.task("age >= $least_age", "age >= $least_ag");
        let ran = run(&project, &[]);
        ran.ended(2, "least_ag");
        assert!(!ran.out.contains("could not be sent"), "{}", ran.out);
        assert_eq!(receiver.events(), ["failed", "failed"], "{answer:?}");
        assert_eq!(receiver.received()[0].json()["error"]["code"], "wrong_task");
    }
    let receiver = Receiver::answering(&[Answer::Status(404)]);
    let project = people(&webhook(&receiver.url, ""));
    project.task("max_rejected: 60%", "max_rejected: 10%");
    let ran = run(&project, &[]);
    ran.ended(3, "alert `ops` could not be sent: 127.0.0.1: the server responds with 404 Not Found");
    assert_eq!(receiver.received().len(), 1, "it would be refused again");
    hides(&ran, &receiver);
}

#[test]
fn a_receiver_that_does_not_answer_delays_a_run_by_the_timeout_at_most() {
    let receiver = Receiver::answering(&[Answer::Silence]);
    let project = people(&webhook(&receiver.url, ", timeout: 2s"));
    project.task("    gate:", "    warn_unless:\n      old: age > 40\n    gate:");
    project.file("slow", "#!/bin/sh\nsleep 300 &\necho $$ $! >pids\nwait\n");
    std::fs::set_permissions(project.path("slow"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let more =
        "  slow: {command: [./slow], events: [warned], timeout: 2s}\n  none: {command: [./none], events: [warned]}\n";
    let yaml = project.text("weir.yaml");
    project.file("weir.yaml", yaml + more);
    let began = Instant::now();
    let ran = run(&project, &[]);
    let took = began.elapsed();
    ran.ended(0, "done");
    let seconds = ran.out.split(" in ").nth(1).unwrap().split(' ').next().unwrap().parse::<f64>().unwrap();
    assert!(took < Duration::from_secs_f64(seconds + 2.0 + 2.0), "{took:?}: {}", ran.out);
    assert!(took > Duration::from_millis(1_900), "{took:?}");
    for unsent in [
        "alert `ops` could not be sent: the server does not answer in time",
        "alert `slow` could",
        "none cannot be started",
    ] {
        assert!(
            ran.out.contains(unsent) || ran.out.contains(&unsent.replace("sent: ", "sent: 127.0.0.1: ")),
            "{unsent}: {}",
            ran.out
        );
    }
    hides(&ran, &receiver);
    assert_eq!(project.rows("out/good"), ["name,age", "\"Lee, Cid\",44", "Ann,30"].map(str::to_owned).to_vec());
    // A process that nobody has waited for yet is a zombie.
    let is_alive = |pid: &str| {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
    };
    let pids = project.text("pids");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(pids.split_whitespace().filter(|pid| is_alive(pid)).count(), 0, "{pids}: the command was stopped");
}

#[test]
fn no_further_alert_is_sent_in_the_interval_and_the_next_one_says_how_many_were_not() {
    let receiver = Receiver::new();
    let project = people(&webhook(&receiver.url, ""));
    project.task("max_rejected: 60%", "max_rejected: 10%");
    for _ in 0..4 {
        run(&project, &[]).ended(3, "gate closed");
    }
    assert_eq!(receiver.received().len(), 1);
    age_alerts(&project);
    run(&project, &[]).ended(3, "gate closed");
    let last = receiver.received().pop().unwrap().json();
    assert_eq!((receiver.received().len(), &last["suppressed"]), (2, &json!(3)));
    assert!(last["text"].as_str().unwrap().contains("not sent before: 3 alerts"), "{last}");
}

#[test]
fn what_could_not_be_sent_does_not_keep_the_next_one_from_being_sent() {
    let receiver = Receiver::answering(&[Answer::Status(403), Answer::Status(200)]);
    let project = people(&webhook(&receiver.url, ""));
    project.task("max_rejected: 60%", "max_rejected: 10%");
    run(&project, &[]).ended(3, "could not be sent");
    run(&project, &[]).ended(3, "gate closed");
    let received = receiver.received();
    assert_eq!((received.len(), &received[1].json()["suppressed"]), (2, &json!(1)));
}

#[test]
fn messages_of_slack_and_cards_of_teams_have_headers_from_secrets() {
    let receiver = Receiver::new();
    let project = people(&format!(
        "  slack: {{webhook: {{url: '{0}', template: slack}}, events: [warned]}}
  teams: {{webhook: {{url: '{0}', template: teams, headers: {{Authorization: 'Bearer ${{file:token}}'}}}}, events: [warned]}}
",
        receiver.url
    ));
    project.file("token", "s3cret/+=\n");
    project.task("    gate:", "    warn_unless:\n      old: age > 40\n    gate:");
    let ran = run(&project, &[]);
    ran.ended(0, "done");
    hides(&ran, &receiver);
    let received = receiver.received();
    let is_card = |one: &&receiver::Received| one.body.contains("AdaptiveCard");
    let card = received.iter().find(is_card).unwrap();
    assert!(
        card.head.contains("Bearer s3cret/+=") && card.head.starts_with("POST /hook/s3cret-token "),
        "{}",
        card.head
    );
    let message = received.iter().find(|one| !is_card(one)).unwrap().json();
    assert_eq!(message["text"], "people (default): published with warnings");
    let text = message["blocks"][1]["text"]["text"].as_str().unwrap();
    assert!(text.contains("rows: adult: 3 rows, 1 rejected; too_young (reject): 1; old (warn): 1"), "{text}");
}

#[test]
fn a_mail_is_sent_and_its_password_is_not_shown() {
    let server = MailServer::new("250 ok");
    let url = format!("smtp://weir:${{file:password}}@{}", server.address);
    let email = format!(
        "  mail: {{email: {{smtp: '{url}', from: 'Weir <weir@example.com>', to: [a@example.com, b@example.com]}}}}\n"
    );
    let project = people(&email);
    project.file("password", "s3cret p@ss");
    project.task("max_rejected: 60%", "max_rejected: 10%");
    let ran = run(&project, &[]);
    ran.ended(3, "gate closed");
    hides(&ran, &Receiver::new());
    assert!(!ran.out.contains("could not be sent"), "{}", ran.out);
    let said = server.said();
    let has = |line: &str| said.iter().any(|said| said == line);
    assert!(has("Subject: weir: people (default): the gate closed"), "{said:#?}");
    assert!(has("RCPT TO:<a@example.com>") && has("RCPT TO:<b@example.com>"), "{said:#?}");
    assert!(!said.iter().any(|line| line.contains(PRIVATE)), "{said:#?}");
    // User and password, as SMTP has them.
    use base64::Engine as _;
    let login = base64::engine::general_purpose::STANDARD.encode("\0weir\0s3cret p@ss");
    assert!(has(&format!("AUTH PLAIN {login}")), "{said:#?}");

    let server = MailServer::new("550 no mail from s3cret senders");
    project.file("weir.yaml", format!("alerts:\n{email}").replace(&url, &format!("smtp://{}", server.address)));
    age_alerts(&project);
    let ran = run(&project, &[]);
    ran.ended(3, "alert `mail` could not be sent: the mail server refuses the mail with 550");
    hides(&ran, &Receiver::new());
}

#[test]
fn a_command_gets_the_alert() {
    let project = people("  own: {command: [./tell, '--to', 'x y'], events: [gate_closed]}\n");
    project.file(
        "tell",
        "#!/bin/sh\ncat >told.json\necho \"$WEIR_ALERT_EVENT $WEIR_ALERT_TASK $1 $2 $WEIR_ALERT_TEXT\" >told\n",
    );
    std::fs::set_permissions(project.path("tell"), std::fs::Permissions::from_mode(0o755)).unwrap();
    project.task("max_rejected: 60%", "max_rejected: 10%");
    run(&project, &[]).ended(3, "gate closed");
    let told: Value = serde_json::from_str(&project.text("told.json")).unwrap();
    assert_eq!(told["event"], "gate_closed");
    assert!(project.text("told").starts_with("gate_closed people --to x y people (default): the gate closed\n"));
}

#[test]
fn alerts_of_the_task_replace_those_of_the_same_name_and_are_for_some_environments() {
    let (shared, own, prod) = (Receiver::new(), Receiver::new(), Receiver::new());
    let project = people(&webhook(&shared.url, ""));
    let alert = |name: &str, to: &Receiver, more: &str| format!("  {name}: {{webhook: {{url: '{}'}}{more}}}\n", to.url);
    let alerts = alert("ops", &own, "") + &alert("prod", &prod, ", environments: [prod]");
    project
        .task("sources:", &format!("environments: {{prod: {{params: {{least_age: 18}}}}}}\nalerts:\n{alerts}sources:"));
    project.task("max_rejected: 60%", "max_rejected: 10%");
    run(&project, &[]).ended(3, "gate closed");
    assert_eq!((shared.received().len(), own.received().len(), prod.received().len()), (0, 1, 0));
    run(&project, &["--env", "prod", "--state", "other", "--param", "least_age=19"]);
    assert_eq!((shared.received().len(), own.received().len(), prod.received().len()), (0, 2, 1));
}

#[test]
fn a_run_that_was_killed_is_told_by_the_next_one() {
    let receiver = Receiver::new();
    let project = people(&webhook(&receiver.url, ""));
    let mut killed = command(&project, &["run", "--task-config", "task.yaml"]);
    killed.env("WEIR_FAULT", "begun").status().unwrap();
    assert_eq!(receiver.received().len(), 0);
    run(&project, &[]).ended(0, "an earlier run did not end");
    assert_eq!(receiver.events(), ["failed", "recovered"]);
    assert_eq!(receiver.received()[0].json()["error"]["code"], "died");
    // One that is published in the end is no failure.
    let mut killed = command(&project, &["run", "--task-config", "task.yaml"]);
    killed.env("WEIR_FAULT", "committed").status().unwrap();
    age_alerts(&project);
    run(&project, &[]).ended(0, "rolled forward");
    assert_eq!(receiver.events(), ["failed", "recovered"]);
}

#[test]
fn the_scheduler_tells_of_a_run_that_is_killed_and_of_one_that_is_not_started() {
    let receiver = Receiver::new();
    let project = people(&webhook(&receiver.url, ""));
    project.task("params:", "schedule: {cron: '* * * * *'}\nparams:");
    let mut scheduler = command(&project, &["schedule", "task.yaml"]);
    scheduler.env("WEIR_TEST_SCHEDULE", "1 1000").env("WEIR_FAULT", "begun");
    let mut scheduler = scheduler.stderr(std::process::Stdio::null()).spawn().unwrap();
    let received = receiver.wait_for(1);
    let told = received[0].json();
    assert_eq!((&told["event"], &told["error"]["code"]), (&json!("failed"), &json!("died")));
    assert!(told["run"].is_string(), "{told}");
    let signal = |process: &std::process::Child| {
        rustix::process::kill_process(rustix::process::Pid::from_child(process), rustix::process::Signal::TERM)
            .unwrap();
    };
    signal(&scheduler);
    scheduler.wait().unwrap();
    let failed = receiver.events().iter().filter(|event| *event == "failed").count();
    assert_eq!(failed, 1, "the next run, which rolls it back, tells it no second time");

    // Another process holds the lock.
    age_alerts(&project);
    let mut holder = command(&project, &["run", "--task-config", "task.yaml", "--quiet"]);
    let mut holder = holder.env("WEIR_FAULT", "recovered+stop").stderr(std::process::Stdio::null()).spawn().unwrap();
    wait_until_stopped(&holder);
    let before = receiver.received().len();
    let mut scheduler = command(&project, &["schedule", "task.yaml"]);
    scheduler.env("WEIR_TEST_SCHEDULE", "1 1000");
    let mut scheduler = scheduler.stderr(std::process::Stdio::null()).spawn().unwrap();
    receiver.wait_for(before + 1);
    let late = receiver.received()[before..].iter().map(receiver::Received::json).find(|told| told["event"] == "late");
    assert_eq!(late.unwrap()["error"]["code"], "missed");
    signal(&scheduler);
    scheduler.wait().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&holder), rustix::process::Signal::CONT).unwrap();
    assert!(holder.wait().unwrap().success());
    assert!(receiver.events().ends_with(&["recovered".to_owned()]), "{:?}", receiver.events());
}

#[test]
fn windows_that_are_late_are_told_and_that_none_is_any_more() {
    let receiver = Receiver::new();
    let project = people(&webhook(&receiver.url, ""));
    project.task("params:", "window: {every: 1d, start: 2026-01-01, late_after: 1h}\nparams:");
    project.task("path: out/good", "path: 'out/${window}/good'");
    project.task("path: out/bad", "path: 'out/${window}/bad'");
    let queue = |due: &str| {
        let mut command = command(&project, &["queue", "task.yaml", "--due", due]);
        Ran::of(command.output().unwrap())
    };
    queue("2026-01-02T00:30:00Z").ended(0, "entered: 1");
    assert_eq!(receiver.received().len(), 0);
    queue("2026-01-02T02:00:00Z").ended(0, "late");
    assert_eq!(receiver.received()[0].json()["late_windows"], json!(["2026-01-01"]));
    queue("2026-01-02T03:00:00Z").ended(0, "late");
    assert_eq!(receiver.events(), ["late"]);
    Ran::of(command(&project, &["work", "task.yaml"]).output().unwrap()).ended(0, "2026-01-01: loaded");
    queue("2026-01-02T04:00:00Z").ended(0, "entered: 0");
    queue("2026-01-02T05:00:00Z").ended(0, "entered: 0");
    assert_eq!(receiver.events(), ["late", "recovered"]);
    fit_the_schema(&receiver);
}

#[test]
fn a_task_that_cannot_be_read_is_told_and_a_held_lock_is_not() {
    let receiver = Receiver::new();
    let project = people(&webhook(&receiver.url, ""));
    let task = project.text("task.yaml");
    project.file("task.yaml", task.replace("sources:", "sauces:"));
    run(&project, &[]).ended(2, "unknown key `sauces`");
    let told = receiver.received()[0].json();
    assert_eq!((&told["task"], &told["error"]["code"]), (&json!("people"), &json!("wrong_task")));
    project.file("task.yaml", task);
    run(&project, &[]).ended(0, "done");
    assert_eq!(receiver.events(), ["failed", "recovered"]);

    let mut holder = command(&project, &["run", "--task-config", "task.yaml"]);
    let mut holder = holder
        .env("WEIR_FAULT", "recovered+stop")
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_until_stopped(&holder);
    run(&project, &[]).ended(4, "is being run by process");
    assert!(!receiver.events()[2..].contains(&"failed".to_owned()), "{:?}", receiver.events());
    rustix::process::kill_process(rustix::process::Pid::from_child(&holder), rustix::process::Signal::CONT).unwrap();
    assert!(holder.wait().unwrap().success());
}

#[test]
fn a_state_folder_that_cannot_be_used_is_told() {
    let receiver = Receiver::new();
    let project = people(&webhook(&receiver.url, ""));
    project.file(".weir", "no folder");
    run(&project, &[]).ended(1, "state folder");
    let told = receiver.received()[0].json();
    assert_eq!((&told["event"], &told["error"]["code"]), (&json!("failed"), &json!("state_folder")));
}

#[test]
fn a_secret_that_is_missing_does_not_fail_a_run_and_doctor_finds_it() {
    let project = people(&webhook("${env:NO_SUCH_HOOK}", ""));
    project.task("max_rejected: 60%", "max_rejected: 10%");
    run(&project, &[])
        .ended(3, "alert `ops` could not be sent: weir.yaml:2:24: the environment variable `NO_SUCH_HOOK` is not set");
    project
        .weir(&["doctor", "task.yaml"])
        .ended(1, "alert ops: weir.yaml:2:24: the environment variable `NO_SUCH_HOOK`");
    let receiver = Receiver::answering(&[Answer::Status(200), Answer::Status(403)]);
    project.file("weir.yaml", format!("alerts:\n{}", webhook(&receiver.url, "")));
    let doctor = project.weir(&["doctor", "task.yaml", "--send-test-alert"]);
    doctor.ended(0, "alert ops: a test was sent");
    assert_eq!(receiver.events(), ["test"]);
    fit_the_schema(&receiver);
    project.weir(&["doctor", "task.yaml", "--send-test-alert"]).ended(0, "the server responds with 403");
}
