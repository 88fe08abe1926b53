#!/usr/bin/env python3
"""Deploys template.yaml onto moto's server, reads its settings back, and sends images through the real functions: sign
a ticket, upload, process, read, purge. Needs the packages of requirements.txt."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import io
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
from calls import Calls
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from settings import check_buckets, check_functions, check_queues, check_tables
from stack import REGION, SECTION, Stack, deployed, expect, template

# Compiled functions stay out of the sources.
sys.dont_write_bytecode = True
sys.path[:0] = [str(SECTION / "functions"), str(SECTION / "check/stand_in")]
import audit  # noqa: E402
import exif  # noqa: E402
import intake  # noqa: E402
import platform_io  # noqa: E402
import poll  # noqa: E402
import process  # noqa: E402
import read  # noqa: E402
import reconcile  # noqa: E402
import sweep  # noqa: E402
import ticket  # noqa: E402
from images import Image, now  # noqa: E402

# A JPEG as far as its segments go: one of EXIF with a position, and no pixels.
POSITION = b"Exif\0\0 52.52 N 13.40 E"
JPEG = b"\xff\xd8\xff\xe1" + (len(POSITION) + 2).to_bytes(2, "big") + POSITION + b"\xff\xda\0\x02pixels\xff\xd9"
WEEK = datetime.timedelta(days=7)
HOUR = datetime.timedelta(hours=1)


# The way of an image ----------------------------------------------------------------------------------


def request(owner: str, **more: Any) -> dict[str, Any]:
    return {"requestContext": {"authorizer": {"jwt": {"claims": {"sub": owner}}}}, **more}


def quietly(function: Any, *arguments: Any) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*arguments)


def get_ticket(owner: str, image: bytes, **changes: Any) -> tuple[int, dict[str, Any]]:
    digest = base64.b64encode(hashlib.sha256(image).digest()).decode()
    body = json.dumps({"size": len(image), "type": "image/jpeg", "sha256": digest, **changes})
    answer = ticket.handler(request(owner, body=body), None)
    return answer["statusCode"], json.loads(answer["body"])


def upload(granted: dict[str, Any], image: bytes) -> int:
    to = granted["upload"]
    put = urllib.request.Request(to["url"], data=image, headers=to["headers"], method=to["method"])
    try:
        with urllib.request.urlopen(put) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def get(owner: str, image_id: str) -> tuple[int, dict[str, Any]]:
    answer = read.handler(request(owner, pathParameters={"id": image_id}), None)
    return answer["statusCode"], json.loads(answer["body"])


def listed(owner: str, **query: str) -> dict[str, Any]:
    return json.loads(read.handler(request(owner, queryStringParameters=query), None)["body"])


def check_ticket() -> None:
    expect(get_ticket("ann", JPEG, size=ticket.LARGEST + 1)[0], 413, "an image that is too large")
    expect(get_ticket("ann", JPEG, type="text/html")[0], 415, "something else than an image")
    expect(get_ticket("ann", JPEG, sha256="AAAA")[0], 400, "a digest of another length")
    expect(get_ticket("ann", JPEG, type=[])[0], 415, "a type that is no text")
    expect(get_ticket("ann", JPEG, size=True)[0], 400, "a size that is no number")
    expect(ticket.handler(request("ann", body="[1]"), None)["statusCode"], 400, "a list")
    status, granted = get_ticket("ann", JPEG)
    expect(status, 201, "a ticket")
    query = parse_qs(urlsplit(granted["upload"]["url"]).query)
    signed = set(query["X-Amz-SignedHeaders"][0].split(";"))
    expect(signed, {"host", "content-length", *granted["upload"]["headers"]}, "the headers that a ticket binds")
    expect(query["X-Amz-Expires"], ["900"], "the seconds of a ticket")
    os.environ["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true"
    of_aws = boto3.client("s3", config=platform_io.S3).generate_presigned_url(
        "put_object", {"Bucket": "bucket", "Key": "k"}
    )
    del os.environ["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"]
    expect(urlsplit(of_aws).hostname, f"bucket.s3.{REGION}.amazonaws.com", "the host of a signed address")
    os.environ["DAILY_QUOTA"] = "2"
    expect([get_ticket("eve", JPEG + bytes([number]))[0] for number in range(3)], [201, 201, 429], "the quota")
    os.environ["DAILY_QUOTA"] = "1000"


def check_way() -> None:
    _, granted = get_ticket("ann", JPEG)
    image = Image.of_id(granted["image_id"])
    expect(upload(granted, JPEG), 200, "an upload")
    expect(upload(granted, JPEG), 412, "a second upload with the same ticket")
    expect(get("ann", image.id)[1]["state"], "expected", "the state before processing")
    expect(quietly(poll.once, 0), 1, "messages of one upload")
    status, shown = get("ann", image.id)
    expect((status, shown["state"]), (200, "done"), "the state after processing")
    expect(shown["metadata"], {"width": 640, "height": 480, "format": "jpeg"}, "the metadata, without a position")
    until = int(parse_qs(urlsplit(shown["url"]).query)["Expires"][0])
    expect(until <= min(image.expires_at, now().timestamp() + 600), True, "an address ends with its image")
    expect(get("bob", image.id)[0], 404, "another user's image")
    expect([item["image_id"] for item in listed("ann")["images"]], [image.id], "the list of one's own images")
    expect(listed("bob")["images"], [], "the list of somebody else")
    expect(read.handler(request("ann", pathParameters={"id": "../x"}), None)["statusCode"], 400, "no id")
    published = boto3.client("s3").get_object(Bucket=os.environ["PROCESSED"], Key=image.key)["Body"].read()
    expect((b"52.52" in published, exif.carries_metadata(JPEG)), (False, True), "the position in what is published")
    status, again = get_ticket("ann", JPEG)
    expect((status, again), (200, {"image_id": image.id, "state": "done"}), "the same upload again")
    expect(quietly(process.process, image.key, 1), "Duplicate", "the same message again")


def check_intake() -> None:
    """Records of the Kafka topic: with the bytes, with a reference, twice, and with an id that nobody may issue."""
    s3, table = boto3.client("s3"), boto3.resource("dynamodb").Table(os.environ["IMAGES"])
    inline, referred = Image.issue(now()), Image.issue(now())
    for _ in range(2):
        expect(intake.take(inline.id, JPEG, {"source": "scanner-7"}), "Taken", "a record with the bytes")
    s3.put_object(Bucket=os.environ["ORIGINALS"], Key=referred.key, Body=JPEG, IfNoneMatch="*")
    expect(intake.take(referred.id, None, {"source": "scanner-7"}), "Taken", "a record with a reference")
    drain()
    for image in (inline, referred):
        item = table.get_item(Key=image.row)["Item"]
        expect((item["state"], item["source"]), ("done", "scanner-7"), "an image of the topic")
        expect(get("ann", image.id)[0], 404, "an image of the topic, for a user")
    expect(intake.take(referred.id, None, {"source": "late"}), "Taken", "a record after the processing")
    expect(table.get_item(Key=referred.row)["Item"]["state"], "done", "the state after that record")
    for moment in (now() + HOUR, now() - 2 * WEEK):
        expect(intake.take(Image.issue(moment).id, JPEG, {}), "Refused", "an id of another time")
    expect(intake.take("scan-1", JPEG, {}), "Refused", "an id of another kind")
    expect(intake.take(Image.issue(now()).id, b"\0" * (intake.LARGEST + 1), {}), "Refused", "too many bytes")


def check_pages() -> None:
    for number in range(read.PAGE + 3):
        get_ticket("pat", JPEG + bytes([number]))
    first = listed("pat")
    second = listed("pat", before=first["before"])
    expect((len(first["images"]), len(second["images"]), second["before"]), (read.PAGE, 3, None), "pages")
    ids = [item["image_id"] for page in (first, second) for item in page["images"]]
    expect(ids, sorted(set(ids), reverse=True), "pages: each image once, the newest first")


def check_failures() -> None:
    for name, image, wanted in [
        ("no image", b"GIF89a", "rejected"),
        ("a poison image", JPEG + b"CRASH", "failed"),
    ]:
        _, granted = get_ticket("ann", image)
        expect(upload(granted, image), 200, f"{name} is uploaded")
        key = Image.of_id(granted["image_id"]).key
        record = {"messageId": "1", "body": json.dumps({"key": key}), "attributes": {"ApproximateReceiveCount": "5"}}
        failures = quietly(process.handler, {"Records": [record]}, None)["batchItemFailures"]
        expect(len(failures), int(wanted == "failed"), f"{name}: messages that come again")
        expect(get("ann", granted["image_id"])[1]["state"], wanted, f"{name}: what the user sees")
    leaking = process.processing.without_metadata
    process.processing.without_metadata = lambda image: image
    try:
        process.process(make(now() - HOUR, "kim"), 1)
        sys.exit("a processed image with a position was published")
    except RuntimeError:
        pass
    finally:
        process.processing.without_metadata = leaking
    check_crash()
    expect(process.process("00/2026-01-01-00/x", 1), "Unknown", "a key that is not one of the platform")
    expect(process.process(Image.issue(now()).key, 1), "Missing", "a ticket that was not used")
    expect(process.process(make(now() + HOUR, "kim"), 1), "FromTheFuture", "an id that would be kept too long")
    drain()


def check_crash() -> None:
    """An image that ends the process does not end the task, which processes the next one."""
    drain()
    granted = {}
    for image in (JPEG + b"ABORT", JPEG + b"other"):
        _, granted[image] = get_ticket("ann", image)
        upload(granted[image], image)
    program = "import os, poll; os.close(2); print(poll.once(0) + poll.once(0))"
    path = os.pathsep.join(sys.path[:2])
    command = [sys.executable, "-B", "-c", program]
    ran = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True)
    expect(ran.stdout.splitlines()[-1], "2", "the messages that a task receives")
    states = [get("ann", one["image_id"])[1]["state"] for one in granted.values()]
    expect(states, ["expected", "done"], "the states after a crash")


def make(moment: datetime.datetime, owner: str) -> str:
    """An image as if it had come at `moment`, in every place."""
    image, s3 = Image.issue(moment), boto3.client("s3")
    for bucket in ("ORIGINALS", "PROCESSED"):
        s3.put_object(Bucket=os.environ[bucket], Key=image.key, Body=JPEG, Metadata={"owner": owner})
    s3.put_object(Bucket=os.environ["LAKE"], Key=f"rows/hour={image.hour}/{image.id}.parquet", Body=b"row")
    row = {**image.row, "owner": owner, "state": "done", "expires_at": image.expires_at}
    boto3.resource("dynamodb").Table(os.environ["IMAGES"]).put_item(Item=row)
    return image.key


def drain() -> None:
    while quietly(poll.once, 0):
        pass


def check_reconcile() -> None:
    """A message is lost, a version of the code was wrong: the image is processed all the same."""
    drain()
    image = Image.issue(now() - 2 * HOUR)
    boto3.client("s3").put_object(Bucket=os.environ["ORIGINALS"], Key=image.key, Body=JPEG, Metadata={"owner": "lou"})
    sqs = boto3.client("sqs")
    sqs.purge_queue(QueueUrl=os.environ["QUEUE"])
    row = {**image.row, "owner": "lou", "state": "expected", "expires_at": image.expires_at}
    boto3.resource("dynamodb").Table(os.environ["IMAGES"]).put_item(Item=row)
    expect(quietly(reconcile.handler, {}, None), 1, "images that are sent again")
    drain()
    expect(get("lou", image.id)[1]["state"], "done", "an image whose message was lost")
    again = {"code_version": process.VERSION, "hours": [image.hour]}
    process.VERSION = "stand-in-2"
    expect(quietly(reconcile.handler, again, None), 1, "images that a wrong version has processed")
    drain()
    item = boto3.resource("dynamodb").Table(os.environ["IMAGES"]).get_item(Key=image.row)["Item"]
    expect(item["code_version"], "stand-in-2", "the version after that")


def check_purge() -> None:
    # As far back as the images of this check: each hour of each shard is a request.
    sweep.LOOK_BACK = audit.HOURS_BACK = 6
    fresh, old, older = [make(now() - WEEK + hours * HOUR, "old") for hours in (1, -2, -5)]
    for key in (old, older):
        expect(get("old", key.rsplit("/", 1)[1])[0], 404, "an expired image that is still there")
        expect(quietly(process.process, key, 1), "Expired", "a message of an expired image")
    expect(get("old", fresh.rsplit("/", 1)[1])[0], 200, "an image of almost seven days")
    expect([item["image_id"] for item in listed("old")["images"]], [fresh.rsplit("/", 1)[1]], "the list without them")
    expect(quietly(audit.handler, None, None)["OverdueHours"] > 3, True, "the audit sees what is overdue")
    for bucket, key in (("RESULTS", "1.csv"), ("LAKE", "errors/format-conversion-failed/1")):
        boto3.client("s3").put_object(Bucket=os.environ[bucket], Key=key, Body=b"row")
    os.environ["METADATA_GRACE_HOURS"] = "3"
    swept = quietly(sweep.handler, None, None)
    expect(
        swept,
        {"SweptObjects": 4, "SweptItems": 1, "SweptRows": 2, "SweptResults": 0},
        "the sweep, while TTL has three hours of grace",
    )
    os.environ["METADATA_GRACE_HOURS"] = "0"
    sweep.RESULTS_KEPT = sweep.ERRORS_KEPT = datetime.timedelta(0)
    swept = quietly(sweep.handler, None, None)
    expect(swept, {"SweptObjects": 0, "SweptItems": 1, "SweptRows": 0, "SweptResults": 2}, "the sweep without grace")
    expect(quietly(audit.handler, None, None)["OverdueHours"], 0.0, "the audit after the sweep")
    left = boto3.client("s3").list_objects_v2(Bucket=os.environ["ORIGINALS"])["Contents"]
    expect(
        {fresh} <= {item["Key"] for item in left} and old not in {item["Key"] for item in left}, True, "what is left"
    )


# ------------------------------------------------------------------------------------------------------


def packed() -> bytes:
    """The functions as deploy.sh packs them, without the packages that they need."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for source in sorted((SECTION / "functions").glob("*.py")):
            archive.write(source, source.name)
    return file.getvalue()


