#!/usr/bin/env python3
"""Run a sort, an aggregate, a `unique` rule and a window over many rows with memory limits.

Prints the peak resident memory of each. Jobs that spill must stay below their limit; the window, which cannot spill,
must end with weir's own error instead of being killed. Exits with code 1 otherwise.
"""

import argparse
import os
import pathlib
import random
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from harness import Contestant, Failed, say  # noqa: E402

LIMITS = [256, 512]
THREADS = 2
# name: SQL over `row`, and quality rules
JOBS = {
    "sort": ("select * from row order by name, id", ""),
    "aggregate": ("select id, count(*) as n, sum(amount) as s, max(name) as m from row group by id", ""),
    "unique": ("select id, name from row", "quality: {result: {warn_unless: {once: {unique: [id, name]}}}}\n"),
    "window": ("select id, count(*) over (partition by name) as n from row", ""),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cache = pathlib.Path.home() / ".cache" / "weir-bench"
    parser.add_argument("--rows", type=int, default=10_000_000, metavar="N", help="rows to generate (default: %(default)s)")
    parser.add_argument("--only", type=harness.one_or_more_of(list(JOBS)), default=list(JOBS), metavar="NAMES",
                        help=f"jobs, separated by commas (default: {','.join(JOBS)})")
    parser.add_argument("--cache", type=harness.absolute, default=cache, metavar="DIR",
                        help="folder of the data and the outputs (default: %(default)s)")
    parser.add_argument("--weir", type=harness.absolute, metavar="PATH", help="a built binary instead of building one")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    weir = options.weir or harness.built(harness.ROOT, "weir", os.environ.get("CARGO_TARGET_DIR"))
    harness.hold_to_cores()
    data = harness.made_once(options.cache / f"rows-{options.rows}", lambda folder: generate(folder, options.rows))
    work = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=options.cache))
    wrong = 0
    print("| job | limit MiB | peak MiB | wall s |\n|---|--:|--:|--:|")
    try:
        for job in options.only:
            for limit in LIMITS:
                outcome, is_right = run(weir, job, limit, data, work / f"{job}-{limit}")
                print(f"| {job} | {limit} | {outcome} |", flush=True)
                wrong += not is_right
    finally:
        shutil.rmtree(work)
    print(f"\n{harness.machine_line(harness.machine())}; {options.rows:,} rows, {THREADS} threads.")
    return int(wrong > 0)


def run(weir: pathlib.Path, job: str, limit: int, data: pathlib.Path, folder: pathlib.Path) -> tuple[str, bool]:
    """The result of a job with a limit, and whether it is as expected."""
    task = task_of(job, folder.with_name(folder.name + "-task"))
    command = [str(weir), "run", "--quiet", "--task-config", str(task), "--param", "input=INPUT", "--param",
               "output=OUTPUT", "--state", "STATE", "--threads", str(THREADS), "--memory-limit", f"{limit}MiB"]
    try:
        one = harness.measured(Contestant(job, "", command), data, folder)
    except Failed as failure:
        is_right = job == "window" and "exit code 1" in str(failure) and "memory" in str(failure)
        if not is_right:
            say(f"{job}: {failure}")
        return ("stopped by weir |" if is_right else "failed |"), is_right
    shutil.rmtree(folder)
    return f"{one.peak_mib:.0f} | {one.wall:.1f}", one.peak_mib <= limit


def task_of(job: str, folder: pathlib.Path) -> pathlib.Path:
    sql, quality = JOBS[job]
    folder.mkdir()
    (folder / "result.sql").write_text(sql)
    task = folder / "task.yaml"
    task.write_text(
        "name: memory\n"
        "params: {input: {type: string}, output: {type: string}}\n"
        "sources:\n"
        "  row:\n"
        "    files: {path: \"${input}/*.csv\", format: csv}\n"
        "    columns: {id: bigint, name: string, amount: integer}\n"
        "models: {result: result.sql}\n"
        f"{quality}"
        "sinks: {result: {from: result, mode: overwrite, files: {path: \"${output}\", format: csv}}}\n"
    )
    return task


def generate(folder: pathlib.Path, rows: int) -> None:
    """Rows with almost unique keys, and a million names."""
    folder.mkdir()
    numbers = random.Random(1)
    with open(folder / "rows.csv", "w", buffering=1 << 20) as out:
        out.write("id,name,amount\n")
        for start in range(0, rows, 100_000):
            keys = (numbers.getrandbits(40) for _ in range(min(100_000, rows - start)))
            out.write("".join(f"{key},name of number {key % 1_000_003:08d} x,{key % 9973}\n" for key in keys))


if __name__ == "__main__":
    sys.exit(main())
