"""Appends to one folder many times: how much the cost of an append depends on what the folder holds.

    cargo build --release -p weir && python3 bench/append/run.py

Prints the median time of ten runs at the beginning and of ten runs behind the appends, and their ratio.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

TASK = """
name: append
sources:
  row:
    files: {path: "in/*.csv", format: csv}
    read: new
    archive: done
    columns: {number: bigint}
sinks:
  rows: {from: row, mode: append, files: {path: out/rows, format: csv}}
"""


def append(weir, folder, number):
    """Delivers one row and runs the task; returns the seconds of the run."""
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / f"{number:05}.csv").write_text(f"number\n{number}\n")
    started = time.perf_counter()
    subprocess.run([weir, "run", "--quiet", "--task-config", "task.yaml"], cwd=folder, check=True)
    return time.perf_counter() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", default="target/release/weir", help="the program")
    parser.add_argument("--appends", type=int, default=2000)
    arguments = parser.parse_args()
    weir = pathlib.Path(arguments.weir).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "task.yaml").write_text(TASK)
        times = [append(weir, folder, number) for number in range(arguments.appends + 10)]
        rows = sum(len(path.read_text().splitlines()) - 1 for path in (folder / "out" / "rows").glob("*.csv"))
    if rows != arguments.appends + 10:
        sys.exit(f"{rows} rows were appended, not {arguments.appends + 10}")
    first, last = statistics.median(times[5:15]), statistics.median(times[-10:])
    print(f"the tenth append      {first * 1e3:6.1f} ms (median of the 6th to the 15th)")
    print(f"after {arguments.appends:5} appends   {last * 1e3:6.1f} ms (median of the next 10)")
    print(f"ratio                 {last / first:6.2f}")


if __name__ == "__main__":
    main()
