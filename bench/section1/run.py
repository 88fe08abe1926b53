#!/usr/bin/env python3
"""Run the section1 job side by side in section1, DuckDB, Polars, PySpark and a hand-written floor.

Makes what it needs (a Python environment, the two Rust programs, the data) in a cache folder, runs every contestant
in turns as a fresh process into a fresh folder, checks that all wrote the same rows, and prints a Markdown table.
Exits 1 if a contestant failed or wrote other rows than the floor.
"""

import argparse
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
ROOT = HERE.parent.parent
PEERS = ["duckdb", "polars", "pyspark"]
CONTESTANTS = ["section1", *PEERS, "floor"]
CORES = 2
STARTUP_ROWS, STARTUP_RUNS = 2_000, 20
PR_SET_CHILD_SUBREAPER = 36


class Failed(Exception):
    """A contestant or a step of preparation failed; the message says how."""


@dataclass
class Run:
    wall: float
    cpu: float
    peak_mib: float


@dataclass
class Contestant:
    name: str
    version: str
    command: list[str]
    runs: list[Run] = field(default_factory=list)
    error: str | None = None

    def median(self, measure: str) -> float:
        return statistics.median(getattr(run, measure) for run in self.runs)


def main() -> int:
    options = parse_arguments()
    # A JVM outlives the Python process that started it: it is handed to us, and its CPU time with it.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    options.cache.mkdir(parents=True, exist_ok=True)
    try:
        tools = prepare(options)
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])  # whoever is started has no other cores
        if options.startup:
            return print_startup(tools, options)
        data = options.data or generated(tools["section1"], options.rows, options.cache)
        contestants = [contestant(name, tools) for name in options.only]
        work = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=options.cache))
        try:
            wanted = reference(tools["floor"], data, work)
            compete(contestants, data, work, tools["floor"], wanted, options)
        finally:
            if options.keep:
                say(f"outputs are kept in {work}")
            else:
                shutil.rmtree(work)
    except Failed as failure:
        sys.exit(f"run.py: {failure}")
    report = {
        "machine": machine(),
        "rows": sum(rows for rows, _ in wanted.values()),
        "bytes": sum(file.stat().st_size for file in data.glob("*.csv")),
        "routes": {route: {"rows": rows, "checksum": checksum} for route, (rows, checksum) in wanted.items()},
        "contestants": [asdict(one) for one in contestants],
    }
    print_table(report, contestants)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(any(one.error for one in contestants))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default_cache = pathlib.Path.home() / ".cache" / "weir-bench"
    parser.add_argument("--rows", type=int, default=10_000_000, metavar="N", help="rows to generate (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, choices=range(1, 101), metavar="N",
                        help="runs of each contestant (default: %(default)s)")
    parser.add_argument("--only", type=names, default=CONTESTANTS, metavar="NAMES",
                        help=f"contestants, separated by commas (default: {','.join(CONTESTANTS)})")
    parser.add_argument("--data", type=absolute, metavar="DIR", help="a folder of CSV files instead of generated ones")
    parser.add_argument("--section1", type=absolute, metavar="PATH", help="a built binary instead of building one")
    parser.add_argument("--cache", type=absolute, default=default_cache, metavar="DIR",
                        help="where the environment, the data and the outputs go (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep what the contestants wrote")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every single run to FILE as well")
    parser.add_argument("--startup", action="store_true",
                        help=f"only time section1 on {STARTUP_ROWS:,} rows, median of {STARTUP_RUNS} runs")
    return parser.parse_args()


def names(text: str) -> list[str]:
    chosen = text.split(",")
    for name in chosen:
        if name not in CONTESTANTS:
            raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(CONTESTANTS)}")
    return [name for name in CONTESTANTS if name in chosen]


def absolute(path: str) -> pathlib.Path:
    return pathlib.Path(path).resolve()


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ---- Preparation


def prepare(options: argparse.Namespace) -> dict[str, pathlib.Path]:
    """Build and install what the chosen contestants need, and the floor, which checks all of them."""
    tools = {}
    if options.startup or "section1" in options.only or not options.data:
        tools["section1"] = options.section1 or built(ROOT, "section1", os.environ.get("CARGO_TARGET_DIR"))
    if not options.startup:
        tools["floor"] = built(HERE / "floor", "section1-floor", options.cache / "floor")
        if set(PEERS) & set(options.only):
            tools["python"] = python_environment(options.cache)
    return tools


