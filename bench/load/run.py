#!/usr/bin/env python3
"""Compare the postgres sink with psql and dlt, on an ephemeral PostgreSQL cluster.

new     rows of four text columns from CSV into a new table: a weir task, psql's \\copy, and dlt
merge   upsert of rows into a table of the same size that has half of them: a weir task, \\copy into a temporary table
        and insert ... on conflict, and dlt
read    rows of four text columns from a table into CSV files: a weir task, and psql's \\copy

The first two are then killed (SIGKILL) after half of their usual time, and run again; the number of rows of the new
delivery in the table is counted after both. Prints a Markdown table for each part. Exits with code 1 on a failure, or
if the variants had different rows.
"""

import argparse
import os
import pathlib
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from cluster import SETTINGS, Cluster, program  # noqa: E402
from harness import Failed, say  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PARTS = ["new", "merge", "read"]
WAYS = ["psql", "weir", "dlt"]
DATABASE = "load"

TASK = """
name: load
sources:
  row:
    files: {{path: "{files}", format: csv}}
    columns: {columns}
sinks:
  target:
    from: row
    {mode}
    postgres: {{connection: target, table: weir_{part}, create: true}}
  unreadable: {{from: row.rejected, mode: overwrite, files: {{path: "{folder}/unreadable", format: csv}}}}
"""

COLUMNS = {
    "new": {"id": "string", "name": "string", "email": "string", "city": "string"},
    "merge": {"id": "bigint", "name": "string", "city": "string", "amount": '"decimal(12,2)"'},
}
COLUMNS["read"] = COLUMNS["new"]
SQL_TYPES = {"string": "text", "bigint": "bigint", '"decimal(12,2)"': "numeric(12,2)"}
CITIES = ["Singapore", "Kuala Lumpur", "São Paulo", '"New York, NY"', "Paris", "Johannesburg", "Zürich", ""]


def main() -> int:
    options = parse_arguments()
    # The cluster is removed even if the script is terminated.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("run.py: terminated"))
    try:
        weir = options.weir or harness.built(harness.ROOT, "weir", os.environ.get("CARGO_TARGET_DIR"))
        with Cluster() as cluster, tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
            print(f"{harness.machine_line(harness.machine())}. PostgreSQL with "
                  + ", ".join(f"`{name}` {value}" for name, value in SETTINGS.items()) + ".\n")
            cluster.psql("postgres", f"create database {DATABASE}")
            python = harness.python_environment(options.cache) if "dlt" in options.ways else None
            for part in options.only:
                (Reading if part == "read" else Bench)(cluster, weir, python, pathlib.Path(folder), part, options).run()
    except Failed as failure:
        sys.exit(f"run.py: {failure}")
    return 0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--new-rows", type=int, default=5_000_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--merge-rows", type=int, default=1_000_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each variant, in turns (default: %(default)s)")
    parser.add_argument("--only", type=harness.one_or_more_of(PARTS), default=PARTS, metavar="PARTS",
                        help=f"parts, separated by commas (default: {','.join(PARTS)})")
    parser.add_argument("--ways", type=harness.one_or_more_of(WAYS), default=WAYS, metavar="WAYS",
                        help=f"variants, separated by commas; psql is always included (default: {','.join(WAYS)})")
    parser.add_argument("--cache", type=harness.absolute, default=pathlib.Path.home() / ".cache" / "weir-bench",
                        metavar="DIR", help="folder of dlt's Python environment (default: %(default)s)")
    parser.add_argument("--weir", type=harness.absolute, metavar="PATH", help="a built binary instead of building one")
    options = parser.parse_args()
    options.ways = [way for way in WAYS if way in options.ways or way == "psql"]
    return options


