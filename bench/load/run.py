#!/usr/bin/env python3
"""Measure the postgres sink beside psql, on a throwaway PostgreSQL cluster.

new     rows of four text columns from CSV into a new table: a weir task beside psql's \\copy
merge   rows merged into as many, half of them there: a weir task beside \\copy into a temporary table and
        insert ... on conflict

Prints a Markdown table for each. Exits 1 if something failed, or the two ways had different rows.
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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from cluster import SETTINGS, Cluster, program  # noqa: E402
from harness import Failed, say  # noqa: E402

PARTS = ["new", "merge"]
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
SQL_TYPES = {"string": "text", "bigint": "bigint", '"decimal(12,2)"': "numeric(12,2)"}
CITIES = ["Singapore", "Kuala Lumpur", "São Paulo", '"New York, NY"', "Paris", "Johannesburg", "Zürich", ""]


def main() -> int:
    options = parse_arguments()
    # However this ends, the cluster goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("run.py: terminated"))
    try:
        weir = options.weir or harness.built(harness.ROOT, "weir", os.environ.get("CARGO_TARGET_DIR"))
        with Cluster() as cluster, tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
            print(f"{harness.machine_line(harness.machine())}. PostgreSQL with "
                  + ", ".join(f"`{name}` {value}" for name, value in SETTINGS.items()) + ".\n")
            cluster.psql("postgres", f"create database {DATABASE}")
            for part in options.only:
                Bench(cluster, weir, pathlib.Path(folder), part, options).run()
    except Failed as failure:
        sys.exit(f"run.py: {failure}")
    return 0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--new-rows", type=int, default=5_000_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--merge-rows", type=int, default=1_000_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each, in turns (default: %(default)s)")
    parser.add_argument("--only", type=harness.one_or_more_of(PARTS), default=PARTS, metavar="PARTS",
                        help=f"parts, separated by commas (default: {','.join(PARTS)})")
    parser.add_argument("--weir", type=harness.absolute, metavar="PATH", help="a built binary instead of building one")
    return parser.parse_args()


class Bench:
    def __init__(self, cluster: Cluster, weir: pathlib.Path, folder: pathlib.Path, part: str, options) -> None:
        self.cluster, self.weir, self.part, self.options = cluster, weir, part, options
        self.folder = folder / part
        self.folder.mkdir()

    def run(self) -> None:
        say(f"{self.part}: generating")
        rows = self.options.new_rows if self.part == "new" else self.options.merge_rows
        self.write("before.csv", range(rows), "was") if self.part == "merge" else None
        self.write("in.csv", range(rows) if self.part == "new" else range(rows // 2, rows + rows // 2), "is")
        self.write_task()
        times = {"weir": [], "psql": []}
        peaks = []
        for number in range(1, self.options.runs + 1):
            for way, run in (("psql", self.psql), ("weir", self.task)):
                self.prepare(way)
                os.sync()
                start = time.perf_counter()
                peak = run()
                times[way].append(time.perf_counter() - start)
                if way == "weir":
                    peaks.append(peak)
                say(f"{self.part} {number}: {way} {times[way][-1]:.2f} s")
            self.compare()
        self.tell(times, peaks)

    def write(self, name: str, ids: range, word: str) -> None:
        columns = list(COLUMNS[self.part])
        with open(self.folder / name, "w") as out:
            out.write(",".join(columns) + "\n")
            for id in ids:
                city = CITIES[id * 7919 % 8]
                if self.part == "new":
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

    def prepare(self, way: str) -> None:
        table = f"{way}_{self.part}"
        self.cluster.psql(DATABASE, f"drop table if exists {table}")
        if self.part == "merge":
            made = f"create table {table} ({self.definitions()}, primary key (id))"
            self.cluster.psql(DATABASE, made, self.copied("before.csv", table), f"vacuum analyze {table}")
        self.cluster.psql(DATABASE, "checkpoint")

    def psql(self) -> None:
        table = f"psql_{self.part}"
        if self.part == "new":
            self.cluster.psql(DATABASE, f"create table {table} ({self.definitions()})", self.copied("in.csv", table))
            return
        columns = list(COLUMNS[self.part])
        assigned = ", ".join(f"{name} = excluded.{name}" for name in columns[1:])
        self.cluster.psql(
            DATABASE, "begin", f"create temporary table arriving ({self.definitions()}) on commit drop",
            self.copied("in.csv", "arriving"),
            f"insert into {table} select * from arriving on conflict (id) do update set {assigned}", "commit")

    def task(self) -> float:
        """Run the task; gives its peak of memory in MiB."""
        state = self.folder / "state"
        shutil.rmtree(state, ignore_errors=True)
        with open(self.folder / "log", "wb") as log:
            process = subprocess.Popen([str(self.weir), "run", "--quiet", "--task-config", str(self.folder / "task.yaml"),
                                        "--state", str(state)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise Failed(f"weir: {(self.folder / 'log').read_text()}")
        return usage.ru_maxrss / 1024

    def compare(self) -> None:
        digest = "select count(*), sum(hashtextextended(row::text, 0)::numeric) from {} as row"
        one, other = (self.cluster.psql(DATABASE, digest.format(f"{way}_{self.part}")) for way in ("psql", "weir"))
        if one != other:
            raise Failed(f"{self.part}: psql has {one}, weir has {other}")

    def tell(self, times: dict[str, list[float]], peaks: list[float]) -> None:
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        median = {way: statistics.median(of) for way, of in times.items()}
        peak = f"{max(peaks):.0f}" if max(peaks) > own else f"< {own:.0f}"
        print(f"### {self.part}\n\n| way | times psql's | wall s | all runs | peak MiB |\n|---|--:|--:|---|--:|")
        for way in ("psql", "weir"):
            runs = ", ".join(f"{seconds:.1f}" for seconds in times[way])
            shown = peak if way == "weir" else ""
            print(f"| {way} | {median[way] / median['psql']:.2f} | {median[way]:.1f} | {runs} | {shown} |")
        print()


if __name__ == "__main__":
    sys.exit(main())
