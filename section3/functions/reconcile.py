"""Hourly: sends images again that were announced a while ago and are not processed, whatever became of their message.

This is what makes the notification of S3, which has no guarantee of time, and the queue dispensable: the table knows
what must come. A ticket that was never used is sent in vain and costs one failed read.

After a bug of the processing code it is called by hand with {"code_version": "…", "hours": ["2026-11-27-20", …]}: what
this version has processed of the images of these hours is processed again by the present one."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from typing import Any

from images import HOUR, SHARDS, Image, now, slot
from platform_io import client, measure, setting, table

# Hours in which images came that long ago: younger ones are still in the queue, older ones have been looked at.
HOURS_AGO = (2, 6, 24)


def handler(event: dict[str, Any], _context: Any) -> int:
    if "code_version" in event:
        hours, attribute, value = event["hours"], "code_version", event["code_version"]
    else:
        hours = [(now() - datetime.timedelta(hours=ago)).strftime(HOUR) for ago in HOURS_AGO]
        attribute, value = "state", "expected"
    sent = 0
    for hour in hours:
        for shard in SHARDS:
            sent += send([image.key for image in images(slot(hour, shard), attribute, value)])
    measure(SentAgain=sent)
    return sent


def images(partition: str, attribute: str, value: str) -> Iterator[Image]:
    start: dict[str, Any] = {}
    while True:
        found = table(setting("IMAGES")).query(
            KeyConditionExpression="slot = :slot",
            FilterExpression="#attribute = :value",
            ProjectionExpression="image_id",
            ExpressionAttributeNames={"#attribute": attribute},
            ExpressionAttributeValues={":slot": partition, ":value": value},
            **start,
        )
        yield from (Image.of_id(item["image_id"]) for item in found["Items"])
        if "LastEvaluatedKey" not in found:
            return
        start = {"ExclusiveStartKey": found["LastEvaluatedKey"]}


def send(keys: list[str]) -> int:
    for first in range(0, len(keys), 10):
        some = keys[first : first + 10]
        entries = [{"Id": str(number), "MessageBody": json.dumps({"key": key})} for number, key in enumerate(some)]
        failed = client("sqs").send_message_batch(QueueUrl=setting("QUEUE"), Entries=entries).get("Failed", [])
        if failed:
            raise RuntimeError(f"{len(failed)} messages were not taken, the first because of {failed[0]['Code']}")
    return len(keys)
