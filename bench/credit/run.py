#!/usr/bin/env python3
"""Compare the job of pipelines/credit with a script of boto3, pandas and SQLAlchemy, from a bucket into MariaDB.

load      all hours that are in the bucket: weir in one run, and the script, which loads them one after the other; then a second
          run of each, which finds nothing new
backfill  the first hours, each in a run of its own: `weir run --from --to` of pipelines/credit with `--jobs` 1 and 2, and
          the script

The store is `rclone serve s3` over a local folder, MariaDB an ephemeral server. Each contestant begins with an empty table;
contestants take turns. After each run the rows of the table are compared. Prints a Markdown table for each part. Exits with
code 1 if a contestant failed or wrote other rows.
"""

import contextlib
import datetime
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
import mariadb  # noqa: E402
from harness import Contestant, Failed, say, step  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PIPELINE = harness.ROOT / "pipelines/credit"
PARTS = ["load", "backfill"]
WAYS = ["weir", "pandas"]
ROWS_OF_AN_HOUR = 1500
FIRST = datetime.datetime(2022, 1, 1)
KEYS = {"AWS_ACCESS_KEY_ID": "credit", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true", "CREDIT_WAREHOUSE_PASSWORD": mariadb.PASSWORD}


def main() -> int:
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("run.py: terminated"))
    options.cache.mkdir(parents=True, exist_ok=True)
    results = {}
    try:
        weir = options.weir or harness.built(harness.ROOT, "weir", os.environ.get("CARGO_TARGET_DIR"))
        python = harness.python_environment(options.cache, HERE / "requirements.txt")
        data = harness.made_once(options.cache / f"credit-{options.hours}", lambda folder: deliver(folder, options.hours))
        with (store(python, data) as endpoint, mariadb.Server() as server,
              harness.work_folder(options, "credit-work-") as work):
            os.environ |= KEYS | {"AWS_ENDPOINT": endpoint}
            harness.hold_to_cores()
            bench = Bench(weir, python, endpoint, server, work, options)
            for part in options.parts:
                results |= getattr(bench, part)()
    except Failed as failure:
        sys.exit(f"run.py: {failure}")
    return harness.report_parts(options, results)


def parse_arguments():
    parser = harness.arguments(__doc__, ROWS_OF_AN_HOUR, WAYS)
    parser.add_argument("--parts", type=harness.one_or_more_of(PARTS), default=PARTS, metavar="PARTS",
                        help=f"parts, separated by commas (default: {','.join(PARTS)})")
    parser.add_argument("--hours", type=int, default=10_000, metavar="N", help="hours in the bucket (default: %(default)s)")
    parser.add_argument("--backfill", type=int, default=200, metavar="N",
                        help="hours of the part backfill (default: %(default)s)")
    parser.add_argument("--weir", type=harness.absolute, metavar="PATH", help="a built binary instead of building one")
    parser.set_defaults(runs=1)
    options = parser.parse_args()
    if options.rows != ROWS_OF_AN_HOUR:
        parser.error(f"an hour has {ROWS_OF_AN_HOUR} rows: --hours says how many hours there are")
    return options


