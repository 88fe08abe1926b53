"""Clients, settings and answers that the functions share."""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from decimal import Decimal
from typing import Any

import boto3
from botocore.config import Config

RETRIES = Config(retries={"mode": "standard", "max_attempts": 5})
# With the region in the host of a signed address: the host without it redirects, which browsers do not follow here.
S3 = RETRIES.merge(Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))


def setting(name: str) -> str:
    return os.environ[name]


@functools.cache
def client(service: str) -> Any:
    return boto3.client(service, config=S3 if service == "s3" else RETRIES)


@functools.cache
def table(name: str) -> Any:
    """A table with plain values instead of typed ones."""
    return boto3.resource("dynamodb", config=RETRIES).Table(name)


def measure(**values: float) -> None:
    """Metrics as a line of the log (CloudWatch's embedded metric format): no permission is needed for them."""
    directive = {"Namespace": "Images", "Dimensions": [[]], "Metrics": [{"Name": name} for name in values]}
    log(_aws={"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}, **values)


def log(**fields: Any) -> None:
    """One line, in one piece: several processes of a task write to the same log."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(body, default=number)}


def number(value: Decimal) -> int | float:
    """Tables return decimal numbers."""
    return int(value) if value == int(value) else float(value)


def owner_of(event: dict[str, Any]) -> str:
    """The user whom the authorizer of the API has recognized."""
    return event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"]
