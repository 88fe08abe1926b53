#!/usr/bin/env python3
"""Draws the dashboard of the claims as a picture: the queries of its panels, over all data, without Grafana.

    picture.py FILE.png [URL [CURRENCY]]

Without a URL the data is made up, and loaded by the task into servers of its own. Needs the packages of
docker/grafana/requirements.txt."""

import json
import pathlib
import sys
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "grafana"))
import loaded  # noqa: E402
from loaded import Database, expanded  # noqa: E402

ALL = "100000"
STATS = ["Newest change", "Claims", "Repaired treatments", "Rejected items", "Claims without a treatment"]
STACKED = ["Claims by month and status", "Amounts by month and status, in $currency"]
# A name has one colour in all charts: the next one, unless it is here.
COLOURS = {"Repaired": "tab:orange", "As they were": "tab:green"}


class Panels:
    """The panels of the dashboard, and what their queries return."""

    def __init__(self, database: Database, currency: str) -> None:
        dashboard = json.loads((HERE / "dashboards/claims.json").read_text())
        self.panels = {panel["title"]: panel for panel in dashboard["panels"]}
        self.database, self.values = database, {"currency": [currency], "period": [ALL]}

    def rows(self, title: str) -> list[list[str]]:
        return self.database.rows(expanded(self.panels[title]["targets"][0]["rawSql"], self.values))

    def title(self, title: str) -> str:
        return expanded(title, self.values)


def stacks(rows: list[list[str]]) -> tuple[list[str], dict[str, list[float]]]:
    """Rows of month, status and value: the months, and for each status its value in each of them."""
    months = sorted({row[0] for row in rows})
    values = {(row[0], row[1]): float(row[2]) for row in rows}
    statuses = sorted({row[1] for row in rows}, key=lambda status: -sum(v for (_, s), v in values.items() if s == status))
    return months, {status: [values.get((month, status), 0) for month in months] for status in statuses}


def bars(axes: Any, months: list[str], series: dict[str, list[float]], title: str) -> None:
    above, below = [0.0] * len(months), [0.0] * len(months)
    for name, values in series.items():
        base = [above[n] if value >= 0 else below[n] for n, value in enumerate(values)]
        axes.bar(range(len(months)), values, bottom=base, label=name, width=0.8, color=COLOURS.setdefault(name, f"C{len(COLOURS) - 2}"))
        above = [total + max(value, 0) for total, value in zip(above, values)]
        below = [total + min(value, 0) for total, value in zip(below, values)]
    step = max(1, len(months) // 6)
    axes.set_xticks(range(0, len(months), step), months[::step])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_title(title, loc="left", fontsize=11)
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.07), columnspacing=1)


def draw(database: Database, file: str, currency: str = "KES") -> None:
    panels = Panels(database, currency)
    figure = plt.figure(figsize=(13, 8.5), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=[1.1, 4, 4])
    for axes, title in zip(top.subplots(1, len(STATS)), STATS):
        row = panels.rows(title)[0]
        text = row[1] if title == "Newest change" else f"{int(row[0]):,}"
        axes.text(0.5, 0.35, text, ha="center", va="center", fontsize=22)
        axes.set_title(title, fontsize=11)
        axes.axis("off")
    for axes, title in zip(middle.subplots(1, 2), STACKED):
        bars(axes, *stacks(panels.rows(title)), panels.title(title))
    left, right = bottom.subplots(1, 2)
    title = "Rejected items by reason"
    reasons = panels.rows(title)[::-1]
    drawn = left.barh([row[0] for row in reasons], [int(row[1]) for row in reasons], color="tab:red")
    left.bar_label(drawn, fmt="{:,.0f}", padding=3)
    left.margins(x=0.12)
    left.set_title(title, loc="left", fontsize=11)
    title = "Treatments by month: repaired, and as they were"
    rows = panels.rows(title)
    series = {"Repaired": [float(row[1]) for row in rows], "As they were": [float(row[2]) for row in rows]}
    bars(right, [row[0] for row in rows], series, title)
    for axes in figure.get_axes():
        axes.spines[["top", "right"]].set_visible(False)
    # The same data gives the same file.
    figure.savefig(file, dpi=100, metadata={"Software": None})


def main(file: str, url: str = "", currency: str = "KES") -> None:
    if url:
        draw(Database(url), file, currency)
    else:
        with loaded.claims() as (database, _):
            draw(database, file, currency)


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
