//! The arguments of the verbs, and the options of `run` and `plan`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use weir::log::LogFormat;

use crate::channel::Address;
use crate::tls::TlsArgs;

/// Options that name a cluster.
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// Compute on the machines of this scheduler, such as http://10.0.0.1:50050 [default: on this machine].
    #[arg(long, value_name = "URL", env = "WEIR_CLUSTER")]
    pub(crate) cluster: Option<Address>,
    /// A folder that this machine and all of the cluster have under the same path: rows that they hand on go there.
    #[arg(long, value_name = "FOLDER", env = "WEIR_CLUSTER_SHARED")]
    pub(crate) shared: Option<PathBuf>,
    /// The file of the program that the machines run, if it is not this one.
    #[arg(long, hide = true)]
    pub(crate) program: Option<PathBuf>,
    /// The number of partitions of plans on the cluster [default: four for each core of the cluster].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) partitions: Option<u32>,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// Start the scheduler of a cluster: it hands stages to the executors. Stops at SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct SchedulerArgs {
    /// The address to listen on.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:50050")]
    pub(crate) bind: SocketAddr,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(flatten)]
    pub(crate) exposure: ExposureArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Start an executor of a cluster: it computes stages, as many partitions at a time as it has cores. Stops at SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct ExecutorArgs {
    /// The scheduler of the cluster.
    #[arg(long, value_name = "URL", env = "WEIR_CLUSTER")]
    pub(crate) scheduler: Address,
    /// The address to listen on for those who fetch rows.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub(crate) bind: IpAddr,
    /// The port to listen on [default: any that is free].
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    pub(crate) port: u16,
    /// The name or address of this machine, under which the other machines and the clients reach it [default: --bind].
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// How many partitions are computed at a time [default: one for each core of the machine].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) cores: Option<u16>,
    /// Memory limit of the process, such as 256MiB or 2GB: operators spill to disk near it [default: half of the memory of
    /// the machine, or of its container].
    #[arg(long, value_name = "SIZE", value_parser = size, env = "WEIR_MEMORY_LIMIT")]
    pub(crate) memory_limit: Option<u64>,
    /// The folder, on a disk of this machine, for rows that go to other stages and for what operators spill.
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: PathBuf,
    /// Compute stages that are begun again, too, although their rows may then be there twice.
    #[arg(long, hide = true, env = "WEIR_CLUSTER_LENIENT")]
    pub(crate) lenient: bool,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(flatten)]
    pub(crate) exposure: ExposureArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Show the executors of a cluster and the jobs that run on it.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The scheduler of the cluster.
    #[arg(long, value_name = "URL", env = "WEIR_CLUSTER")]
    pub(crate) cluster: Address,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// Whether a process may listen where others reach it, without TLS.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ExposureArgs {
    /// Listen without TLS on an address that other machines reach. Whoever reaches it can run plans and read rows.
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// The log of a process that stays.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LogArgs {
    /// The format of log lines.
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT", env = "WEIR_LOG_FORMAT")]
    pub(crate) log_format: LogFormat,
    /// Print only errors.
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// Parses a number of bytes with a unit.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: write a number and one of KiB, MiB, GiB, kB, MB, GB");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_or_is_in_bytes() {
        assert_eq!(size("256MiB"), Ok(256 << 20));
        assert_eq!(size("1024"), Ok(1024));
        for wrong in ["", "MiB", "-1", "0", "10 bananas"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_verbs_are_well_formed() {
        for verb in [
            SchedulerArgs::augment_args(clap::Command::new("scheduler")),
            ExecutorArgs::augment_args(clap::Command::new("executor")),
            StatusArgs::augment_args(clap::Command::new("status")),
            ClusterArgs::augment_args(clap::Command::new("run")),
        ] {
            verb.debug_assert();
        }
    }
}
