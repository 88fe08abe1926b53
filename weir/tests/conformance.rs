//! The guarantees of every kind of target. A new kind is a line in [`kinds`]; a new guarantee is a test here.
#![allow(clippy::unwrap_used)]
// The points at which a run can be made to die exist in debug builds only.
#![cfg(debug_assertions)]

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

#[cfg(feature = "object-stores")]
use support::s3::{S3, SECRET};
use support::{Project, Ran};
use weir_mysql_testing::Server;
use weir_postgres_testing::Cluster;

/// A run that fails must have ended after this time, whatever its target is.
const WATCHDOG: Duration = Duration::from_secs(60);

/// A kind of target, in a project of its own.
trait Kind {
    /// The name of the kind.
    fn name(&self) -> &'static str;

    /// The project with the task.
    fn project(&self) -> &Project;

    /// The YAML of the target.
    fn target(&self) -> String;

    /// Keys of the task that belong to the kind.
    fn settings(&self) -> &'static str {
        ""
    }

    /// The rows of a large delivery.
    fn many(&self) -> usize {
        60_000
    }

    /// Whether it can be written in a mode.
    fn takes(&self, mode: &str) -> bool;

    /// The rows that a reader finds, sorted; none if there is no target.
    fn rows(&self) -> Option<Vec<String>>;

    /// The files or tables left of a run next to the target.
    fn left(&self) -> Vec<String>;

    /// Removes the target.
    fn reset(&self);

    /// Puts content there that no run has written; returns the message with which a run refuses it.
    fn put_foreign(&self) -> &'static str;

    /// Whether the foreign content is unchanged.
    fn has_foreign(&self) -> bool;

    /// Puts content there that a run could have written, and none has; returns the message with which `overwrite` refuses it.
    fn put_rows_of_others(&self) -> &'static str;

    /// Makes the target refuse a run; returns a part of the message.
    fn refuse(&self) -> &'static str;

    /// Removes what a run has prepared.
    fn lose_prepared(&self);

    /// Takes the target away from under a run, and brings it back: a server that crashes and starts again, a folder that is
    /// removed.
    fn lose(&self);
}

/// A new target of every kind.
fn kinds() -> Vec<Box<dyn Kind>> {
    vec![
        Box::new(Folder::new("")),
        Box::new(Folder::new("replace_folder: out")),
        Box::new(Documents::new("")),
        Box::new(Documents::new("replace_folder: out")),
        Box::new(Partitions::new()),
        Box::new(File(Project::empty())),
        #[cfg(feature = "object-stores")]
        Box::new(Bucket::of(Objects::Files)),
        #[cfg(feature = "object-stores")]
        Box::new(Bucket::of(Objects::Partitions)),
        #[cfg(feature = "object-stores")]
        Box::new(Bucket::of(Objects::Documents)),
        Box::new(Postgres::new("postgres")),
        Box::new(Postgres::new("redshift")),
        Box::new(MySql::new()),
    ]
}

/// The same, of which nothing is shared with other tests.
fn kinds_to_lose() -> Vec<Box<dyn Kind>> {
    vec![
        Box::new(Folder::new("")),
        Box::new(Folder::new("replace_folder: out")),
        Box::new(Documents::new("")),
        Box::new(Documents::new("replace_folder: out")),
        Box::new(Partitions::new()),
        Box::new(File(Project::empty())),
        #[cfg(feature = "object-stores")]
        Box::new(Bucket::of(Objects::Files)),
        #[cfg(feature = "object-stores")]
        Box::new(Bucket::of(Objects::Partitions)),
        #[cfg(feature = "object-stores")]
        Box::new(Bucket::of(Objects::Documents)),
        Box::new(Postgres::alone("postgres")),
        Box::new(Postgres::alone("redshift")),
        Box::new(MySql::alone()),
    ]
}

struct Folder {
    project: Project,
    settings: &'static str,
}

impl Folder {
    fn new(settings: &'static str) -> Self {
        Self { project: Project::empty(), settings }
    }
}

impl Kind for Folder {
    fn name(&self) -> &'static str {
        if self.settings.is_empty() { "folder" } else { "folder that is replaced with its parent" }
    }

    fn settings(&self) -> &'static str {
        self.settings
    }

    fn takes(&self, mode: &str) -> bool {
        mode == "overwrite" || self.settings.is_empty() && mode == "append"
    }

    fn project(&self) -> &Project {
        &self.project
    }

    fn target(&self) -> String {
        "files: {path: out/stock, format: csv}".to_owned()
    }

    fn rows(&self) -> Option<Vec<String>> {
        let folder = self.project.path("out/stock");
        folder.exists().then(|| support::rows(&folder).into_iter().skip(1).collect())
    }

    fn left(&self) -> Vec<String> {
        let of_parent = self.project.left("").into_iter().filter(|name| name.starts_with(".out."));
        of_parent.chain(self.project.left("out").into_iter().filter(|name| name.starts_with('.'))).collect()
    }

    fn reset(&self) {
        let _ = fs::remove_dir_all(self.project.path("out"));
    }

    fn put_foreign(&self) -> &'static str {
        self.project.file("out/stock/diary.txt", "mine");
        "diary.txt: was not written by a run of this task"
    }

    fn has_foreign(&self) -> bool {
        fs::read_to_string(self.project.path("out/stock/diary.txt")).is_ok_and(|text| text == "mine")
    }

    fn put_rows_of_others(&self) -> &'static str {
        self.project.file("out/stock/part-00000.csv", "item,amount\nmine,1\n");
        "part-00000.csv: was not written by a run of this task"
    }

    fn refuse(&self) -> &'static str {
        self.reset();
        self.project.file("out", "a file in the place of the folder");
        "sink `stock`: "
    }

    fn lose_prepared(&self) {
        for name in self.left().into_iter().filter(|name| !name.ends_with("-lock")) {
            let folder = if name.starts_with(".out.") { name } else { format!("out/{name}") };
            fs::remove_dir_all(self.project.path(&folder)).unwrap();
        }
    }

    fn lose(&self) {
        self.reset();
    }
}

/// A folder of documents. The key of a row is its item and its amount, and its text the item.
struct Documents(Folder);

impl Documents {
    fn new(settings: &'static str) -> Self {
        Self(Folder::new(settings))
    }

    /// The row of a document.
    fn row(name: &str, text: &str) -> Option<String> {
        let (item, amount) = name.strip_suffix(".txt")?.split_once('_')?;
        assert_eq!(text, item, "{name}");
        Some(format!("{item},{amount}"))
    }
}

const DOCUMENT: &str = "name: '${item}_${amount}.txt', body: item";

