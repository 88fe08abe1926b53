//! Windows of time: paths and SQL of a window, backfill, the queue and its workers.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Project, Ran};
use weir::{Event, Observer};
use weir_postgres_testing::Cluster;

const TASK: &str = r#"
name: loans
window: {every: 1h, start: 2022-06-05, retries: {attempts: 2, backoff: 2s}}
sources:
  loan:
    files: {path: "in/%Y-%m-%d/hh=%H/*.csv", format: csv}
    if_missing: skip
    columns: {id: bigint, amount: bigint}
models: {loaded: loaded.sql}
sinks:
  loaded: {from: loaded, mode: overwrite, files: {path: "out/${window}", format: csv}}
  unreadable: {from: loan.rejected, mode: overwrite, files: {path: "bad/%Y-%m-%d/%H", format: csv}}
"#;

/// The task, with files of some hours: of each hour one row with the hour as its amount.
fn loans(hours: &[u32]) -> Project {
    let project = Project::empty();
    project.file("task.yaml", TASK);
    project.file("loaded.sql", "select id, amount, $window_start as window_start from loan");
    for hour in hours {
        deliver(&project, *hour, "a", &format!("{},{hour}", hour + 100));
    }
    project
}

fn deliver(project: &Project, hour: u32, name: &str, rows: &str) {
    project.file(&format!("in/2022-06-05/hh={hour:02}/{name}.csv"), format!("id,amount\n{rows}\n"));
}

fn weir(project: &Project, verb: &str, arguments: &[&str]) -> Ran {
    let all: Vec<&str> =
        [verb, "--task-config=task.yaml", "--state=state"].into_iter().chain(arguments.to_vec()).collect();
    project.weir(&all)
}

fn validate(project: &Project) -> Ran {
    project.weir(&["validate", "--task-config=task.yaml"])
}

/// The states of the queue by window, the newest first.
fn queue(project: &Project) -> Vec<String> {
    let jobs = weir(project, "queue", &["--list", "--json"]);
    let job = |line: &str| {
        let job: Value = serde_json::from_str(line).unwrap();
        format!("{} {}", &job["window"].as_str().unwrap()[11..], job["state"].as_str().unwrap())
    };
    jobs.out.lines().map(job).collect()
}

/// A process that ends with the test.
struct Process(Option<Child>);

impl Process {
    fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut command = project.command(arguments);
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    /// Asks it to stop, and waits for its end.
    fn stop(mut self) -> Ran {
        let child = self.0.take().unwrap();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        Ran::of(child.wait_with_output().unwrap())
    }

    /// The time that it has computed, in hundredths of a second.
    fn computed(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.as_ref().unwrap().id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
        }
    }
}

#[track_caller]
fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_there() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_run_reads_and_writes_its_own_window_only() {
    let project = loans(&[8, 9]);
    weir(&project, "run", &["--window=2022-06-05T09"]).ended(0, "out/2022-06-05T09");
    assert_eq!(project.rows("out/2022-06-05T09"), ["id,amount,window_start", "109,9,2022-06-05T09:00:00"]);
    assert!(!project.path("out/2022-06-05T08").exists());
    // Ten o'clock: the last window that is due.
    weir(&project, "run", &["--due=2022-06-05T09:59:59Z"]).ended(0, "out/2022-06-05T08");
    deliver(&project, 9, "a", "109,90");
    weir(&project, "run", &["--window=2022-06-05T09:00"]).ended(0, "");
    assert_eq!(project.rows("out/2022-06-05T09")[1..], ["109,90,2022-06-05T09:00:00"]);
    assert_eq!(project.rows("out/2022-06-05T08")[1..], ["108,8,2022-06-05T08:00:00"]);
    weir(&project, "run", &["--window=2022-06-05T10"]).ended(0, "nothing to do");
    let runs = weir(&project, "runs", &["--json"]);
    let windows: Vec<String> = runs
        .out
        .lines()
        .map(|run| serde_json::from_str::<Value>(run).unwrap()["window"].as_str().unwrap()[11..].to_owned())
        .collect();
    assert_eq!(windows, ["10", "09", "08", "09"]);
    assert_eq!(project.left("state/locks"), [""; 0], "the locks of windows are removed");
    let shown = weir(&project, "runs", &[]);
    assert!(shown.out.contains("window") && shown.out.contains("2022-06-05T08"), "{}", shown.out);
}

