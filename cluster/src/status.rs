//! `status`: shows the executors of a cluster and its jobs.

use clap::{ArgMatches, FromArgMatches};
use comfy_table::{ContentArrangement, Table, presets};
use weir::{Cli, Error, Result};

use crate::args::StatusArgs;
use crate::overview::{self, Overview};
use crate::runtime;

pub(crate) fn run(matches: &ArgMatches, _: &Cli) -> miette::Result<u8> {
    let args = StatusArgs::from_arg_matches(matches).map_err(|error| Error::usage(error, "see --help"))?;
    let tls = args.tls.load()?;
    let address = args.cluster.clone();
    let overview = runtime::block_on(1, async move {
        let channel = address.channel(tls.as_ref())?;
        overview::ask(channel).await.map_err(|error| Error::Unavailable {
            path: address.to_string(),
            message: format!("the scheduler cannot be reached: {error}"),
            help: "check the address, and that the scheduler runs there".to_owned(),
        })
    })?;
    if args.json {
        say!("{}", json(&overview)?);
    } else {
        say!("{}", text(&overview));
    }
    Ok(0)
}

fn json(overview: &Overview) -> Result<String> {
    serde_json::to_string(overview).map_err(|error| Error::system("the status cannot be printed", error, "report this"))
}

fn text(overview: &Overview) -> String {
    let executors = match overview.executors.as_slice() {
        [] => "no executors".to_owned(),
        executors => {
            let rows = executors.iter().map(|executor| {
                let heartbeat = executor.heartbeat_seconds_ago.map_or("never".to_owned(), |ago| format!("{ago} s ago"));
                let address = format!("{}:{}", executor.host, executor.port);
                vec![
                    executor.id.clone(),
                    address,
                    executor.cores.to_string(),
                    executor.free_cores.to_string(),
                    heartbeat,
                ]
            });
            table(&["executor", "address", "cores", "free", "heard of"], rows)
        }
    };
    let jobs = match overview.jobs.as_slice() {
        [] => "no jobs run".to_owned(),
        jobs => {
            let rows = jobs.iter().map(|job| {
                let stages = format!("{} of {}", job.stages_done, job.stages);
                let (running, waiting) = (job.tasks_running.to_string(), job.tasks_waiting.to_string());
                vec![job.id.clone(), job.name.clone(), stages, running, waiting, format!("{} s", job.seconds)]
            });
            table(&["job", "name", "stages done", "tasks running", "waiting", "since"], rows)
        }
    };
    let queued = match overview.queued_jobs {
        0 => String::new(),
        queued => format!("\n\n{queued} more are waiting"),
    };
    format!("{executors}\n\n{jobs}{queued}\n\nbuild {}", overview.build)
}

fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header).add_rows(rows);
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overview::{ExecutorView, JobView};

    #[test]
    fn the_status_has_executors_and_jobs() {
        let executor = ExecutorView {
            id: "e1".to_owned(),
            host: "10.0.0.7".to_owned(),
            port: 50051,
            cores: 8,
            free_cores: 3,
            heartbeat_seconds_ago: Some(1),
        };
        let job = JobView {
            id: "j1".to_owned(),
            name: "sales/orders".to_owned(),
            stages: 4,
            stages_done: 1,
            tasks_running: 5,
            tasks_waiting: 2,
            seconds: 12,
        };
        let overview =
            Overview { build: "1.0 abc".to_owned(), executors: vec![executor], jobs: vec![job], queued_jobs: 0 };
        let text = text(&overview);
        for part in ["10.0.0.7:50051", "1 s ago", "sales/orders", "1 of 4", "12 s", "build 1.0 abc"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let again: Overview = serde_json::from_str(&json(&overview).unwrap()).unwrap();
        assert_eq!((again.cores(), again.executors[0].free_cores), (8, 3));
    }

    #[test]
    fn an_empty_cluster_says_so() {
        let text = text(&Overview { build: String::new(), executors: vec![], jobs: vec![], queued_jobs: 0 });
        assert!(text.starts_with("no executors\n\nno jobs run"));
    }
}
