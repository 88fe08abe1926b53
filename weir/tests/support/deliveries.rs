//! A task with every feature of incremental runs: new files only, two appended folders, one that is overwritten, one of
//! documents, and an archive. Each delivery must be in its folders exactly once, whatever happens meanwhile.
#![allow(dead_code)] // each test file uses its own part of this

use std::process::Command;

use crate::support::{Project, Ran, rows};

pub(crate) const TASK: &str = r#"
name: deliveries
sources:
  person:
    files: {path: "in/*.csv", format: csv}
    read: new
    archive: done
    columns: {name: string, age: integer}
models:
  chosen: sql/chosen.sql
quality:
  chosen:
    reject_unless:
      too_young: age >= 20
sinks:
  every:
    from: chosen
    mode: append
    files: {path: out/every, format: csv}
    columns: [name, age]
  latest:
    from: chosen
    mode: overwrite
    files: {path: out/latest, format: csv}
    columns: [name, age]
  young:
    from: chosen.rejected
    mode: append
    files: {path: out/young, format: csv}
    columns: [name, age, reasons]
  card:
    from: chosen
    mode: overwrite
    documents: {path: out/card, name: "${name}.txt", body: card}
"#;

/// The sinks of the task.
const SINKS: [&str; 4] = ["card", "every", "latest", "young"];

/// One of this many rows is kept: a run can take long, and its output is checked quickly.
const READ_FOR_ONE: usize = 200;
const KEPT: usize = 40;

/// The folder of such a task and its deliveries.
pub(crate) struct Deliveries {
    pub(crate) project: Project,
    /// Rows that are read for one that is kept.
    read_for_one: usize,
    delivered: usize,
}

impl Deliveries {
    /// With one published delivery.
    pub(crate) fn new() -> Self {
        let project = Project::empty();
        project.file("task.yaml", TASK);
        let card = "name || ',' || cast(age as string) as card";
        project.file("sql/chosen.sql", format!("select name, age, {card} from person where age < 40"));
        let mut deliveries = Self { project, read_for_one: 1, delivered: 0 };
        deliveries.deliver();
        deliveries.run(&[]).ended(0, "done");
        deliveries.is_complete("at the start");
        deliveries
    }

    /// Deliveries that take more than a second to read, and that duration.
    pub(crate) fn slow() -> (Self, std::time::Duration) {
        let mut deliveries = Self::new();
        deliveries.read_for_one = READ_FOR_ONE;
        loop {
            deliveries.deliver();
            let started = std::time::Instant::now();
            deliveries.run(&[]).ended(0, "done");
            match started.elapsed() {
                long if long.as_secs_f32() > 1.05 => return (deliveries, long),
                _ => deliveries.grow(),
            }
        }
    }

    /// Makes later deliveries take half as long again to read.
    pub(crate) fn grow(&mut self) {
        self.read_for_one += self.read_for_one / 2;
    }

    /// Writes a delivery of two files.
    pub(crate) fn deliver(&mut self) {
        let number = self.delivered;
        for (file, kept) in [("a", 0..KEPT / 2), ("b", KEPT / 2..KEPT)] {
            let more = format!("n{number},99\n").repeat(self.read_for_one - 1);
            let rows: String = kept.map(|i| format!("{}\n{more}", row(number, i))).collect();
            self.project.file(&format!("in/{number:04}{file}.csv"), format!("name,age\n{rows}"));
        }
        self.delivered += 1;
    }

    /// The number of deliveries.
    pub(crate) fn count(&self) -> usize {
        self.delivered
    }

    pub(crate) fn command(&self, more: &[&str]) -> Command {
        // One thread: two tests run in parallel, and system calls come in one order.
        let run = ["run", "--task-config", "task.yaml", "--threads", "1"];
        self.project.command(&[&run, more].concat())
    }

    pub(crate) fn run(&self, more: &[&str]) -> Ran {
        Ran::of(self.command(more).output().unwrap())
    }

    /// Fails unless every folder has all deliveries, or all but the last one: what a reader may see at any time.
    #[track_caller]
    pub(crate) fn is_whole(&self, when: &str) {
        for sink in SINKS {
            let found = self.found(sink);
            let is_state = |delivered: usize| found == expected(sink, delivered);
            assert!(is_state(self.delivered) || is_state(self.delivered - 1), "{when}: half a run is in {sink}");
        }
    }

    /// The rows that are in a sink, sorted.
    fn found(&self, sink: &str) -> Vec<String> {
        let folder = format!("out/{sink}");
        if sink != "card" {
            return rows(&self.project.path(&folder)).split_off(1);
        }
        let names = self.project.left(&folder).into_iter().filter(|name| name.ends_with(".txt"));
        let mut cards: Vec<String> = names.map(|name| self.project.text(&format!("{folder}/{name}"))).collect();
        cards.sort();
        cards
    }

    /// Fails unless every delivery is in its folders once, and there is nothing else.
    #[track_caller]
    pub(crate) fn is_complete(&self, when: &str) {
        let project = &self.project;
        for sink in SINKS {
            let found = self.found(sink);
            let expected = expected(sink, self.delivered);
            assert!(found == expected, "{when}: {sink} has {} rows of {}", found.len(), expected.len());
            let marker = std::fs::read(project.path(&format!("out/{sink}/_SUCCESS"))).unwrap();
            let manifest: serde_json::Value = serde_json::from_slice(&marker).unwrap();
            assert_eq!(manifest["rows"], expected.len(), "{when}: {sink}");
            let files = manifest["files"].as_array().unwrap().len();
            assert_eq!(project.left(&format!("out/{sink}")).len(), files + 1, "{when}: {sink}");
        }
        assert_eq!(project.left("out"), SINKS, "{when}");
        assert_eq!(project.left("in"), [""; 0], "{when}");
        let archived: Vec<_> =
            (0..self.delivered).flat_map(|n| [format!("{n:04}a.csv"), format!("{n:04}b.csv")]).collect();
        assert_eq!(project.left("done"), archived, "{when}");
        assert_eq!(project.left(".weir"), ["ledger.sqlite", "locks", "scratch"], "{when}");
        assert_eq!(project.left(".weir/scratch"), [""; 0], "{when}");
        let lock = std::fs::File::open(project.path(".weir/locks/deliveries.default.lock")).unwrap();
        lock.try_lock().unwrap_or_else(|error| panic!("{when}: {error}"));
    }
}

fn row(number: usize, i: usize) -> String {
    format!("n{number}-{i},{}", i % KEPT)
}

/// The rows of a sink after `delivered` deliveries, sorted.
fn expected(sink: &str, delivered: usize) -> Vec<String> {
    let deliveries = if ["latest", "card"].contains(&sink) { delivered - 1..delivered } else { 0..delivered };
    let (ages, reasons) = if sink == "young" { (0..20, ",too_young") } else { (20..KEPT, "") };
    let mut rows: Vec<_> =
        deliveries.flat_map(|number| ages.clone().map(move |i| format!("{}{reasons}", row(number, i)))).collect();
    rows.sort();
    rows
}
