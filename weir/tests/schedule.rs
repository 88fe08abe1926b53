//! `weir schedule` with the real binary: started runs, missed runs, and the end of the scheduler.
//!
//! A debug build reads its interval from WEIR_TEST_SCHEDULE (seconds between starts, and milliseconds of grace for a
//! run that is stopped); a release build has only cron's minutes, so most of these tests are for debug builds.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Project, Ran};

const SCHEDULE: [&str; 4] = ["schedule", "--task-config", "task.yaml", "--state=state"];

/// A folder whose task has a schedule.
fn scheduled(schedule: &str) -> Project {
    let project = Project::people();
    project.task("params:\n", &format!("schedule: {schedule}\nparams:\n"));
    project
}

struct Scheduler(Child);

impl Scheduler {
    fn start(project: &Project, quick: &str) -> Self {
        let mut command = project.command(&SCHEDULE);
        command.env("WEIR_TEST_SCHEDULE", quick).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn end(self) -> Ran {
        Ran::of(self.0.wait_with_output().unwrap())
    }
}

/// The output of `weir runs`, newest first.
fn runs(project: &Project) -> Vec<Value> {
    let ran = project.weir(&["runs", "--state=state", "--json", "--last=1000"]);
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn states(project: &Project) -> Vec<String> {
    runs(project).iter().map(|run| run["state"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_there() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Enough rows for a run to be still working when a test checks it.
fn many_rows(project: &Project, rows: usize) {
    let rows: String = (0..rows).map(|i| format!("n{i},{}\n", i % 90)).collect();
    project.file("in/many.csv", format!("name,age\n{rows}"));
}

/// Whether a run has begun to write.
fn has_begun(project: &Project) -> bool {
    project.left("out").iter().any(|name| name.starts_with(".good.weir-"))
}

#[test]
fn a_wrong_schedule_is_an_error_at_its_position() {
    let project = scheduled("{cron: \"0 * * *\"}");
    let validate = || project.weir(&["validate", "--task-config", "task.yaml"]);
    validate().ended(2, "task.yaml:3:18: `0 * * *` has 4 fields, but cron has five");
    project.task("0 * * *", "0 25 * * *");
    validate().ended(2, "task.yaml:3:18: `0 25 * * *`: ");
    project.task("{cron: \"0 25 * * *\"}", "{cron: \"0 5 * * *\", timezone: Asia/Singapur}");
    validate().ended(2, "task.yaml:3:41: `Asia/Singapur` is not a valid time zone: did you mean `Asia/Singapore`?");
    project.task("timezone: Asia/Singapur", "timeout: 90");
    validate().ended(2, "`90` is not a duration");
    let without = Project::people();
    without.weir(&["schedule", "--task-config", "task.yaml"]).ended(2, "task.yaml has no `schedule`");
}

#[test]
fn the_next_due_time_is_reported_and_a_signal_ends_an_idle_scheduler() {
    let project = scheduled("{cron: \"30 4 1 1 *\", timezone: Asia/Singapore}");
    let mut command = project.command(&SCHEDULE);
    let scheduler = Scheduler(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    wait_for("the ledger", || project.path("state/ledger.sqlite").exists());
    std::thread::sleep(Duration::from_millis(500));
    scheduler.signal(Signal::TERM);
    let ran = scheduler.end();
    ran.ended(0, "-01-01 04:30 Asia/Singapore");
    assert!(ran.err.contains("next: 20"), "{}", ran.err);
}

#[test]
fn times_that_passed_without_a_scheduler_are_recorded_as_missed() {
    let project = scheduled("{cron: \"0 * * * *\"}");
    project.run(&["--state=state"]).ended(0, "");
    let ledger = rusqlite::Connection::open(project.path("state/ledger.sqlite")).unwrap();
    let now: String =
        ledger.query_row("select strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-3 hours')", [], |r| r.get(0)).unwrap();
    ledger.execute("update run set started = ?1", [&now]).unwrap();
    let start = || {
        let mut command = project.command(&SCHEDULE);
        let scheduler = Scheduler(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        wait_for("the missed hours", || states(&project).len() > 2);
        scheduler.signal(Signal::TERM); // INT may be ignored by the parent of the tests
        scheduler.end()
    };
    let ran = start();
    assert!(ran.err.contains("missed: no scheduler was running"), "{}", ran.err);
    let missed: Vec<_> = runs(&project).into_iter().filter(|run| run["state"] == "missed").collect();
    // At the full hour the third one may be only late.
    assert!((2..=3).contains(&missed.len()), "{missed:?}");
    for run in &missed {
        assert!(run["started"].as_str().unwrap().ends_with(":00:00Z"), "{run}");
        assert_eq!((&run["task"], &run["environment"]), (&"people".into(), &"default".into()));
        assert_eq!(run["message"], "no scheduler was running");
    }
    project.weir(&["runs", "--state=state"]).ended(0, "missed");
    // A second scheduler does not record them again.
    start();
    assert!(runs(&project).len() <= missed.len() + 2);
}

#[cfg(debug_assertions)]
mod quick {
    use super::*;

    #[test]
    fn a_run_is_started_at_every_due_time_and_a_failed_one_does_not_stop_the_scheduler() {
        let project = scheduled("{cron: \"0 * * * *\"}");
        let scheduler = Scheduler::start(&project, "1 30000");
        wait_for("a run", || states(&project).contains(&"done".to_owned()));
        project.file("in/a.csv", "name,years\nAnn,30\n");
        wait_for("a failed run", || states(&project)[0] == "failed");
        project.file("in/a.csv", "name,age\nAnn,30\n");
        wait_for("a run after it", || states(&project)[0] == "done");
        scheduler.signal(Signal::TERM);
        let ran = scheduler.end();
        ran.ended(0, "done: `people`"); // the output of the runs is passed on
        assert!(ran.err.contains("started") && ran.err.contains("ended without success"), "{}", ran.err);
        assert_eq!(project.rows("out/good"), ["name,age", "Ann,30"]);
    }

    #[test]
    fn a_signal_lets_the_current_run_finish() {
        let project = scheduled("{cron: \"0 * * * *\"}");
        many_rows(&project, 400_000);
        let scheduler = Scheduler::start(&project, "1 30000");
        wait_for("a run at work", || has_begun(&project));
        scheduler.signal(Signal::TERM);
        let ran = scheduler.end();
        ran.ended(0, "stopping after the current run");
        assert_eq!(states(&project).iter().filter(|state| *state == "done").count(), 1);
        assert!(!states(&project).contains(&"interrupted".to_owned()));
    }

    #[test]
    fn a_second_signal_stops_the_current_run() {
        let project = scheduled("{cron: \"0 * * * *\"}");
        many_rows(&project, 400_000);
        let scheduler = Scheduler::start(&project, "1 30000");
        wait_for("a run at work", || has_begun(&project));
        scheduler.signal(Signal::TERM);
        std::thread::sleep(Duration::from_millis(100));
        scheduler.signal(Signal::INT);
        scheduler.end().ended(130, "interrupted");
        assert!(states(&project).contains(&"interrupted".to_owned()));
        assert_eq!(project.left("out"), [""; 0]);
    }

    #[test]
    fn a_run_that_exceeds_its_timeout_is_stopped_and_recorded() {
        let project = scheduled("{cron: \"0 * * * *\", timeout: 800ms}");
        many_rows(&project, 1_500_000); // more than a second's work on any machine
        let scheduler = Scheduler::start(&project, "2 30000");
        wait_for("the timeout", || states(&project).contains(&"timed_out".to_owned()));
        scheduler.signal(Signal::TERM);
        scheduler.end().ended(0, "stopped because it took longer than its timeout of 800ms");
        let timed_out = runs(&project).into_iter().find(|run| run["state"] == "timed_out").unwrap();
        assert_eq!(timed_out["message"], "stopped because it took longer than its timeout of 800ms");
        // The next run may have begun meanwhile, and be finished; of this one nothing is left.
        let id = timed_out["id"].as_str().unwrap();
        for name in project.left("out") {
            let marker = std::fs::read_to_string(project.path(&format!("out/{name}/_SUCCESS"))).unwrap();
            assert!(!name.contains(id) && !marker.contains(id), "{name}: {marker}");
        }
    }

    #[test]
    fn a_due_time_at_which_the_previous_run_is_still_running_is_missed() {
        let project = scheduled("{cron: \"0 * * * *\"}");
        many_rows(&project, 1_500_000); // more than a second's work on any machine
        let scheduler = Scheduler::start(&project, "1 30000");
        wait_for("a missed time", || states(&project).contains(&"missed".to_owned()));
        scheduler.signal(Signal::TERM);
        scheduler.end().ended(0, "is still running, as process");
        let missed = runs(&project).into_iter().find(|run| run["state"] == "missed").unwrap();
        assert!(missed["message"].as_str().unwrap().starts_with("the run that was due at "), "{missed}");
    }

    #[test]
    fn a_due_time_at_which_another_process_holds_the_lock_is_missed() {
        let project = scheduled("{cron: \"0 * * * *\"}");
        std::fs::create_dir_all(project.path("state/locks")).unwrap();
        let lock = std::fs::File::create(project.path("state/locks/people.default.lock")).unwrap();
        lock.lock().unwrap();
        let scheduler = Scheduler::start(&project, "1 30000");
        wait_for("a missed time", || states(&project).contains(&"missed".to_owned()));
        drop(lock);
        wait_for("a run", || states(&project).contains(&"done".to_owned()));
        scheduler.signal(Signal::TERM);
        scheduler.end().ended(0, "missed: the lock was held: `people.default` is being run by another process");
    }

    #[test]
    fn the_runs_have_the_options_of_the_scheduler() {
        let project = scheduled("{cron: \"0 * * * *\"}");
        let mut command = project.command(&SCHEDULE);
        command.args(["--param", "least_age=40", "--log-format", "json", "--threads", "1", "--memory-limit", "1GB"]);
        command.env("WEIR_TEST_SCHEDULE", "1 30000").stdout(Stdio::piped()).stderr(Stdio::piped());
        let scheduler = Scheduler(command.spawn().unwrap());
        wait_for("a run", || project.path("out/good").exists() || states(&project).contains(&"gate_closed".to_owned()));
        scheduler.signal(Signal::TERM);
        let ran = scheduler.end();
        assert!(ran.err.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{}", ran.err);
        assert_eq!(project.rows("out/bad")[1..], ["Ann,30,too_young", "Bob,17,too_young"]);
    }
}

#[cfg(debug_assertions)]
#[test]
fn a_task_is_not_started_after_one_that_failed() {
    let project = scheduled("{cron: \"0 * * * *\"}");
    let task = std::fs::read_to_string(project.path("task.yaml")).unwrap();
    let second = task.replace("name: people", "name: reports\nafter: [people]").replace("out/", "reports/");
    project.file("reports.yaml", second);
    project.file("in/a.csv", "name,age\nAnn,young\n");
    project.task("age: integer}", "age: {type: integer, on_invalid: fail}}");
    let mut command = project.command(&["schedule", "task.yaml", "reports.yaml", "--state=state"]);
    command.env("WEIR_TEST_SCHEDULE", "2 30000").stdout(Stdio::piped()).stderr(Stdio::piped());
    let scheduler = Scheduler(command.spawn().unwrap());
    let missed = || runs(&project).into_iter().find(|run| run["state"] == "missed");
    wait_for("a missed run", || missed().is_some());
    scheduler.signal(Signal::TERM);
    scheduler.end().ended(0, "");
    let missed = missed().unwrap();
    assert_eq!(missed["task"], "reports");
    assert_eq!(missed["message"], "task `people`, after which it is run, did not succeed");
    assert!(!project.path("reports").exists());
}

#[cfg(debug_assertions)]
#[test]
fn what_a_dead_run_has_left_is_ended_when_the_scheduler_starts() {
    let project = scheduled("{cron: \"0 * * * *\"}");
    let mut command = project.command(&["run", "--task-config", "task.yaml", "--state=state", "--quiet"]);
    assert!(!command.env("WEIR_FAULT", "committed").status().unwrap().success());
    assert!(!project.path("out/good").exists());
    // The next due time is an hour away.
    let scheduler = Scheduler::start(&project, "3600 1000");
    wait_for("the dead run's rows", || project.path("out/good/_SUCCESS").exists());
    scheduler.signal(Signal::TERM);
    scheduler.end().ended(0, "");
    assert_eq!(states(&project), ["done"]);
}

#[test]
fn only_a_run_that_failed_for_what_may_pass_tells_the_scheduler_so() {
    let project = scheduled("{cron: \"* * * * *\", retries: {attempts: 2}}");
    let scheduled = |project: &Project| project.weir(&["run", "task.yaml", "--scheduled"]);
    project.file("in/a.csv", "name,age\nAnn,young\n");
    project.task("age: integer}", "age: {type: integer, on_invalid: fail}}");
    scheduled(&project).ended(1, "on_invalid");
    // Nobody listens at port 1.
    project.file("weir.yaml", "connections: {shop: {postgres: \"postgres://a:b@127.0.0.1:1/shop\"}}\n");
    project.task("files: {path: \"in/*.csv\", format: csv}", "postgres: {connection: shop, table: person}");
    scheduled(&project).ended(75, "127.0.0.1:1");
    project.task("attempts: 2", "attempts: 0");
    project.weir(&["validate", "task.yaml"]).ended(2, "task.yaml:");
}

#[test]
fn moving_parameters_are_computed_from_the_due_time() {
    let project = scheduled("{cron: \"@daily\", timezone: Asia/Singapore}");
    project.task("params:\n", "params:\n  day: {type: date, default: yesterday}\n");
    project.task("path: out/good,", "path: \"out/day=${day}\",");
    project.run(&["--due=2024-02-29T16:30:00Z"]).ended(0, "out/day=2024-02-29");
    let scheduler = Scheduler::start(&project, "1 1000");
    wait_for("a run", || project.left("out").len() > 2);
    scheduler.signal(Signal::INT);
    scheduler.end().ended(0, "");
    let ran = project.run(&["--param=day=today - 1 month", "--due=2024-03-31T00:00:00Z"]);
    ran.ended(0, "out/day=2024-02-29");
    project.run(&["--param=day=today - 1m"]).ended(2, "`today - 1m` is not a date");
    project.task("default: yesterday", "default: now");
    project.run(&[]).ended(2, "or one of today, yesterday, today - 7d");
}