#[test]
fn a_range_of_windows_is_caught_up_and_what_is_loaded_stays() {
    let project = loans(&[0, 1, 2, 4]);
    weir(&project, "run", &["--window=2022-06-05T01"]).ended(0, "");
    let ran = weir(&project, "run", &["--from=2022-06-05T00", "--to=2022-06-05T04", "--jobs=2"]);
    ran.ended(0, "1 of 5 windows are loaded already");
    ran.ended(0, "4 windows: 3 loaded, 1 with nothing to read");
    for hour in [0, 1, 2, 4] {
        assert_eq!(project.rows(&format!("out/2022-06-05T{hour:02}")).len(), 2, "{hour}");
    }
    weir(&project, "run", &["--from=2022-06-05T00", "--to=2022-06-05T02"])
        .ended(0, "3 of 3 windows are loaded already");
    deliver(&project, 2, "b", "202,2");
    weir(&project, "run", &["--from=2022-06-05T02", "--to=2022-06-05T02", "--again"]).ended(0, "2022-06-05T02: loaded");
    assert_eq!(project.rows("out/2022-06-05T02").len(), 3);
    deliver(&project, 3, "a", "many,3");
    let failing = TASK.replace("id: bigint", "id: {type: bigint, on_invalid: fail}");
    project.file("task.yaml", failing);
    let ran = weir(&project, "run", &["--from=2022-06-05T03", "--to=2022-06-05T04", "--again"]);
    ran.ended(1, "2022-06-05T03: failed: ");
    ran.ended(1, "2 windows: 1 loaded, 1 failed");
}

#[test]
fn a_window_is_entered_once_and_run_by_one_worker() {
    let project = loans(&[0, 1, 2]);
    weir(&project, "work", &[]).ended(0, "no window is ready");
    weir(&project, "queue", &["--due=2022-06-05T03:00:00Z"]).ended(0, "entered: 3 due, 0 with new files; waiting: 3");
    weir(&project, "queue", &["--due=2022-06-05T03:00:00Z"]).ended(0, "entered: 0 due");
    weir(&project, "work", &[]).ended(0, "2022-06-05T02: loaded");
    assert_eq!(queue(&project), ["02 done", "01 waiting", "00 waiting"]);
    weir(&project, "work", &["--all", "--jobs=2"]).ended(0, "2 windows: 2 loaded");
    assert_eq!(queue(&project), ["02 done", "01 done", "00 done"]);
    project.file("task.yaml", TASK.replace("retries:", "order: oldest, retries:"));
    weir(&project, "queue", &["--due=2022-06-05T05:00:00Z"]).ended(0, "entered: 2 due");
    weir(&project, "work", &[]).ended(0, "2022-06-05T03: nothing to read");
    assert_eq!(queue(&project)[..2], ["04 waiting", "03 empty"]);
}

#[test]
fn a_window_that_fails_is_tried_again_and_is_dead_after_its_last_attempt() {
    let project = loans(&[]);
    project.file("task.yaml", TASK.replace("id: bigint", "id: {type: bigint, on_invalid: fail}"));
    deliver(&project, 0, "a", "many,0");
    weir(&project, "queue", &["--due=2022-06-05T01:00:00Z"]).ended(0, "entered: 1 due");
    weir(&project, "work", &["--all"]).ended(1, "2022-06-05T00: failed: ");
    assert_eq!(queue(&project), ["00 waiting"]);
    weir(&project, "work", &["--all"]).ended(0, "no window is ready");
    std::thread::sleep(Duration::from_millis(2_100));
    weir(&project, "work", &["--all"]).ended(1, "failed");
    assert_eq!(queue(&project), ["00 dead"]);
    let list = weir(&project, "queue", &["--list"]);
    assert!(list.out.contains("dead") && list.out.contains("on_invalid"), "{}", list.out);
    weir(&project, "health", &["--due=2022-06-05T01:00:00Z"]).ended(1, "2022-06-05T00 is dead");
    deliver(&project, 0, "a", "100,0");
    weir(&project, "queue", &["--retry"]).ended(0, "1 window to be run again");
    weir(&project, "work", &["--all"]).ended(0, "2022-06-05T00: loaded");
    weir(&project, "queue", &["--retry", "2022-06-05T07"]).ended(0, "0 windows");
    weir(&project, "queue", &["--retry=7"]).ended(2, "`7` is not a window");
}

