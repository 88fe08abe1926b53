//! A failing or full disk ends a run with a clear error, never with a partial output, and after the next start
//! each row is there once.
#![allow(clippy::unwrap_used)]

mod support;

#[path = "support/deliveries.rs"]
mod deliveries;

use std::path::PathBuf;
use std::process::Command;

use deliveries::Deliveries;
use support::Ran;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// The compiled shim that makes calls fail.
struct FailingDisk {
    folder: tempfile::TempDir,
}

impl FailingDisk {
    fn new() -> Self {
        let disk = Self { folder: tempfile::tempdir().unwrap() };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/failing_disk.c");
        let flags = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O1", "-o"];
        let compiled = Command::new("cc").args(flags).arg(disk.library()).args([source, "-ldl"]).status();
        assert!(compiled.expect("a C compiler, which building this needs too").success());
        disk
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("failing_disk.so")
    }

    /// Runs the task with the n-th call failing, and all later ones too if `stays`; returns the number of calls
    /// there were.
    fn run(&self, deliveries: &Deliveries, at: u64, error: i32, stays: bool) -> (Ran, u64) {
        let count = self.folder.path().join("count");
        std::fs::write(&count, [0; 8]).unwrap();
        let mut command = deliveries.command(&["--quiet"]);
        // The canonical path of the project: the shim filters calls on open files by it.
        command.env("LD_PRELOAD", self.library()).env("FAIL_COUNT", &count);
        command.env("FAIL_UNDER", deliveries.project.path("").canonicalize().unwrap());
        command.env("FAIL_AT", at.to_string()).env("FAIL_ERRNO", error.to_string());
        if stays {
            command.env("FAIL_ON", "1");
        }
        let ran = Ran::of(command.output().unwrap());
        (ran, u64::from_ne_bytes(std::fs::read(&count).unwrap().try_into().unwrap()))
    }
}

/// Makes every writing call fail, one per run.
fn walk(error: i32, stays: bool) {
    let disk = FailingDisk::new();
    let mut deliveries = Deliveries::new();
    deliveries.deliver();
    let (ran, calls) = disk.run(&deliveries, 0, error, stays);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(calls > 50, "only {calls} calls: the shim does not see them");
    deliveries.is_complete("with no call failing");
    let mut failed = 0;
    for at in 1..=calls {
        let when = format!("call {at} of {calls} fails with {error}");
        if deliveries.count() > 10 {
            deliveries = Deliveries::new(); // checking all of them takes a while
        }
        deliveries.deliver();
        let (ran, _) = disk.run(&deliveries, at, error, stays);
        deliveries.is_whole(&format!("{when}: {}", ran.err));
        match ran.code {
            Some(0) => deliveries.is_complete(&when),
            Some(1) => {
                failed += 1;
                is_clear(&ran.err, &when);
                let ran = deliveries.run(&[]);
                assert_eq!(ran.code, Some(0), "{when}: the next start: {}", ran.err);
                deliveries.is_complete(&when);
            }
            code => panic!("{when}: ended with {code:?}: {}", ran.err),
        }
    }
    println!("{failed} runs ended with error {error}, of {calls} calls");
    assert!(failed > calls / 2, "a failing call should end most runs");
}

/// The error has the problem, the place and the remedy.
fn is_clear(said: &str, when: &str) {
    let error = said.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("{when}: {said}"));
    let is_placed = [".weir", "/out/", "/done/", "in/", "scratch"].iter().any(|place| error.contains(place));
    let is_told = [
        "No space left",
        "Input/output error",
        "disk I/O error",
        "disk is full",
        "unable to open",
        "readonly database",
    ]
    .iter()
    .any(|what| error.contains(what));
    assert!(is_placed && is_told, "{when}: {error}");
    assert!(said.lines().any(|line| line.starts_with("help: ")), "{when}: {said}");
}

#[test]
fn a_disk_that_becomes_full_at_any_call_loses_nothing() {
    walk(ENOSPC, true);
}

#[test]
fn a_write_that_fails_loses_nothing() {
    walk(EIO, false);
}

