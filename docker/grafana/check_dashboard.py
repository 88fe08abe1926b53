#!/usr/bin/env python3
"""Checks dashboards and alert rules without Grafana.

Parses them with Grafana's published types and serializes them again: a lost key is unknown to Grafana. Then loads cases
of the mock API into a PostgreSQL server of its own and runs every query of a variable, panel and rule there as
Grafana's user: an error is a problem, and so is an empty result. Makes each rule fire, too.

Needs the packages of requirements.txt, PostgreSQL's programs, and a built `section4` (cargo build -p section4)."""

import contextlib
import json
import os
import pathlib
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import alerting
from grafana_foundation_sdk.models.dashboard import Dashboard

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Panel types that Grafana has removed or deprecated.
DEPRECATED = {"graph", "singlestat", "table-old", "grafana-worldmap-panel", "grafana-piechart-panel", "heatmap-old"}
# Keys of a rule in a file that the type of a rule, which is the one of the HTTP API, does not have.
RULE_IN_FILE = {"dashboardUid", "panelId"}
# The receivers of all files about the contact.
RECEIVERS = {"covid-webhook", "covid-email"}
# Less than a full history, so that the check is quick, and more countries than charts.
COUNTRIES, DAYS = 15, 400


# Types ------------------------------------------------------------------------------------------------

def lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """The keys and values that change; empty ones may be dropped."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from lost(value, after[key], f"{path}.{key}")
            elif value not in (None, "", [], {}, False, 0):
                yield f"{path}.{key}"
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after)):
            yield from lost(one, other, f"{path}[{number}]")
    elif before != after:
        yield f"{path}: {before!r} changed to {after!r}"


def unknown(kind: Any, before: dict[str, Any]) -> Iterator[str]:
    after = json.loads(json.dumps(kind.from_json(before), cls=JSONEncoder))
    yield from (f"key unknown to Grafana: {path}" for path in lost(before, after))


def wrong_dashboard(dashboard: dict[str, Any]) -> Iterator[str]:
    yield from unknown(Dashboard, dashboard)
    yield from (f"panel `{panel['title']}` is a {panel['type']}, which is deprecated"
                for panel in dashboard["panels"] if panel["type"] in DEPRECATED)
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(ids) != len(set(ids)):
        yield "two panels have the same id"


def wrong_alerting(file: dict[str, Any], panels: set[tuple[str, int]]) -> Iterator[str]:
    for point in file.get("contactPoints", []):
        for receiver in point["receivers"]:
            yield from unknown(alerting.ContactPoint, {"name": point["name"], **receiver})
    for rule in rules_of(file):
        for problem in unknown(alerting.Rule, {key: value for key, value in rule.items() if key not in RULE_IN_FILE}):
            yield f"rule `{rule['title']}`: {problem}"
        links = rule["annotations"]
        if (rule["dashboardUid"], rule["panelId"]) != (links["__dashboardUid__"], int(links["__panelId__"])):
            yield f"rule `{rule['title']}`: its annotations link to another panel than dashboardUid and panelId"
        if (rule["dashboardUid"], rule["panelId"]) not in panels:
            yield f"rule `{rule['title']}`: dashboard {rule['dashboardUid']} has no panel {rule['panelId']}"


def wrong_contact(file: dict[str, Any], rules: list[dict[str, Any]]) -> Iterator[str]:
    """Each file about the contact must define what the rules name, and delete the receivers of the other files."""
    for rule in rules:
        settings = rule["notification_settings"]
        if settings["receiver"] not in {point["name"] for point in file["contactPoints"]}:
            yield f"no contact point is named `{settings['receiver']}`, as rule `{rule['title']}` demands"
        for name in set(settings["mute_time_intervals"]) - {timing["name"] for timing in file["muteTimes"]}:
            yield f"no mute time is named `{name}`, as rule `{rule['title']}` demands"
    named = {receiver["uid"] for point in file["contactPoints"] for receiver in point["receivers"]}
    if named | {receiver["uid"] for receiver in file["deleteContactPoints"]} != RECEIVERS:
        yield f"its receivers and the ones that it deletes must be {sorted(RECEIVERS)}"


def rules_of(file: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in file.get("groups", []) for rule in group["rules"]]


# Queries ----------------------------------------------------------------------------------------------

def expanded(sql: str, values: dict[str, list[str]]) -> str:
    """A query as Grafana sends it: `$name`, and `${name:sqlstring}`, a list of quoted values."""
    def value(match: re.Match[str]) -> str:
        name, form = match["braced"] or match["plain"], match["form"]
        if name not in values:
            raise ValueError(f"no variable is named `{name}`")
        if form == "sqlstring":
            return ",".join("'" + one.replace("'", "''") + "'" for one in values[name])
        if form or len(values[name]) != 1:
            raise ValueError(f"${name} must be written ${{{name}:sqlstring}}")
        return values[name][0]
    return re.sub(r"\$(?:(?P<plain>\w+)|\{(?P<braced>\w+)(?::(?P<form>\w+))?\})", value, sql)


class Database:
    """A database, as the user in its URL sees it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, sql: str) -> list[list[str]]:
        command = [program("psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t",
                   "--set=ON_ERROR_STOP=1", "--dbname", self.url]
        done = subprocess.run(command, input=sql, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ValueError(done.stderr.strip())
        return [line.split("\t") for line in done.stdout.splitlines()]


def failed_queries(dashboard: dict[str, Any], database: Database) -> Iterator[str]:
    """Runs all queries of the dashboard: with one country and with all, in every period."""
    variables = dashboard["templating"]["list"]
    periods = [option["value"] for variable in variables if variable["name"] == "period"
               for option in variable["options"]]
    countries = [row[0] for row in database.rows(next(v["query"] for v in variables if v["name"] == "country"))]
    if len(countries) != COUNTRIES:
        yield f"the variable `country` has {len(countries)} values instead of {COUNTRIES}"
    for chosen in (countries, countries[:1]):
        for period in periods:
            values = {"country": chosen, "period": [period]}
            queries = [(f"variable `{variable['name']}`", variable["name"], variable["query"])
                       for variable in variables if variable["type"] == "query"]
            queries += [(f"panel `{panel['title']}`", "", target["rawSql"])
                        for panel in dashboard["panels"] for target in panel.get("targets", [])]
            for what, name, sql in queries:
                try:
                    rows = database.rows(expanded(sql, values))
                except ValueError as error:
                    yield f"{what}: {error}"
                    continue
                if not any(any(row) for row in rows):
                    yield f"{what} has no rows, for {len(chosen)} countries in {period} days"
                elif name:
                    values.setdefault(name, [row[0] for row in rows])


# What happens to the database after a load, which rule it concerns, and whether the rule fires then.
LATER = """update covid
    set measurement_date = measurement_date + (current_date - (select max(measurement_date) from covid))"""
SECOND = "insert into weir.applied (run, sink, target, inserted) values ('second', 'covid', 'covid', {})"
AN_END = "delete from covid where country = (select min(country) from covid) and measurement_date > current_date - {}"
EVENTS = [
    ("covid-load-late", False, "update weir.applied set applied_at = applied_at - interval '25 hours'"),
    ("covid-load-late", True, "update weir.applied set applied_at = applied_at - interval '27 hours'"),
    ("covid-load-late", True, "delete from weir.applied"),
    # The generated data ends years ago, as a source that has ended.
    ("covid-data-old", False, SECOND.format(0)),
    ("covid-data-old", True, SECOND.format(1)),
    ("covid-data-old", False, f"{SECOND.format(1)}; {LATER}"),
    ("covid-countries-fewer", False, LATER),
    ("covid-countries-fewer", False, f"{LATER}; {AN_END.format(10)}"),
    ("covid-countries-fewer", True, f"{LATER}; {AN_END.format(20)}"),
    ("covid-countries-fewer", False, f"{LATER}; {AN_END.format(60)}"),
]


def failed_rules(rules: list[dict[str, Any]], database: Database, owner: Database) -> Iterator[str]:
    """A rule's query must return one number, as its threshold expects, and the rule must fire when it should."""
    events = [(rule["uid"], False, "") for rule in rules] + EVENTS
    for rule in rules:
        if {fires for uid, fires, _ in events if uid == rule["uid"]} != {False, True}:
            yield f"rule `{rule['title']}`: no event makes it fire"
        query, threshold = (part["model"] for part in rule["data"])
        evaluator = threshold["conditions"][0]["evaluator"]
        if evaluator["type"] != "gt":
            yield f"rule `{rule['title']}`: {evaluator['type']} is not checked here"
        try:
            database.rows(query["rawSql"])
            for _, fires, event in (event for event in events if event[0] == rule["uid"]):
                [[number]] = owner.rows(f"begin; {event}; {query['rawSql']}; rollback")
                if (float(number) > evaluator["params"][0]) != fires:
                    does = "does not fire" if fires else "fires"
                    yield f"rule `{rule['title']}` {does}: {number} is compared with {evaluator}, after: {event}"
        except ValueError as error:
            yield f"rule `{rule['title']}`: expected one row with one number: {error}"


# A server with data -----------------------------------------------------------------------------------

def program(name: str) -> str:
    found = shutil.which(name) or next(map(str, sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), "")
    return found or sys.exit(f"{name} is missing: install PostgreSQL (scripts/test.sh install)")


def section4() -> str:
    """The program that `cargo build` has built last."""
    metadata = subprocess.run(["cargo", "metadata", "--no-deps", "--format-version=1"], cwd=ROOT, check=True,
                              capture_output=True, text=True).stdout
    built = pathlib.Path(json.loads(metadata)["target_directory"]) / "debug" / "section4"
    return str(built) if built.exists() else sys.exit(f"{built} is missing: cargo build -p section4")


def run(command: list[str], **options: Any) -> None:
    if subprocess.run(command, check=False, **options).returncode != 0:
        sys.exit(f"{command[0]} failed: see the message above")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextlib.contextmanager
def loaded() -> Iterator[tuple[Database, Database]]:
    """A server of its own with the cases of the mock API, loaded by the section's own task.

    Yields the database as Grafana's user sees it, and as its owner does."""
    with tempfile.TemporaryDirectory(prefix="check-dashboard-") as name:
        folder, port = pathlib.Path(name), free_port()
        # PostgreSQL refuses to run as root.
        nobody = pwd.getpwnam("nobody")
        account: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid} if os.geteuid() == 0 else {}
        if account:
            shutil.chown(folder, **account)
        create = [program("initdb"), "--pgdata", str(folder / "data"), "--username=covid", "--auth=trust", "--no-sync"]
        run(create, stdout=subprocess.DEVNULL, cwd=folder, **account)
        server = [program("postgres"), "-D", str(folder / "data"), "-p", str(port), "-k", name, "-F",
                  "-c", "listen_addresses=127.0.0.1", "-c", "log_min_messages=fatal"]
        with running(server, cwd=folder, **account):
            owner = f"postgres://covid@127.0.0.1:{port}/postgres"
            # Waits for the server, and retries for 20 seconds.
            load_cases(folder, owner)
            grant = [program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--set=password=grafana",
                     "--file", str(HERE / "reader.sql"), "--file", str(HERE / "reader_loads.sql"), "--dbname", owner]
            run(grant)
            yield Database(f"postgres://grafana@127.0.0.1:{port}/postgres"), Database(owner)


def load_cases(folder: pathlib.Path, database: str) -> None:
    mock = [section4(), "mock-api", "--listen", "127.0.0.1:0", "--countries", str(COUNTRIES), "--days", str(DAYS)]
    with running(mock, stdout=subprocess.PIPE) as api:
        assert api.stdout is not None
        # It prints its address.
        address = re.search(r"http://\S+", api.stdout.readline())
        if not address:
            sys.exit("section4 mock-api did not print its address")
        load = [section4(), "load", "--source", "covid19api", "--base-url", address[0], "--all", "--quiet",
                "--task-config", str(ROOT / "section4/conf/covid.yaml"), "--state", str(folder / "state"),
                "--param", f"output={folder / 'refused'}", "--database-url", database]
        run(load, cwd=folder)


def main() -> int:
    register_default_plugins()
    dashboards = {file.name: json.loads(file.read_text()) for file in sorted(HERE.glob("dashboards/*.json"))}
    files = sorted([*HERE.glob("provisioning/alerting/*.yaml"), *HERE.glob("contact/*.yaml")])
    alerts = {str(file.relative_to(HERE)): yaml.safe_load(file.read_text()) for file in files}
    panels = {(dashboard["uid"], panel["id"]) for dashboard in dashboards.values() for panel in dashboard["panels"]}
    found = [f"{name}: {problem}" for name, dashboard in dashboards.items() for problem in wrong_dashboard(dashboard)]
    found += [f"{name}: {problem}" for name, file in alerts.items() for problem in wrong_alerting(file, panels)]
    rules = [rule for file in alerts.values() for rule in rules_of(file)]
    found += [f"{name}: {problem}" for name, file in alerts.items() if "contactPoints" in file
              for problem in wrong_contact(file, rules)]
    with loaded() as (database, owner):
        for name, dashboard in dashboards.items():
            found += [f"{name}: {problem}" for problem in failed_queries(dashboard, database)]
        found += failed_rules(rules, database, owner)
    print("\n".join(dict.fromkeys(found)) or "all keys are known to Grafana, and all queries have rows")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
