//! Stages that other machines compute, without machines: plans go through the form in which they travel, and are executed in
//! this process. What comes out is held against a run that computes its stages itself.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use weir::arrow::array::RecordBatch;
use weir::cluster::{Cluster, Host, Job, JobFailed, encode};
use weir::datafusion::common::tree_node::{Transformed, TreeNode};
use weir::datafusion::physical_plan::{ExecutionPlan, collect};
use weir::datafusion::prelude::{SessionConfig, SessionContext};
use weir::fetch::async_trait;
use weir::task::ParamChoice;
use weir::{Report, Runner, Task};

/// Machines that are this process.
#[derive(Debug)]
struct Loopback {
    shared: PathBuf,
    host: Host,
    partitions: usize,
    split_bytes: u64,
    /// How often each plan is executed; only the last time counts.
    times: usize,
    /// How many jobs fail before they are executed.
    failures: AtomicUsize,
    jobs: AtomicUsize,
}

impl Loopback {
    fn new(shared: &Path) -> Self {
        Self {
            shared: shared.to_owned(),
            host: weir::Cli::new("weir").host(),
            partitions: 3,
            split_bytes: 64,
            times: 1,
            failures: AtomicUsize::new(0),
            jobs: AtomicUsize::new(0),
        }
    }

    fn travelled(&self, plan: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        let through = |node: Arc<dyn ExecutionPlan>| match encode(&node)? {
            None => Ok(Transformed::no(node)),
            Some(bytes) => {
                let inputs: Vec<_> = node.children().into_iter().cloned().collect();
                Ok(Transformed::yes(self.host.decode(&bytes, &inputs)?))
            }
        };
        plan.clone().transform_up(through).unwrap().data
    }
}

#[async_trait]
impl Cluster for Loopback {
    fn shared_folder(&self) -> &Path {
        &self.shared
    }

    async fn partitions(&self) -> weir::Result<usize> {
        Ok(self.partitions)
    }

    fn split_bytes(&self) -> u64 {
        self.split_bytes
    }

    fn configure(&self, mut config: SessionConfig) -> SessionConfig {
        config.options_mut().optimizer.enable_physical_uncorrelated_scalar_subquery = false;
        config.options_mut().optimizer.enable_dynamic_filter_pushdown = false;
        config.with_round_robin_repartition(false)
    }

    async fn compute(&self, job: Job) -> Result<Vec<RecordBatch>, JobFailed> {
        self.jobs.fetch_add(1, Ordering::Relaxed);
        let runtime = Host::runtime(None, 2, &self.shared).unwrap();
        let context = SessionContext::new_with_state(self.host.session(job.config.clone(), runtime).unwrap());
        for time in 1..=self.times {
            let plan = self.travelled(&job.plan);
            let result = collect(plan, context.task_ctx()).await;
            let fails = self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            if fails.is_ok() {
                return Err(JobFailed("a machine was lost".into()));
            }
            match result {
                Ok(batches) if time == self.times => return Ok(batches),
                Ok(_) => {}
                Err(error) => return Err(JobFailed(format!("Job failed: {error}"))),
            }
        }
        unreachable!()
    }
}

/// A task, and what it reads.
struct Case {
    folder: tempfile::TempDir,
}

/// What a run has left: the lines of each sink's files sorted, and what its report counts.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    files: BTreeMap<String, Vec<String>>,
    counts: Vec<String>,
    breaches: Vec<String>,
    error: Option<String>,
}

