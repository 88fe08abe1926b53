"""Records which calls each function makes, and compares them with what its role allows: no call is refused, and
nothing is allowed that no call needs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import boto3
from stack import Stack

# Calls whose permission has another name.
ACTIONS = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:DeleteObjects": "s3:DeleteObject",
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
}
# What services do in the function's name: its log, its network, its queue, and the key of what it reads and writes.
OF_SERVICES = ("logs:", "ec2:", "kms:", "sqs:GetQueueAttributes")
# Permissions that a call needs beyond its own.
BEYOND = {
    # Signed by the function, done by the client.
    ("Ticket", "s3:PutObject", "Originals"),
    # So that an object that does not exist is told from one that must not be read.
    ("Process", "s3:ListBucket", "Originals"),
}


class Calls:
    def __init__(self, stack: Stack):
        self.stack = stack
        self.names = {physical.rsplit("/", 1)[-1]: logical for logical, physical in stack.ids.items() if physical}
        self.names[stack.parameters["SigningKeySecret"].rsplit(":", 1)[-1]] = "SigningKeySecret"
        self.made: set[tuple[str, str, str]] = set(BEYOND)
        self.function = ""
        boto3.setup_default_session()
        boto3.DEFAULT_SESSION.events.register("before-parameter-build", self.record)

    def record(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        if self.function:
            call = f"{model.service_model.endpoint_prefix}:{model.name}"
            for resource in resources(params):
                resource = self.names.get(resource, resource)
                self.made.add((self.function, ACTIONS.get(call, call), resource))

    @contextlib.contextmanager
    def of(self, function: str) -> Iterator[None]:
        before, self.function = self.function, function
        try:
            yield
        finally:
            self.function = before

    def wrapped(self, function: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*arguments: Any) -> Any:
            with self.of(function):
                return call(*arguments)

        return recorded

    def allowed(self) -> set[tuple[str, str, str]]:
        result = set()
        for function in self.stack.named("AWS::Lambda::Function"):
            [policy] = self.stack.template["Resources"][f"{function}Role"]["Properties"]["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]:
                for action in listed(statement["Action"]):
                    if statement["Effect"] == "Allow" and not action.startswith(OF_SERVICES):
                        result |= {(function, action, target(of)) for of in listed(statement["Resource"])}
        return result

    def differences(self) -> list[str]:
        allowed = self.allowed()
        return [
            f"{function} calls {action} on {resource}, which its role does not allow"
            for function, action, resource in sorted(self.made - allowed)
        ] + [
            f"the role of {function} allows {action} on {resource}, which it does not call"
            for function, action, resource in sorted(allowed - self.made)
        ]


def resources(params: dict[str, Any]) -> Iterator[str]:
    """The names of the bucket, table, index, queue, stream or secret of a call."""
    if "IndexName" in params:
        yield params["IndexName"]
    elif "RequestItems" in params:
        yield from params["RequestItems"]
    else:
        for key in ("TableName", "Bucket", "QueueUrl", "DeliveryStreamName", "SecretId"):
            if key in params:
                yield params[key].rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def target(resource: Any) -> str:
    """The name of what a statement is about, as `resources` has it."""
    if "Fn::GetAtt" in resource:
        return resource["Fn::GetAtt"][0]
    if "Ref" in resource:
        return resource["Ref"]
    text = resource["Fn::Sub"]
    return text.rsplit("/", 1)[-1] if "/index/" in text else text.split("}")[0].removeprefix("${").removesuffix(".Arn")


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
