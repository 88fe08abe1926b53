#!/usr/bin/env python3
"""Compare section 4's loader with psql and a script on all countries, on an ephemeral PostgreSQL cluster.

first       200 countries and 1,143 days from a server on this machine into a new table
unchanged   the same load again
revised     the same load again, with one of a hundred totals changed

The alternatives are psql with prepared rows (\\copy into a temporary table, insert ... on conflict) and script.py, a
typical script with pandas and psycopg. Prints a Markdown table. Exits with code 1 on a failure, if the tables differ,
or if the loader has rewritten an unchanged row.
"""

import argparse
import csv
import datetime
import functools
import http.server
import os
import pathlib
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import harness  # noqa: E402
from cluster import SETTINGS, Cluster  # noqa: E402
from harness import Failed, say  # noqa: E402

PARTS = ["first", "unchanged", "revised"]
WAYS = ["psql", "section4", "script"]
FIRST_DAY = datetime.date(2020, 1, 22)
COLUMNS = ["country", "measurement_date", "num_cases", "num_p7d_avg_cases", "total_cases", "days_covered", "source"]
TABLE = """
    create table covid (
        country text, measurement_date date, num_cases bigint, num_p7d_avg_cases double precision, total_cases bigint,
        days_covered integer, source text, primary key (country, measurement_date)
    )"""


def main() -> int:
    options = parse_arguments()
    # The cluster is removed even if the script is terminated.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("run.py: terminated"))
    try:
        section4 = options.section4 or harness.built(harness.ROOT, "section4", os.environ.get("CARGO_TARGET_DIR"))
        python = harness.python_environment(options.cache)
        with Cluster() as cluster, tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
            print(f"{harness.machine_line(harness.machine())}. PostgreSQL with "
                  + ", ".join(f"`{name}` {value}" for name, value in SETTINGS.items())
                  + f". pandas {harness.version_of_package(python, 'pandas')}, "
                  + f"psycopg {harness.version_of_package(python, 'psycopg')}.\n")
            Bench(cluster, section4, python, pathlib.Path(folder), options).run()
    except Failed as failure:
        sys.exit(f"run.py: {failure}")
    return 0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cache = pathlib.Path.home() / ".cache" / "weir-bench"
    parser.add_argument("--countries", type=int, default=200, metavar="N", help="default: %(default)s")
    parser.add_argument("--days", type=int, default=1143, metavar="N", help="default: %(default)s")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each variant, in turns (default: %(default)s)")
    parser.add_argument("--section4", type=harness.absolute, metavar="PATH", help="a built binary instead of building one")
    parser.add_argument("--cache", type=harness.absolute, default=cache, metavar="DIR",
                        help="folder of the script's Python environment (default: %(default)s)")
    return parser.parse_args()