impl Case {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, state: &str, cluster: Option<Arc<Loopback>>) -> Outcome {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_stack_size(16 << 20)
            .enable_all()
            .build()
            .unwrap();
        let choice = ParamChoice {
            values: vec![("out".into(), self.path(state).display().to_string())],
            ..ParamChoice::default()
        };
        let task = Task::load(&self.path("task.yaml"), &choice).unwrap();
        let mut runner = Runner::new(self.path(&format!("{state}-state"))).threads(2);
        if let Some(cluster) = cluster {
            runner = runner.cluster(cluster);
        }
        let (report, error) = match runtime.block_on(runner.run(&task)) {
            Ok(report) => (report, None),
            Err(failed) => (failed.report, Some(failed.error.to_string())),
        };
        Outcome { files: self.files(state), counts: counts(&report), breaches: report.breaches, error }
    }

    /// The lines of the files of each sink, and the columns and rows of its manifest.
    fn files(&self, state: &str) -> BTreeMap<String, Vec<String>> {
        let mut files = BTreeMap::new();
        let root = self.path(state);
        let mut open = vec![root.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                    continue;
                }
                let below = folder.strip_prefix(&root).unwrap().display().to_string();
                let name = entry.file_name().into_string().unwrap();
                let text = fs::read(entry.path()).unwrap();
                let (key, lines) = if name == "_SUCCESS" {
                    let manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
                    let of = |key: &str| manifest[key].to_string();
                    let named = manifest["files"].as_array().unwrap();
                    assert!(named.iter().all(|file| folder.join(file.as_str().unwrap()).exists()), "{manifest}");
                    (format!("{below} manifest"), vec![format!("{} {} {}", of("rows"), of("columns"), of("mode"))])
                } else if name.ends_with(".parquet") {
                    continue;
                } else {
                    (below, String::from_utf8(text).unwrap().lines().map(str::to_owned).collect())
                };
                files.entry(key).or_insert_with(Vec::new).extend(lines);
            }
        }
        for lines in files.values_mut() {
            // Each file has a header.
            lines.sort();
            lines.dedup_by(|one, other| {
                one == other && (*one == "id" || one.starts_with("id,") || one.starts_with("_file,"))
            });
        }
        files
    }

    /// Runs the task here and by a cluster, twice each, and compares.
    fn compare(&self, cluster: impl Fn(Loopback) -> Loopback) -> Outcome {
        let here = self.run("here", None);
        let shared = tempfile::tempdir().unwrap();
        let cluster = Arc::new(cluster(Loopback::new(shared.path())));
        let away = self.run("away", Some(cluster.clone()));
        assert_eq!(away, here);
        assert!(cluster.jobs.load(Ordering::Relaxed) > 0, "nothing was computed by the cluster");
        assert_eq!(self.run("away", Some(cluster)), self.run("here", None), "a second run");
        assert_eq!(fs::read_dir(shared.path()).unwrap().count(), 0, "the shared folder is empty");
        let left: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .chain(fs::read_dir(self.path("away")).into_iter().flatten())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains(".weir-") || name.contains("attempts"))
            .collect();
        assert_eq!(left, Vec::<String>::new());
        here
    }
}

fn counts(report: &Report) -> Vec<String> {
    let tables = report.tables.iter().map(|table| {
        let reasons: Vec<String> =
            table.reasons.iter().map(|reason| format!("{} {} {}", reason.name, reason.effect, reason.rows)).collect();
        format!("{}: {} {} {} {reasons:?}", table.table, table.rows, table.accepted, table.rejected)
    });
    let outputs = report.outputs.iter().map(|output| format!("{}: {}", output.sink, output.rows));
    tables.chain(outputs).collect()
}

const TASK: &str = r#"
name: orders
params: {out: {type: string}}
sources:
  purchase:
    files: {path: "in/orders*.csv", format: csv}
    columns: {id: bigint, customer: bigint, amount: 'decimal(10,2)', note: string}
  customer:
    files: {path: in/customers.jsonl, format: jsonl}
    columns: {id: bigint, name: string}
models: {priced: priced.sql, total: total.sql}
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
"#;

const PRICED: &str = "select id, customer, amount, 100 / amount as share, note from purchase";
const TOTAL: &str = "select customer as id, name, sum(amount) as total, count(*) as orders
    from priced left join customer on priced.customer = customer.id group by customer, name";

