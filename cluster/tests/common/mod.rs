//! A cluster of processes on this machine.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{Int64Array, RecordBatch, StringViewArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::{SessionConfig, SessionContext};
use weir::cluster::{Cluster, Job, JobFailed};

/// A process that is killed at the end of a test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Sends SIGTERM and waits for the end; returns the exit code.
    pub fn end(&mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(15);
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the process does not end");
    }

    /// Stops the process, as if its machine were cut off, or lets it go on.
    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), signal).unwrap();
    }

    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

pub fn weir_cluster() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir-cluster"));
    for name in
        ["WEIR_CLUSTER", "WEIR_CLUSTER_SHARED", "WEIR_CLUSTER_TLS_CERT", "WEIR_CLUSTER_TLS_KEY", "WEIR_CLUSTER_TLS_CA"]
    {
        command.env_remove(name);
    }
    command
}

/// A scheduler and its executors.
pub struct TestCluster {
    pub folder: tempfile::TempDir,
    pub scheduler: Process,
    pub executors: Vec<Process>,
    pub port: u16,
    tls: Vec<String>,
}

impl TestCluster {
    pub fn start(executors: usize, tls: &[String]) -> Self {
        Self::start_with(executors, tls, &[])
    }

    /// Starts a cluster whose executors have two cores and these options.
    pub fn start_with(executors: usize, tls: &[String], options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let scheduler = scheduler(&folder.path().join("scheduler.log"), port, tls);
        let mut cluster = Self { folder, scheduler, executors: vec![], port, tls: tls.to_vec() };
        for _ in 0..executors {
            cluster.add_executor(options);
        }
        cluster
    }

    /// Starts the scheduler again, which knows nothing then.
    pub fn restart_scheduler(&mut self) {
        self.scheduler.kill();
        self.scheduler = scheduler(&self.folder.path().join("scheduler-again.log"), self.port, &self.tls);
    }

    pub fn add_executor(&mut self, options: &[&str]) {
        self.add(options, "");
    }

    /// An executor that dies at a point.
    pub fn add_dying_executor(&mut self, point: &str) {
        self.add(&[], point);
    }

    fn add(&mut self, options: &[&str], point: &str) {
        let number = self.executors.len();
        let log = std::fs::File::create(self.folder.path().join(format!("executor-{number}.log"))).unwrap();
        let mut command = weir_cluster();
        command.env("WEIR_FAULT", point);
        command.args(["executor", "--scheduler", &self.url(), "--cores", "2"]).args(&self.tls).args(options);
        command.arg("--work-dir").arg(self.work_dir(number));
        self.executors.push(Process(command.stderr(log).stdin(Stdio::null()).spawn().unwrap()));
    }

    pub fn work_dir(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("work-{number}"))
    }

    pub fn url(&self) -> String {
        format!("{}://localhost:{}", if self.tls.is_empty() { "http" } else { "https" }, self.port)
    }

    pub fn options(&self) -> Vec<String> {
        let mut options =
            vec![format!("--cluster={}", self.url()), format!("--shared={}", self.folder.path().display())];
        options.extend(self.tls.iter().cloned());
        options
    }

    /// Those of this process, which is another program.
    fn own_options(&self) -> Vec<String> {
        let program = format!("--program={}", env!("CARGO_BIN_EXE_weir-cluster"));
        self.options().into_iter().chain([program]).collect()
    }

    pub fn connect(&self) -> Arc<dyn Cluster> {
        weir_cluster::connect(self.own_options()).unwrap().unwrap()
    }

    /// Waits until all executors are there.
    pub async fn ready(&self) {
        self.until("all executors are there", |status| {
            status["executors"].as_array().is_some_and(|executors| executors.len() == self.executors.len())
        })
        .await;
    }

    /// Waits until the status is as wanted.
    pub async fn until(&self, what: &str, is_so: impl Fn(&serde_json::Value) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(40);
        let mut last = String::new();
        while Instant::now() < deadline {
            let mut command = weir_cluster();
            command.args(["status", "--json", "--cluster", &self.url()]).args(&self.tls);
            let output = command.output().unwrap();
            last = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            if serde_json::from_slice(&output.stdout).is_ok_and(|status| is_so(&status)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("not so: {what}; the status is {last}; the logs:\n{}", self.logs());
    }

    pub fn logs(&self) -> String {
        let files = std::fs::read_dir(self.folder.path()).unwrap().flatten().map(|entry| entry.path());
        let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.map(|path| format!("{}:\n{}", path.display(), std::fs::read_to_string(&path).unwrap())).collect()
    }
}

fn scheduler(log: &Path, port: u16, tls: &[String]) -> Process {
    let mut command = weir_cluster();
    command.args(["scheduler", "--bind", &format!("127.0.0.1:{port}")]).args(tls);
    Process(command.stderr(std::fs::File::create(log).unwrap()).stdin(Stdio::null()).spawn().unwrap())
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A table of numbers with texts, in partitions.
fn table(rows: i64, partitions: i64) -> MemTable {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("part", DataType::Int64, false),
        Field::new("text", DataType::Utf8View, true),
    ]));
    let batch = |partition: i64| {
        let ids: Vec<i64> = (0..rows).filter(|id| id % partitions == partition).collect();
        let texts = ids.iter().map(|id| (id % 11 != 0).then(|| format!("the text of number {}", id % 101)));
        RecordBatch::try_new(
            schema.clone(),
            vec![
                Arc::new(Int64Array::from(ids.clone())),
                Arc::new(Int64Array::from_iter_values(ids.iter().map(|id| id % 7))),
                Arc::new(StringViewArray::from_iter(texts)),
            ],
        )
        .unwrap()
    };
    MemTable::try_new(schema.clone(), (0..partitions).map(|partition| vec![batch(partition)]).collect()).unwrap()
}

