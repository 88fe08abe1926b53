"""POST /images: a ticket to upload one image.

The client states size, type and SHA-256 of the bytes; the signature covers them, and `If-None-Match: *`. The ticket
therefore stores exactly these bytes, once, under the name that was issued. An upload that is tried again gets the
image of the first attempt."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from botocore.exceptions import ClientError
from images import LARGEST, Image, now
from platform_io import answer, client, owner_of, setting, table

TYPES = {"image/jpeg", "image/png", "image/webp", "image/heic"}
VALID_SECONDS = 900
DAY = 86_400


class Refused(Exception):
    """The request cannot be granted: a status and a reason for the client."""

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status, self.reason = status, reason


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    try:
        owner, upload = owner_of(event), wanted(event.get("body") or "")
        count(owner)
        image, state = enter(owner, upload)
        if state != "expected":
            return answer(200, {"image_id": image.id, "state": state})
        return answer(201, {"image_id": image.id, "state": state, "upload": signed(image, owner, upload)})
    except Refused as refused:
        return answer(refused.status, {"error": refused.reason})


def wanted(body: str) -> dict[str, Any]:
    try:
        upload = json.loads(body)
        size, kind, digest = upload["size"], upload["type"], base64.b64decode(upload["sha256"], validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise Refused(400, "expected JSON with size (bytes), type and sha256 (base64)") from None
    if not isinstance(kind, str) or kind not in TYPES:
        raise Refused(415, f"type must be one of {', '.join(sorted(TYPES))}")
    if type(size) is not int or size < 1 or len(digest) != 32:
        raise Refused(400, "size must be a positive number of bytes, and sha256 32 bytes")
    if size > LARGEST:
        raise Refused(413, f"an image has at most {LARGEST} bytes")
    return {"size": size, "type": kind, "sha256": base64.b64encode(digest).decode()}


def enter(owner: str, upload: dict[str, Any]) -> tuple[Image, str]:
    """Enters the image, or finds the one that the same user announced with the same bytes in the last 24 hours."""
    moment = now()
    seconds = int(moment.timestamp())
    image = Image.issue(moment)
    first = {"upload": f"{owner}#{upload['sha256']}", "image_id": image.id, "expires_at": seconds + DAY}
    if not put_new(table(setting("UPLOADS")), first, "upload", seconds):
        found = table(setting("UPLOADS")).get_item(Key={"upload": first["upload"]}, ConsistentRead=True)["Item"]
        image = Image.of_id(found["image_id"])
    item = {**image.row, "owner": owner, "state": "expected", "expires_at": image.expires_at, **upload}
    # Also when the image was known: an earlier attempt may have ended between the two tables.
    if put_new(table(setting("IMAGES")), item, "image_id", seconds):
        return image, "expected"
    return image, table(setting("IMAGES")).get_item(Key=image.row, ConsistentRead=True)["Item"]["state"]


def put_new(target: Any, item: dict[str, Any], key: str, seconds: int) -> bool:
    """Whether the item is new. One that has expired and that TTL has not removed yet does not count."""
    try:
        target.put_item(
            Item=item,
            ConditionExpression="attribute_not_exists(#key) or expires_at <= :now",
            ExpressionAttributeNames={"#key": key},
            ExpressionAttributeValues={":now": seconds},
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


def count(owner: str) -> None:
    """Counts the request against the user's quota of the day, which bounds what a stolen token can store."""
    day = int(now().timestamp()) // DAY
    try:
        table(setting("UPLOADS")).update_item(
            Key={"upload": f"{owner}#day-{day}"},
            UpdateExpression="add images :one set expires_at = :end",
            ConditionExpression="attribute_not_exists(images) or images < :most",
            ExpressionAttributeValues={":one": 1, ":end": (day + 2) * DAY, ":most": int(setting("DAILY_QUOTA"))},
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        raise Refused(429, "the quota of uploads of this day is used up") from None


def signed(image: Image, owner: str, upload: dict[str, Any]) -> dict[str, Any]:
    parameters = {
        "Bucket": setting("ORIGINALS"),
        "Key": image.key,
        "ContentLength": upload["size"],
        "ContentType": upload["type"],
        "ChecksumSHA256": upload["sha256"],
        "IfNoneMatch": "*",
        "Metadata": {"owner": owner},
    }
    url = client("s3").generate_presigned_url("put_object", Params=parameters, ExpiresIn=VALID_SECONDS)
    headers = {
        "content-type": upload["type"],
        "if-none-match": "*",
        "x-amz-checksum-sha256": upload["sha256"],
        "x-amz-meta-owner": owner,
    }
    return {"method": "PUT", "url": url, "headers": headers, "valid_seconds": VALID_SECONDS}