impl Kind for Documents {
    fn name(&self) -> &'static str {
        if self.0.settings.is_empty() { "documents" } else { "documents that are replaced with their parent" }
    }

    fn settings(&self) -> &'static str {
        self.0.settings
    }

    fn takes(&self, mode: &str) -> bool {
        mode == "overwrite"
    }

    fn many(&self) -> usize {
        10_000
    }

    fn project(&self) -> &Project {
        self.0.project()
    }

    fn target(&self) -> String {
        format!("documents: {{path: out/stock, {DOCUMENT}}}")
    }

    fn rows(&self) -> Option<Vec<String>> {
        let project = self.project();
        project.path("out/stock").exists().then(|| {
            let names = project.left("out/stock").into_iter().filter(|name| name.ends_with(".txt"));
            let mut rows: Vec<String> =
                names.filter_map(|name| Self::row(&name, &project.text(&format!("out/stock/{name}")))).collect();
            rows.sort();
            rows
        })
    }

    fn left(&self) -> Vec<String> {
        self.0.left()
    }

    fn reset(&self) {
        self.0.reset();
    }

    fn put_foreign(&self) -> &'static str {
        self.0.put_foreign()
    }

    fn has_foreign(&self) -> bool {
        self.0.has_foreign()
    }

    fn put_rows_of_others(&self) -> &'static str {
        self.project().file("out/stock/mine_1.txt", "mine");
        "mine_1.txt: was not written by a run of this task"
    }

    fn refuse(&self) -> &'static str {
        self.0.refuse()
    }

    fn lose_prepared(&self) {
        self.0.lose_prepared();
    }

    fn lose(&self) {
        self.0.lose();
    }
}

/// A folder of partitions.
struct Partitions(Project);

impl Partitions {
    fn new() -> Self {
        Self(Project::empty())
    }

    /// The rows of the files below a folder, with the values that the names of the folders have.
    fn rows_below(folder: &std::path::Path, item: Option<&str>, rows: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            match (name.strip_prefix("item="), item) {
                (Some(item), _) => Self::rows_below(&entry.path(), Some(item), rows),
                (None, Some(item)) => {
                    let text = fs::read_to_string(entry.path()).unwrap();
                    rows.extend(text.lines().skip(1).map(|amount| format!("{item},{amount}")));
                }
                (None, None) if name.ends_with(".csv") => rows.push(fs::read_to_string(entry.path()).unwrap()),
                _ => {}
            }
        }
    }
}

impl Kind for Partitions {
    fn name(&self) -> &'static str {
        "folder of partitions"
    }

    fn takes(&self, mode: &str) -> bool {
        ["overwrite", "append", "replace"].contains(&mode)
    }

    fn project(&self) -> &Project {
        &self.0
    }

    fn target(&self) -> String {
        "partition_by: [item], files: {path: out/stock, format: csv}".to_owned()
    }

    fn rows(&self) -> Option<Vec<String>> {
        let folder = self.0.path("out/stock");
        folder.exists().then(|| {
            let mut rows = vec![];
            Self::rows_below(&folder, None, &mut rows);
            rows.sort();
            rows
        })
    }

    fn left(&self) -> Vec<String> {
        self.0.left("out").into_iter().filter(|name| name.starts_with('.')).collect()
    }

    fn reset(&self) {
        let _ = fs::remove_dir_all(self.0.path("out"));
    }

    fn put_foreign(&self) -> &'static str {
        self.0.file("out/stock/item=bolt/diary.txt", "mine");
        "item=bolt/diary.txt: was not written by a run of this task"
    }

    fn has_foreign(&self) -> bool {
        fs::read_to_string(self.0.path("out/stock/item=bolt/diary.txt")).is_ok_and(|text| text == "mine")
    }

    fn put_rows_of_others(&self) -> &'static str {
        self.0.file("out/stock/item=mine/part-00000.csv", "amount\n1\n");
        "item=mine/part-00000.csv: was not written by a run of this task"
    }

    fn refuse(&self) -> &'static str {
        self.reset();
        self.0.file("out", "a file in the place of the folder");
        "sink `stock`: "
    }

    fn lose_prepared(&self) {
        for name in self.left().into_iter().filter(|name| !name.ends_with("-lock")) {
            fs::remove_dir_all(self.0.path(&format!("out/{name}"))).unwrap();
        }
    }

    fn lose(&self) {
        self.reset();
    }
}

/// One file.
struct File(Project);

impl Kind for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn takes(&self, mode: &str) -> bool {
        mode == "overwrite"
    }

    fn project(&self) -> &Project {
        &self.0
    }

    fn target(&self) -> String {
        "files: {file: out/stock.csv, format: csv}".to_owned()
    }

    fn rows(&self) -> Option<Vec<String>> {
        let text = fs::read_to_string(self.0.path("out/stock.csv")).ok()?;
        let mut rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
        rows.sort();
        Some(rows)
    }

    fn left(&self) -> Vec<String> {
        let of_folder = self.0.left("out").into_iter();
        of_folder.filter(|name| name.starts_with('.') && name != ".stock.csv.weir-success").collect()
    }

    fn reset(&self) {
        let _ = fs::remove_dir_all(self.0.path("out"));
    }

    fn put_foreign(&self) -> &'static str {
        self.0.file("out/stock.csv", "my diary");
        "stock.csv: was not written by a run of this task"
    }

    fn has_foreign(&self) -> bool {
        fs::read_to_string(self.0.path("out/stock.csv")).is_ok_and(|text| text == "my diary")
    }

    fn put_rows_of_others(&self) -> &'static str {
        self.0.file("out/stock.csv", "item,amount\nmine,1\n");
        "stock.csv: was not written by a run of this task"
    }

    fn refuse(&self) -> &'static str {
        self.reset();
        self.0.file("out", "a file in the place of the folder");
        "sink `stock`: "
    }

    fn lose_prepared(&self) {
        for name in self.left().into_iter().filter(|name| !name.ends_with("-lock")) {
            fs::remove_dir_all(self.0.path(&format!("out/{name}"))).unwrap();
        }
    }

    fn lose(&self) {
        self.reset();
    }
}

/// A folder in a bucket.
#[cfg(feature = "object-stores")]
struct Bucket {
    project: Project,
    server: S3,
    objects: Objects,
}

/// What the objects of the folder are.
#[cfg(feature = "object-stores")]
#[derive(PartialEq)]
enum Objects {
    Files,
    Partitions,
    Documents,
}

#[cfg(feature = "object-stores")]
impl Bucket {
    fn of(objects: Objects) -> Self {
        let (server, project) = (S3::start(), Project::empty());
        project.file("secret", SECRET);
        project.file("weir.yaml", server.settings().replace("${env:STORE_SECRET}", "${file:secret}"));
        Self { project, server, objects }
    }

    /// The names of the objects of the folder.
    fn names(&self) -> Vec<String> {
        self.server.keys().iter().filter_map(|key| Some(key.strip_prefix("out/stock/")?.to_owned())).collect()
    }

    fn object(&self, name: &str) -> Option<String> {
        self.server.get(&format!("out/stock/{name}"))
    }

