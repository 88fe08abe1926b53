//! Memory: the machine's, and this process's.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The largest resident memory so far, in bytes; 0 where the system does not tell.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
    kibibytes.map_or(0, |kib: u64| kib * 1024)
}

/// The memory that this process may have, in bytes: the machine's, or its container's if that is less; 2 GiB where
/// neither can be told.
pub(crate) fn physical_memory() -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    let total = total.and_then(|kib| kib.parse::<u64>().ok()).map_or(2 << 30, |kib| kib * 1024);
    // The limit of a group applies to all groups below it.
    let limits = control_groups().into_iter().flat_map(|group| {
        let files = ["memory.max", "memory.limit_in_bytes"];
        files.map(|file| std::fs::read_to_string(group.join(file)).ok()?.trim().parse().ok())
    });
    limits.flatten().fold(total, u64::min)
}

/// How many processes the kernel has killed because a limit of this process's control groups, such as that of its
/// container, was used up; none where it does not tell.
pub(crate) fn oom_kills() -> Option<u64> {
    let count = |group: PathBuf| {
        let read = |file: &str| std::fs::read_to_string(group.join(file)).ok();
        let text = read("memory.events").or_else(|| read("memory.oom_control"))?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
    };
    control_groups().into_iter().filter_map(count).max()
}

/// The folders of the control groups of this process: its own, and those around it.
fn control_groups() -> Vec<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let root = match controllers {
            "" => "/sys/fs/cgroup",
            _ if controllers.split(',').any(|name| name == "memory") => "/sys/fs/cgroup/memory",
            _ => return None,
        };
        Some((root, path.to_owned()))
    };
    let folders = text.lines().filter_map(group).flat_map(|(root, path)| {
        // In a container the path can be that of the host, which is not there: the root is the container's own group.
        let below: Vec<_> =
            Path::new(&path).ancestors().map(|path| path.strip_prefix("/").unwrap_or(path).to_owned()).collect();
        below.into_iter().map(move |path| Path::new(root).join(path))
    });
    folders.filter(|folder| folder.is_dir()).collect()
}

/// The resident memory of this process, which the system tells in pages.
pub(crate) struct Resident {
    statm: File,
    page: u64,
}

impl Resident {
    /// Opens the figure; none where the system does not have it.
    pub(crate) fn open() -> Option<Self> {
        Some(Self { statm: File::open("/proc/self/statm").ok()?, page: page_size() })
    }

    /// Bytes that are resident now.
    pub(crate) fn bytes(&self) -> u64 {
        let mut text = [0; 128];
        let length = self.statm.read_at(&mut text, 0).unwrap_or(0);
        let pages = std::str::from_utf8(&text[..length]).ok().and_then(|text| text.split_whitespace().nth(1));
        pages.and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |pages| pages * self.page)
    }
}

/// The size of a page: what the kernel told this process at its start.
fn page_size() -> u64 {
    const AT_PAGESZ: u64 = 6;
    static PAGE: OnceLock<u64> = OnceLock::new();
    *PAGE.get_or_init(|| {
        let auxv = std::fs::read("/proc/self/auxv").unwrap_or_default();
        let words: Vec<u64> = auxv.as_chunks::<8>().0.iter().map(|bytes| u64::from_ne_bytes(*bytes)).collect();
        let entry = words.as_chunks::<2>().0.iter().find(|[kind, _]| *kind == AT_PAGESZ);
        entry.map_or(4096, |[_, size]| *size)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_resident_grows_with_what_is_written_to() {
        let resident = Resident::open().unwrap();
        let before = resident.bytes();
        assert!(before > 1 << 20, "{before}");
        let pages = vec![1_u8; 64 << 20];
        assert!(resident.bytes() >= before + (48 << 20), "{before}, {}", resident.bytes());
        assert_eq!(pages[1 << 20], 1);
    }
}
