"""Hourly: removes what has expired. The rules of S3 and DynamoDB would do it too, but state no time.

An hour is removed from the buckets and from the analysts' rows as soon as its last image has expired. Keys are in the
order of hours, so nothing older is ever passed over. The table is asked for each of the last `LOOK_BACK` hours: a run
that failed, or an item that came late, is made up for.

What has no image's hour in its key goes by its own age: results of queries, and rows that could not be converted."""

from __future__ import annotations

import concurrent.futures
import datetime
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from images import SHARDS, now, past_hours, slot
from platform_io import client, measure, setting, table

LOOK_BACK = 26
RESULTS_KEPT, ERRORS_KEPT = datetime.timedelta(hours=1), datetime.timedelta(days=1)
AT_ONCE = 1000
THREADS = 16


def handler(_event: dict[str, Any], _context: Any) -> dict[str, int]:
    moment = now()
    grace = datetime.timedelta(hours=int(setting("METADATA_GRACE_HOURS")))
    newest, hours = past_hours(moment, datetime.timedelta(0), 1)[0], past_hours(moment, grace, LOOK_BACK)
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        removed = {
            "SweptObjects": sum(pool.map(sweep_shard, itertools.repeat(newest), SHARDS)),
            "SweptItems": sum(pool.map(sweep_items, itertools.repeat(hours), SHARDS)),
            "SweptRows": sweep_until(setting("LAKE"), "rows/hour=", newest),
            "SweptResults": sweep_older(setting("RESULTS"), "", moment - RESULTS_KEPT)
            + sweep_older(setting("LAKE"), "errors/", moment - ERRORS_KEPT),
        }
    measure(SweepEnded=1, **removed)
    return removed


def sweep_shard(newest: str, shard: str) -> int:
    return sum(sweep_until(setting(bucket), f"{shard}/", newest) for bucket in ("ORIGINALS", "PROCESSED"))


def sweep_until(bucket: str, prefix: str, newest: str) -> int:
    """Removes the objects under `prefix` whose next part is an hour up to `newest`."""

    def expired(key: str) -> bool:
        return key.removeprefix(prefix).split("/")[0] <= newest

    return remove(bucket, itertools.takewhile(expired, (key for key, _ in listed(bucket, prefix))))


def sweep_older(bucket: str, prefix: str, than: datetime.datetime) -> int:
    return remove(bucket, (key for key, stored in listed(bucket, prefix) if stored <= than))


def sweep_items(hours: list[str], shard: str) -> int:
    images, count = table(setting("IMAGES")), 0
    with images.batch_writer() as batch:
        for hour in hours:
            for item in items_of(images, slot(hour, shard)):
                batch.delete_item(Key=item)
                count += 1
    return count


def items_of(images: Any, partition: str) -> Iterator[dict[str, str]]:
    start: dict[str, Any] = {}
    while True:
        found = images.query(
            KeyConditionExpression="slot = :slot",
            ExpressionAttributeValues={":slot": partition},
            ProjectionExpression="slot, image_id",
            **start,
        )
        yield from found["Items"]
        if "LastEvaluatedKey" not in found:
            return
        start = {"ExclusiveStartKey": found["LastEvaluatedKey"]}


def listed(bucket: str, prefix: str) -> Iterator[tuple[str, datetime.datetime]]:
    """The objects under a prefix, in the order of their keys, and when they were stored."""
    for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from ((item["Key"], item["LastModified"]) for item in page.get("Contents", []))


def remove(bucket: str, keys: Iterable[str]) -> int:
    count, keys = 0, iter(keys)
    while some := list(itertools.islice(keys, AT_ONCE)):
        objects = {"Objects": [{"Key": key} for key in some], "Quiet": True}
        errors = client("s3").delete_objects(Bucket=bucket, Delete=objects).get("Errors", [])
        if errors:
            raise RuntimeError(f"{len(errors)} objects were not deleted, the first because of {errors[0]['Code']}")
        count += len(some)
    return count
