#!/usr/bin/env python3
"""Compare the conversion of CSV to JSON Lines and to Parquet in weir, DuckDB and Polars, and of CSV with invalid rows to Parquet
and rejects in these and in Floe.

Creates the prerequisites (a Python environment, weir, the data) in a cache folder, runs the contestants in turns, each
as a fresh process with a fresh output folder, checks that all wrote the rows of the input, and prints a Markdown table
per job. Exits with code 1 if a contestant failed or wrote different rows.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from harness import Contestant, Failed, say, step  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
CONTESTANTS = ["weir", "duckdb", "polars", "floe"]


@dataclass
class Job:
    """A conversion: what it is called, its data and the format of its output."""

    title: str
    data: str
    form: str
    contestants: list[str]


JOBS = {
    "jsonl": Job("CSV to JSON Lines", "orders", "jsonl", ["weir", "duckdb", "polars"]),
    "parquet": Job("CSV to Parquet", "orders", "parquet", ["weir", "duckdb", "polars"]),
    "rejects": Job("CSV with invalid rows to Parquet and rejects", "events", "parquet", CONTESTANTS),
}


def main() -> int:
    options = parse_arguments()
    options.cache.mkdir(parents=True, exist_ok=True)
    reports = []
    try:
        weir = options.weir or harness.built(harness.ROOT, "weir", os.environ.get("CARGO_TARGET_DIR"))
        python = harness.python_environment(options.cache)
        harness.hold_to_cores()
        for name in options.jobs:
            job = JOBS[name]
            say(job.title)
            data = harness.made_once(options.cache / f"{job.data}-{options.rows}", lambda folder, job=job: step(
                [python, HERE / "data.py", job.data, folder, options.rows]))
            wanted = checksum(python, job.data, "csv", data)
            contestants = [contestant(one, name, weir, python) for one in job.contestants if one in options.only]
            if options.former:
                contestants.append(own_contestant("former", name, options.former))
            sizes = compete(contestants, job, data, wanted, python, options)
            reports.append({
                "job": name,
                "rows": wanted[0],
                "checksum": wanted[1],
                "sizes": sizes,
                "contestants": [asdict(one) for one in contestants],
            })
            print_table(job, contestants, sizes)
            print_data(wanted, data)
    except Failed as failure:
        sys.exit(f"run.py: {failure}")
    print_end()
    if options.json:
        report = {"machine": harness.machine(), "jobs": reports}
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(any(one["error"] for report in reports for one in report["contestants"]))


def parse_arguments():
    parser = harness.arguments(__doc__, 5_000_000, CONTESTANTS)
    parser.add_argument("--jobs", type=harness.one_or_more_of(list(JOBS)), default=list(JOBS),
                        metavar="NAMES", help=f"jobs, separated by commas (default: {','.join(JOBS)})")
    parser.add_argument("--weir", type=harness.absolute, metavar="PATH", help="a built binary instead of building one")
    harness.add_former(parser)
    return parser.parse_args()


def contestant(name: str, job: str, weir: pathlib.Path, python: pathlib.Path) -> Contestant:
    if name == "weir":
        return own_contestant(name, job, weir)
    arguments = ["INPUT", "OUTPUT"] if name == "floe" else [job, "INPUT", "OUTPUT"]
    package = "floe-python" if name == "floe" else name
    command = [str(python), str(HERE / f"{name}_job.py"), *arguments]
    return Contestant(name, harness.version_of_package(python, package), command)


def own_contestant(name: str, job: str, weir: pathlib.Path) -> Contestant:
    command = [weir, "run", "--task-config", HERE / f"weir_{job}.yaml", "--param", "input=INPUT",
               "--param", "output=OUTPUT", "--state", "STATE", "--quiet"]
    return Contestant(name, harness.version_of_program(weir), [str(part) for part in command])


def compete(contestants, job, data, wanted, python, options) -> dict[str, int]:
    """Run the contestants; return the bytes that each wrote."""
    sizes = {}

    def check(output: pathlib.Path) -> None:
        if (found := checksum(python, job.data, job.form, output)) != wanted:
            raise Failed(f"wrote different rows: {found[0]:,} of {wanted[0]:,}")
        if job.data == "events" and not any(file.stat().st_size for file in output.parent.rglob("*.csv")):
            raise Failed("wrote no rejected rows")
        name = output.parent.name.rpartition("-")[0]
        sizes[name] = sum(file.stat().st_size for file in output.glob(f"*.{job.form}"))

    work = pathlib.Path(tempfile.mkdtemp(prefix="convert-", dir=options.cache))
    try:
        harness.compete(contestants, data, work, options, check)
    finally:
        if options.keep:
            say(f"outputs are kept in {work}")
        else:
            shutil.rmtree(work)
    return sizes


def checksum(python: pathlib.Path, data: str, form: str, folder: pathlib.Path) -> tuple[int, str]:
    """Row count and checksum of a folder."""
    done = subprocess.run([python, HERE / "checksum.py", data, form, folder], capture_output=True, text=True)
    if done.returncode:
        raise Failed(done.stderr.strip().splitlines()[-1])
    rows, checksum = done.stdout.split()
    return int(rows), checksum


def print_table(job: Job, contestants: list[Contestant], sizes: dict[str, int]) -> None:
    print(f"\n{job.title}:\n")
    harness.print_table(contestants, "weir")
    written = ", ".join(f"{name} {size / 2**20:.0f} MiB" for name, size in sizes.items())
    print(f"\nWritten: {written}.")


def print_data(wanted: tuple[int, str], data: pathlib.Path) -> None:
    size = sum(file.stat().st_size for file in data.glob("*.csv"))
    print(f"{wanted[0]:,} valid rows, {size:,} bytes of CSV.")


def print_end() -> None:
    print(f"""
{harness.machine_line(harness.machine())}.

{harness.MEASURES}.
weir syncs its output to disk before it publishes it (fsync is in its time); the others do not.
Contestants without an error wrote exactly the rows of the input in every run.""")


if __name__ == "__main__":
    sys.exit(main())