/// Copies the project in `$PROJECT` to a small disk, fills it up to `$FREE` KiB, runs the task there, frees space
/// and runs it again. The disk is in a namespace that ends with its processes; the files after each of the two
/// runs are copied to `$LEFT`.
const ON_A_SMALL_DISK: &str = "
mkdir $LEFT/disk
mount -t tmpfs -o size=2m,mode=755 none $LEFT/disk || exit 77
set -e
cp -a $PROJECT $LEFT/disk/project
cd $LEFT/disk/project
have=$(df -k --output=avail . | tail -1)
head -c $(( (have - FREE) * 1024 )) /dev/zero > ../filler
run='run --task-config task.yaml --threads 1 --quiet'
code=0
$WEIR $run 2> $LEFT/said || code=$?
cp -a . $LEFT/full
rm ../filler
$WEIR $run
cp -a . $LEFT/after
exit $code
";

#[test]
fn a_real_disk_that_is_full_loses_nothing() {
    let mut failed = 0;
    for free in [0, 4, 8, 16, 24, 32, 48, 64, 80, 96, 128, 256] {
        let mut deliveries = Deliveries::new();
        deliveries.deliver();
        let left = tempfile::tempdir().unwrap();
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", ON_A_SMALL_DISK]).env("WEIR", env!("CARGO_BIN_EXE_weir"));
        command.env("PROJECT", deliveries.project.path("")).env("LEFT", left.path()).env("FREE", free.to_string());
        let ran = command.output().map(Ran::of);
        let Some(ran) = ran.ok().filter(|ran| ran.code != Some(77) && !ran.err.starts_with("unshare: ")) else {
            eprintln!("skipped: nothing can be mounted here, not even in a namespace of its own");
            return;
        };
        let said = std::fs::read_to_string(left.path().join("said")).unwrap_or_default();
        let when = format!("{free} KiB free: {said}{}", ran.err);
        deliveries.project.replace(&left.path().join("full"));
        deliveries.is_whole(&when);
        match ran.code {
            Some(0) => deliveries.is_complete(&when),
            Some(1) => is_clear(&said, &when),
            code => panic!("{when}: ended with {code:?}"),
        }
        failed += u32::from(ran.code == Some(1));
        deliveries.project.replace(&left.path().join("after"));
        deliveries.is_complete(&when);
    }
    assert!((3..12).contains(&failed), "{failed} of 12 runs had too little room");
}

#[test]
fn a_target_that_is_not_writable_is_reported_before_anything_is_read() {
    for (locked, said) in [
        ("out", "sink `every`: {}: Permission denied"),
        ("out/latest", "sink `latest`: {}: Permission denied"),
        ("done", "{}: files cannot be moved to the archive"),
        ("in", "{}: files cannot be moved to the archive"),
        (".weir/locks/deliveries.default.lock", ".weir/locks/deliveries.default.lock: Permission denied"),
        (".weir", "state folder: .weir/ledger.sqlite: "),
        (".weir/ledger.sqlite", "state folder: .weir/ledger.sqlite: attempt to write a readonly database"),
        (".weir/scratch", "state folder: .weir/scratch/deliveries.default: Permission denied"),
    ] {
        let mut deliveries = Deliveries::new();
        deliveries.deliver();
        let mut command = deliveries.project.bound_by_permissions(deliveries.command(&["--quiet"]));
        let path = deliveries.project.path(locked);
        let chmod = |mode: &str| assert!(Command::new("chmod").arg(mode).arg(&path).status().unwrap().success());
        chmod("a-w");
        let ran = Ran::of(command.output().unwrap());
        ran.ended(1, &said.replace("{}", path.canonicalize().unwrap().to_str().unwrap()));
        assert!(ran.err.contains("writ"), "what to do: {}", ran.err);
        deliveries.is_whole(locked);
        assert_eq!(deliveries.project.left("out"), ["card", "every", "latest", "young"], "{locked}");
        chmod("a+w");
        Ran::of(command.output().unwrap()).ended(0, "");
        deliveries.is_complete(locked);
    }
}