class Bench:
    def __init__(self, cluster: Cluster, section4: pathlib.Path, python: pathlib.Path, folder: pathlib.Path, options):
        self.cluster, self.binary, self.python, self.folder, self.options = cluster, section4, python, folder, options
        self.peaks = []

    def run(self) -> None:
        say("generating")
        totals = made_up(self.options.countries, self.options.days)
        self.write("before", totals)
        self.write("after", revised(totals))
        for way in WAYS:
            self.cluster.psql("postgres", f"create database {way}")
        handler = functools.partial(Quiet, directory=self.folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.server = f"http://127.0.0.1:{server.server_port}"
            times = {way: {part: [] for part in PARTS} for way in WAYS}
            for number in range(1, self.options.runs + 1):
                for way in WAYS:
                    self.cluster.psql(way, "drop table if exists covid")
                    for part in PARTS:
                        times[way][part].append(self.timed(way, part))
                        say(f"{number}: {way}, {part}: {times[way][part][-1]:.2f} s")
                    self.compare(way)
            server.shutdown()
        self.tell(times)

    def timed(self, way: str, part: str) -> float:
        if part == "first" and way == "script":
            self.cluster.psql(way, TABLE, "create index on covid (measurement_date)")
        self.cluster.psql(way, "checkpoint")
        os.sync()
        versions = self.versions(way) if (way, part) == ("section4", "unchanged") else None
        start = time.perf_counter()
        getattr(self, way)("after" if part == "revised" else "before", part)
        seconds = time.perf_counter() - start
        if versions and self.versions(way) != versions:
            raise Failed("section4 has rewritten unchanged rows")
        return seconds

    def versions(self, way: str) -> str:
        return self.cluster.psql(way, "select sum(hashtextextended(xmin::text || ctid::text, 0)::numeric) from covid")

    def psql(self, data: str, part: str) -> None:
        made = [TABLE, "create index on covid (measurement_date)"] if part == "first" else []
        assigned = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[2:])
        self.cluster.psql(
            "psql", "begin", *made, "create temporary table arriving (like covid) on commit drop",
            f"\\copy arriving from '{self.folder / data}.rows.csv' with (format csv)",
            f"insert into covid select * from arriving on conflict (country, measurement_date) do update set {assigned}",
            "commit")

    def section4(self, data: str, _: str) -> None:
        self.peaks.append(self.process([
            self.binary, "load", "--quiet", "--source", "jhu", "--base-url", f"{self.server}/{data}.wide.csv",
            "--database-url", self.cluster.url("section4"), "--state", self.folder / "state",
            "--param", f"output={self.folder / 'refused'}",
            "--task-config", harness.ROOT / "section4" / "conf" / "covid.yaml"]))

    def script(self, data: str, _: str) -> None:
        self.process([self.python, HERE / "script.py", f"{self.server}/{data}.wide.csv", self.cluster.url("script")])

    def process(self, command: list) -> float:
        """Run a command; return its peak memory in MiB."""
        with open(self.folder / "log", "wb") as log:
            process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise Failed(f"{command[0]}: {(self.folder / 'log').read_text()}")
        return usage.ru_maxrss / 1024

    def write(self, name: str, totals: dict[str, list[int]]) -> None:
        """Write the served wide file, and the rows that result from it."""
        days = [FIRST_DAY + datetime.timedelta(days=day) for day in range(self.options.days)]
        with open(self.folder / f"{name}.wide.csv", "w", newline="") as file:
            wide = csv.writer(file)
            header = [f"{day.month}/{day.day}/{day:%y}" for day in days]
            wide.writerow(["Province/State", "Country/Region", "Lat", "Long", *header])
            wide.writerows(["", country, "0.0", "0.0", *values] for country, values in totals.items())
        with open(self.folder / f"{name}.rows.csv", "w", newline="") as file:
            rows = csv.writer(file)
            for country, values in totals.items():
                cases = [None] + [now - before for before, now in zip(values, values[1:])]
                for day in range(1, len(values)):
                    average = sum(cases[day - 6:day + 1]) / 7 if day >= 7 else None
                    rows.writerow([country, days[day], cases[day], average, values[day], 1, "jhu"])

    def compare(self, way: str) -> None:
        # The rounding of moving averages differs slightly, because they are summed in another order.
        row = "country, measurement_date, num_cases, round(num_p7d_avg_cases::numeric, 4), total_cases, days_covered, source"
        digest = f"select count(*), sum(hashtextextended(row::text, 0)::numeric) from (select {row} from covid) as row"
        one, other = (self.cluster.psql(name, digest) for name in ("psql", way))
        if one != other:
            raise Failed(f"psql has {one}, {way} has {other}")

    def tell(self, times: dict[str, dict[str, list[float]]]) -> None:
        print("| load | variant | relative to psql | wall s | all runs |\n|---|---|--:|--:|---|")
        for part in PARTS:
            floor = statistics.median(times["psql"][part])
            for way in WAYS:
                median = statistics.median(times[way][part])
                runs = ", ".join(f"{seconds:.2f}" for seconds in times[way][part])
                print(f"| {part if way == WAYS[0] else ''} | {way} | {median / floor:.2f} | {median:.2f} | {runs} |")
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        peak = max(self.peaks)
        print(f"\nPeak memory of section4: {f'{peak:.0f}' if peak > own else f'< {own:.0f}'} MiB. No unchanged row was "
              "rewritten.")


def made_up(countries: int, days: int) -> dict[str, list[int]]:
    """Totals by day: waves of cases that begin at different times in each country."""
    numbers = random.Random(1)
    totals = {}
    for country in range(countries):
        cases, total, values = numbers.uniform(1, 20), numbers.randrange(50), []
        for day in range(days):
            cases = max(1.0, cases * numbers.uniform(0.86, 1.17) if cases < 50_000 else cases * 0.7)
            total += int(cases)
            values.append(total)
        totals[f"Country {country:03}"] = values
    return totals


def revised(totals: dict[str, list[int]]) -> dict[str, list[int]]:
    """The same with another total in one of a hundred places."""
    numbers = random.Random(2)
    return {country: [total + 1 if numbers.random() < 0.01 else total for total in values]
            for country, values in totals.items()}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


if __name__ == "__main__":
    sys.exit(main())