/// A session with tables `many` (of that many rows), `few`, and `one`, whose rows are not in partitions.
pub fn context(config: SessionConfig, many: i64) -> SessionContext {
    let context = SessionContext::new_with_config(config);
    context.register_table("many", Arc::new(table(many, 8))).unwrap();
    context.register_table("few", Arc::new(table(100, 2))).unwrap();
    context.register_table("one", Arc::new(table(50, 1))).unwrap();
    context
}

pub async fn plan(context: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
    let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    if plan.output_partitioning().partition_count() == 1 { plan } else { Arc::new(CoalescePartitionsExec::new(plan)) }
}

/// Computes a query on the cluster.
pub async fn compute(cluster: &dyn Cluster, sql: &str, many: i64) -> Result<Vec<RecordBatch>, JobFailed> {
    compute_with(cluster, cluster.configure(SessionConfig::new().with_target_partitions(6)), sql, many).await
}

/// The same with an exchange below every join.
pub async fn compute_with_exchanges(
    cluster: &dyn Cluster,
    sql: &str,
    many: i64,
) -> Result<Vec<RecordBatch>, JobFailed> {
    let config = cluster.configure(SessionConfig::new().with_target_partitions(6));
    let config = config
        .set_usize("ballista.optimizer.broadcast_join_threshold_bytes", 0)
        .set_usize("datafusion.optimizer.hash_join_single_partition_threshold", 0)
        .set_usize("datafusion.optimizer.hash_join_single_partition_threshold_rows", 0);
    compute_with(cluster, config, sql, many).await
}

async fn compute_with(
    cluster: &dyn Cluster,
    config: SessionConfig,
    sql: &str,
    many: i64,
) -> Result<Vec<RecordBatch>, JobFailed> {
    let plan = plan(&context(config.clone(), many), sql).await;
    cluster.compute(Job { name: "test".to_owned(), plan, config }).await
}

/// Computes a query here.
pub async fn compute_here(sql: &str, many: i64) -> Vec<RecordBatch> {
    context(SessionConfig::new(), many).sql(sql).await.unwrap().collect().await.unwrap()
}

/// The rows of batches as text, in order.
pub fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let text = pretty_format_batches(batches).unwrap().to_string();
    let mut rows: Vec<String> = text.lines().filter(|line| line.starts_with('|')).map(str::to_owned).collect();
    rows.sort();
    rows
}

/// Certificates for this machine, signed by an authority of their own; as options.
pub fn certificates(folder: &Path, name: &str) -> Vec<String> {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority_cert = authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let own = own.signed_by(&own_key, &issuer).unwrap();
    let write = |option: &str, text: String| {
        let path = folder.join(format!("{name}-{option}.pem"));
        std::fs::write(&path, text).unwrap();
        format!("--tls-{option}={}", path.display())
    };
    vec![write("cert", own.pem()), write("key", own_key.serialize_pem()), write("ca", authority_cert.pem())]
}
