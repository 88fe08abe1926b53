"""Benchmark harness: preparation, alternating runs of contestants as fresh processes, and the result table."""

import argparse
import contextlib
import ctypes
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
REQUIREMENTS = HERE / "requirements.txt"
CORES = 2
PR_SET_CHILD_SUBREAPER = 36


class Failed(Exception):
    """A contestant or a preparation step failed; the message has the reason."""


@dataclass
class Run:
    wall: float
    cpu: float
    peak_mib: float


@dataclass
class Contestant:
    """A contestant; INPUT, OUTPUT and STATE in its command are replaced by the folders of a run."""

    name: str
    version: str
    command: list[str]
    runs: list[Run] = field(default_factory=list)
    error: str | None = None

    def median(self, measure: str) -> float:
        return statistics.median(getattr(run, measure) for run in self.runs)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ---- Command-line options


def arguments(description: str, rows: int, contestants: list[str]) -> argparse.ArgumentParser:
    """The common options of all scripts."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    cache = pathlib.Path.home() / ".cache" / "weir-bench"
    parser.add_argument("--rows", type=int, default=rows, metavar="N", help="rows to generate (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, choices=range(1, 101), metavar="N",
                        help="runs of each contestant (default: %(default)s)")
    parser.add_argument("--only", type=one_or_more_of(contestants), default=contestants, metavar="NAMES",
                        help=f"contestants, separated by commas (default: {','.join(contestants)})")
    parser.add_argument("--cache", type=absolute, default=cache, metavar="DIR",
                        help="folder of the Python environment, the data and the outputs (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep what the contestants wrote")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="also write the results of every run to FILE")
    return parser


def add_former(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--former", type=absolute, metavar="PATH",
                        help="the built binary of an earlier version, as a further contestant")


def one_or_more_of(known: list[str]):
    def names(text: str) -> list[str]:
        chosen = text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"unknown name {name}: choose from {', '.join(known)}")
        return [name for name in known if name in chosen]
    return names


def absolute(path: str) -> pathlib.Path:
    return pathlib.Path(path).resolve()


@contextlib.contextmanager
def work_folder(options, prefix: str):
    """A folder in the cache for what the contestants write; removed at the end unless it is to be kept."""
    work = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=options.cache))
    try:
        yield work
    finally:
        if options.keep:
            say(f"outputs are kept in {work}")
        else:
            shutil.rmtree(work)


def report_parts(options, results: dict[str, list["Contestant"]]) -> int:
    """Write the results of all parts to a file, if one is wanted; returns the exit code."""
    if options.json:
        parts = {part: [asdict(one) for one in contestants] for part, contestants in results.items()}
        options.json.write_text(json.dumps({"machine": machine(), **parts}, indent=2) + "\n")
    return int(any(one.error for contestants in results.values() for one in contestants))


# ---- Preparation


def adopt_orphans(adopt: bool = True) -> None:
    """Adopt orphaned processes, such as a JVM, to account for their CPU time. Servers must be started before, and stay."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0)