#[test]
fn files_that_come_later_are_loaded_within_the_lookback() {
    for read in ["all", "new"] {
        let project = loans(&[0, 1]);
        let task = TASK.replace("retries:", "lookback: 3h, retries:");
        let task = if read == "new" {
            task.replace("if_missing: skip", "read: new").replace("overwrite", "append")
        } else {
            task
        };
        project.file("task.yaml", task);
        weir(&project, "queue", &["--due=2022-06-05T02:00:00Z"]).ended(0, "entered: 2 due");
        weir(&project, "work", &["--all"]).ended(0, "2 windows: 2 loaded");
        weir(&project, "queue", &["--due=2022-06-05T02:30:00Z"]).ended(0, "entered: 0 due, 0 with new files");
        deliver(&project, 0, "late", "200,0");
        deliver(&project, 1, "late", "201,1");
        // The first window was due at 1:00.
        weir(&project, "queue", &["--due=2022-06-05T04:00:00Z"]).ended(0, "entered: 2 due, 1 with new files");
        weir(&project, "work", &["--all"]).ended(0, "3 windows: 1 loaded, 2 with nothing to read");
        let rows = |hour: u32| project.rows(&format!("out/2022-06-05T{hour:02}")).len() - 1;
        assert_eq!((rows(0), rows(1)), (1, 2), "{read}");
    }
}

