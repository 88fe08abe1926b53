#!/usr/bin/env python3
"""Reads the dashboard into Grafana's own published types and writes it again: a key that does not come back is one that
Grafana does not know. Needs grafana-foundation-sdk, in the version of requirements.txt."""

import json
import pathlib
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

DASHBOARDS = pathlib.Path(__file__).resolve().parent / "dashboards"
# Panels that Grafana has dropped or is about to drop.
DEPRECATED = {"graph", "singlestat", "table-old", "grafana-worldmap-panel", "grafana-piechart-panel", "heatmap-old"}


def lost(before, after, path=""):
    """The keys and values that are not the same afterwards; empty ones may be left out."""
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
        yield f"{path}: {before!r} came back as {after!r}"


def problems(file):
    before = json.loads(file.read_text())
    after = json.loads(json.dumps(Dashboard.from_json(before), cls=JSONEncoder))
    yield from (f"Grafana does not know {path}" for path in lost(before, after))
    yield from (f"panel `{panel['title']}` is a {panel['type']}, which is deprecated"
                for panel in before["panels"] if panel["type"] in DEPRECATED)


def main():
    register_default_plugins()
    found = [f"{file.name}: {problem}" for file in sorted(DASHBOARDS.glob("*.json")) for problem in problems(file)]
    print("\n".join(found) or "every key is one that Grafana knows")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
