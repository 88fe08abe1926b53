//! Runs into a table that are killed at any time, or whose server is: the table is unchanged or complete.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use support::{Project, Ran};
use weir_postgres_testing::Cluster;

const ROWS: usize = 20_000;

const TASK: &str = r#"
name: stock
sources:
  delivery:
    files: {path: "in/*.csv", format: csv}
    columns: {item: bigint, amount: bigint}
models:
  stock: stock.sql
sinks:
  stock: {from: stock, mode: merge, primary_key: [item], postgres: {connection: warehouse, table: stock, create: true}}
  mirror: {from: stock, mode: overwrite, primary_key: [item], postgres: {connection: warehouse, table: mirror, create: true}}
  copy: {from: stock, mode: overwrite, files: {path: out/copy, format: csv}}
  again: {from: stock, mode: overwrite, files: {path: out/again, format: csv}}
  refused: {from: stock.rejected, mode: overwrite, files: {path: out/refused, format: csv}}
"#;

struct Warehouse<'a> {
    cluster: &'a Cluster,
    database: String,
    project: Project,
    /// The amount of every row in the current delivery.
    amount: usize,
    random: u64,
}

impl<'a> Warehouse<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let url = cluster.database();
        let project = Project::empty();
        project.file("task.yaml", TASK);
        project.file("stock.sql", "select item, amount from delivery");
        project.file("weir.yaml", format!("connections: {{warehouse: {{postgres: '{url}'}}}}"));
        let database = url.rsplit('/').next().unwrap().to_owned();
        let mut warehouse = Self { cluster, database, project, amount: 0, random: 20_260_101 };
        warehouse.deliver();
        warehouse
    }

    /// Another amount for every item.
    fn deliver(&mut self) {
        self.amount += 1;
        let lines: String = (0..ROWS).map(|item| format!("{item},{}\n", self.amount)).collect();
        self.project.file("in/a.csv", format!("item,amount\n{lines}"));
    }

    fn start(&self) -> Child {
        let mut command =
            self.project.command(&["run", "--task-config", "task.yaml", "--state", ".weir", "--threads", "2"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn run(&self) {
        Ran::of(self.start().wait_with_output().unwrap()).ended(0, "done: `stock`");
    }

    /// The duration of a run that merges into a full table.
    fn time_of_a_merge(&mut self) -> Duration {
        self.run();
        self.deliver();
        let started = Instant::now();
        self.run();
        started.elapsed()
    }

    fn some_time(&mut self, most: Duration) -> Duration {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        most.mul_f64((self.random >> 11) as f64 / (1_u64 << 53) as f64)
    }

    /// The amount of all rows; fails unless all rows are there with the same amount, in both tables.
    #[track_caller]
    fn whole(&self) -> usize {
        let both = "select count(*), min(amount), max(amount) from (select * from stock union all select * from mirror) as all_rows";
        let found = self.cluster.sql(&self.database, both);
        let found: Vec<usize> = found.split('|').map(|value| value.parse().unwrap()).collect();
        assert!(found[0] == 2 * ROWS && found[1] == found[2], "{found:?}");
        found[1]
    }

    /// Ends what a dead run has left; fails unless all tables and folders hold the same run then.
    #[track_caller]
    fn check_recovered(&self) {
        let recover = ["recover", "--retry", "--task-config", "task.yaml", "--state", ".weir"];
        self.project.weir(&recover).ended(0, "");
        let amount = format!(",{}", self.whole());
        for folder in ["copy", "again"] {
            let rows = self.project.rows(&format!("out/{folder}"));
            assert!(
                rows.len() == ROWS + 1 && rows[1..].iter().all(|row| row.ends_with(&amount)),
                "{folder}: {}",
                rows[1]
            );
        }
        assert_eq!(self.project.left("out"), ["again", "copy", "refused"]);
    }

    /// Fails unless the next run publishes its rows, and nothing is left of the dead runs.
    #[track_caller]
    fn check_the_next_run_is_whole(&mut self) {
        self.deliver();
        self.run();
        assert_eq!(self.whole(), self.amount);
        let tables = "select tablename from pg_tables where schemaname = 'weir'";
        assert_eq!(self.cluster.sql(&self.database, tables), "applied");
        assert_eq!(self.project.left("out"), ["again", "copy", "refused"]);
        assert_eq!(self.project.left(".weir/scratch"), [""; 0]);
    }
}

#[test]
fn a_run_that_is_killed_at_any_time_leaves_the_table_unchanged_or_complete() {
    let cluster = Cluster::start();
    let mut warehouse = Warehouse::new(&cluster);
    let takes = warehouse.time_of_a_merge();
    let mut applied = 0;
    for _ in 0..kills() {
        let before = warehouse.whole();
        warehouse.deliver();
        let mut run = warehouse.start();
        std::thread::sleep(warehouse.some_time(takes));
        run.kill().unwrap();
        run.wait().unwrap();
        let after = warehouse.whole();
        // The previous start may have been killed after its commit record: then this one has rolled it forward.
        assert!((before..=warehouse.amount).contains(&after), "{before}, {after}, {}", warehouse.amount);
        applied += usize::from(after > before);
        warehouse.check_recovered();
    }
    warehouse.check_the_next_run_is_whole();
    assert!(applied < kills(), "no kill came before the end of its run");
}

/// `WEIR_KILLS=1000 cargo test -p weir --test postgres_kills` kills more often.
fn kills() -> usize {
    std::env::var("WEIR_KILLS").map_or(50, |kills| kills.parse().unwrap())
}

#[test]
fn a_server_that_is_killed_at_any_time_leaves_the_table_unchanged_or_complete() {
    let cluster = Cluster::start();
    let mut warehouse = Warehouse::new(&cluster);
    let takes = warehouse.time_of_a_merge();
    for _ in 0..12 {
        let before = warehouse.whole();
        warehouse.deliver();
        let run = warehouse.start();
        std::thread::sleep(warehouse.some_time(takes));
        cluster.kill();
        cluster.launch();
        let ran = Ran::of(run.wait_with_output().unwrap());
        let after = warehouse.whole();
        assert!([before, warehouse.amount].contains(&after), "{before}, {after}, {}", warehouse.amount);
        if ran.code == Some(0) {
            assert_eq!(after, warehouse.amount, "{ran:#?}");
        }
    }
    warehouse.check_the_next_run_is_whole();
}