#[test]
fn workers_that_die_leave_every_window_loaded_once() {
    let hours: Vec<u32> = (0..24).collect();
    let project = loans(&hours);
    weir(&project, "queue", &["--due=2022-06-06T00:00:00Z"]).ended(0, "entered: 24 due");
    let start = || {
        let arguments = ["work", "--task-config=task.yaml", "--state=state", "--all", "--jobs=2"];
        project.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut pause = 3;
    let mut kills = 0;
    while queue(&project).iter().any(|job| !job.ends_with("done")) && kills < 40 {
        let mut workers: Vec<Child> = (0..2).map(|_| start()).collect();
        // Every moment of a run comes up sooner or later.
        pause = pause * 7 % 251;
        std::thread::sleep(Duration::from_millis(pause));
        for worker in &mut workers {
            kill_process(Pid::from_child(worker), Signal::KILL).unwrap();
            worker.wait().unwrap();
        }
        kills += 1;
    }
    // The runs of the last dead workers go on.
    wait_for("the end of all runs", || {
        weir(&project, "work", &["--all"]).ended(0, "");
        queue(&project).iter().all(|job| job.ends_with("done"))
    });
    for hour in hours {
        let expected = format!("{},{hour},2022-06-05T{hour:02}:00:00", hour + 100);
        assert_eq!(project.rows(&format!("out/2022-06-05T{hour:02}"))[1..], [expected]);
    }
    assert_eq!(project.left("state/scratch"), [""; 0]);
}

#[test]
fn an_older_window_never_overwrites_the_rows_of_a_newer_one() {
    let (url, project) = (Cluster::shared().database(), loans(&[]));
    project.file("weir.yaml", format!("connections: {{warehouse: {{postgres: '{url}'}}}}"));
    let sink = "{from: loaded, mode: merge, primary_key: [id], update_key: window_start, \
                postgres: {connection: warehouse, table: loan, create: true}}";
    let start = TASK.find("  loaded: {from").unwrap();
    let end = TASK.find("  unreadable:").unwrap();
    project.file("task.yaml", format!("{}  loaded: {sink}\n{}", &TASK[..start], &TASK[end..]));
    deliver(&project, 0, "a", "1,10\n2,20");
    deliver(&project, 1, "a", "1,11\n3,30");
    weir(&project, "queue", &["--due=2022-06-05T02:00:00Z"]).ended(0, "");
    weir(&project, "work", &["--all"]).ended(0, "2 windows: 2 loaded");
    let database = url.rsplit('/').next().unwrap();
    let rows = Cluster::shared().sql(database, "select id, amount from loan order by id");
    assert_eq!(rows.lines().collect::<BTreeSet<_>>(), BTreeSet::from(["1|11", "2|20", "3|30"]));
    weir(&project, "run", &["--window=2022-06-05T00"]).ended(0, "");
    assert_eq!(Cluster::shared().sql(database, "select amount from loan where id = 1"), "11");
}

#[test]
fn the_scheduler_enters_windows_and_runs_them() {
    let project = loans(&[0, 1, 2]);
    let arguments = ["schedule", "--task-config=task.yaml", "--state=state", "--due=2022-06-05T03:00:00Z", "--jobs=2"];
    let scheduler = Process::start(&project, &arguments);
    wait_for("the windows", || queue(&project) == ["02 done", "01 done", "00 done"]);
    let before = scheduler.computed();
    std::thread::sleep(Duration::from_secs(2));
    assert!(scheduler.computed() - before < 100, "a scheduler that has nothing to do waits");
    scheduler.stop().ended(0, "loaded");
}

#[test]
fn one_scheduler_serves_several_tasks_in_their_order() {
    let project = loans(&[0, 1]);
    let second =
        TASK.replace("name: loans", "name: totals\nafter: [loans]").replace("in/%Y-%m-%d/hh=%H", "out/${window}");
    let second = second.replace("out/${window}\", format", "total/${window}\", format").replace("bad/", "bad_total/");
    project.file(
        "total.yaml",
        second.replace(
            "columns: {id: bigint, amount: bigint}",
            "columns: {id: bigint, amount: bigint, window_start: timestamp}",
        ),
    );
    project.file("loaded.sql", "select id, amount, $window_start as window_start from loan");
    let due = "--due=2022-06-05T02:00:00Z";
    let arguments = ["schedule", "total.yaml", "task.yaml", "--state=state", due, "--jobs=2"];
    let scheduler = Process::start(&project, &arguments);
    wait_for("the totals", || {
        (0..2).all(|hour| project.path(&format!("total/2022-06-05T{hour:02}/_SUCCESS")).exists())
    });
    scheduler.stop().ended(0, "loaded");
    assert_eq!(project.rows("total/2022-06-05T01")[1..], ["101,1,2022-06-05T01:00:00"]);
    project.file("task.yaml", TASK.replace("name: loans", "name: loans\nafter: [totals]"));
    project.weir(&arguments).ended(2, "tasks that come after each other: totals, loans");
    project.file("task.yaml", TASK.replace("name: loans", "name: totals"));
    project.weir(&arguments).ended(2, "have a task of the same name, `totals`");
    project
        .weir(&["schedule", "total.yaml", "task.yaml", "--param=a=b"])
        .ended(2, "--param is for a scheduler of one task");
}

#[test]
fn a_window_without_data_is_late() {
    let project = loans(&[0]);
    project.file("task.yaml", TASK.replace("retries:", "late_after: 15m, lookback: 1d, retries:"));
    weir(&project, "queue", &["--due=2022-06-05T02:00:00Z"]).ended(0, "entered: 2 due");
    weir(&project, "work", &["--all"]).ended(0, "1 loaded, 1 with nothing to read");
    weir(&project, "health", &["--due=2022-06-05T02:14:00Z"]).ended(0, "healthy");
    weir(&project, "health", &["--due=2022-06-05T02:15:00Z"]).ended(1, "2022-06-05T01 is late");
    weir(&project, "check", &["--due=2022-06-05T02:15:00Z"]).ended(1, "2022-06-05T01 is late");
    // A scheduler that enters nothing is noticed, too.
    weir(&project, "health", &["--due=2022-06-05T04:00:00Z"]).ended(1, "2022-06-05T02 is late");
}

/// A model that takes for ever.
const ENDLESS: &str = "select id, amount, $window_start as window_start from loan
    where amount < (select count(*) from generate_series(1, 1000000000000))";

#[test]
fn a_window_that_takes_longer_than_its_timeout_fails() {
    let project = loans(&[0]);
    project.file("task.yaml", TASK.replace("retries: {attempts: 2", "timeout: 1s, retries: {attempts: 1"));
    project.file("loaded.sql", ENDLESS);
    weir(&project, "queue", &["--due=2022-06-05T01:00:00Z"]).ended(0, "entered: 1 due");
    weir(&project, "work", &["--all"]).ended(1, "2022-06-05T00: failed: it took longer than its timeout");
    assert_eq!(queue(&project), ["00 dead"]);
    assert!(!project.path("out/2022-06-05T00").exists());
}

#[test]
fn a_window_that_is_stopped_waits_and_has_used_no_attempt() {
    let project = loans(&[0]);
    project.file("loaded.sql", ENDLESS);
    weir(&project, "queue", &["--due=2022-06-05T01:00:00Z"]).ended(0, "entered: 1 due");
    let worker = Process::start(&project, &["work", "--task-config=task.yaml", "--state=state", "--all"]);
    wait_for("the run", || weir(&project, "runs", &["--json"]).out.contains("running"));
    // The first request lets the run go on.
    kill_process(Pid::from_child(worker.0.as_ref().unwrap()), Signal::TERM).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(queue(&project), ["00 running"]);
    worker.stop();
    let jobs = weir(&project, "queue", &["--list", "--json"]);
    let job: Value = serde_json::from_str(jobs.out.trim()).unwrap();
    assert_eq!((&job["state"], &job["attempts"]), (&"waiting".into(), &0.into()));
    project.file("loaded.sql", "select id, amount, $window_start as window_start from loan");
    weir(&project, "work", &["--all"]).ended(0, "2022-06-05T00: loaded");
}

/// Keeps the windows that it was told are late.
#[derive(Debug, Clone, Default)]
struct Late(Arc<Mutex<Vec<String>>>);

impl Observer for Late {
    fn event(&self, event: &Event<'_>) {
        if let Event::Late { key, windows, .. } = event {
            self.0.lock().unwrap().push(format!("{}: {}", key.task, windows.join(" ")));
        }
    }
}

#[test]
fn observers_are_told_which_windows_are_late() {
    let project = loans(&[0]);
    project.file("task.yaml", TASK.replace("retries:", "late_after: 15m, lookback: 1d, retries:"));
    let late = Late::default();
    let program = weir::Cli::new("program").observer(late.clone());
    let (task, state) = (project.path("task.yaml"), project.path("state"));
    let queue = |due: &str| {
        let arguments = ["program", "queue", task.to_str().unwrap(), "--state", state.to_str().unwrap(), "--due", due];
        assert_eq!(program.main_from(arguments), 0);
    };
    queue("2022-06-05T01:00:00Z");
    assert_eq!(late.0.lock().unwrap().as_slice(), [""; 0], "none is late yet");
    queue("2022-06-05T02:15:00Z");
    assert_eq!(late.0.lock().unwrap().as_slice(), ["loans: 2022-06-05T01 2022-06-05T00"]);
}

#[test]
fn what_would_touch_other_windows_is_refused() {
    let project = loans(&[]);
    for (from, to, expected) in [
        ("out/${window}", "out", "`mode: overwrite` would replace the rows of other windows"),
        ("if_missing: skip", "read: new", "would read only the new files of source `loan`"),
        ("start: 2022-06-05", "start: 2022-06-05T00:30", "is not the beginning of a window"),
        ("every: 1h", "every: 7h", "7h does not divide a day"),
        ("hh=%H", "hh=%Q", "the path has an unknown conversion"),
        (
            "sources:",
            "params: {window_start: {type: timestamp, default: now}}\nsources:",
            "a task with windows has it already",
        ),
    ] {
        assert!(TASK.contains(from), "{from}");
        project.file("task.yaml", TASK.replace(from, to));
        validate(&project).ended(2, expected);
    }
    project.file("task.yaml", TASK.replace("in/%Y-%m-%d/hh=%H", "in").replace("if_missing: skip", "read: new"));
    validate(&project).ended(2, "every window would read the same files");
    let merge = "mode: merge, primary_key: [id], postgres: {connection: w, table: t}}";
    project.file("weir.yaml", "connections: {w: {postgres: 'postgres://a:b@127.0.0.1:1/c'}}");
    project.file("task.yaml", TASK.replace("mode: overwrite, files: {path: \"out/${window}\", format: csv}}", merge));
    project
        .weir(&["validate", "--task-config=task.yaml"])
        .ended(2, "an older window that is run after a newer one would replace newer rows");
    project.file("task.yaml", TASK);
    weir(&project, "run", &["--window=2022-06-05T09:30"]).ended(2, "is not the beginning of a window");
    weir(&project, "run", &["--window=2021-06-05T09"]).ended(2, "is before the first window");
    weir(&project, "run", &["--window=2999-01-01T00"])
        .ended(2, "window 2999-01-01T00 is not due until 2999-01-01T01:00:00Z");
    weir(&project, "run", &["--due=2022-06-05T00:59:59Z"]).ended(2, "window 2022-06-05T00 is not due until");
    weir(&project, "run", &["--from=2022-06-05T09", "--to=2022-06-05T08"])
        .ended(2, "2022-06-05T08 is before 2022-06-05T09");
    project.file("task.yaml", TASK.replace("window:", "schedule: {cron: '@hourly'}\nwindow:"));
    validate(&project).ended(2, "`schedule` is for tasks without windows");
    project.file(
        "task.yaml",
        TASK.replace("start: 2022-06-05", "start: '${first}'")
            .replace("sources:", "params: {first: {type: string, default: 2022-06-05T08}}\nsources:"),
    );
    weir(&project, "run", &["--window=2022-06-05T07"]).ended(2, "is before the first window, 2022-06-05T08");
    project.file("task.yaml", TASK.replace("window:", "#"));
    weir(&project, "queue", &[]).ended(2, "has no `window`");
}
