"""A year of hourly files: how large the ledger becomes, and what a run costs that has it.

    cargo build --release -p weir && python3 bench/ledger/run.py

Two tasks: one reads what is new (`read: new`), one reads all files every time (`read: all`). Each is run once over all files
but one; then its ledger gets a copy of that run for every further hour, as the runs would have entered them; then the last
file arrives. Prints the size of the ledger, and the median time of the step `find`, in which a run asks the ledger about its
files, next to that of a task with one file.
"""

import argparse
import json
import pathlib
import sqlite3
import statistics
import subprocess
import tempfile

TASK = """
name: hourly
sources:
  row:
    files: {path: "in/*.csv", format: csv}
    read: READ
    columns: {number: bigint}
sinks:
  rows: {from: row, mode: MODE, files: {path: out/rows, format: csv}}
"""


def run(weir: pathlib.Path, folder: pathlib.Path) -> float:
    """Runs the task; returns the milliseconds of its step `find`."""
    report = folder / "report.json"
    subprocess.run([weir, "run", "task.yaml", "--quiet", "--report", report], cwd=folder, check=True)
    steps = json.loads(report.read_text())["report"]["steps"]
    return next(step["seconds"] for step in steps if step["name"] == "find") * 1e3


def deliver(folder: pathlib.Path, number: int) -> None:
    (folder / "in" / f"applications-of-hour-{number:05}.csv").write_text(f"number\n{number}\n")


def prepare(folder: pathlib.Path, read: str, files: int) -> None:
    (folder / "in").mkdir(parents=True)
    mode = "append" if read == "new" else "overwrite"
    (folder / "task.yaml").write_text(TASK.replace("READ", read).replace("MODE", mode))
    for number in range(files):
        deliver(folder, number)


def repeat_the_run(folder: pathlib.Path, hours: int) -> None:
    """Enters copies of the newest run, without its inputs: those are entered once."""
    ledger = sqlite3.connect(folder / ".weir" / "ledger.sqlite")
    (newest,) = ledger.execute("select id from run order by rowid desc limit 1").fetchone()
    for table, key in [("run", "id"), ("step", "run"), ("reason", "run"), ("output", "run")]:
        columns = [name for _, name, *_ in ledger.execute(f"pragma table_info({table})")]
        values = ", ".join("?2" if name == key else name for name in columns)
        copy = f"insert into {table} ({', '.join(columns)}) select {values} from {table} where {key} = ?1"
        ledger.executemany(copy.replace("window", '"window"'), [(newest, f"{newest[:-5]}{hour:05}") for hour in range(hours)])
    ledger.commit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", default="target/release/weir", help="the program")
    parser.add_argument("--hours", type=int, default=365 * 24)
    parser.add_argument("--repeat", type=int, default=11)
    arguments = parser.parse_args()
    weir = pathlib.Path(arguments.weir).resolve()
    print("read  files   runs  ledger   find")
    for read in ["new", "all"]:
        for files, runs in [(1, 1), (arguments.hours, arguments.hours)]:
            with tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name) / "task"
                prepare(folder, read, files)
                run(weir, folder)
                repeat_the_run(folder, runs - 1)
                times = []
                for number in range(arguments.repeat):
                    deliver(folder, files + number)
                    times.append(run(weir, folder))
                size = (folder / ".weir" / "ledger.sqlite").stat().st_size
                median = statistics.median(times)
                print(f"{read:4}  {files:5}  {runs:5}  {size / 1e6:3.1f} MB  {median:.1f} ms", flush=True)


if __name__ == "__main__":
    main()