    /// The files that the manifest names; none if there is no manifest.
    fn files(&self) -> Option<Vec<String>> {
        let manifest: serde_json::Value = serde_json::from_str(&self.object("_SUCCESS")?).unwrap();
        Some(manifest["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap().to_owned()).collect())
    }
}

#[cfg(feature = "object-stores")]
impl Kind for Bucket {
    fn name(&self) -> &'static str {
        match self.objects {
            Objects::Files => "bucket",
            Objects::Partitions => "bucket of partitions",
            Objects::Documents => "bucket of documents",
        }
    }

    fn takes(&self, mode: &str) -> bool {
        match mode {
            "overwrite" => true,
            "append" => self.objects != Objects::Documents,
            mode => self.objects == Objects::Partitions && mode == "replace",
        }
    }

    fn many(&self) -> usize {
        if self.objects == Objects::Documents { 2_000 } else { 60_000 }
    }

    fn project(&self) -> &Project {
        &self.project
    }

    fn target(&self) -> String {
        let partitions = if self.objects == Objects::Partitions { "partition_by: [item], " } else { "" };
        match self.objects {
            Objects::Documents => format!("documents: {{path: 's3://stock/out/stock', {DOCUMENT}}}"),
            _ => format!("{partitions}files: {{path: 's3://stock/out/stock', format: csv}}"),
        }
    }

    fn rows(&self) -> Option<Vec<String>> {
        let names = self.names();
        let is_file = |name: &String| name.ends_with(".csv") || name.ends_with(".txt");
        let files = self.files().unwrap_or_else(|| names.into_iter().filter(is_file).collect());
        let mut rows = vec![];
        for file in files {
            let text = self.object(&file).unwrap_or_else(|| panic!("{file} is not there"));
            if self.objects == Objects::Documents {
                rows.extend(Documents::row(file.rsplit('/').next().unwrap(), &text));
                continue;
            }
            let item = file.strip_prefix("item=").and_then(|file| file.split('/').next());
            let prefix = item.map(|item| format!("{item},")).unwrap_or_default();
            rows.extend(text.lines().skip(1).map(|row| format!("{prefix}{row}")));
        }
        rows.sort();
        Some(rows)
    }

    fn left(&self) -> Vec<String> {
        let files = self.files().unwrap_or_default();
        let is_of_a_run = |name: &String| ["documents-2", "part-2", ".weir-"].iter().any(|part| name.contains(part));
        let uploads = vec!["upload".to_owned(); self.server.open_uploads()];
        self.names().into_iter().filter(|name| is_of_a_run(name) && !files.contains(name)).chain(uploads).collect()
    }

    fn reset(&self) {
        self.server.make_bucket();
        self.server.bucket(|bucket| bucket.clear());
    }

    fn put_foreign(&self) -> &'static str {
        self.server.put("out/stock/diary.txt", "mine");
        "diary.txt: was not written by a run of this task"
    }

    fn has_foreign(&self) -> bool {
        self.object("diary.txt").is_some_and(|text| text == "mine")
    }

    fn put_rows_of_others(&self) -> &'static str {
        let (name, rows, said) = match self.objects {
            Objects::Files => ("part-00000.csv", "item,amount\nmine,1\n", "part-00000.csv: was not written by a run"),
            Objects::Partitions => {
                ("item=mine/part-00000.csv", "amount\n1\n", "part-00000.csv: was not written by a run")
            }
            Objects::Documents => ("mine_1.txt", "mine", "mine_1.txt: was not written by a run of this task"),
        };
        self.server.put(&format!("out/stock/{name}"), rows);
        said
    }

    fn refuse(&self) -> &'static str {
        self.server.remove_bucket();
        "there is no such bucket"
    }

    fn lose_prepared(&self) {
        for name in self.left() {
            self.server.bucket(|bucket| bucket.remove(&format!("out/stock/{name}")));
        }
    }

    fn lose(&self) {
        self.reset();
    }
}

struct Postgres {
    /// The SQL that the server is taken to have.
    dialect: &'static str,
    project: Project,
    database: String,
    /// The server, if it is not the shared one.
    own: Option<Cluster>,
}

impl Postgres {
    fn new(dialect: &'static str) -> Self {
        Self::on(None, dialect)
    }

    fn alone(dialect: &'static str) -> Self {
        Self::on(Some(Cluster::start()), dialect)
    }

    fn on(own: Option<Cluster>, dialect: &'static str) -> Self {
        let url = own.as_ref().unwrap_or_else(|| Cluster::shared()).database();
        let project = Project::empty();
        project.file("weir.yaml", format!("connections: {{warehouse: {{postgres: '{url}', dialect: {dialect}}}}}"));
        Self { dialect, project, database: url.rsplit('/').next().unwrap().to_owned(), own }
    }

    fn sql(&self, sql: &str) -> String {
        self.own.as_ref().unwrap_or_else(|| Cluster::shared()).sql(&self.database, sql)
    }

    fn exists(&self) -> bool {
        self.sql("select to_regclass('stock') is not null") == "t"
    }
}

impl Kind for Postgres {
    fn name(&self) -> &'static str {
        self.dialect
    }

    fn project(&self) -> &Project {
        &self.project
    }

    fn target(&self) -> String {
        "postgres: {connection: warehouse, table: stock, create: true}".to_owned()
    }

    fn takes(&self, mode: &str) -> bool {
        mode != "replace"
    }

    fn rows(&self) -> Option<Vec<String>> {
        self.exists().then(|| {
            let rows = self.sql("select item || ',' || amount from stock");
            let mut rows: Vec<String> = rows.lines().map(str::to_owned).collect();
            rows.sort();
            rows
        })
    }

    fn left(&self) -> Vec<String> {
        let tables = self.sql(
            "select tablename from pg_tables
             where schemaname in ('public', 'weir') and tablename not in ('applied', 'stock')",
        );
        tables.lines().map(str::to_owned).collect()
    }

    fn reset(&self) {
        self.sql("drop table if exists stock");
    }

    fn put_foreign(&self) -> &'static str {
        self.sql("create table stock (page text); insert into stock values ('mine')");
        "it has no column `item`"
    }

    fn has_foreign(&self) -> bool {
        self.sql("select page from stock") == "mine"
    }

    fn put_rows_of_others(&self) -> &'static str {
        self.sql("create table stock (item text, amount bigint); insert into stock values ('mine', 1)");
        "has rows that no run of this task has written"
    }

    fn refuse(&self) -> &'static str {
        self.reset();
        self.sql("create table stock (item text, amount bigint, counted_by text not null)");
        "table stock"
    }

    fn lose_prepared(&self) {
        for table in self.left() {
            self.sql(&format!("drop table weir.\"{table}\""));
        }
    }

    fn lose(&self) {
        let own = self.own.as_ref().expect("the shared server is not for that");
        own.kill();
        own.launch();
    }
}

