#!/usr/bin/env python3
"""Parses the dashboard with Grafana's published types and serializes it again: a lost key is unknown to
Grafana. Needs grafana-foundation-sdk, in the version of requirements.txt."""

import json
import pathlib
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

DASHBOARDS = pathlib.Path(__file__).resolve().parent / "dashboards"
# Panel types that Grafana has removed or deprecated.
DEPRECATED = {"graph", "singlestat", "table-old", "grafana-worldmap-panel", "grafana-piechart-panel", "heatmap-old"}


def lost(before, after, path=""):
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


def problems(file):
    before = json.loads(file.read_text())
    after = json.loads(json.dumps(Dashboard.from_json(before), cls=JSONEncoder))
    yield from (f"key unknown to Grafana: {path}" for path in lost(before, after))
    yield from (f"panel `{panel['title']}` is a {panel['type']}, which is deprecated"
                for panel in before["panels"] if panel["type"] in DEPRECATED)


def main():
    register_default_plugins()
    found = [f"{file.name}: {problem}" for file in sorted(DASHBOARDS.glob("*.json")) for problem in problems(file)]
    print("\n".join(found) or "all keys are known to Grafana")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