def hold_to_cores() -> None:
    """Restrict all processes started from here on to the benchmark's cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def built(folder: pathlib.Path, package: str, target: str | pathlib.Path | None) -> pathlib.Path:
    say(f"building {package}")
    environment = os.environ | ({"CARGO_TARGET_DIR": str(target)} if target else {})
    step(["cargo", "build", "--release", "--locked", "--package", package], cwd=folder, env=environment)
    metadata = step(["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=folder, env=environment,
                    stdout=subprocess.PIPE)
    return pathlib.Path(json.loads(metadata)["target_directory"], "release", package)


def python_environment(cache: pathlib.Path, requirements: pathlib.Path = REQUIREMENTS) -> pathlib.Path:
    """The Python of a virtual environment with the peers: that of all benchmarks, or of one with its own requirements."""
    environment = cache / ("venv" if requirements == REQUIREMENTS else f"venv-{requirements.parent.name}")
    installed = environment / "requirements.txt"
    if not installed.exists() or installed.read_text() != requirements.read_text():
        say("installing the peers")
        step([sys.executable, "-m", "venv", "--clear", environment])
        step([environment / "bin" / "pip", "install", "--quiet", "--requirement", requirements])
        shutil.copy(requirements, installed)
    return environment / "bin" / "python"


def made_once(folder: pathlib.Path, make) -> pathlib.Path:
    """A folder filled by `make`, atomically; only if it does not exist yet."""
    if not folder.exists():
        say(f"generating {folder.name}")
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        make(partial)
        partial.rename(folder)
    return folder


def version_of_package(python: pathlib.Path, package: str) -> str:
    return step([python, "-c", f"import importlib.metadata as m; print(m.version('{package}'))"],
                stdout=subprocess.PIPE).strip()


def version_of_program(program: pathlib.Path) -> str:
    return step([program, "--version"], stdout=subprocess.PIPE).split()[-1]


def step(command: list, **options) -> str:
    """Run a preparation step; return the captured stdout."""
    try:
        return subprocess.run([str(part) for part in command], check=True, text=True, **options).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(error) from error


# ---- Runs


def compete(contestants: list[Contestant], data: pathlib.Path, work: pathlib.Path, options, check,
            whole_tree: tuple[str, ...] = (), before=lambda: None, after=lambda folder: None) -> None:
    """Run all contestants in turns; one that fails, or whose output fails `check`, is not run again.

    `before` is called before each run, and `after` with the folder of each run that succeeded.
    """
    warm_up(data)
    for number in range(1, options.runs + 1):
        for one in contestants:
            if one.error:
                continue
            folder = work / f"{one.name}-{number}"
            try:
                before()
                run = measured(one, data, folder, one.name in whole_tree)
                check(folder / "output")
                one.runs.append(run)
                say(f"run {number}: {one.name:9} {run.wall:7.2f} s  {run.cpu:7.2f} s CPU  {run.peak_mib:6.0f} MiB")
                after(folder)
            except Failed as failure:
                one.error = str(failure)
                say(f"run {number}: {one.name:9} {one.error}")
            if not options.keep:
                shutil.rmtree(folder)


def warm_up(data: pathlib.Path) -> None:
    """Read the input once, so that it is in the page cache for every run."""
    buffer = bytearray(1 << 20)
    for file in sorted(data.glob("*.csv")):
        with open(file, "rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass


def measured(one: Contestant, data: pathlib.Path, folder: pathlib.Path, whole_tree: bool = False) -> Run:
    """Run a contestant in a fresh `folder` and measure its time and memory."""
    folder.mkdir()
    places = {"INPUT": data, "OUTPUT": folder / "output", "STATE": folder / "state"}
    fill = lambda part: re.sub("|".join(places), lambda place: str(places[place[0]]), part)
    os.sync()  # no run pays for writing back dirty pages of the previous one
    with open(folder / "log", "wb") as log:
        start = time.perf_counter()
        process = subprocess.Popen([fill(part) for part in one.command], cwd=ROOT, stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log)
        tree = TreeMemory(process.pid) if whole_tree else None
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime + reap_orphans()
    peak = tree.peak_mib() if tree else usage.ru_maxrss / 1024
    if process.returncode:
        last_lines = " | ".join((folder / "log").read_text(errors="replace").splitlines()[-3:])
        raise Failed(f"failed with exit code {process.returncode}: {last_lines}")
    return Run(wall, cpu, peak)


def reap_orphans() -> float:
    """Wait for orphaned processes of a contestant, and return their CPU time."""
    cpu = 0.0
    while True:
        try:
            _, _, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return cpu
        cpu += usage.ru_utime + usage.ru_stime


class TreeMemory:
    """Samples the resident memory of a process and all its descendants; shared pages count twice."""

    INTERVAL = 0.1

    def __init__(self, root: int) -> None:
        self.root, self.peak, self.done = root, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self) -> None:
        while not self.done.wait(self.INTERVAL):
            self.peak = max(self.peak, self.resident())

    def resident(self) -> int:
        pages, parents = {}, {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                parents[int(entry)] = int(pathlib.Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[1])
                pages[int(entry)] = int(pathlib.Path("/proc", entry, "statm").read_text().split()[1])
            except OSError:
                continue  # it ended meanwhile
        tree = {self.root}
        while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
            tree |= more
        return sum(pages.get(pid, 0) for pid in tree) * resource.getpagesize()

    def peak_mib(self) -> float:
        self.done.set()
        self.thread.join()
        return self.peak / 2**20


# ---- Results


def machine() -> dict[str, str | int]:
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cores_of_machine": os.cpu_count(),
        "cpu": cpu[1] if cpu else platform.machine(),
        "memory_mib": int(memory[1]) // 1024 if memory else 0,
        "kernel": platform.release(),
    }


def machine_line(host: dict[str, str | int]) -> str:
    return (f"{host['cores']} of {host['cores_of_machine']} cores, {host['cpu']}, "
            f"{host['memory_mib'] / 1024:.0f} GiB, Linux {host['kernel']}")


def print_table(contestants: list[Contestant], own: str) -> None:
    """Print a Markdown table of medians, relative to `own`."""
    own_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    measure = next((one.median("wall") for one in contestants if one.name == own and not one.error), None)
    print(f"| contestant | version | wall s | times {own}'s | CPU s | peak MiB |")
    print("|---|---|--:|--:|--:|--:|")
    for one in contestants:
        if one.error:
            print(f"| {one.name} | {one.version} | {one.error.replace('|', '/')} | | | |")
            continue
        ratio = f"{one.median('wall') / measure:.2f}" if measure else ""
        peak = one.median("peak_mib")
        # A fresh process inherits the peak of the process that started it.
        peak = f"< {own_mib:.0f}" if peak <= own_mib else f"{peak:.0f}"
        print(f"| {one.name} | {one.version} | {one.median('wall'):.2f} | {ratio} | {one.median('cpu'):.2f} | {peak} |")


MEASURES = """\
Medians of runs in turns, each a fresh process into a fresh folder, the input in the page cache. CPU is user and
system time of the process and all its children. Peak is the largest resident set that the kernel reports at the end
(`wait4`)"""