struct MySql {
    project: Project,
    database: String,
    /// The server, if it is not the shared one.
    own: Option<Server>,
}

impl MySql {
    fn new() -> Self {
        Self::on(None)
    }

    fn alone() -> Self {
        Self::on(Some(Server::start()))
    }

    fn on(own: Option<Server>) -> Self {
        let server = own.as_ref().unwrap_or_else(|| Server::shared());
        let (database, project) = (server.new_database(), Project::empty());
        let url = server.url(&database);
        project.file("weir.yaml", format!("connections: {{warehouse: {{mysql: '{url}'}}}}"));
        Self { project, database, own }
    }

    fn sql(&self, sql: &str) -> String {
        self.own.as_ref().unwrap_or_else(|| Server::shared()).sql(&self.database, sql)
    }

    /// The tables of the database, without that of applied runs.
    fn tables(&self) -> Vec<String> {
        let tables = "select table_name from information_schema.tables
                      where table_schema = database() and table_name <> 'weir_applied'";
        self.sql(tables).lines().map(str::to_owned).collect()
    }
}

impl Kind for MySql {
    fn name(&self) -> &'static str {
        "mysql"
    }

    fn project(&self) -> &Project {
        &self.project
    }

    fn target(&self) -> String {
        "mysql: {connection: warehouse, table: stock, create: true}".to_owned()
    }

    fn takes(&self, mode: &str) -> bool {
        mode != "replace"
    }

    fn rows(&self) -> Option<Vec<String>> {
        self.tables().contains(&"stock".to_owned()).then(|| {
            let rows = self.sql("select concat(item, ',', amount) from stock");
            let mut rows: Vec<String> = rows.lines().map(str::to_owned).collect();
            rows.sort();
            rows
        })
    }

    fn left(&self) -> Vec<String> {
        self.tables().into_iter().filter(|table| table != "stock").collect()
    }

    fn reset(&self) {
        self.sql("drop table if exists stock");
    }

    fn put_foreign(&self) -> &'static str {
        self.sql("create table stock (page text); insert into stock values ('mine')");
        "it has no column `item`"
    }

    fn has_foreign(&self) -> bool {
        self.sql("select page from stock") == "mine"
    }

    fn put_rows_of_others(&self) -> &'static str {
        self.sql("create table stock (item text, amount bigint); insert into stock values ('mine', 1)");
        "has rows that no run of this task has written"
    }

    fn refuse(&self) -> &'static str {
        self.reset();
        self.sql("create table stock (item text, amount bigint, counted_by text not null)");
        "table stock"
    }

    fn lose_prepared(&self) {
        for table in self.left() {
            self.sql(&format!("drop table `{table}`"));
        }
    }

    fn lose(&self) {
        let own = self.own.as_ref().expect("the shared server is not for that");
        own.kill();
        own.launch();
    }
}

const SQL: &str = "select item, amount from delivery";

/// Writes a task that brings deliveries into the target.
fn task(kind: &dyn Kind, mode: &str, quality: &str) {
    let project = kind.project();
    let read = if mode.contains("append") { "read: new" } else { "read: all" };
    let (target, settings) = (kind.target(), kind.settings());
    project.file(
        "task.yaml",
        format!(
            "name: stock
{settings}
sources:
  delivery:
    files: {{path: 'in/*.csv', format: csv}}
    {read}
    columns: {{item: string, amount: bigint}}
models: {{stock: stock.sql}}
{quality}
sinks:
  stock: {{from: stock, mode: {mode}, {target}}}
"
        ),
    );
    project.file("stock.sql", SQL);
}

fn deliver(kind: &dyn Kind, name: &str, lines: &str) {
    kind.project().file(&format!("in/{name}.csv"), format!("item,amount\n{lines}\n"));
}

/// Runs, with points at which the process dies. Fails the test if the run hangs.
#[track_caller]
fn run_with(kind: &dyn Kind, faults: &str) -> (Ran, Option<i32>) {
    ended(kind, start(kind, faults))
}

