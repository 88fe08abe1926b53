//! Whole runs of a task: by a cluster of processes, and in one process. Both must leave the same, whatever dies.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use common::{TestCluster, certificates, weir_cluster};

const TASK: &str = r#"
name: orders
params: {out: {type: string}}
sources:
  purchase:
    files: {path: in/orders.csv, format: csv}
    columns: {id: bigint, customer: bigint, amount: 'decimal(10,2)', note: string}
  customer:
    files: {path: in/customers.jsonl, format: jsonl}
    columns: {id: bigint, name: string}
models: {priced: priced.sql, total: total.sql, document: document.sql}
quality:
  priced:
    reject_unless: {too_small: amount >= 1, has_note: {not_null: note}}
    warn_unless: {round: "amount % 10 = 0", ids: {unique: [id]}}
  total: {reject_unless: {known: name is not null}}
sinks:
  good: {from: priced, mode: overwrite, files: {path: "${out}/good", format: csv}}
  bad: {from: priced.rejected, mode: overwrite, files: {path: "${out}/bad", format: csv}}
  total: {from: total, mode: overwrite, partition_by: [name], files: {path: "${out}/total", format: jsonl}}
  unknown: {from: total.rejected, mode: overwrite, files: {path: "${out}/unknown", format: csv}}
  unread: {from: purchase.rejected, mode: overwrite, files: {path: "${out}/unread", format: csv}}
  document: {from: document, mode: overwrite, documents: {path: "${out}/document", name: "c-${id}.json", body: body}}
"#;

const PRICED: &str = "select id, customer, amount, 100 / amount as share, note from purchase order by id, note";
const TOTAL: &str = "select customer as id, name, sum(amount) as total, count(*) as orders
    from priced left join customer on priced.customer = customer.id group by customer, name";
const DOCUMENT: &str =
    "select id, json_build_object('id', id, 'total', total, 'orders', json_build_array(orders)) as body from total";

/// A task with its input, and the folder that all machines have.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new(rows: usize) -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        let mut orders = "id,customer,amount,note\n".to_owned();
        for row in 0..rows {
            orders += &match row % 11 {
                3 => format!("{row},x,1.5,wrong customer\n"),
                5 => format!("{row},{},{}.25,\"two\nlines, \"\"quoted\"\"\"\n", row % 7, row % 30),
                7 => format!("{row},{},0,division\n", row % 7),
                8 => format!("{row},1\n"),
                9 => format!("{},{},{},\n", row - 1, row % 7, row % 40),
                _ => format!("{row},{},{}.00,note {row}\n", row % 9, row % 50),
            };
        }
        let customers: String = (0..7).map(|id| format!("{{\"id\": {id}, \"name\": \"c{id}\"}}\n")).collect();
        for (name, text) in [
            ("task.yaml", TASK),
            ("priced.sql", PRICED),
            ("total.sql", TOTAL),
            ("document.sql", DOCUMENT),
            ("in/orders.csv", &orders),
            ("in/customers.jsonl", &customers),
        ] {
            fs::create_dir_all(project.path(name).parent().unwrap()).unwrap();
            fs::write(project.path(name), text).unwrap();
        }
        fs::create_dir(project.path("shared")).unwrap();
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a run; without a cluster it computes its stages itself.
    fn start(&self, name: &str, cluster: Option<&TestCluster>) -> Child {
        self.start_dying(name, cluster, "")
    }

    /// The same, dying at a point.
    fn start_dying(&self, name: &str, cluster: Option<&TestCluster>, point: &str) -> Child {
        let mut command = weir_cluster();
        command.env("WEIR_FAULT", point);
        command.current_dir(self.folder.path()).args(["run", "task.yaml", "--threads=2"]);
        command.arg(format!("--state={name}-state")).arg(format!("--param=out={}", self.path(name).display()));
        if let Some(cluster) = cluster {
            command.args(cluster.options().iter().filter(|option| !option.starts_with("--shared")));
            command.arg(format!("--shared={}", self.path("shared").display()));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn run(&self, name: &str, cluster: Option<&TestCluster>) -> Output {
        self.start(name, cluster).wait_with_output().unwrap()
    }

    /// The lines of the files of each sink, in order, without their headers.
    fn files(&self, name: &str) -> BTreeMap<String, Vec<String>> {
        let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut open = vec![self.path(name)];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    assert!(!entry.file_name().to_string_lossy().starts_with('.'), "{:?} is left", entry.path());
                    open.push(entry.path());
                } else if entry.file_name() != "_SUCCESS" {
                    let below = folder.strip_prefix(self.path(name)).unwrap().display().to_string();
                    let text = fs::read_to_string(entry.path()).unwrap();
                    let rows = text.lines().filter(|line| !line.starts_with("id,") && !line.starts_with("_file,"));
                    files.entry(below).or_default().extend(rows.map(str::to_owned));
                }
            }
        }
        files.values_mut().for_each(|lines| lines.sort());
        files
    }

    /// Waits until something is so in the shared folder.
    fn until(&self, what: &str, is_so: impl Fn(&[PathBuf]) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if is_so(&below(&self.path("shared"))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("not so: {what}");
    }
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.iter().flat_map(|path| below(path)).chain(entries.clone()).collect()
}

