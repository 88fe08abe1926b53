"""One message of the queue: an original has been stored. Runs the company's code on it and publishes the result.

The same program runs as a Lambda function and, at the large size, as tasks that `poll.py` feeds. Messages come at least
once and in any order: everything here can be repeated. A message is done only when image, row and item are stored."""

from __future__ import annotations

import collections
import json
import urllib.parse
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import exif
import processing
from botocore.exceptions import ClientError
from images import LARGEST, Image, now
from platform_io import client, log, measure, setting, table

# The company's own code (or, in the tests, a stand-in): `process(bytes) -> (bytes, dict)`, and its version. It raises
# ValueError for bytes that are no image.
VERSION = processing.VERSION

# What may be kept of an image's metadata. All else, such as a position, a serial number or a comment, is dropped.
KEPT = {"width", "height", "format", "taken_on", "orientation", "labels"}
# On the last attempt the item says so first: the attempt may end the process.
LAST_ATTEMPT = 5
# Ids are issued before the bytes are stored. The rest is for clocks that differ.
CLOCKS_DIFFER_SECONDS = 300


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    failed, outcomes = [], collections.Counter()
    for record in event["Records"]:
        try:
            for key in keys(json.loads(record["body"])):
                outcomes[process(key, int(record["attributes"]["ApproximateReceiveCount"]))] += 1
        except Exception as error:  # One message must not fail the others; SQS counts its attempts.
            log(message=record["messageId"], error=type(error).__name__)
            outcomes["Failed"] += 1
            failed.append({"itemIdentifier": record["messageId"]})
    if outcomes:
        measure(**outcomes)
    return {"batchItemFailures": failed}


def keys(body: dict[str, Any]) -> Iterator[str]:
    """Of an event of S3, where they are encoded as in URLs, or of a message that `reconcile` has sent."""
    if "key" in body:
        yield body["key"]
    for record in body.get("Records", []):  # S3 sends a test event without records when it is set up.
        yield urllib.parse.unquote_plus(record["s3"]["object"]["key"])


def process(key: str, attempt: int) -> str:
    try:
        image = Image.of_key(key)
    except ValueError:
        return "Unknown"
    if image.expires <= now():
        return "Expired"
    known = table(setting("IMAGES")).get_item(Key=image.row).get("Item", {})
    if known.get("state") == "done" and known.get("code_version") == VERSION:
        return "Duplicate"
    try:
        original = client("s3").get_object(Bucket=setting("ORIGINALS"), Key=image.key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return "Missing"
        raise
    if image.received.timestamp() > original["LastModified"].timestamp() + CLOCKS_DIFFER_SECONDS:
        # It would be shown too long. It is not, and the rule of the bucket removes it; an alarm tells of the producer.
        return "FromTheFuture"
    fields = {"owner": owner} if (owner := original["Metadata"].get("owner")) else {}
    if attempt >= LAST_ATTEMPT:
        update(image, {**fields, "state": "failed"})
    fields["code_version"] = VERSION
    try:
        if original["ContentLength"] > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
        published, metadata = processing.process(original["Body"].read())
    except ValueError as error:
        update(image, {**fields, "state": "rejected", "reason": str(error)[:200]})
        return "Rejected"
    check(published)
    # A table has decimal numbers only.
    metadata = json.loads(json.dumps({name: metadata[name] for name in KEPT & metadata.keys()}), parse_float=Decimal)
    client("s3").put_object(
        Bucket=setting("PROCESSED"),
        Key=image.key,
        Body=published,
        ContentType=exif.content_type(published),
        # For browsers and for the CDN, which would not cache what is `private`.
        CacheControl="max-age=300, s-maxage=3600",
    )
    send_row(image, metadata)
    update(image, {**fields, "state": "done", "metadata": metadata})
    return "Done"


def check(published: bytes) -> None:
    """A bug of the processing code must not publish where an image was taken. The attempt fails, not the image."""
    if exif.carries_metadata(published):
        raise RuntimeError("the processed image still carries metadata")


def send_row(image: Image, metadata: dict[str, Any]) -> None:
    """For the analysts: no owner, no name. A repeated row has the same id, and the view keeps one of them."""
    row = {
        "image_id": image.id,
        "hour": image.hour,
        "expires_at": image.expires_at,
        "code_version": VERSION,
        **metadata,
    }
    data = (json.dumps(row, default=float) + "\n").encode()
    client("firehose").put_record(DeliveryStreamName=setting("ROWS"), Record={"Data": data})


def update(image: Image, fields: dict[str, Any]) -> None:
    """Creates the item, too: images of the Kafka topic may come before their record."""
    fields = {**fields, "expires_at": image.expires_at}
    table(setting("IMAGES")).update_item(
        Key=image.row,
        UpdateExpression="set " + ", ".join(f"#{name} = :{name}" for name in fields),
        ExpressionAttributeNames={f"#{name}": name for name in fields},
        ExpressionAttributeValues={f":{name}": value for name, value in fields.items()},
    )