fn orders(rows: usize) -> String {
    let mut text = "id,customer,amount,note\n".to_owned();
    for row in 0..rows {
        let line = match row % 11 {
            3 => format!("{row},x,1.5,wrong customer\n"),
            5 => format!("{row},{},{}.25,\"two\nlines, \"\"quoted\"\"\"\n", row % 7, row % 30),
            7 => format!("{row},{},0,division\n", row % 7),
            8 => format!("{row},1\n"),
            9 => format!("{},{},{},\n", row - 1, row % 7, row % 40),
            _ => format!("{row},{},{}.00,note {row}\n", row % 9, row % 50),
        };
        text.push_str(&line);
    }
    text
}

fn customers() -> String {
    (0..7).map(|id| format!("{{\"id\": {id}, \"name\": \"c{id}\"}}\n")).collect()
}

fn case(rows: usize) -> Case {
    let (orders, customers) = (orders(rows), customers());
    Case::new(&[
        ("task.yaml", TASK),
        ("priced.sql", PRICED),
        ("total.sql", TOTAL),
        ("in/orders1.csv", &orders),
        ("in/orders2.csv", "id,customer,amount,note\n"),
        ("in/customers.jsonl", &customers),
    ])
}

#[test]
fn stages_give_the_same_rows_rejects_and_counts_as_here() {
    let outcome = case(300).compare(|cluster| cluster);
    assert_eq!(outcome.error, None);
    assert!(outcome.files["bad"].iter().any(|row| row.contains("division_by_zero")), "{outcome:#?}");
    assert!(outcome.files["unread"].len() > 20 && outcome.files["unknown"].len() > 1, "{outcome:#?}");
    assert!(outcome.files.contains_key("total/name=c3"), "{outcome:#?}");
}

#[test]
fn attempts_that_nobody_waits_for_leave_nothing() {
    let outcome = case(100).compare(|cluster| Loopback { times: 2, ..cluster });
    assert_eq!(outcome.error, None);
}

#[test]
fn a_lost_machine_costs_a_second_job() {
    let outcome = case(100).compare(|cluster| Loopback { failures: AtomicUsize::new(2), ..cluster });
    assert_eq!(outcome.error, None);
    let case = case(50);
    let shared = tempfile::tempdir().unwrap();
    let cluster = Loopback { failures: AtomicUsize::new(3), ..Loopback::new(shared.path()) };
    let outcome = case.run("away", Some(Arc::new(cluster)));
    assert!(outcome.error.unwrap().contains("3 times: a machine was lost"));
    assert_eq!((outcome.files.len(), fs::read_dir(shared.path()).unwrap().count()), (0, 0));
}

#[test]
fn what_a_query_does_not_read_is_counted_all_the_same() {
    let case = case(300);
    fs::write(case.path("priced.sql"), format!("{PRICED} limit 10")).unwrap();
    fs::write(case.path("total.sql"), "select id, note as name from priced").unwrap();
    let shared = tempfile::tempdir().unwrap();
    let task = TASK.replace(
        "  customer:\n    files: {path: in/customers.jsonl, format: jsonl}\n    columns: {id: bigint, name: string}\n",
        "",
    );
    fs::write(case.path("task.yaml"), task).unwrap();
    let here = case.run("here", None);
    let away = case.run("away", Some(Arc::new(Loopback::new(shared.path()))));
    assert_eq!(here.error, None);
    assert_eq!((&away.files["unread"], &away.counts[0]), (&here.files["unread"], &here.counts[0]));
}

#[test]
fn errors_come_back_as_they_are() {
    let fails = |task: &str, sql: &str| {
        let case = case(100);
        fs::write(case.path("task.yaml"), task).unwrap();
        fs::write(case.path("priced.sql"), sql).unwrap();
        let shared = tempfile::tempdir().unwrap();
        let cluster = Arc::new(Loopback::new(shared.path()));
        let (here, away) = (case.run("here", None), case.run("away", Some(cluster)));
        // How many rows were judged before the run ended, and which record came first, is a matter of chance.
        let plain = |error: &Option<String>| {
            let text = error.clone().unwrap_or_default().replace(|c: char| c.is_ascii_digit(), "");
            text.split(" cannot be read").next().unwrap_or_default().to_owned()
        };
        assert_eq!(plain(&away.error), plain(&here.error));
        assert_eq!((away.files.len(), fs::read_dir(shared.path()).unwrap().count()), (0, 0));
        here.error.unwrap()
    };
    let rule = TASK
        .replace("round: \"amount % 10 = 0\"", "ids2: {not_null: [id]}")
        .replace("  total: {reject", "    fail_unless: {never: id < 0}\n  total: {reject");
    assert!(fails(&rule, PRICED).contains("`never` (fail_unless) failed"), "a rule");
    let unread = TASK.replace(
        "  unread: {from: purchase.rejected, mode: overwrite, files: {path: \"${out}/unread\", format: csv}}\n",
        "",
    );
    assert!(fails(&unread, PRICED).contains("a record cannot be read"), "a record");
    let below = "select customer as id, customer, sum(amount) as amount, max(100 / amount) as share, max(note) as note
        from purchase group by customer";
    assert!(fails(TASK, below).contains("a row cannot be computed"), "a row below an aggregate");
}

