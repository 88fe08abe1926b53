//! A database of its own, and a project with a task whose sink writes to a table of it.

use weir_postgres_testing::Cluster;

use super::{Project, Ran};

/// A project and a database.
pub(crate) struct Warehouse {
    pub(crate) project: Project,
    pub(crate) url: String,
}

impl Warehouse {
    /// A task with a model `stock`, and a connection `warehouse`.
    pub(crate) fn with(task: &str, sql: &str) -> Self {
        let warehouse = Self { project: Project::empty(), url: Cluster::shared().database() };
        warehouse.project.file("task.yaml", task);
        warehouse.project.file("stock.sql", sql);
        warehouse.project.file("weir.yaml", "connections: {warehouse: {postgres: '${env:WAREHOUSE}'}}");
        warehouse
    }

    pub(crate) fn deliver(&self, lines: &str) {
        self.project.file("in/a.csv", format!("item,amount,counted\n{lines}\n"));
    }

    pub(crate) fn run(&self) -> Ran {
        self.run_with("")
    }

    /// Runs with fault points at which the process dies.
    pub(crate) fn run_with(&self, faults: &str) -> Ran {
        let mut command = self.project.command(&["run", "--task-config", "task.yaml", "--state", ".weir"]);
        Ran::of(command.env("WAREHOUSE", &self.url).env("WEIR_FAULT", faults).output().unwrap())
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        Cluster::shared().sql(self.url.rsplit('/').next().unwrap(), sql)
    }

    pub(crate) fn stock(&self) -> String {
        self.sql("select item, amount, counted from stock order by item").replace('\n', " ")
    }

    /// The tables of the database, except the one of applied runs.
    pub(crate) fn tables(&self) -> String {
        self.sql(
            "select schemaname || '.' || tablename from pg_tables
             where schemaname in ('public', 'weir') and tablename <> 'applied' order by 1",
        )
    }
}