def environment(stack: Stack) -> dict[str, str]:
    """The variables of all functions, which agree where they have the same name."""
    result = {"QUEUE": stack.ids["Work"]}
    for name in stack.named("AWS::Lambda::Function"):
        for key, value in stack.properties(name)["Environment"]["Variables"].items():
            expect(result.setdefault(key, str(value)), str(value), f"the variable {key} of {name}")
    return result


def main() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    with deployed(packed(), {"CdnPublicKey": public}, private) as stack:
        for check in (check_buckets, check_queues, check_tables, check_functions):
            check(stack)
        # From here on messages are received by this program, not by moto's stand-in of a function.
        [mapping] = boto3.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        boto3.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        os.environ.update(environment(stack))
        boto3.client("firehose").create_delivery_stream(
            DeliveryStreamName=os.environ["ROWS"],
            S3DestinationConfiguration={"RoleARN": stack.arn("RowsRole"), "BucketARN": stack.arn("Lake")},
        )
        calls = Calls(stack)
        for module in (ticket, process, read, sweep, reconcile, audit):
            module.handler = calls.wrapped(module.__name__.capitalize(), module.handler)
        process.process, poll.once = calls.wrapped("Process", process.process), calls.wrapped("Process", poll.once)
        # In this process, so that its calls are seen. `check_crash` has the other way.
        poll.apart = poll.succeeds
        for step in (check_ticket, check_way, check_intake, check_pages, check_failures, check_reconcile, check_purge):
            step()
        expect(calls.differences(), [], "what roles allow and functions call")
    print(f"{len(template()['Resources'])} resources, their settings, and the way of an image from ticket to purge")


if __name__ == "__main__":
    main()
