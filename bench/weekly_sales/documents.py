"""What the scripts of the peers share: the documents out of the sums of weeks, written as files."""

import json
import pathlib
from collections.abc import Iterable
from decimal import Decimal
from urllib.parse import quote

# (year, key of the channel, division, gender, category)
Group = tuple[int, str, str, str, str]


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
        # json would write a decimal as a float.
        row = lambda part: "{" + ",".join(f'"W{week}":{weeks.get(week, zero)[part]}' for week in range(1, 53)) + "}"
        head = json.dumps({"uniqueKey": unique_key, "division": division, "gender": gender, "category": category,
                           "channel": min(channels), "year": short}, separators=(",", ":"))
        rows = f'{{"rowId":"Net Sales","dataRow":{row(0)}}},{{"rowId":"Sales Units","dataRow":{row(1)}}}'
        (out / f"{quote(unique_key, safe='')}.json").write_text(f'{head[:-1]},"dataRows":[{rows}]}}')
