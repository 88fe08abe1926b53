#!/usr/bin/env python3
"""Compare section2 with psql and plain aggregates, on an ephemeral PostgreSQL cluster.

load       `section2 generate`, and psql's \\copy of the same rows with and without triggers
writers    pgbench: orders with three items and a payment, with and without maintained summaries
questions  both queries, and plain aggregates over all sales, including those of the writers

Prints a Markdown table for each part. Exits with code 1 on a failure, or if variants had different rows or results.
"""

import argparse
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from cluster import SETTINGS, Cluster, program  # noqa: E402
from harness import Failed, say, step  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
QUESTIONS = ["top-members", "top-items"]
PARTS = ["load", "writers", "questions"]
# In the order of their references.
TABLES = ["member", "manufacturer", "item", "orders", "orders_item", "txn"]
SUMMARIES = {
    "member_spending": "select member_id, sum(spent) from summary.member_spending group by 1 having sum(spent) <> 0",
    "item_buyer": "select item_id, member_id, orders from summary.item_buyer where orders > 0",
    "item_sales": "select item_id, sum(orders), sum(units), sum(members) from summary.item_sales group by 1",
}
SUMMED_UP = ["orders_item", "txn"]
TRIGGERS_OF_SUMMARIES = """
    select tgrelid::regclass, tgname from pg_trigger join pg_proc on pg_proc.oid = tgfoid
    where pronamespace = 'summary'::regnamespace"""


def main() -> int:
    options = parse_arguments()
    # The cluster is removed even if the script is terminated.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("run.py: terminated"))
    try:
        binary = options.section2 or harness.built(harness.ROOT, "section2", os.environ.get("CARGO_TARGET_DIR"))
        with Cluster() as cluster:
            print_head(cluster, options)
            Bench(cluster, binary, options).run()
    except Failed as failure:
        sys.exit(f"run.py: {failure}")
    return 0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    number = dict(type=int, metavar="N")
    parser.add_argument("--members", default=1_000_000, help="default: %(default)s", **number)
    parser.add_argument("--orders", default=1_700_000, help="of 3 lines on average (default: %(default)s)", **number)
    parser.add_argument("--runs", default=3, help="runs of each variant of loading and writing (default: %(default)s)", **number)
    parser.add_argument("--seconds", default=20, help="of each run of the writers (default: %(default)s)", **number)
    parser.add_argument("--only", type=harness.one_or_more_of(PARTS), default=PARTS, metavar="PARTS",
                        help=f"parts, separated by commas (default: {','.join(PARTS)})")
    parser.add_argument("--explain", action="store_true", help="also print the query plans")
    parser.add_argument("--section2", type=harness.absolute, metavar="PATH", help="a built binary instead of building one")
    return parser.parse_args()


