"""One record of the Kafka topic: its image is stored as if it had been uploaded. For the consumer that the engineers
run.

The record's key is the image's id, which the producer issues (`images.Image.issue`). Its value is the image, or
nothing if the producer has stored the bytes under the id's key itself. The consumer commits an offset after `take` has
returned. A record that comes again changes nothing. A refused record goes to the topic of dead records."""

from __future__ import annotations

import datetime

from botocore.exceptions import ClientError
from images import Image, now
from platform_io import client, setting, table

# What a record of the topic may have (`max.message.bytes`). Larger images are stored by the producer.
LARGEST = 8 * 1024 * 1024
# An id from the future would be kept too long. One from long ago has waited in the topic, which keeps three days.
AHEAD, BEHIND = datetime.timedelta(minutes=5), datetime.timedelta(days=4)
# What of a record's headers is kept with the image.
KEPT = {"source"}


def take(key: str, value: bytes | None, headers: dict[str, str]) -> str:
    try:
        image = Image.of_id(key)
    except ValueError:
        return "Refused"
    if not now() - BEHIND < image.received < now() + AHEAD or len(value or b"") > LARGEST:
        return "Refused"
    enter(image, {name: headers[name] for name in KEPT & headers.keys()})
    if value:
        store(image, value)
    return "Taken"


def enter(image: Image, fields: dict[str, str]) -> None:
    """First, so that an image is known before its bytes are there. Processing may have been faster: its state stays."""
    fields = {**fields, "expires_at": image.expires_at}
    changes = ", ".join(f"#{name} = :{name}" for name in fields)
    table(setting("IMAGES")).update_item(
        Key=image.row,
        UpdateExpression=f"set #state = if_not_exists(#state, :state), {changes}",
        ExpressionAttributeNames={"#state": "state", **{f"#{name}": name for name in fields}},
        ExpressionAttributeValues={":state": "expected", **{f":{name}": value for name, value in fields.items()}},
    )


def store(image: Image, value: bytes) -> None:
    try:
        client("s3").put_object(Bucket=setting("ORIGINALS"), Key=image.key, Body=value, IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