def built(folder: pathlib.Path, package: str, target: str | pathlib.Path | None) -> pathlib.Path:
    say(f"building {package}")
    environment = os.environ | ({"CARGO_TARGET_DIR": str(target)} if target else {})
    step(["cargo", "build", "--release", "--locked", "--package", package], cwd=folder, env=environment)
    metadata = step(["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=folder, env=environment,
                    stdout=subprocess.PIPE)
    return pathlib.Path(json.loads(metadata)["target_directory"], "release", package)


def python_environment(cache: pathlib.Path) -> pathlib.Path:
    requirements = HERE / "requirements.txt"
    environment, installed = cache / "venv", cache / "venv" / "requirements.txt"
    if not installed.exists() or installed.read_text() != requirements.read_text():
        say("installing the peers")
        step([sys.executable, "-m", "venv", "--clear", environment])
        step([environment / "bin" / "pip", "install", "--quiet", "--requirement", requirements])
        shutil.copy(requirements, installed)
    return environment / "bin" / "python"


def generated(section1: pathlib.Path, rows: int, cache: pathlib.Path) -> pathlib.Path:
    """The folder of generated applications; made when it is not there yet."""
    folder = cache / f"applications-{rows}"
    if not folder.exists():
        say(f"generating {rows:,} rows")
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        step([section1, "generate", "--rows", rows, "--seed", 1, "--malformed-per-million", 0, partial])
        partial.rename(folder)
    return folder


def step(command: list, **options) -> str:
    """Run a step of the preparation; what it captures of stdout is returned."""
    try:
        return subprocess.run([str(part) for part in command], check=True, text=True, **options).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(error) from error


def contestant(name: str, tools: dict[str, pathlib.Path]) -> Contestant:
    """The contestant's version and command; INPUT, OUTPUT and STATE stand for the folders of a run."""
    if name == "floor":
        return Contestant(name, "by hand", [str(tools["floor"]), "run", "INPUT", "OUTPUT"])
    if name == "section1":
        version = step([tools["section1"], "--version"], stdout=subprocess.PIPE).split()[-1]
        return Contestant(name, version, section1_command(tools["section1"]))
    version = step([tools["python"], "-c", f"import importlib.metadata as m; print(m.version('{name}'))"],
                   stdout=subprocess.PIPE).strip()
    return Contestant(name, version, [str(tools["python"]), str(HERE / f"{name}_job.py"), "INPUT", "OUTPUT"])


def section1_command(section1: pathlib.Path) -> list[str]:
    return [str(section1), "run", "--task-config", "section1/conf/applications.yaml",
            "--param", "input=INPUT", "--param", "output=OUTPUT", "--state", "STATE", "--quiet"]


# ---- Running


def compete(contestants, data, work, floor, wanted, options) -> None:
    """Run all contestants in turns; one that fails or differs is out."""
    warm_up(data)
    for number in range(1, options.runs + 1):
        for one in contestants:
            if one.error:
                continue
            folder = work / f"{one.name}-{number}"
            try:
                run = measured(one, data, folder)
                check(floor, folder / "output", wanted)
                one.runs.append(run)
                say(f"run {number}: {one.name:9} {run.wall:7.2f} s  {run.cpu:7.2f} s CPU  {run.peak_mib:6.0f} MiB")
            except Failed as failure:
                one.error = str(failure)
                say(f"run {number}: {one.name:9} {one.error}")
            if not options.keep:
                shutil.rmtree(folder)


def warm_up(data: pathlib.Path) -> None:
    """Read the input once: everyone finds it in the page cache."""
    buffer = bytearray(1 << 20)
    for file in sorted(data.glob("*.csv")):
        with open(file, "rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass


def measured(one: Contestant, data: pathlib.Path, folder: pathlib.Path) -> Run:
    """Run a contestant in a fresh `folder` and take its time and memory."""
    folder.mkdir()
    places = {"INPUT": data, "OUTPUT": folder / "output", "STATE": folder / "state"}
    fill = lambda part: re.sub("|".join(places), lambda place: str(places[place[0]]), part)
    os.sync()  # nobody pays for the pages that the one before left to be written
    with open(folder / "log", "wb") as log:
        start = time.perf_counter()
        process = subprocess.Popen([fill(part) for part in one.command], cwd=ROOT, stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log)
        tree = TreeMemory(process.pid) if one.name == "pyspark" else None
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
    """Wait for what a contestant left behind, and return its CPU time."""
    cpu = 0.0
    while True:
        try:
            _, _, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return cpu
        cpu += usage.ru_utime + usage.ru_stime


class TreeMemory:
    """Samples the resident memory of a process and all its descendants; pages that they share count twice."""

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


# ---- The same rows


def reference(floor: pathlib.Path, data: pathlib.Path, work: pathlib.Path) -> dict[str, tuple[int, str]]:
    """Rows and checksum of each route, as the floor writes them."""
    output = work / "reference"
    step([floor, "run", data, output])
    wanted = checksums(floor, output)
    shutil.rmtree(output)
    return wanted


def check(floor: pathlib.Path, output: pathlib.Path, wanted: dict[str, tuple[int, str]]) -> None:
    got = checksums(floor, output)
    differing = [f"{route} has {got[route][0]:,} rows of {wanted[route][0]:,}" for route in wanted
                 if got[route] != wanted[route]]
    if differing:
        raise Failed("wrote other rows: " + ", ".join(differing))


def checksums(floor: pathlib.Path, output: pathlib.Path) -> dict[str, tuple[int, str]]:
    """Rows and checksum of each route below `output`, whatever their order, files and quoting."""
    done = subprocess.run([floor, "checksum", output], capture_output=True, text=True)
    if done.returncode:
        raise Failed(done.stderr.strip())
    lines = (line.split() for line in done.stdout.splitlines())
    return {route: (int(rows), checksum) for route, rows, checksum in lines}


# ---- Telling


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


def print_table(report: dict, contestants: list[Contestant]) -> None:
    own_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    section1 = next((one.median("wall") for one in contestants if one.name == "section1" and not one.error), None)
    host = report["machine"]
    print(f"{host['cores']} of {host['cores_of_machine']} cores, {host['cpu']}, {host['memory_mib'] / 1024:.0f} GiB, Linux {host['kernel']}; "
          f"{report['rows']:,} rows, {report['bytes']:,} bytes of CSV.\n")
    print("| contestant | version | wall s | times section1's | CPU s | peak MiB |")
    print("|---|---|--:|--:|--:|--:|")
    for one in contestants:
        if one.error:
            print(f"| {one.name} | {one.version} | {one.error.replace('|', '/')} | | | |")
            continue
        ratio = f"{one.median('wall') / section1:.2f}" if section1 else ""
        peak = one.median("peak_mib")
        # A fresh process starts with the peak of the one that started it.
        peak = f"< {own_mib:.0f}" if peak <= own_mib else f"{peak:.0f}"
        print(f"| {one.name} | {one.version} | {one.median('wall'):.2f} | {ratio} | {one.median('cpu'):.2f} | {peak} |")
    print("""
Medians of runs in turns, each a fresh process into a fresh folder, the input in the page cache. CPU is user and
system time of the process and all its children. Peak is the largest resident set that the kernel reports at the end
(`wait4`); for pyspark it is the largest sum over the Python process and its JVM, sampled ten times a second.
section1 syncs its output to disk before it publishes it (fsync is in its time); the others do not. section1 also
looks for malformed records, of which there are none here.""")
    if not any(one.error for one in contestants):
        print("Every run of every contestant wrote the same rows.")


def print_startup(tools: dict[str, pathlib.Path], options: argparse.Namespace) -> int:
    data = generated(tools["section1"], STARTUP_ROWS, options.cache)
    section1 = contestant("section1", tools)
    warm_up(data)
    with tempfile.TemporaryDirectory(prefix="startup-", dir=options.cache) as work:
        section1.runs = [measured(section1, data, pathlib.Path(work, str(number))) for number in range(STARTUP_RUNS)]
    print(f"section1 {section1.version}, {STARTUP_ROWS:,} rows: {section1.median('wall') * 1000:.0f} ms, "
          f"{section1.median('cpu') * 1000:.0f} ms CPU, {section1.median('peak_mib'):.0f} MiB "
          f"(median of {STARTUP_RUNS} runs)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