def deliver(folder: pathlib.Path, hours: int) -> None:
    script = [PIPELINE / "source/deliver.sh", "--sample", ROWS_OF_AN_HOUR, "--hours", hours, "--from", f"{FIRST:%Y-%m-%dT%H}"]
    step(script, env=os.environ | {"CREDIT_FOLDER": str(folder / "credit")}, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def store(python: pathlib.Path, data: pathlib.Path):
    """A server of objects over a folder, each of whose folders is a bucket: its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [python.parent / "rclone", "serve", "s3", "--addr", address, "--no-modtime", "--dir-cache-time", "24h", data]
    environment = os.environ | {"RCLONE_AUTH_KEY": f'"{KEYS["AWS_ACCESS_KEY_ID"]},{KEYS["AWS_SECRET_ACCESS_KEY"]}"'}
    # An orphan: the harness waits for all children.
    in_background = ["sh", "-c", '"$@" </dev/null >/dev/null 2>&1 & echo $!', "sh", *command]
    pid = int(step(in_background, stdout=subprocess.PIPE, env=environment))
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(address.split(":")):
                break
            time.sleep(0.1)
        else:
            raise Failed("rclone serve s3 does not start")
        yield f"http://{address}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Bench:
    def __init__(self, weir, python, endpoint, server, work, options) -> None:
        self.weir, self.endpoint, self.server, self.work, self.options = weir, endpoint, server, work, options
        self.script = [str(python), str(HERE / "pandas_job.py"), endpoint, "credit",
                       server.url("credit").replace("mysql:", "mysql+pymysql:"), "OUTPUT/rejected"]
        self.versions = {"weir": harness.version_of_program(weir), "pandas": harness.version_of_package(python, "pandas")}
        self.wanted = {}

    def weir_command(self, task: pathlib.Path, *more: str, **params) -> list[str]:
        given = {"bucket": "s3://credit", **params}
        values = [part for name, value in given.items() for part in ("--param", f"{name}={value}")]
        return [str(self.weir), "run", str(task), "--quiet", "--state", "STATE", *values, *more]

    def load(self) -> dict[str, list[Contestant]]:
        # The output is the same in both runs: the second one appends nothing.
        task = self.weir_command(HERE / "task.yaml", port=self.server.port, output="OUTPUT")
        commands = {"weir": task, "pandas": self.script}
        ways = [way for way in WAYS if way in self.options.only]
        first, second = ([Contestant(way, self.versions[way], commands[way]) for way in ways] for _ in range(2))
        for number in range(1, self.options.runs + 1):
            for one, again in zip(first, second):
                folder = self.work / f"{one.name}-{number}"
                # The state and the output of the first run are those of the second one.
                kept = replace(again, command=[part.replace("STATE", f"{folder}/state").replace("OUTPUT", f"{folder}/output")
                                               for part in again.command])
                self.empty()
                self.measure(number, one, one, folder, "load")
                self.measure(number, kept, again, self.work / f"{one.name}-{number}-again", "load")
        loans = f"{self.options.hours:,} files of {ROWS_OF_AN_HOUR:,} rows, {self.wanted.get('load')} after the run"
        self.print("load", loans, first)
        self.print("load, again", f"{self.options.hours:,} files, nothing new", second)
        return {"load": first, "again": second}

    def backfill(self) -> dict[str, list[Contestant]]:
        first, last = (f"{at:%Y-%m-%dT%H}" for at in (FIRST, FIRST + datetime.timedelta(hours=self.options.backfill - 1)))
        contestants = []
        if "weir" in self.options.only:
            params = {"first_window": first, "warehouse_port": self.server.port, "warehouse_user": mariadb.USER,
                      "quarantine": "OUTPUT"}
            contestants += [
                Contestant(f"weir --jobs {jobs}", self.versions["weir"], self.weir_command(
                    PIPELINE / "credit.yaml", "--from", first, "--to", last, "--jobs", str(jobs), **params))
                for jobs in (1, 2)]
        if "pandas" in self.options.only:
            contestants.append(Contestant("pandas", self.versions["pandas"], [*self.script, first, last]))
        for number in range(1, self.options.runs + 1):
            for one in contestants:
                self.empty()
                self.measure(number, one, one, self.work / f"{one.name.replace(' ', '')}-backfill-{number}", "backfill")
        self.print("backfill", f"{self.options.backfill:,} hours of {ROWS_OF_AN_HOUR:,} rows, {self.wanted.get('backfill')}",
                   contestants)
        return {"backfill": contestants}

    def empty(self) -> None:
        self.server.sql("mysql", "drop database if exists credit; create database credit")

    def measure(self, number: int, run: Contestant, into: Contestant, folder: pathlib.Path, part: str) -> None:
        """Run a contestant, and compare the rows of the table."""
        if into.error:
            return
        try:
            got = harness.measured(run, self.work, folder)
            rows = self.server.sql("credit", """
                select concat(count(*), ' loans with the sum ', sum(crc32(concat_ws('|', id, SeriousDlqin2yrs, age, DebtRatio,
                    RevolvingUtilizationOfUnsecuredLines, ifnull(MonthlyIncome, 'null'), ifnull(NumberOfDependents, 'null'),
                    `NumberOfTime30-59DaysPastDueNotWorse`, `NumberOfTime60-89DaysPastDueNotWorse`, NumberOfTimes90DaysLate,
                    NumberOfOpenCreditLinesAndLoans, NumberRealEstateLoansOrLines, window_start)))) from loan""")
            if rows != self.wanted.setdefault(part, rows):
                raise Failed(f"wrote other rows: {rows}, the first run {self.wanted[part]}")
            into.runs.append(got)
            say(f"run {number}: {into.name:13} {got.wall:8.2f} s  {got.cpu:8.2f} s CPU  {got.peak_mib:6.0f} MiB")
        except Failed as failure:
            into.error = str(failure)
            say(f"run {number}: {into.name:13} {into.error}")

    def print(self, name: str, what: str, contestants: list[Contestant]) -> None:
        print(f"### {name}\n\n{harness.machine_line(harness.machine())}; {what}\n")
        own = next((one.name for one in contestants if one.name.startswith("weir")), "weir")
        harness.print_table(contestants, own)
        print(f"\n{harness.MEASURES}. The time of the servers is in the wall time only.\n")


if __name__ == "__main__":
    sys.exit(main())