#[test]
fn ordered_rows_and_scalar_subqueries_reject_rows_alone() {
    let case = case(200);
    let of_customers =
        "where amount >= (select min(id) from customer) and id > (select count(*) from customer where id < 0)";
    fs::write(case.path("priced.sql"), format!("{PRICED} {of_customers} order by id, note")).unwrap();
    let outcome = case.compare(|cluster| cluster);
    assert_eq!(outcome.error, None);
    assert!(outcome.files["bad"].iter().any(|row| row.contains("division_by_zero")), "{outcome:#?}");
}

#[test]
fn a_plan_says_where_each_stage_is_computed() {
    let case = case(20);
    let task = TASK.replace(
        "{from: total, mode: overwrite, partition_by: [name], files: {path: \"${out}/total\", format: jsonl}}",
        "{from: total, mode: overwrite, files: {file: \"${out}/total.csv\", format: csv}}",
    );
    fs::write(case.path("task.yaml"), task).unwrap();
    let shared = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let choice = ParamChoice { values: vec![("out".into(), "out".into())], ..ParamChoice::default() };
    let task = Task::load(&case.path("task.yaml"), &choice).unwrap();
    let runner = Runner::new(case.path("state")).cluster(Arc::new(Loopback::new(shared.path())));
    let plan = runtime.block_on(runner.plan(&task)).unwrap();
    let computed: Vec<_> = plan.stages.iter().map(|stage| stage.computed.as_deref().unwrap()).collect();
    assert_eq!(computed, ["by the cluster", "in this process: sink `total` is written by one process"]);
    let outcome = case.run("away", Some(Arc::new(Loopback::new(shared.path()))));
    assert_eq!((outcome.error, outcome.files.contains_key("good")), (None, true));
}

