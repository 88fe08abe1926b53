#!/usr/bin/env python3
"""Compare the section1 job in section1, DuckDB, Polars, PySpark and a hand-written lower bound.

Creates the prerequisites (a Python environment, the two Rust programs, the data) in a cache folder, runs the
contestants in turns, each as a fresh process with a fresh output folder, checks that all wrote the same rows, and
prints a Markdown table. Exits with code 1 if a contestant failed or wrote different rows than the lower bound.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from harness import Contestant, Failed, say, step  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PEERS = ["duckdb", "polars", "pyspark"]
CONTESTANTS = ["section1", *PEERS, "floor"]
STARTUP_ROWS, STARTUP_RUNS = 2_000, 20


def main() -> int:
    options = parse_arguments()
    harness.adopt_orphans()
    options.cache.mkdir(parents=True, exist_ok=True)
    try:
        tools = prepare(options)
        harness.hold_to_cores()
        if options.startup:
            return print_startup(tools, options)
        data = options.data or generated(tools["section1"], options.rows, options.cache)
        contestants = [contestant(name, tools) for name in options.only]
        if options.former:
            contestants.append(own_contestant("former", options.former))
        work = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=options.cache))
        try:
            wanted = reference(tools["floor"], data, work)
            harness.compete(contestants, data, work, options, lambda output: check(tools["floor"], output, wanted),
                            whole_tree=("pyspark",))
        finally:
            if options.keep:
                say(f"outputs are kept in {work}")
            else:
                shutil.rmtree(work)
    except Failed as failure:
        sys.exit(f"run.py: {failure}")
    report = {
        "machine": harness.machine(),
        "rows": sum(rows for rows, _ in wanted.values()),
        "bytes": sum(file.stat().st_size for file in data.glob("*.csv")),
        "routes": {route: {"rows": rows, "checksum": checksum} for route, (rows, checksum) in wanted.items()},
        "contestants": [asdict(one) for one in contestants],
    }
    print_table(report, contestants)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(any(one.error for one in contestants))


def parse_arguments():
    parser = harness.arguments(__doc__, 10_000_000, CONTESTANTS)
    parser.add_argument("--data", type=harness.absolute, metavar="DIR", help="a folder of CSV files instead of generated ones")
    parser.add_argument("--section1", type=harness.absolute, metavar="PATH", help="a built binary instead of building one")
    harness.add_former(parser)
    parser.add_argument("--startup", action="store_true",
                        help=f"only time section1 on {STARTUP_ROWS:,} rows, median of {STARTUP_RUNS} runs")
    return parser.parse_args()


# ---- Preparation


def prepare(options) -> dict[str, pathlib.Path]:
    """Build and install what the chosen contestants need, and the floor, which checks all of them."""
    tools = {}
    if options.startup or "section1" in options.only or not options.data:
        tools["section1"] = options.section1 or harness.built(harness.ROOT, "section1", os.environ.get("CARGO_TARGET_DIR"))
    if not options.startup:
        tools["floor"] = harness.built(HERE / "floor", "section1-floor", options.cache / "floor")
        if set(PEERS) & set(options.only):
            tools["python"] = harness.python_environment(options.cache)
    return tools


def generated(section1: pathlib.Path, rows: int, cache: pathlib.Path) -> pathlib.Path:
    """The folder of generated applications."""
    command = [section1, "generate", "--rows", rows, "--seed", 1, "--malformed-per-million", 0]
    return harness.made_once(cache / f"applications-{rows}", lambda folder: step([*command, folder]))


def contestant(name: str, tools: dict[str, pathlib.Path]) -> Contestant:
    """The contestant's version and command."""
    if name == "floor":
        return Contestant(name, "hand-written", [str(tools["floor"]), "run", "INPUT", "OUTPUT"])
    if name == "section1":
        return own_contestant(name, tools["section1"])
    version = harness.version_of_package(tools["python"], name)
    return Contestant(name, version, [str(tools["python"]), str(HERE / f"{name}_job.py"), "INPUT", "OUTPUT"])


def own_contestant(name: str, section1: pathlib.Path) -> Contestant:
    command = [str(section1), "run", "--task-config", "section1/conf/applications.yaml",
               "--param", "input=INPUT", "--param", "output=OUTPUT", "--state", "STATE", "--quiet"]
    return Contestant(name, harness.version_of_program(section1), command)


# ---- Comparison of rows


def reference(floor: pathlib.Path, data: pathlib.Path, work: pathlib.Path) -> dict[str, tuple[int, str]]:
    """Row count and checksum of each route in the floor's output."""
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
        raise Failed("wrote different rows: " + ", ".join(differing))


def checksums(floor: pathlib.Path, output: pathlib.Path) -> dict[str, tuple[int, str]]:
    """Row count and checksum of each route below `output`, independent of order, files and quoting."""
    done = subprocess.run([floor, "checksum", output], capture_output=True, text=True)
    if done.returncode:
        raise Failed(done.stderr.strip())
    lines = (line.split() for line in done.stdout.splitlines())
    return {route: (int(rows), checksum) for route, rows, checksum in lines}


# ---- Results


def print_table(report: dict, contestants: list[Contestant]) -> None:
    print(f"{harness.machine_line(report['machine'])}; {report['rows']:,} rows, {report['bytes']:,} bytes of CSV.\n")
    harness.print_table(contestants, "section1")
    print(f"""
{harness.MEASURES}; for pyspark it is the largest sum over the Python process and its JVM, sampled ten times a second.
section1 syncs its output to disk before it publishes it (fsync is in its time); the others do not. section1 also
checks for malformed records, of which there are none here.""")
    if not any(one.error for one in contestants):
        print("All runs of all contestants wrote the same rows.")


def print_startup(tools: dict[str, pathlib.Path], options) -> int:
    data = generated(tools["section1"], STARTUP_ROWS, options.cache)
    section1 = contestant("section1", tools)
    harness.warm_up(data)
    with tempfile.TemporaryDirectory(prefix="startup-", dir=options.cache) as work:
        section1.runs = [harness.measured(section1, data, pathlib.Path(work, str(number))) for number in range(STARTUP_RUNS)]
    print(f"section1 {section1.version}, {STARTUP_ROWS:,} rows: {section1.median('wall') * 1000:.0f} ms, "
          f"{section1.median('cpu') * 1000:.0f} ms CPU, {section1.median('peak_mib'):.0f} MiB "
          f"(median of {STARTUP_RUNS} runs)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