fn start(kind: &dyn Kind, faults: &str) -> Child {
    let mut command = kind.project().command(&["run", "--task-config", "task.yaml", "--state", ".weir"]);
    command.env("WEIR_FAULT", faults).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn ended(kind: &dyn Kind, mut child: Child) -> (Ran, Option<i32>) {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > WATCHDOG {
            child.kill().unwrap();
            panic!("{}: the run hangs: {:#?}", kind.name(), Ran::of(child.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    let signal = output.status.signal();
    (Ran::of(output), signal)
}

#[track_caller]
fn run(kind: &dyn Kind) -> Ran {
    run_with(kind, "").0
}

#[track_caller]
fn has(kind: &dyn Kind, rows: &[&str]) {
    assert_eq!(kind.rows().unwrap_or_default(), rows, "{}", kind.name());
    assert_eq!(kind.left(), [""; 0], "{}", kind.name());
    assert_eq!(kind.project().left(".weir/scratch"), [""; 0], "{}", kind.name());
}

#[test]
fn overwrite_replaces_all_rows_and_is_idempotent() {
    for kind in kinds() {
        let kind = &*kind;
        task(kind, "overwrite", "");
        deliver(kind, "a", "bolt,5\nnut,7");
        for _ in 0..2 {
            run(kind).ended(0, "done: `stock`");
            has(kind, &["bolt,5", "nut,7"]);
        }
        deliver(kind, "a", "screw,1");
        run(kind).ended(0, "done: `stock`");
        has(kind, &["screw,1"]);
    }
}

/// Marks the column `item` as private, and gives the project a key.
fn with_private_item(kind: &dyn Kind) {
    let project = kind.project();
    project.task("item: string", "item: {type: string, private: hash}");
    let settings = fs::read_to_string(project.path("weir.yaml")).unwrap_or_default();
    if !settings.contains("keys:") {
        project.file("key", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n");
        project.file("weir.yaml", format!("{settings}\nkeys: {{default: {{id: '1', secret: '${{file:key}}'}}}}\n"));
    }
}

#[test]
fn private_values_are_written_nowhere() {
    for kind in kinds() {
        let kind = &*kind;
        for mode in ["overwrite", "merge, primary_key: [item]"].into_iter().filter(|mode| kind.takes(mode)) {
            kind.reset();
            task(kind, mode, "");
            with_private_item(kind);
            deliver(kind, "a", "bolt,5\nnut,7\n");
            let is_in_names = kind.target().contains("${item}") || kind.target().contains("[item]");
            if is_in_names {
                run(kind).ended(2, "column `item` is computed from a private one");
                kind.project().task("from: stock,", "from: stock, public: [item],");
                run(kind).ended(0, "done: `stock`");
                has(kind, &["bolt,5", "nut,7"]);
                continue;
            }
            run(kind).ended(0, "done: `stock`");
            let rows = kind.rows().unwrap();
            assert_eq!(rows.len(), 2, "{}: {rows:?}", kind.name());
            for row in &rows {
                let (token, _) = row.split_once(',').unwrap();
                let is_token = token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
                assert!(is_token, "{}: {rows:?}", kind.name());
            }
            let again = run(kind);
            again.ended(0, "done: `stock`");
            assert_eq!(kind.rows().unwrap(), rows, "{}", kind.name());
            if mode.starts_with("merge") {
                again.ended(0, "0 inserted, 0 updated, 2 unchanged");
            }
        }
    }
}

#[test]
fn another_task_reads_what_is_published() {
    for kind in kinds() {
        let kind = &*kind;
        kind.reset();
        task(kind, "overwrite", "");
        kind.project().file(
            "copy.yaml",
            "name: copy
sources: {of_stock: {ref: stock.stock}}
sinks:
  copy: {from: of_stock, mode: overwrite, columns: [item, amount], files: {path: copy, format: csv}}
  unreadable: {from: of_stock.rejected, mode: overwrite, files: {path: unreadable, format: csv}}
",
        );
        let copy = || kind.project().weir(&["run", "copy.yaml", "--state", ".weir"]);
        if kind.target().contains("documents") {
            copy().ended(2, "sink `stock` of task `stock` writes documents");
            continue;
        }
        if kind.name() == "redshift" {
            copy().ended(2, "Redshift");
            continue;
        }
        copy()
            .ended(1, if kind.target().contains("table") { "stock" } else { "has not published its sink `stock` yet" });
        for lines in ["bolt,5\nnut,7", "bolt,6\nscrew,1\nnut,7"] {
            deliver(kind, "a", lines);
            run(kind).ended(0, "done: `stock`");
            copy().ended(0, "done: `copy`");
            let mut expected: Vec<&str> = lines.lines().collect();
            expected.sort_unstable();
            assert_eq!(kind.project().rows("copy")[1..], expected, "{}", kind.name());
        }
    }
}

/// Records that rules reject and that cannot be read, and where they come from.
fn with_quarantine(kind: &dyn Kind, mode: &str, quarantine: &str) {
    kind.project().file(
        "task.yaml",
        format!(
            "name: stock
{}
sources:
  delivery:
    files: {{path: 'in/*.csv', format: csv}}
    read: new
    columns:
      item: string
      amount: bigint
      file: {{type: string, from: file}}
      line: {{type: bigint, from: line}}
models: {{stock: stock.sql}}
quality: {{stock: {{reject_unless: {{too_many: amount < 10}}}}}}
sinks:
  stock: {{from: stock, mode: {mode}, {}{}}}
  bad: {{from: stock.rejected, mode: append, {quarantine}}}
  unreadable: {{from: delivery.rejected, mode: append, publish: always, files: {{path: unreadable, format: jsonl}}}}
",
            kind.settings(),
            // A document has what its body has.
            if kind.target().contains("documents") { "" } else { "columns: [item, amount], " },
            kind.target(),
        ),
    );
    kind.project().file("stock.sql", "select * from delivery");
}

#[test]
fn rejected_records_are_replayed_once_whatever_the_target_is() {
    const FILES: &str = "publish: always, files: {path: bad, format: csv}";
    // A folder that is replaced as a whole has `overwrite`.
    for kind in kinds().iter().filter(|kind| kind.settings().is_empty()) {
        let kind = &**kind;
        kind.reset();
        let mode = if kind.takes("append") { "append" } else { "overwrite" };
        with_quarantine(kind, mode, FILES);
        let replay = |faults: &str| {
            let mut command = kind.project().command(&["replay", "--task-config", "task.yaml", "--state", ".weir"]);
            let command = command.env("WEIR_FAULT", faults).stdout(Stdio::piped()).stderr(Stdio::piped());
            ended(kind, command.spawn().unwrap()).0
        };
        deliver(kind, "a", "bolt,5\nnut,70\ngear,8x\npin,3");
        let first = run(kind);
        if mode == "overwrite" {
            first.ended(0, "done: `stock`");
            replay("").ended(2, "would replace its rows by those of the replay");
            continue;
        }
        first.ended(0, "done: `stock`");
        has(kind, &["bolt,5", "pin,3"]);
        replay("").ended(0, "0 accepted and published, 2 rejected again");
        has(kind, &["bolt,5", "pin,3"]);
        kind.project().task("amount < 10", "amount < 100");
        for fault in ["begun", "inputs_entered", "decided", "committed"] {
            replay(fault);
        }
        run(kind).ended(0, "nothing to do");
        replay("");
        has(kind, &["bolt,5", "nut,70", "pin,3"]);
        kind.project().task("amount: bigint", "amount: {type: bigint, strip: [x]}");
        replay("").ended(0, "1 accepted and published, 0 rejected again");
        has(kind, &["bolt,5", "gear,8", "nut,70", "pin,3"]);
        replay("").ended(0, "no rejected record is left");
        run(kind).ended(0, "nothing to do");
    }
}

#[test]
fn the_quarantine_of_a_replay_may_be_of_any_kind() {
    for kind in kinds() {
        let kind = &*kind;
        let is_source = kind.name() != "redshift" && !kind.target().contains("documents");
        if !kind.takes("append") || !is_source {
            continue;
        }
        kind.reset();
        with_quarantine(kind, "append", &kind.target());
        kind.project().task(
            &format!("columns: [item, amount], {}", kind.target()),
            "columns: [item, amount], files: {path: good, format: csv}",
        );
        deliver(kind, "a", "bolt,5\nnut,70\npin,80");
        run(kind).ended(0, "done: `stock`");
        kind.project().task("amount < 10", "amount < 75");
        let replay = || kind.project().weir(&["replay", "task.yaml", "--state", ".weir"]);
        replay().ended(0, "1 accepted and published, 1 rejected again");
        replay().ended(0, "0 accepted and published, 1 rejected again");
        assert_eq!(kind.project().rows("good"), ["item,amount", "bolt,5", "nut,70"], "{}", kind.name());
    }
}

#[test]
fn append_adds_each_delivery_once() {
    for kind in kinds().iter().filter(|kind| kind.takes("append")) {
        let kind = &**kind;
        task(kind, "append", "");
        deliver(kind, "a", "bolt,5");
        run(kind).ended(0, "done: `stock`");
        deliver(kind, "b", "bolt,5\nnut,7");
        run(kind).ended(0, "done: `stock`");
        run(kind).ended(0, "nothing to do");
        has(kind, &["bolt,5", "bolt,5", "nut,7"]);
    }
}

#[test]
fn merge_upserts_by_key_where_there_are_keys() {
    for kind in kinds() {
        let kind = &*kind;
        task(kind, "merge, primary_key: [item]", "");
        deliver(kind, "a", "bolt,5\nnut,7");
        if !kind.takes("merge") {
            run(kind).ended(2, "which has no keys");
            continue;
        }
        run(kind).ended(0, "2 inserted");
        deliver(kind, "a", "bolt,6\nscrew,1");
        run(kind).ended(0, "1 inserted, 1 updated");
        run(kind).ended(0, "0 inserted, 0 updated, 2 unchanged");
        has(kind, &["bolt,6", "nut,7", "screw,1"]);
    }
}

/// The modes that leave what other runs have written, with their keys.
const KEEPING: [&str; 5] = [
    "append",
    "merge, primary_key: [item]",
    "insert, primary_key: [item]",
    "replace, partition_by: [item]",
    "scd2, primary_key: [item]",
];

#[test]
fn every_other_mode_is_idempotent_where_there_are_rows_with_keys() {
    for (mode, first, second, again) in [
        (
            "insert, primary_key: [item]",
            "2 inserted",
            ["bolt,5", "nut,7", "screw,1"],
            "0 inserted, 0 updated, 2 unchanged",
        ),
        (
            "replace, partition_by: [item]",
            "2 inserted",
            ["bolt,6", "nut,7", "screw,1"],
            "2 inserted, 0 updated, 0 unchanged, 2 deleted",
        ),
        (
            "merge, primary_key: [item], deleted_when: amount = 1",
            "2 inserted",
            ["bolt,6", "nut,7", ""],
            "0 inserted, 0 updated, 2 unchanged",
        ),
    ] {
        for kind in kinds() {
            let kind = &*kind;
            task(kind, mode, "");
            deliver(kind, "a", "bolt,5\nnut,7");
            if !kind.takes(mode) {
                // Partitions of files are a kind of their own, with a test of their own.
                if !mode.starts_with("replace") {
                    run(kind).ended(2, "which has no keys");
                }
                continue;
            }
            run(kind).ended(0, first);
            deliver(kind, "a", "bolt,6\nscrew,1");
            run(kind).ended(0, "done: `stock`");
            run(kind).ended(0, again);
            let rows: Vec<_> = second.into_iter().filter(|row| !row.is_empty()).collect();
            has(kind, &rows);
        }
    }
}

#[test]
fn scd2_adds_a_version_of_a_changed_row_once() {
    for kind in kinds() {
        let kind = &*kind;
        task(kind, "scd2, primary_key: [item]", "");
        deliver(kind, "a", "bolt,5\nnut,7");
        if !kind.takes("scd2") {
            run(kind).ended(2, "which has no keys");
            continue;
        }
        run(kind).ended(0, "2 inserted");
        deliver(kind, "a", "bolt,6\nnut,7");
        run(kind).ended(0, "1 inserted, 1 updated, 1 unchanged");
        run(kind).ended(0, "0 inserted, 0 updated, 2 unchanged");
        has(kind, &["bolt,5", "bolt,6", "nut,7"]);
    }
}

/// What `weir prune` forgets has no effect on what later runs write: the last run that has written a target stays known.
#[test]
fn retention_leaves_what_later_runs_need_in_every_mode_that_keeps_rows() {
    for kind in kinds() {
        let kind = &*kind;
        for mode in KEEPING.into_iter().filter(|mode| kind.takes(mode)) {
            let _ = fs::remove_dir_all(kind.project().path("in"));
            let _ = fs::remove_dir_all(kind.project().path(".weir"));
            kind.reset();
            task(kind, mode, "");
            for (name, row) in [("a", "bolt,5"), ("b", "nut,7"), ("c", "screw,1")] {
                deliver(kind, name, row);
                run(kind).ended(0, "done: `stock`");
            }
            kind.project().age_runs("-100 days");
            let prune = ["prune", "task.yaml", "--state", ".weir", "--keep", "90d"];
            let pruned = kind.project().weir(&prune);
            pruned.ended(0, "removed from the ledger");
            assert!(!pruned.out.contains("0 runs removed from the ledger, 0 runs reduced"), "{mode}: {pruned:#?}");
            let again = run(kind);
            again.ended(0, if mode == "append" { "nothing to do" } else { "done: `stock`" });
            has(kind, &["bolt,5", "nut,7", "screw,1"]);
            deliver(kind, "d", "washer,2");
            run(kind).ended(0, "done: `stock`");
            has(kind, &["bolt,5", "nut,7", "screw,1", "washer,2"]);
        }
    }
}

#[test]
fn a_run_that_dies_at_any_step_is_rolled_back_or_forward() {
    for kind in kinds() {
        let kind = &*kind;
        for mode in ["overwrite", "replace"].into_iter().chain(KEEPING) {
            if !kind.takes(mode) {
                continue;
            }
            task(kind, mode, "");
            let keeps = mode != "overwrite";
            let _ = fs::remove_dir_all(kind.project().path("in"));
            kind.reset();
            let mut all: Vec<String> = vec![];
            for (number, point) in STEPS.iter().enumerate() {
                let before = all.clone();
                let row = format!("{}{number},1", &mode[..1]);
                if !keeps {
                    all.clear();
                }
                all.push(row.clone());
                all.sort();
                deliver(kind, if keeps { point } else { "a" }, &row);
                let (ran, signal) = run_with(kind, point);
                assert_eq!(signal, Some(9), "{} {mode} {point}: {ran:#?}", kind.name());
                let found = kind.rows().unwrap_or_default();
                assert!(found == before || found == all, "{} {mode} {point}: {found:?}", kind.name());
                run(kind).ended(0, "");
                has(kind, &all.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn a_failure_while_rows_are_written_ends_the_run_and_leaves_nothing() {
    for kind in kinds() {
        let kind = &*kind;
        let many = kind.many();
        let rows: String = (1..=many).map(|amount| format!("bolt,{amount}\n")).collect();
        task(kind, "overwrite", "");
        deliver(kind, "a", "bolt,5");
        run(kind).ended(0, "done: `stock`");
        let (fails, rejects) = ["fail_unless", "reject_unless"]
            .map(|effect| format!("quality: {{stock: {{{effect}: {{few: amount <= {many}}}}}}}"))
            .into();
        let more = format!("nut,{}", many + 1);
        for (quality, sql, last, said) in [
            ("", SQL, "nut,many", "a record cannot be read: invalid_amount"),
            ("", "select item, 10 / amount as amount from delivery", "nut,0", "a row cannot be computed"),
            (&fails, SQL, &more, "rule `few` (fail_unless) failed for at least"),
            (&rejects, SQL, &more, "no sink reads `stock.rejected`"),
        ] {
            task(kind, "overwrite", quality);
            kind.project().file("stock.sql", sql);
            deliver(kind, "a", &format!("{rows}{last}"));
            let started = Instant::now();
            run(kind).ended(1, said);
            assert!(started.elapsed() < WATCHDOG, "{}: {said}", kind.name());
            has(kind, &["bolt,5"]);
        }
        task(kind, "overwrite", "");
        deliver(kind, "a", "nut,7");
        run(kind).ended(0, "done: `stock`");
        has(kind, &["nut,7"]);
    }
}

#[test]
fn windows_of_a_task_add_to_one_target_each_its_own_rows_once() {
    for kind in kinds().iter().filter(|kind| kind.takes("append")) {
        let kind = &**kind;
        task(kind, "append", "");
        let path = kind.project().path("task.yaml");
        let text = fs::read_to_string(&path).unwrap().replace("in/*.csv", "in/%H/*.csv");
        fs::write(&path, text + "window: {every: 1h, start: 2022-06-05}\n").unwrap();
        deliver(kind, "00/a", "bolt,5");
        deliver(kind, "01/a", "nut,7");
        let run = |hour: &str, said: &str| {
            let window = format!("--window=2022-06-05T{hour}");
            let arguments = ["run", "--task-config", "task.yaml", "--state", ".weir", &window];
            kind.project().weir(&arguments).ended(0, said);
        };
        run("01", "done: `stock`");
        has(kind, &["nut,7"]);
        run("00", "done: `stock`");
        has(kind, &["bolt,5", "nut,7"]);
        run("01", "nothing to do");
        deliver(kind, "00/b", "screw,1");
        run("00", "done: `stock`");
        has(kind, &["bolt,5", "nut,7", "screw,1"]);
    }
}

/// The steps of a run.
const STEPS: [&str; 8] =
    ["begun", "staging_made", "prepared", "decided", "committed", "published", "released", "ended"];

#[test]
fn a_signal_at_any_step_ends_the_run() {
    for kind in kinds() {
        let kind = &*kind;
        task(kind, "overwrite", "");
        deliver(kind, "a", "bolt,0");
        run(kind).ended(0, "done: `stock`");
        for (number, point) in STEPS.iter().enumerate() {
            let (before, after) = (format!("bolt,{number}"), format!("bolt,{}", number + 1));
            deliver(kind, "a", &after);
            let (ran, signal) = run_with(kind, &format!("{point}+term"));
            assert_eq!(signal, None, "{} {point}: {ran:#?}", kind.name());
            match ran.code {
                // Past the commit record the run goes forward.
                Some(0) => has(kind, &[&after]),
                _ => {
                    ran.ended(1, "interrupted");
                    has(kind, &[&before]);
                }
            }
            run(kind).ended(0, "done: `stock`");
            has(kind, &[&after]);
        }
    }
}

#[test]
fn a_run_whose_target_is_lost_at_any_step_ends_and_the_next_one_works() {
    for kind in kinds_to_lose() {
        let kind = &*kind;
        task(kind, "overwrite", "");
        deliver(kind, "a", "bolt,0");
        run(kind).ended(0, "done: `stock`");
        for (number, point) in STEPS.iter().enumerate() {
            let after = format!("bolt,{}", number + 1);
            deliver(kind, "a", &after);
            let child = start(kind, &format!("{point}+stop"));
            let started = Instant::now();
            while !is_stopped(child.id()) {
                assert!(started.elapsed() < WATCHDOG, "{}: it does not come to {point}", kind.name());
                std::thread::sleep(Duration::from_millis(5));
            }
            kind.lose();
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
            let (ran, signal) = ended(kind, child);
            assert_eq!(signal, None, "{} {point}: {ran:#?}", kind.name());
            run(kind).ended(0, "done: `stock`");
            has(kind, &[&after]);
        }
    }
}

/// Whether a process is stopped by a signal.
fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
}

#[test]
fn a_closed_gate_publishes_nothing() {
    for kind in kinds() {
        let kind = &*kind;
        task(kind, "overwrite", "");
        deliver(kind, "a", "bolt,5");
        run(kind).ended(0, "done: `stock`");
        task(kind, "overwrite", "quality: {stock: {gate: {min_rows: 2}}}");
        deliver(kind, "a", "nut,7");
        run(kind).ended(3, "gate closed: stock: 1 row");
        has(kind, &["bolt,5"]);
    }
}

#[test]
fn content_that_no_run_has_written_is_refused_and_stays() {
    for kind in kinds() {
        let kind = &*kind;
        for mode in ["overwrite", "append"].into_iter().filter(|mode| kind.takes(mode)) {
            task(kind, mode, "");
            deliver(kind, "a", "bolt,5");
            let said = if mode == "overwrite" { kind.put_foreign() } else { "" };
            run(kind).ended(1, said);
            assert!(kind.has_foreign(), "{} {mode}", kind.name());
            assert_eq!(kind.left(), [""; 0], "{} {mode}", kind.name());
        }
    }
}

#[test]
fn rows_that_no_run_has_written_are_not_overwritten() {
    for kind in kinds() {
        let kind = &*kind;
        task(kind, "overwrite", "");
        deliver(kind, "a", "bolt,5");
        let said = kind.put_rows_of_others();
        run(kind).ended(1, said);
        has_rows(kind, &["mine,1"]);
        assert_eq!(kind.left(), [""; 0], "{}", kind.name());
    }
}

#[test]
fn another_environment_does_not_overwrite_what_this_one_has_written() {
    for kind in kinds() {
        let kind = &*kind;
        task(kind, "overwrite", "");
        deliver(kind, "a", "bolt,5");
        run(kind).ended(0, "done: `stock`");
        let path = kind.project().path("task.yaml");
        fs::write(&path, fs::read_to_string(&path).unwrap() + "environments: {dev: {}}\n").unwrap();
        deliver(kind, "a", "nut,7");
        let arguments = ["run", "--task-config", "task.yaml", "--state", ".weir", "--env", "dev"];
        kind.project().weir(&arguments).ended(1, "was written by sink `stock` of task `stock.default`");
        has_rows(kind, &["bolt,5"]);
    }
}

#[test]
fn an_append_is_refused_when_the_ledger_of_earlier_runs_is_lost() {
    for kind in kinds().iter().filter(|kind| kind.takes("append")) {
        let kind = &**kind;
        task(kind, "append", "");
        deliver(kind, "a", "bolt,5");
        run(kind).ended(0, "done: `stock`");
        fs::remove_dir_all(kind.project().path(".weir")).unwrap();
        run(kind).ended(1, "which the ledger does not have");
        has(kind, &["bolt,5"]);
    }
}

#[test]
fn a_target_that_refuses_ends_the_run_before_anything_is_read() {
    for kind in kinds() {
        let kind = &*kind;
        task(kind, "overwrite", "");
        // Were it read, this would be the error.
        deliver(kind, "a", "bolt,many");
        let said = kind.refuse();
        run(kind).ended(1, said);
        assert_eq!(kind.left(), [""; 0], "{}", kind.name());
    }
}

#[test]
fn prepared_rows_lost_after_the_commit_record_are_reported_and_written_again() {
    for kind in kinds() {
        let kind = &*kind;
        task(kind, "overwrite", "");
        deliver(kind, "a", "bolt,5");
        run(kind).ended(0, "done: `stock`");
        deliver(kind, "a", "nut,7");
        assert_eq!(run_with(kind, "committed").1, Some(9), "{}", kind.name());
        kind.lose_prepared();
        run(kind).ended(0, "what it had prepared is lost for stock; nothing of it is published");
        has(kind, &["nut,7"]);
    }
}

#[test]
fn a_lost_state_folder_does_no_harm_to_what_is_overwritten() {
    for kind in kinds() {
        let kind = &*kind;
        task(kind, "overwrite", "");
        deliver(kind, "a", "bolt,5");
        run(kind).ended(0, "done: `stock`");
        fs::remove_dir_all(kind.project().path(".weir")).unwrap();
        deliver(kind, "a", "nut,7");
        run(kind).ended(0, "done: `stock`");
        has(kind, &["nut,7"]);
    }
}

#[test]
fn a_failed_run_has_a_report_with_what_it_had_counted() {
    for kind in kinds() {
        let kind = &*kind;
        task(kind, "overwrite", "quality: {stock: {fail_unless: {few: amount < 9}}}");
        deliver(kind, "a", "bolt,5\nnut,9");
        let arguments = ["run", "--task-config", "task.yaml", "--state", ".weir", "--report", "report.json"];
        kind.project().weir(&arguments).ended(1, "rule `few` (fail_unless) failed for at least 1 row");
        let record = fs::read_to_string(kind.project().path("report.json")).unwrap();
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        assert_eq!((record["state"].as_str(), record["task"].as_str()), (Some("failed"), Some("stock")));
        let report = &record["report"];
        assert_eq!((report["version"].as_u64(), report["outcome"].as_str()), (Some(1), Some("failed")));
        let table =
            |name: &str| report["tables"].as_array().unwrap().iter().find(|table| table["table"] == name).unwrap();
        assert_eq!(table("delivery")["rows"], 2);
        let reason = &table("stock")["reasons"][0];
        assert_eq!((reason["name"].as_str(), reason["effect"].as_str()), (Some("few"), Some("fail")));
        assert_eq!(reason["samples"][0], "nut, 9");
        assert_eq!(report["steps"][0]["name"], "find");
        // The ledger has the same report, without values of rows.
        let runs = kind.project().weir(&["runs", "--state", ".weir", "--json"]).out;
        let kept: serde_json::Value = serde_json::from_str(runs.lines().next().unwrap()).unwrap();
        assert_eq!(kept["id"], record["id"], "{}", kind.name());
        assert_eq!(kept["report"]["tables"][0]["rows"], 2, "{}", kind.name());
        assert!(!runs.contains("nut"), "{runs}");
    }
}

#[test]
fn rows_are_not_replaced_by_nothing_unless_asked_for() {
    for kind in kinds() {
        let kind = &*kind;
        let positive = "reject_unless: {positive: amount > 0}";
        let aside = if kind.settings().is_empty() { "aside" } else { "out" };
        let sinks = format!(
            "  refused: {{from: stock.rejected, mode: overwrite, publish: always, files: {{path: {aside}/refused, format: csv}}}}
  unreadable: {{from: delivery.rejected, mode: overwrite, publish: always, files: {{path: {aside}/unreadable, format: csv}}}}
"
        );
        let with = |gate: &str| {
            task(kind, "overwrite", &format!("quality: {{stock: {{{positive}, gate: {{{gate}}}}}}}"));
            let path = kind.project().path("task.yaml");
            fs::write(&path, fs::read_to_string(&path).unwrap() + &sinks).unwrap();
        };
        with("");
        deliver(kind, "a", "bolt,5");
        run(kind).ended(0, "done: `stock`");
        // No row, only rejected rows, only unreadable records.
        let emptied = "no row for sink `stock`, whose rows would be replaced by nothing";
        for (lines, said) in
            [("", emptied), ("bolt,-1", emptied), ("bolt,many\nnut,many", "no record was accepted, of 2 records")]
        {
            deliver(kind, "a", lines);
            run(kind).ended(3, said);
            has(kind, &["bolt,5"]);
        }
        // Unreadable records are rows that a model did not get.
        with("max_rejected: 40%");
        deliver(kind, "a", "bolt,6\nnut,many");
        run(kind)
            .ended(3, "rejected: 1 of 2 rows (50.0%), more than 40%; 1 unreadable record of its sources among them");
        has(kind, &["bolt,5"]);
        with("min_rows: 0");
        deliver(kind, "a", "");
        run(kind).ended(0, "done: `stock`");
        has(kind, &[]);
    }
}

#[test]
fn a_dead_run_can_be_seen_finished_and_abandoned() {
    for kind in kinds() {
        let kind = &*kind;
        let weir = |arguments: &[&str]| {
            let common = ["--task-config", "task.yaml", "--state", ".weir"];
            kind.project().weir(&[arguments, &common].concat())
        };
        task(kind, "overwrite", "");
        deliver(kind, "a", "bolt,5");
        run(kind).ended(0, "done: `stock`");
        weir(&["recover"]).ended(0, "all runs of `stock.default` have ended");
        deliver(kind, "a", "nut,7");
        assert_eq!(run_with(kind, "committed").1, Some(9), "{}", kind.name());
        let shown = weir(&["recover"]);
        shown.ended(1, "died after its commit record; --retry publishes the rest, --abandon");
        weir(&["doctor"]).ended(1, "did not end while publishing");
        has_rows(kind, &["bolt,5"]);
        weir(&["recover", "--retry"]).ended(0, "it was rolled forward");
        has(kind, &["nut,7"]);
        weir(&["doctor"]).ended(0, "0 problems");

        deliver(kind, "a", "screw,1");
        assert_eq!(run_with(kind, "committed").1, Some(9), "{}", kind.name());
        let dead = weir(&["recover"]).out;
        let dead = dead.split(':').next().unwrap();
        weir(&["recover", "--abandon", "another"]).ended(2, "is not waiting for its end");
        weir(&["recover", "--abandon", dead]).ended(0, "abandoned: published: none; not published: stock");
        has(kind, &["nut,7"]);
        run(kind).ended(0, "done: `stock`");
        has(kind, &["screw,1"]);

        // Recovery goes by what the ledger has: the task file may be broken since then.
        deliver(kind, "a", "washer,2");
        assert_eq!(run_with(kind, "committed").1, Some(9), "{}", kind.name());
        let path = kind.project().path("task.yaml");
        fs::write(&path, fs::read_to_string(&path).unwrap() + "nonsense: [\n").unwrap();
        let ran = run(kind);
        ran.ended(2, "task.yaml");
        ran.ended(2, "it was rolled forward");
        has(kind, &["washer,2"]);
    }
}

/// The rows alone, when a dead run may have left more.
#[track_caller]
fn has_rows(kind: &dyn Kind, rows: &[&str]) {
    assert_eq!(kind.rows().unwrap_or_default(), rows, "{}", kind.name());
}