#[test]
fn parquet_avro_and_compressed_files_are_read_in_parts() {
    let case = Case::new(&[
        (
            "make.yaml",
            "name: make\nsources:\n  n: {files: {path: in/n.csv, format: csv}, columns: {id: bigint, name: string}}\nsinks:\n  \
             p: {from: n, mode: overwrite, files: {path: p, format: parquet, row_group_rows: 50}}\n  \
             z: {from: n, mode: overwrite, files: {path: z, format: csv, compression: gzip}}\n",
        ),
        (
            "task.yaml",
            "name: read\nparams: {out: {type: string}}\nsources:\n  \
             p: {files: {path: 'p/*.parquet', format: parquet}, columns: {id: bigint, name: string}}\n  \
             z: {files: {path: 'z/*.gz', format: csv}, columns: {id: integer, name: string}}\n\
             models: {both: both.sql}\nsinks:\n  \
             both: {from: both, mode: overwrite, files: {path: '${out}/both', format: csv}}\n  \
             bad: {from: p.rejected, mode: overwrite, files: {path: '${out}/bad', format: csv}}\n  \
             bad_z: {from: z.rejected, mode: overwrite, files: {path: '${out}/bad_z', format: csv}}\n",
        ),
        ("both.sql", "select p.id, z.name from p join z on p.id = z.id"),
        ("in/n.csv", &(0..400).map(|n| format!("{n},name {n}\n")).fold("id,name\n".to_owned(), |all, row| all + &row)),
    ]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let make = Task::load(&case.path("make.yaml"), &ParamChoice::default()).unwrap();
    runtime.block_on(Runner::new(case.path("make-state")).threads(2).run(&make)).unwrap();
    let outcome = case.compare(|cluster| cluster);
    assert_eq!(outcome.error, None);
    assert_eq!(outcome.files["both"].len(), 401);
}

#[test]
fn appended_files_are_added_once() {
    let task = "name: append\nparams: {out: {type: string}}\nsources:\n  \
        n: {files: {path: 'in/*.csv', format: csv}, read: new, columns: {id: bigint, day: date}}\nsinks:\n  \
        all: {from: n, mode: append, files: {path: '${out}/all', format: csv}}\n  \
        days: {from: n, mode: append, partition_by: [day], files: {path: '${out}/days', format: csv}}\n";
    let rows = |from: usize| {
        (from..from + 90)
            .map(|n| format!("{n},2026-01-0{}\n", n % 3 + 1))
            .fold("id,day\n".to_owned(), |all, row| all + &row)
    };
    let case = Case::new(&[("task.yaml", task), ("in/a.csv", &rows(0))]);
    case.compare(|cluster| cluster);
    fs::write(case.path("in/b.csv"), rows(90)).unwrap();
    let outcome = case.compare(|cluster| Loopback { times: 2, ..cluster });
    assert_eq!(outcome.error, None);
    assert_eq!(outcome.files["all"].len(), 181);
    assert_eq!(outcome.files["days/day=2026-01-02"].len(), 61);
}

#[test]
fn documents_are_written_by_several_processes() {
    let task = "name: documents\nparams: {out: {type: string}}\nsources:\n  \
        n: {files: {path: in/n.csv, format: csv}, columns: {id: bigint, name: string}}\n\
        models: {doc: doc.sql}\nsinks:\n  \
        doc: {from: doc, mode: overwrite, documents: {path: '${out}/docs', name: 'n-${id}.json', body: body}}\n";
    let rows: String = (0..200).map(|n| format!("{n},name {n}\n")).collect();
    let case = Case::new(&[
        ("task.yaml", task),
        ("doc.sql", "select id, json_build_object('id', id, 'name', name) as body from n"),
        ("in/n.csv", &format!("id,name\n{rows}")),
    ]);
    let outcome = case.compare(|cluster| Loopback { times: 2, ..cluster });
    assert_eq!(outcome.error, None);
    assert_eq!(outcome.files["docs"].len(), 200);
    // Two rows of one name are told, also where two processes have written them.
    fs::write(case.path("in/n.csv"), format!("id,name\n{rows}0,again\n")).unwrap();
    let shared = tempfile::tempdir().unwrap();
    let error = case.run("away", Some(Arc::new(Loopback::new(shared.path())))).error.unwrap();
    assert!(error.contains("2 rows"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_text_and_any_parts_give_the_same(
        pieces in prop::collection::vec(prop::sample::select(vec!["1", "a", ",", ",", "\n", "\n", "\"", "\"\"", "\"\n\"", "\r\n", "é"]), 0..150),
        split_bytes in 1_u64..60,
        partitions in 1_usize..5,
    ) {
        let task = "name: any\nparams: {out: {type: string}}\nsources:\n  \
            n: {files: {path: in/n.csv, format: csv}, columns: {id: {type: bigint, on_invalid: set_null}, b: string, line: {type: bigint, from: line}}}\n\
            models: {m: m.sql}\nsinks:\n  \
            m: {from: m, mode: overwrite, publish: always, files: {path: '${out}/m', format: jsonl}}\n  \
            bad: {from: n.rejected, mode: overwrite, publish: always, files: {path: '${out}/bad', format: jsonl}}\n";
        let case = Case::new(&[
            ("task.yaml", task),
            ("m.sql", "select id, b, line from n"),
            ("in/n.csv", &format!("id,b\n1,x\n{}", pieces.concat())),
        ]);
        case.compare(|cluster| Loopback { split_bytes, partitions, ..cluster });
    }
}