class Bench:
    def __init__(self, cluster: Cluster, weir: pathlib.Path, python: pathlib.Path | None, folder: pathlib.Path, part: str,
                 options) -> None:
        self.cluster, self.binary, self.python, self.part, self.options = cluster, weir, python, part, options
        self.folder = folder / part
        self.folder.mkdir()

    def run(self) -> None:
        say(f"{self.part}: generating")
        rows = self.options.merge_rows if self.part == "merge" else self.options.new_rows
        self.write("before.csv", range(rows), "was") if self.part == "merge" else None
        self.write("in.csv", range(rows // 2, rows + rows // 2) if self.part == "merge" else range(rows), "is")
        self.write_task()
        times = {way: [] for way in self.options.ways}
        peaks = {way: [] for way in self.options.ways}
        for number in range(1, self.options.runs + 1):
            for way in self.options.ways:
                self.prepare(way)
                os.sync()
                start = time.perf_counter()
                peaks[way].append(self.finish(self.start(way)))
                times[way].append(time.perf_counter() - start)
                say(f"{self.part} {number}: {way} {times[way][-1]:.2f} s")
                self.compare(way)
        left = {way: self.killed(way, statistics.median(times[way]) / 2) for way in self.options.ways}
        self.tell(times, peaks, left)

    def write(self, name: str, ids: range, word: str) -> None:
        columns = list(COLUMNS[self.part])
        with open(self.folder / name, "w") as out:
            out.write(",".join(columns) + "\n")
            for id in ids:
                city = CITIES[id * 7919 % 8]
                if self.part != "merge":
                    out.write(f"{id},Name {id % 99991} of many,somebody.{id}@example.com,{city}\n")
                else:
                    amount = id % 10 if id % 2 else id % 10 + (word == "is")
                    out.write(f"{id},Name {id % 99991} of many,{city},{amount}.{id % 100:02}\n")

    def write_task(self) -> None:
        columns = "{" + ", ".join(f"{name}: {kind}" for name, kind in COLUMNS[self.part].items()) + "}"
        mode = "mode: overwrite" if self.part == "new" else "mode: merge\n    primary_key: [id]"
        (self.folder / "task.yaml").write_text(TASK.format(
            files=self.folder / "in.csv", columns=columns, mode=mode, part=self.part, folder=self.folder))
        (self.folder / "weir.yaml").write_text(
            f"connections: {{target: {{postgres: '{self.cluster.url(DATABASE)}'}}}}\n")

    def definitions(self) -> str:
        return ", ".join(f"{name} {SQL_TYPES[kind]}" for name, kind in COLUMNS[self.part].items())

    def copied(self, name: str, into: str) -> str:
        return f"\\copy {into} from '{self.folder / name}' with (format csv, header)"

    def table(self, way: str) -> str:
        return f"dlt.{self.part}" if way == "dlt" else f"{way}_{self.part}"

    def prepare(self, way: str) -> None:
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        shutil.rmtree(self.folder / "dlt", ignore_errors=True)
        if way == "dlt":
            # dlt can only merge into a table that it created.
            self.cluster.psql(DATABASE, "drop schema if exists dlt cascade", "drop schema if exists dlt_staging cascade")
            if self.part == "merge":
                self.finish(self.start_dlt("before.csv"))
        else:
            self.cluster.psql(DATABASE, f"drop table if exists {self.table(way)}")
        if self.part == "merge":
            if way != "dlt":
                made = f"create table {self.table(way)} ({self.definitions()}, primary key (id))"
                self.cluster.psql(DATABASE, made, self.copied("before.csv", self.table(way)))
            self.cluster.psql(DATABASE, f"vacuum analyze {self.table(way)}")
        self.cluster.psql(DATABASE, "checkpoint")

    def start(self, way: str) -> subprocess.Popen:
        return {"psql": self.start_psql, "weir": self.start_weir, "dlt": self.start_dlt}[way]()

    def start_psql(self) -> subprocess.Popen:
        table = self.table("psql")
        if self.part == "new":
            # In one transaction, like the other variants.
            commands = ["begin", f"create table if not exists {table} ({self.definitions()})",
                        self.copied("in.csv", table), "commit"]
        else:
            columns = list(COLUMNS[self.part])
            assigned = ", ".join(f"{name} = excluded.{name}" for name in columns[1:])
            commands = ["begin", f"create temporary table arriving ({self.definitions()}) on commit drop",
                        self.copied("in.csv", "arriving"),
                        f"insert into {table} select * from arriving on conflict (id) do update set {assigned}", "commit"]
        given = [part for command in commands for part in ("--command", command)]
        return self.process([program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", *given,
                             self.cluster.url(DATABASE)])

    def start_weir(self) -> subprocess.Popen:
        return self.process([self.binary, "run", "--quiet", "--task-config", self.folder / "task.yaml",
                             "--state", self.folder / "state"])

    def start_dlt(self, file: str = "in.csv") -> subprocess.Popen:
        mode = "replace" if self.part == "new" else "merge"
        # The server requires no password, but dlt does.
        url = self.cluster.url(DATABASE).replace("owner@", "owner:none@")
        return self.process([self.python, HERE / "dlt_job.py", self.folder / file, url, self.part, mode, self.folder / "dlt"])

    def process(self, command: list) -> subprocess.Popen:
        with open(self.folder / "log", "wb") as log:
            return subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    start_new_session=True, env=os.environ | {"RUNTIME__DLTHUB_TELEMETRY": "false"})

    def finish(self, process: subprocess.Popen) -> float:
        """Wait for a process; return its peak memory in MiB."""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise Failed(f"{process.args[0]}: {(self.folder / 'log').read_text(errors='replace')[-2000:]}")
        return usage.ru_maxrss / 1024

    def killed(self, way: str, after: float) -> list[str]:
        """The rows in the table after a kill in the middle of a run, and after another run."""
        self.prepare(way)
        process = self.start(way)
        time.sleep(after)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        left = [self.delivered(way)]
        self.finish(self.start(way))
        left.append(self.delivered(way))
        say(f"{self.part}: {way} killed after {after:.1f} s: {left[0]} rows, and {left[1]} after another run")
        return left

    def delivered(self, way: str) -> str:
        """The number of rows of the new delivery in the table."""
        table = self.table(way)
        # The server notices a dead client only after a moment.
        time.sleep(2)
        if self.cluster.psql(DATABASE, f"select to_regclass('{table}')") == "":
            return "0"
        of_delivery = "" if self.part == "new" else f" where id >= {self.options.merge_rows}"
        return f"{int(self.cluster.psql(DATABASE, f'select count(*) from {table}{of_delivery}')):,}"

    def compare(self, way: str) -> None:
        columns = ", ".join(COLUMNS[self.part])
        digest = "select count(*), sum(hashtextextended(row::text, 0)::numeric) from (select {} from {}) as row"
        one, other = (self.cluster.psql(DATABASE, digest.format(columns, self.table(name))) for name in ("psql", way))
        if one != other:
            raise Failed(f"{self.part}: psql has {one}, {way} has {other}")

    def tell(self, times: dict[str, list[float]], peaks: dict[str, list[float]], left: dict[str, list[str]]) -> None:
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        floor = statistics.median(times["psql"])
        print(f"### {self.part}\n\n| variant | relative to psql | wall s | all runs | peak MiB | rows after a kill "
              "| after another run |")
        print("|---|--:|--:|---|--:|--:|--:|")
        for way in self.options.ways:
            median, runs = statistics.median(times[way]), ", ".join(f"{seconds:.1f}" for seconds in times[way])
            peak = f"{max(peaks[way]):.0f}" if max(peaks[way]) > own else f"< {own:.0f}"
            print(f"| {way} | {median / floor:.2f} | {median:.1f} | {runs} | {peak} | {left[way][0]} | {left[way][1]} |")
        print()


READ_TASK = """
name: read
sources:
  row:
    postgres: {{connection: target, table: read}}
    columns: {columns}
sinks:
  rows: {{from: row, mode: overwrite, files: {{path: "{folder}/out", format: csv}}}}
  unreadable: {{from: row.rejected, mode: overwrite, files: {{path: "{folder}/unreadable", format: csv}}}}
"""


class Reading(Bench):
    """Reading a table into CSV files."""

    def run(self) -> None:
        say("read: generating")
        self.write("in.csv", range(self.options.new_rows), "is")
        self.cluster.psql(DATABASE, f"create table read ({self.definitions()})", self.copied("in.csv", "read"),
                          "vacuum analyze read", "checkpoint")
        columns = "{" + ", ".join(f"{name}: {kind}" for name, kind in COLUMNS["read"].items()) + "}"
        (self.folder / "task.yaml").write_text(READ_TASK.format(columns=columns, folder=self.folder))
        (self.folder / "weir.yaml").write_text(
            f"connections: {{target: {{postgres: '{self.cluster.url(DATABASE)}'}}}}\n")
        ways = {"psql": self.read_by_psql, "weir": self.start_weir}
        times, peaks = ({way: [] for way in ways} for _ in range(2))
        for number in range(1, self.options.runs + 1):
            for way, start_way in ways.items():
                os.sync()
                start = time.perf_counter()
                peaks[way].append(self.finish(start_way()))
                times[way].append(time.perf_counter() - start)
                say(f"read {number}: {way} {times[way][-1]:.2f} s")
        one, other = checksum([self.folder / "psql.csv"]), checksum((self.folder / "out").glob("*.csv"))
        if one != other:
            raise Failed(f"read: psql has {one}, weir has {other}")
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print("### read\n\n| variant | relative to psql | wall s | all runs | peak MiB |\n|---|--:|--:|---|--:|")
        for way in ways:
            median, runs = statistics.median(times[way]), ", ".join(f"{seconds:.1f}" for seconds in times[way])
            peak = f"{max(peaks[way]):.0f}" if max(peaks[way]) > own else f"< {own:.0f}"
            print(f"| {way} | {median / statistics.median(times['psql']):.2f} | {median:.1f} | {runs} | {peak} |")
        print()

    def read_by_psql(self) -> subprocess.Popen:
        return self.process([program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command",
                             f"\\copy read to '{self.folder / 'psql.csv'}' with (format csv)", self.cluster.url(DATABASE)])


def checksum(files) -> tuple[int, int]:
    """Number of lines and an order-independent sum over them, without headers."""
    header, lines, total = (",".join(COLUMNS["read"]) + "\n").encode(), 0, 0
    for file in files:
        with open(file, "rb") as rows:
            for row in rows:
                if row != header:
                    lines, total = lines + 1, total + zlib.crc32(row)
    return lines, total


if __name__ == "__main__":
    sys.exit(main())
