#!/usr/bin/env python3
"""Checks dashboards and alert rules without Grafana.

Parses them with Grafana's published types and serializes them again: a lost key is unknown to Grafana. Then loads cases
of the mock API, and made-up claims, into PostgreSQL servers of its own and runs every query of a variable, panel and rule
there as Grafana's user: an error is a problem, and so is an empty result. Makes each rule fire, too.

Needs the packages of requirements.txt, the programs of PostgreSQL and MariaDB, and a built `section4` and `weir`
(cargo build -p section4 -p weir)."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import loaded
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import alerting
from grafana_foundation_sdk.models.dashboard import Dashboard
from loaded import COUNTRIES, HERE, ROOT, Database, expanded

sys.path.insert(0, str(ROOT / "docker/claims/grafana"))
import picture  # noqa: E402

# Panel types that Grafana has removed or deprecated.
DEPRECATED = {"graph", "singlestat", "table-old", "grafana-worldmap-panel", "grafana-piechart-panel", "heatmap-old"}
# Keys of a rule in a file that the type of a rule, which is the one of the HTTP API, does not have.
RULE_IN_FILE = {"dashboardUid", "panelId"}
# The receivers of all files about the contact.
RECEIVERS = {"covid-webhook", "covid-email"}


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

def failed_queries(dashboard: dict[str, Any], database: Database, case: Case) -> Iterator[str]:
    """Runs all queries of the dashboard: with one value of the variable and with all, in every period."""
    variables = dashboard["templating"]["list"]
    periods = [option["value"] for variable in variables if variable["name"] == "period"
               for option in variable["options"]]
    every = [row[0] for row in database.rows(next(v["query"] for v in variables if v["name"] == case.chosen))]
    if len(every) != case.values:
        yield f"the variable `{case.chosen}` has {len(every)} values instead of {case.values}"
    for chosen in (every, every[:1]):
        for period in periods:
            values = {case.chosen: chosen, "period": [period]}
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
                    yield f"{what} has no rows, for {len(chosen)} values of {case.chosen} in {period} days"
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


# The dashboards ---------------------------------------------------------------------------------------

@dataclasses.dataclass
class Case:
    """The configuration of a Grafana in a folder, and what loads the data that it shows."""

    folder: pathlib.Path
    loaded: Callable[[], contextlib.AbstractContextManager[tuple[Database, Database]]]
    # The variable whose values are chosen all together, and one alone, and how many it has.
    chosen: str
    values: int
    # Draws a picture of it.
    draw: Callable[[Database, str], None] | None = None


def problems(case: Case) -> Iterator[str]:
    dashboards = {file.name: json.loads(file.read_text()) for file in sorted(case.folder.glob("dashboards/*.json"))}
    files = sorted([*case.folder.glob("provisioning/alerting/*.yaml"), *case.folder.glob("contact/*.yaml")])
    alerts = {str(file.relative_to(case.folder)): yaml.safe_load(file.read_text()) for file in files}
    panels = {(dashboard["uid"], panel["id"]) for dashboard in dashboards.values() for panel in dashboard["panels"]}
    for name, dashboard in dashboards.items():
        yield from (f"{name}: {problem}" for problem in wrong_dashboard(dashboard))
    for name, file in alerts.items():
        yield from (f"{name}: {problem}" for problem in wrong_alerting(file, panels))
    rules = [rule for file in alerts.values() for rule in rules_of(file)]
    for name, file in alerts.items():
        if "contactPoints" in file:
            yield from (f"{name}: {problem}" for problem in wrong_contact(file, rules))
    with case.loaded() as (database, owner):
        for name, dashboard in dashboards.items():
            yield from (f"{name}: {problem}" for problem in failed_queries(dashboard, database, case))
        yield from failed_rules(rules, database, owner)
        if case.draw:
            with tempfile.NamedTemporaryFile(suffix=".png") as file:
                case.draw(database, file.name)
                if not file.read().startswith(b"\x89PNG"):
                    yield "its picture is no PNG"


CASES = [
    Case(HERE, loaded.covid, "country", COUNTRIES),
    Case(ROOT / "docker/claims/grafana", loaded.claims, "currency", 2, picture.draw),
]


def main() -> int:
    register_default_plugins()
    found = [problem for case in CASES for problem in problems(case)]
    print("\n".join(dict.fromkeys(found)) or "all keys are known to Grafana, and all queries have rows")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
