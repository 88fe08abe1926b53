"""Daily: looks for anything that outlived its bound, with no right to change it, and reports the age of the oldest
copy.

Keys begin with the shard and the hour, so the first key of a shard is its oldest: one request tells, at any size."""

from __future__ import annotations

import datetime
from typing import Any

from images import HOUR, KEPT, SHARDS, now, past_hours, slot
from platform_io import client, measure, setting, table

# How far back the table is searched: it is asked by hour.
HOURS_BACK = 48
# The age of the first moment of an hour when its last image has expired.
LAST_EXPIRES = KEPT / datetime.timedelta(hours=1) + 1


def handler(_event: dict[str, Any], _context: Any) -> dict[str, float]:
    moment = now()
    ages = {
        "OldestOriginalHours": oldest_object(moment, "ORIGINALS"),
        "OldestProcessedHours": oldest_object(moment, "PROCESSED"),
        "OldestRowHours": age(moment, first_hour(setting("LAKE"), "rows/hour=")),
        "OldestItemHours": oldest_item(moment),
    }
    grace = {"OldestItemHours": int(setting("METADATA_GRACE_HOURS"))}
    overdue = max(0.0, *(hours - LAST_EXPIRES - grace.get(name, 0) for name, hours in ages.items()))
    measure(AuditEnded=1, OverdueHours=overdue, **ages)
    return {"OverdueHours": overdue, **ages}


def oldest_object(moment: datetime.datetime, bucket: str) -> float:
    return max(age(moment, first_hour(setting(bucket), f"{shard}/")) for shard in SHARDS)


def first_hour(bucket: str, prefix: str) -> str | None:
    found = client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("Contents", [])
    return found[0]["Key"].removeprefix(prefix).split("/")[0] if found else None


def oldest_item(moment: datetime.datetime) -> float:
    """Of the items that ought to be gone; 0 if there are none."""
    for hour in reversed(past_hours(moment, datetime.timedelta(0), HOURS_BACK)):
        for shard in SHARDS:
            condition = {":slot": slot(hour, shard)}
            query = {"KeyConditionExpression": "slot = :slot", "ExpressionAttributeValues": condition, "Limit": 1}
            if table(setting("IMAGES")).query(**query)["Items"]:
                return age(moment, hour)
    return 0.0


def age(moment: datetime.datetime, hour: str | None) -> float:
    """Of the first moment of an hour."""
    if hour is None:
        return 0.0
    start = datetime.datetime.strptime(hour, HOUR).replace(tzinfo=datetime.timezone.utc)
    return (moment - start) / datetime.timedelta(hours=1)
