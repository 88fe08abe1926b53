"""Deploys template.yaml onto moto's server.

moto's CloudFormation lacks some kinds of resources (Cognito, CloudFront, alarms, …), and some properties of those that
it creates (lifecycle, notification, TTL, …). The former are left out, and what refers to them gets their names. The
latter are set by the services' own calls, with the values of the template."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pathlib
import re
import sys
import urllib.request
import warnings
from collections.abc import Iterator
from typing import Any

import boto3
from cfnlint.decode import cfn_yaml
from moto.cloudformation.parsing import get_model_map
from moto.server import ThreadedMotoServer

SECTION = pathlib.Path(__file__).resolve().parent.parent
TEMPLATE = SECTION / "template.yaml"
STACK, REGION, ACCOUNT = "images", "eu-central-1", "123456789012"
PARAMETERS = {
    "CodeBucket": "code",
    "CodeKey": "functions.zip",
    "ProcessorImage": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/processor@sha256:{'0' * 64}",
    "WebOrigin": "https://app.example.com",
    "AlarmEmail": "operations@example.com",
    "SigningKeySecret": "to be created",
    "CdnPublicKey": "to be created",
}


def expect(found: Any, wanted: Any, what: str) -> None:
    if found != wanted:
        sys.exit(f"{what}: expected {wanted!r}, found {found!r}")


def template() -> dict[str, Any]:
    """The template as plain dictionaries, intrinsic functions in their long form."""
    return json.loads(json.dumps(cfn_yaml.load(str(TEMPLATE))))


class Stack:
    """A deployed stack: its resources by their names in the template."""

    def __init__(self, parameters: dict[str, str]):
        self.template = template()
        self.parameters = {
            name: str(parameters.get(name, declared.get("Default", "")))
            for name, declared in self.template["Parameters"].items()
        }
        summaries = boto3.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
        self.ids = {summary["LogicalResourceId"]: summary.get("PhysicalResourceId", "") for summary in summaries}

    def properties(self, name: str) -> dict[str, Any]:
        return self.resolved(self.template["Resources"][name]["Properties"])

    def named(self, kind: str) -> list[str]:
        return [name for name, resource in self.template["Resources"].items() if resource["Type"] == kind]

    def resolved(self, value: Any) -> Any:
        """`value` with the intrinsic functions replaced that the properties read here have."""
        if isinstance(value, list):
            return [self.resolved(element) for element in value]
        if not isinstance(value, dict):
            return value
        if list(value) == ["Fn::If"]:
            # Both conditions are about what was given.
            name, given, otherwise = value["Fn::If"]
            return self.resolved(given if self.parameters[name.removeprefix("Has")] else otherwise)
        if list(value) == ["Ref"]:
            return self.reference(value["Ref"])
        if list(value) == ["Fn::GetAtt"]:
            name, attribute = value["Fn::GetAtt"]
            return self.arn(name) if attribute == "Arn" else f"{name}.{attribute}"
        if list(value) == ["Fn::Sub"]:
            return re.sub(r"\$\{([^!}]+)\}", lambda found: self.substituted(found[1]), value["Fn::Sub"])
        return {key: self.resolved(element) for key, element in value.items()}

    def substituted(self, name: str) -> str:
        return self.arn(name.removesuffix(".Arn")) if name.endswith(".Arn") else self.reference(name)

    def reference(self, name: str) -> str:
        pseudo = {"AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws"}
        return pseudo.get(name) or self.parameters.get(name) or self.ids.get(name, name)

    def arn(self, name: str) -> str:
        kind, own = self.template["Resources"][name]["Type"], self.ids.get(name, name)
        if kind == "AWS::S3::Bucket":
            return f"arn:aws:s3:::{own}"
        if kind == "AWS::SQS::Queue":
            return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{own.rsplit('/', 1)[-1]}"
        service = {"AWS::DynamoDB::Table": "dynamodb", "AWS::KMS::Key": "kms", "AWS::Lambda::Function": "lambda"}
        noun = {"AWS::DynamoDB::Table": "table/", "AWS::KMS::Key": "key/", "AWS::Lambda::Function": "function:"}
        return f"arn:aws:{service.get(kind, kind)}:{REGION}:{ACCOUNT}:{noun.get(kind, '')}{own}"


@contextlib.contextmanager
def deployed(code: bytes, parameters: dict[str, str], private_key: str) -> Iterator[Stack]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    for name in ("moto", "werkzeug"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # It names the kinds of resources and properties that it leaves out.
    warnings.simplefilter("ignore")
    server.start()
    host, port = server.get_host_and_port()
    os.environ.update(
        AWS_ENDPOINT_URL=f"http://{host}:{port}",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        AWS_DEFAULT_REGION=REGION,
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        NO_PROXY="127.0.0.1",
    )
    try:
        configure(f"http://{host}:{port}")
        boto3.client("s3").create_bucket(
            Bucket=PARAMETERS["CodeBucket"], CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        boto3.client("s3").put_object(Bucket=PARAMETERS["CodeBucket"], Key=PARAMETERS["CodeKey"], Body=code)
        secret = boto3.client("secretsmanager").create_secret(Name="signing-key", SecretString=private_key)["ARN"]
        parameters = {**PARAMETERS, **parameters, "SigningKeySecret": secret}
        boto3.client("cloudformation").create_stack(
            StackName=STACK,
            TemplateBody=json.dumps(known_to_moto(template())),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        )
        stack = Stack(parameters)
        complete(stack)
        yield stack
    finally:
        server.stop()


def known_to_moto(whole: dict[str, Any]) -> dict[str, Any]:
    lacking = {name for name, resource in whole["Resources"].items() if resource["Type"] not in get_model_map()}

    def without(value: Any) -> Any:
        if isinstance(value, list):
            return [without(element) for element in value]
        if not isinstance(value, dict):
            return value
        if value.get("Ref") in lacking:
            return value["Ref"]
        if "Fn::GetAtt" in value and value["Fn::GetAtt"][0] in lacking:
            return ".".join(value["Fn::GetAtt"])
        if "Fn::Sub" in value:
            text = re.sub(
                r"\$\{([A-Za-z]+)(\.[A-Za-z]+)?\}",
                lambda found: found[1] if found[1] in lacking else found[0],
                value["Fn::Sub"],
            )
            return {"Fn::Sub": text}
        if "SSEEnabled" in value:  # It reads the key that DynamoDB's own call has.
            value = {**value, "Enabled": value["SSEEnabled"]}
        return {key: without(element) for key, element in value.items() if not depends(key, element)}

    def depends(key: str, element: Any) -> bool:
        return key == "DependsOn" and element in lacking

    kept = {name: resource for name, resource in whole["Resources"].items() if name not in lacking}
    return {**whole, "Resources": without(kept), "Outputs": {}}


def configure(address: str) -> None:
    """Functions are not run by moto, which would start containers."""
    body = json.dumps({"lambda": {"use_docker": False}}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{address}/moto-api/config", data=body, method="POST")).close()


def complete(stack: Stack) -> None:
    s3, sqs, dynamodb = boto3.client("s3"), boto3.client("sqs"), boto3.client("dynamodb")
    for name in stack.named("AWS::SQS::QueuePolicy"):
        policy = stack.properties(name)
        attributes = {"Policy": json.dumps(policy["PolicyDocument"])}
        sqs.set_queue_attributes(QueueUrl=policy["Queues"][0], Attributes=attributes)
    for name in stack.named("AWS::S3::Bucket"):
        properties, bucket = stack.properties(name), stack.ids[name]
        s3.put_public_access_block(
            Bucket=bucket, PublicAccessBlockConfiguration=properties["PublicAccessBlockConfiguration"]
        )
        rules = [lifecycle(rule) for rule in properties["LifecycleConfiguration"]["Rules"]]
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
        queues = properties.get("NotificationConfiguration", {}).get("QueueConfigurations", [])
        wanted = [{"QueueArn": queue["Queue"], "Events": [queue["Event"]]} for queue in queues]
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": wanted}
        )
    for name in stack.named("AWS::DynamoDB::Table"):
        ttl = stack.properties(name)["TimeToLiveSpecification"]
        dynamodb.update_time_to_live(TableName=stack.ids[name], TimeToLiveSpecification=ttl)


def lifecycle(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule as S3's call has it, from the form of CloudFormation."""
    result = {"ID": rule["Id"], "Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "ExpirationInDays" in rule:
        result["Expiration"] = {"Days": rule["ExpirationInDays"]}
    if "ExpiredObjectDeleteMarker" in rule:
        result["Expiration"] = {"ExpiredObjectDeleteMarker": rule["ExpiredObjectDeleteMarker"]}
    for key in ("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"):
        if key in rule:
            result[key] = rule[key]
    return result
