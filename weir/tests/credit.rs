//! The pipeline of the loans does what its README says: hourly files in a bucket, into MariaDB. The expected rows are computed
//! here from the files.
#![cfg(feature = "object-stores")]
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use support::pipeline::typed;
use support::s3::{KEY_ID, REGION, S3, SECRET};
use support::{Project, Ran};
use weir_mysql_testing::Server;

/// Hours from the first one on, and loans of each.
const HOURS: usize = 12;
const LOANS: usize = 400;

/// A copy of the pipeline, a bucket and a database.
struct Credit {
    project: Project,
    bucket: S3,
    database: String,
}

impl Credit {
    fn new() -> Self {
        let project = Project::of_pipeline("credit");
        let (bucket, database) = (S3::start(), Server::shared().new_database());
        let values = [
            ("warehouse_port", Server::shared().port().to_string()),
            ("warehouse_user", weir_mysql_testing::USER.to_owned()),
            ("warehouse_database", database.clone()),
        ];
        project.give_values(&values, "test");
        Self { project, bucket, database }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.project.on_path(program);
        command
            .env("AWS_ENDPOINT", self.bucket.address())
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("CREDIT_WAREHOUSE_PASSWORD", weir_mysql_testing::PASSWORD);
        command
    }

    /// Types commands into a shell.
    fn typed(&self, commands: &str) -> Ran {
        typed(self.command("bash"), commands)
    }

    /// A worker that is going to be killed.
    fn worker(&self) -> Child {
        let program = self.project.path("bin/weir");
        let arguments = ["work", "pipelines/credit/credit.yaml", "--all", "--quiet"];
        let mut command = self.command(program.to_str().unwrap());
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn waiting(&self) -> usize {
        let list = self.typed("weir queue pipelines/credit/credit.yaml --list --json").out;
        list.lines().filter(|job| !job.contains("\"state\":\"done\"")).count()
    }

    /// The table: id, hour and age of each loan.
    fn loans(&self) -> BTreeMap<u64, (u64, u64)> {
        let rows = Server::shared().sql(&self.database, "select id, hour(window_start), age from loan");
        let row = |line: &str| {
            let values: Vec<u64> = line.split('\t').map(|value| value.parse().unwrap()).collect();
            (values[0], (values[1], values[2]))
        };
        rows.lines().map(row).collect()
    }

    /// What the table has to have, by the files.
    fn expected(&self) -> BTreeMap<u64, (u64, u64)> {
        let mut loans = BTreeMap::new();
        for hour in 0..HOURS {
            let path = self.project.path(&format!("files/yyyy=2022/mm=06/dd=05/hh={hour:02}/loans.csv"));
            for record in csv::Reader::from_path(path).unwrap().records() {
                let record = record.unwrap();
                let is_number = |text: &str| text == "NA" || text.parse::<i64>().is_ok();
                let (id, age) = (record[0].parse(), record[3].parse::<u64>().unwrap());
                let is_good = age >= 18 && &record[1] != "2" && !record[2].starts_with('-') && is_number(&record[6]);
                if let (Ok(id), true) = (id, is_good) {
                    loans.insert(id, (hour as u64, age));
                }
            }
        }
        loans
    }
}

/// The commands of the README.
fn readme() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipelines/credit/README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let block = text.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    block.lines().filter(|line| !line.starts_with("export")).map(str::to_owned).collect()
}

#[test]
fn the_commands_of_the_readme_load_the_hours() {
    let credit = Credit::new();
    let commands = readme();
    assert_eq!(commands.len(), 5, "{commands:?}");
    let ran = credit.typed(&commands.join("\n").replace("1500", "100"));
    ran.ended(0, "0 problems, 0 warnings");
    ran.ended(0, "1 of 24 windows are loaded already");
    ran.ended(0, "23 windows: 23 loaded");
    let hours = Server::shared().sql(&credit.database, "select count(distinct window_start) from loan");
    assert_eq!(hours.trim(), "24");
}

#[test]
fn workers_that_die_leave_every_hour_loaded_once() {
    let credit = Credit::new();
    let deliver = format!("pipelines/credit/source/deliver.sh --sample {LOANS} --hours {HOURS} --from 2022-06-05T00");
    credit
        .typed(&format!("{deliver} --create; mkdir files; CREDIT_FOLDER=files {deliver}"))
        .ended(0, "12 hours of 400 loans");
    let queue = "weir queue pipelines/credit/credit.yaml --due 2022-06-05T12:05:00Z";
    credit.typed(queue).ended(0, "entered: 12 due");
    let mut pause: u64 = 5;
    for _ in 0..50 {
        let mut workers = [credit.worker(), credit.worker()];
        // Every moment of a run comes up sooner or later.
        pause = pause * 7 % 397;
        std::thread::sleep(Duration::from_millis(pause));
        for worker in &mut workers {
            kill_process(Pid::from_child(worker), Signal::KILL).unwrap();
            worker.wait().unwrap();
        }
    }
    // The runs of the last dead workers go on for a while.
    for _ in 0..100 {
        credit.typed("weir work pipelines/credit/credit.yaml --all --jobs 2").ended(0, "");
        if credit.waiting() == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(credit.waiting(), 0);
    assert_eq!(credit.loans(), credit.expected());
    let left = "select table_name from information_schema.tables where table_schema = database() and table_name like '%stage%'";
    assert_eq!(Server::shared().sql(&credit.database, left), "");
    // Each hour once more, the oldest last: nothing newer is overwritten.
    credit
        .typed("weir run pipelines/credit/credit.yaml --from 2022-06-05 --to 2022-06-05T11 --again")
        .ended(0, "12 loaded");
    assert_eq!(credit.loans(), credit.expected());
}

#[test]
fn a_file_that_comes_later_is_loaded_and_a_missing_hour_is_late() {
    let credit = Credit::new();
    let deliver = "pipelines/credit/source/deliver.sh";
    credit.typed(&format!("{deliver} --create --sample 50 --hours 1 --from 2022-06-05T00")).ended(0, "");
    let at = |command: &str, due: &str| {
        credit.typed(&format!("weir {command} pipelines/credit/credit.yaml --due 2022-06-05T{due}:00Z"))
    };
    let work = || credit.typed("weir work pipelines/credit/credit.yaml --all");
    at("queue", "02:05").ended(0, "entered: 2 due");
    work().ended(0, "2 windows: 1 loaded, 1 with nothing to read");
    at("check", "02:19").ended(0, "healthy");
    at("check", "02:20").ended(1, "window 2022-06-05T01 is late");
    credit.typed(&format!("CREDIT_FOLDER=. {deliver} --sample 20 --hours 1 --from 2030-01-01T01")).ended(0, "");
    let file = "yyyy=2030/mm=01/dd=01/hh=01/loans.csv";
    credit
        .typed(&format!("mv {file} late.csv; {deliver} 2022-06-05T00 late.csv; {deliver} 2022-06-05T01 late.csv"))
        .ended(0, "");
    at("queue", "02:30").ended(0, "entered: 0 due, 2 with new files");
    work().ended(0, "2 windows: 2 loaded");
    at("check", "02:30").ended(0, "healthy");
    assert_eq!(credit.loans().values().filter(|(hour, _)| *hour == 1).count(), 20);
}