fn is_receipt(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
        && path.components().any(|part| part.as_os_str() == "receipts")
}

fn ended(output: &Output, cluster: &TestCluster) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", cluster.logs());
}

/// The table of counts of a run, without what differs from run to run.
fn counts(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split("\nsink ").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_gives_the_same_as_one_process() {
    let project = Project::new(4_000);
    let tls = certificates(project.folder.path(), "all");
    let cluster = TestCluster::start(2, &tls);
    cluster.ready().await;
    let here = project.run("here", None);
    let away = project.run("away", Some(&cluster));
    ended(&away, &cluster);
    assert_eq!(counts(&away), counts(&here));
    let files = project.files("away");
    assert_eq!(files, project.files("here"));
    assert!(files["bad"].iter().any(|row| row.ends_with("division_by_zero")));
    assert_eq!((files["document"].len(), files["unread"].is_empty()), (7, false));
    assert!(below(&project.path("shared")).is_empty(), "the shared folder is empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_is_killed_changes_nothing() {
    let project = Project::new(60_000);
    let mut cluster = TestCluster::start(2, &[]);
    cluster.ready().await;
    let run = project.start("away", Some(&cluster));
    project.until("a part was read", |paths| paths.iter().any(|path| is_receipt(path)));
    cluster.executors[0].kill();
    let away = run.wait_with_output().unwrap();
    ended(&away, &cluster);
    let here = project.run("here", None);
    assert_eq!(counts(&away), counts(&here));
    assert_eq!(project.files("away"), project.files("here"));
    assert!(below(&project.path("shared")).is_empty(), "the shared folder is empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_client_has_left_is_gone_after_the_next_run() {
    let project = Project::new(60_000);
    let cluster = TestCluster::start(2, &[]);
    cluster.ready().await;
    let mut run = project.start("away", Some(&cluster));
    project.until("a part was read", |paths| paths.iter().any(|path| is_receipt(path)));
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(!below(&project.path("shared")).is_empty());
    ended(&project.run("away", Some(&cluster)), &cluster);
    project.run("here", None);
    assert_eq!(project.files("away"), project.files("here"));
    // What the executors still do for the dead client is seen by nobody, and ends with its folder.
    assert!(below(&project.path("shared")).is_empty(), "the shared folder is empty");
    std::thread::sleep(Duration::from_secs(3));
    assert!(below(&project.path("shared")).is_empty(), "the shared folder stays empty");
    assert_eq!(project.files("away"), project.files("here"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_can_die_at_every_point() {
    let project = Project::new(500);
    let cluster = TestCluster::start(1, &[]);
    cluster.ready().await;
    project.run("here", None);
    for point in ["run_told", "job_made", "job_done", "job_done:2", "attempt_taken", "attempt_taken:4"] {
        let died = project.start_dying("away", Some(&cluster), point).wait_with_output().unwrap();
        assert_eq!(died.status.code(), None, "{point}: {}", String::from_utf8_lossy(&died.stderr));
        ended(&project.run("away", Some(&cluster)), &cluster);
        assert_eq!(project.files("away"), project.files("here"), "{point}");
        assert!(below(&project.path("shared")).is_empty(), "{point}: the shared folder is empty");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_can_die_at_every_point() {
    let project = Project::new(2_000);
    project.run("here", None);
    for point in ["split_begun", "split_read", "split_told", "pass_done"] {
        let mut cluster = TestCluster::start(1, &[]);
        cluster.add_dying_executor(point);
        cluster.ready().await;
        let away = project.run("away", Some(&cluster));
        ended(&away, &cluster);
        assert_eq!(project.files("away"), project.files("here"), "{point}");
        assert!(below(&project.path("shared")).is_empty(), "{point}: the shared folder is empty");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_executors_ends_with_an_error_and_publishes_nothing() {
    let project = Project::new(100);
    let mut cluster = TestCluster::start(1, &[]);
    cluster.ready().await;
    cluster.executors[0].kill();
    cluster.restart_scheduler();
    let output = project.run("away", Some(&cluster));
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("executor"), "{text}");
    assert!(project.files("away").is_empty() && below(&project.path("shared")).is_empty());
}
