#!/usr/bin/env python3
"""Checks the alert rules, the configuration and the dashboard of docker/prometheus.

Promtool checks the rules, and makes each fire. Grafana's published types read the dashboard. Then a scheduler of weir serves the
metrics of runs that were published, failed and closed their gate, a Prometheus scrapes them, and every query of the dashboard
must have a result there.

Needs the packages of docker/grafana/requirements.txt, prometheus and promtool (Debian's package `prometheus`; the folder
that PROMETHEUS names is looked at first), and a built `weir` (cargo build -p weir)."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
sys.path.insert(0, str(ROOT / "docker/grafana"))
from check_dashboard import register_default_plugins, wrong_dashboard  # noqa: E402

TASK = """
name: people
schedule: {cron: "@yearly"}
params: {least_age: {type: integer, default: 18}}
sources:
  person: {files: {path: people.csv, format: csv}, columns: {name: string, age: integer}}
models: {adult: adult.sql}
quality:
  adult: {reject_unless: {too_young: age >= $least_age}, gate: {max_rejected: 50%}}
sinks:
  good: {from: adult, mode: overwrite, files: {path: out/good, format: csv}}
  bad: {from: adult.rejected, mode: overwrite, publish: always, files: {path: out/bad, format: csv}}
  unreadable: {from: person.rejected, mode: overwrite, files: {path: out/unreadable, format: csv}}
"""
WINDOWS = """
name: hours
window: {every: 1h, start: "2026-01-01", retries: {attempts: 1}}
sources:
  hour: {files: {path: "hours/%H.csv", format: csv}, if_missing: skip, columns: {n: integer}}
sinks:
  hours: {from: hour, mode: overwrite, files: {path: "out/${window}", format: csv}}
  unreadable: {from: hour.rejected, mode: overwrite, files: {path: "bad/${window}", format: csv}}
"""


def program(name: str) -> str:
    folders = [os.environ.get("PROMETHEUS", ""), os.environ["PATH"]]
    found = shutil.which(name, path=os.pathsep.join(folder for folder in folders if folder))
    return found or sys.exit(f"{name} is not there: scripts/test.sh install")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def weir(folder: pathlib.Path, *arguments: str, codes: tuple[int, ...] = (0,)) -> None:
    command = [str(TARGET / "debug/weir"), *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WEIR_")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        sys.exit(f"weir {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")


def run_tasks(folder: pathlib.Path) -> None:
    """A run that is published, one whose gate closes, and one that fails."""
    weir(folder, "run", "people.yaml")
    weir(folder, "run", "people.yaml", "--param", "least_age=40", codes=(3,))
    (folder / "people.csv").rename(folder / "away.csv")
    weir(folder, "run", "people.yaml", codes=(1,))
    (folder / "away.csv").rename(folder / "people.csv")


@contextlib.contextmanager
def started(command: list[str], folder: pathlib.Path) -> Iterator[None]:
    with open(folder / f"{pathlib.Path(command[0]).name}.log", "wb") as log:
        with subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process:
            try:
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=60)


class Server:
    """A Prometheus that scrapes a scheduler every second."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api/v1/"

    def ask(self, what: str, **parameters: Any) -> Any:
        url = f"{self.url}{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error).get("error", str(error))) from error

    def value(self, query: str) -> float | None:
        result = self.ask("query", query=query)["result"]
        return float(result[0]["value"][1]) if result else None

    def wait_for(self, query: str) -> None:
        for _ in range(120):
            with contextlib.suppress(OSError):
                if self.value(query):
                    return
            time.sleep(0.5)
        sys.exit(f"Prometheus has no result: {query}")


@contextlib.contextmanager
def monitored(folder: pathlib.Path) -> Iterator[Server]:
    (folder / "people.yaml").write_text(TASK)
    (folder / "hours.yaml").write_text(WINDOWS)
    (folder / "adult.sql").write_text("select name, age from person")
    (folder / "people.csv").write_text("name,age\nAnn,50\nBob,17\nCid,30\nDee,x\n")
    run_tasks(folder)
    weir(folder, "queue", "hours.yaml", "--due", "2026-01-01T04:00:00Z")
    metrics, port = free_port(), free_port()
    config = (HERE / "prometheus.yaml").read_text().replace("127.0.0.1:9464", f"127.0.0.1:{metrics}")
    config = config.replace("30s", "1s").replace("rules.yaml", str(HERE / "rules.yaml"))
    (folder / "prometheus.yaml").write_text(config)
    scheduler = [str(TARGET / "debug/weir"), "schedule", "people.yaml", "--metrics", f"127.0.0.1:{metrics}"]
    prometheus = [program("prometheus"), f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'data'}",
                  f"--web.listen-address=127.0.0.1:{port}"]
    with started(scheduler, folder), started(prometheus, folder):
        server = Server(port)
        server.wait_for('up{job="weir"} == 1')
        run_tasks(folder)
        server.wait_for('increase(weir_runs_total{outcome="failed"}[1m]) > 0')
        yield server


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """What asks, the query, and whether it is asked for one moment."""
    for variable in dashboard["templating"]["list"]:
        found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
        if not found:
            sys.exit(f"variable `{variable['name']}` is no label_values")
        yield f"variable `{variable['name']}`", f"count by ({found[2]}) ({found[1]})", True
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield f"panel `{panel['title']}`", target["expr"], bool(target.get("instant"))


def failed_queries(dashboard: dict[str, Any], server: Server) -> Iterator[str]:
    for what, query, is_instant in queries(dashboard):
        query = query.replace("$task", ".+").replace("$environment", ".+").replace("$__rate_interval", "30s")
        if "$" in query:
            yield f"{what}: unknown variable in {query}"
        now = time.time()
        try:
            if is_instant:
                result = server.ask("query", query=query)["result"]
            else:
                result = server.ask("query_range", query=query, start=now - 60, end=now, step=5)["result"]
        except ValueError as error:
            yield f"{what}: {error}"
            continue
        if not result:
            yield f"{what} has no result: {query}"


def failed_rules(server: Server) -> Iterator[str]:
    rules = [rule for group in server.ask("rules")["groups"] for rule in group["rules"]]
    yield from (f"rule {rule['name']}: {rule['lastError']}" for rule in rules if rule["health"] == "err")
    firing = {rule["name"] for rule in rules if rule["state"] == "firing"}
    yield from (f"rule {name} does not fire" for name in {"WeirRunFailed", "WeirGateClosed"} - firing)


def main() -> int:
    for arguments in (["check", "rules", "rules.yaml"], ["check", "config", "prometheus.yaml"], ["test", "rules", "rules_test.yaml"]):
        done = subprocess.run([program("promtool"), *arguments], cwd=HERE, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)
    rules = set(re.findall(r"alert: (\w+)", (HERE / "rules.yaml").read_text()))
    fired = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts", (HERE / "rules_test.yaml").read_text()))
    quiet = set(re.findall(r"alertname: (\w+)\}", (HERE / "rules_test.yaml").read_text()))
    problems = [f"rules_test.yaml does not make {rule} fire" for rule in rules - fired]
    problems += [f"rules_test.yaml has no case in which {rule} does not fire" for rule in rules - quiet]
    register_default_plugins()
    dashboard = json.loads((HERE / "grafana/dashboards/runs.json").read_text())
    problems += wrong_dashboard(dashboard)
    with tempfile.TemporaryDirectory() as folder, monitored(pathlib.Path(folder)) as server:
        problems += failed_queries(dashboard, server)
        time.sleep(3)
        problems += failed_rules(server)
    print("\n".join(problems) or f"{len(rules)} rules fire when they should, and all queries of the dashboard have results")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
