"""What the scripts of the peers share: the documents out of the sums of weeks, written as files."""

import json
import pathlib
from collections.abc import Iterable
from decimal import Decimal
from urllib.parse import quote

# (year, key of the channel, division, gender, category)
Group = tuple[int, str, str, str, str]


class Amount(float):
    """A decimal that JSON has with all its digits."""

    def __init__(self, value: Decimal) -> None:
        self.text = str(value)

    def __repr__(self) -> str:
        return self.text


def write(rows: Iterable[tuple], folder: str) -> None:
    """Rows are (year, channel_key, channel, division, gender, category, week, net_sales, sales_units)."""
    groups: dict[Group, tuple[list[str], dict[int, tuple[Decimal, int]]]] = {}
    for year, key, channel, division, gender, category, week, net_sales, sales_units in rows:
        channels, weeks = groups.setdefault((year, key, division, gender, category), ([], {}))
        channels.append(channel)
        weeks[week] = (net_sales, sales_units)
    out = pathlib.Path(folder)
    out.mkdir(parents=True)
    for (year, key, division, gender, category), (channels, weeks) in groups.items():
        short = f"RY{year % 100:02}"
        unique_key = "_".join([short, key, division, gender, category])
        zero = (Decimal("0.00"), 0)
        amounts = {f"W{week}": Amount(weeks.get(week, zero)[0]) for week in range(1, 53)}
        units = {f"W{week}": weeks.get(week, zero)[1] for week in range(1, 53)}
        document = {"uniqueKey": unique_key, "division": division, "gender": gender, "category": category,
                    "channel": min(channels), "year": short,
                    "dataRows": [{"rowId": "Net Sales", "dataRow": amounts}, {"rowId": "Sales Units", "dataRow": units}]}
        (out / f"{quote(unique_key, safe='')}.json").write_text(json.dumps(document, separators=(",", ":")))