class Bench:
    def __init__(self, cluster: Cluster, binary: pathlib.Path, options) -> None:
        self.cluster, self.binary, self.options = cluster, binary, options

    def run(self) -> None:
        self.cluster.psql("postgres", "create database empty", "create database sales")
        for database in ("empty", "sales"):
            self.section2(database, "migrate")
        say("generating")
        self.generate("sales")
        self.cluster.psql("sales", "vacuum analyze")
        lines = int(self.cluster.psql("sales", "select count(*) from orders_item"))
        size = self.cluster.psql("sales", "select pg_size_pretty(pg_database_size('sales'))")
        print(f"{self.options.members:,} members, {self.options.orders:,} orders, {lines:,} lines; {size}.\n")
        for part in self.options.only:
            getattr(self, part)()

    def section2(self, database: str, *arguments) -> str:
        environment = os.environ | {"DATABASE_URL": self.cluster.url(database)}
        return step([self.binary, *arguments], env=environment, stdout=subprocess.PIPE)

    def generate(self, database: str) -> None:
        self.section2(database, "generate", "--members", self.options.members, "--orders", self.options.orders)

    # ---- Loading

    def load(self) -> None:
        with tempfile.TemporaryDirectory(prefix="section2-rows-") as folder:
            say("exporting")
            # Sorted by key, which is the order in which they were generated.
            self.cluster.psql("sales", *(f"\\copy (select * from {table} order by 1) to '{folder}/{table}'"
                                         for table in TABLES))
            copies = [f"\\copy {table} from '{folder}/{table}'" for table in TABLES]
            switch = lambda to: [f"alter table {table} {to} trigger user" for table in SUMMED_UP]
            psql = lambda commands: lambda: self.cluster.psql("load", *commands, options=("--single-transaction",))
            ways = {
                "section2 generate": lambda: self.generate("load"),
                "psql, triggers on": psql(copies),
                "psql, triggers off, rebuild": psql([*switch("disable"), *copies, "call summary.rebuild()", *switch("enable")]),
            }
            times = {name: [] for name in ways}
            wanted = self.checksums("sales")
            for number in range(1, self.options.runs + 1):
                for name, way in ways.items():
                    self.cluster.psql("postgres", "create database load template empty", "checkpoint")
                    os.sync()
                    seconds = timed(way)
                    times[name].append(seconds)
                    say(f"run {number}: {name:28} {seconds:7.2f} s")
                    if number == 1 and (got := self.checksums("load")) != wanted:
                        raise Failed(f"{name} has different rows: {got}, expected {wanted}")
                    self.cluster.psql("postgres", "drop database load")
        base = statistics.median(times["psql, triggers on"])
        print("| loading | wall s | relative to psql with triggers | all runs |\n|---|--:|--:|---|")
        for name, seconds in times.items():
            median = statistics.median(seconds)
            print(f"| {name} | {median:.1f} | {median / base:.2f} | {', '.join(f'{one:.1f}' for one in seconds)} |")
        print()

    def checksums(self, database: str) -> dict[str, str]:
        """Row count and order-independent hash of each table and summary."""
        sources = {table: f"select * from {table}" for table in TABLES} | SUMMARIES
        query = "select count(*), sum(hashtextextended(row::text, 0)) from ({}) as row"
        return {name: self.cluster.psql(database, query.format(source)) for name, source in sources.items()}

    # ---- Writers

    def writers(self) -> None:
        print("| clients | transactions/s with summaries | without | ratio | retried | failed |\n|--:|--:|--:|--:|--:|--:|")
        items = self.cluster.psql("sales", "select count(*) from item")
        # The summaries of `sales` stay exact; those of the copy do not.
        databases = ["sales", "without"]
        self.cluster.psql("postgres", "create database without template sales")
        triggers = self.cluster.psql("without", TRIGGERS_OF_SUMMARIES).splitlines()
        self.cluster.psql("without", *(f"alter table {table} disable trigger {trigger}"
                                       for table, trigger in (line.split("|") for line in triggers)))
        for clients in (1, 8):
            rates, retried, failed = {database: [] for database in databases}, 0, 0
            for number in range(1, self.options.runs + 1):
                for database, of in rates.items():
                    self.cluster.psql("postgres", "checkpoint")
                    output = self.pgbench(database, clients, items)
                    of.append(float(figure(r"tps = ([0-9.]+)", output)))
                    retried += int(figure(r"transactions retried: ([0-9]+)", output))
                    failed += int(figure(r"failed transactions: ([0-9]+)", output))
                    say(f"run {number}: {clients} clients, {database}: {of[-1]:.0f} transactions/s")
            kept, without = (statistics.median(of) for of in rates.values())
            print(f"| {clients} | {kept:,.0f} | {without:,.0f} | {kept / without:.2f} | {retried} | {failed} |")
        self.cluster.psql("postgres", "drop database without")
        print()

    def pgbench(self, database: str, clients: int, items: str) -> str:
        return step([program("pgbench"), "--no-vacuum", "--protocol=prepared", f"--client={clients}",
                     f"--jobs={min(clients, harness.CORES)}", f"--time={self.options.seconds}", "--max-tries=20",
                     f"--define=members={self.options.members}", f"--define=items={items}",
                     "--file", HERE / "writer.sql", self.cluster.url(database)],
                    stdout=subprocess.PIPE)

    # ---- Queries

    def questions(self) -> None:
        print("| query | from summaries, ms | plain aggregate, ms | ratio |\n|---|--:|--:|--:|")
        plans = []
        for question in QUESTIONS:
            ours = self.section2("sales", "query", question, "--sql")
            plain = (HERE / f"plain_{question.replace('-', '_')}.sql").read_text()
            if self.cluster.psql("sales", ours) != self.cluster.psql("sales", plain):
                raise Failed(f"{question}: the results differ")
            fast, slow = (self.milliseconds(sql, runs) for sql, runs in ((ours, 20), (plain, 5)))
            print(f"| {question} | {fast:.2f} | {slow:,.0f} | {slow / fast:,.0f} |")
            plans.append((question, self.cluster.psql("sales", f"explain (analyze, buffers) {ours}")))
        print()
        for question, plan in plans if self.options.explain else []:
            print(f"{question}:\n\n```text\n{plan}\n```\n")

    def milliseconds(self, sql: str, runs: int) -> float:
        """The median query time in psql, in one session, after one warm-up run."""
        printed = self.cluster.psql("sales", "\\timing on", *[sql] * (runs + 1))
        times = [float(time) for time in re.findall(r"^Time: ([0-9.]+) ms", printed, re.MULTILINE)]
        return statistics.median(times[1:])


def timed(way) -> float:
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def figure(pattern: str, text: str) -> str:
    if found := re.search(pattern, text):
        return found[1]
    raise Failed(f"pgbench's output has no {pattern}: {text}")


def print_head(cluster: Cluster, options) -> None:
    settings = ", ".join(f"{name} {value}" for name, value in SETTINGS.items())
    version = cluster.psql("postgres", "show server_version").split()[0]
    print(f"{harness.machine_line(harness.machine())}; PostgreSQL {version} with {settings}; "
          f"medians of {options.runs} runs in turns.\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
