#!/usr/bin/env python3
"""Checks template.yaml without deploying it: cfn-lint without a warning, and the rules of this design that a linter
does not know: who may do what, and that nothing is kept where its end is not known."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from calls import listed
from stack import TEMPLATE, template

# Every kind of resource, and what ends the copies that it holds. A new kind needs a line here, and in README.md.
KINDS = {
    "nothing of an image": {
        "AWS::ApiGatewayV2::Api",
        "AWS::ApiGatewayV2::Authorizer",
        "AWS::ApiGatewayV2::Integration",
        "AWS::ApiGatewayV2::Route",
        "AWS::ApiGatewayV2::Stage",
        "AWS::Athena::NamedQuery",
        "AWS::CloudFront::CachePolicy",
        "AWS::CloudFront::KeyGroup",
        "AWS::CloudFront::OriginAccessControl",
        "AWS::CloudFront::PublicKey",
        "AWS::CloudWatch::Alarm",
        "AWS::Cognito::UserPool",
        "AWS::Cognito::UserPoolClient",
        "AWS::Cognito::UserPoolDomain",
        "AWS::Cognito::UserPoolResourceServer",
        "AWS::EC2::RouteTable",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::Subnet",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPC",
        "AWS::EC2::VPCEndpoint",
        "AWS::Events::Rule",
        "AWS::Glue::Database",
        "AWS::Glue::Table",
        "AWS::IAM::Role",
        "AWS::KMS::Key",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Function",
        "AWS::Lambda::Permission",
        "AWS::Logs::LogStream",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Topic",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
    },
    "the sweep, and its lifecycle": {"AWS::S3::Bucket"},
    "the sweep, and TTL": {"AWS::DynamoDB::Table"},
    "its retention": {"AWS::SQS::Queue", "AWS::Logs::LogGroup"},
    "its buffer of 15 minutes": {"AWS::KinesisFirehose::DeliveryStream"},
    "its longest time at the edge": {"AWS::CloudFront::Distribution"},
    "its results' bucket": {"AWS::Athena::WorkGroup"},
}
WEEK, DAY = 7 * 86_400, 86_400
# Properties that make copies, or keep them.
COPIES = {
    "AWS::S3::Bucket": [
        "ReplicationConfiguration",
        "VersioningConfiguration",
        "ObjectLockConfiguration",
        "ObjectLockEnabled",
        "InventoryConfigurations",
        "LoggingConfiguration",
    ],
    "AWS::DynamoDB::Table": ["StreamSpecification", "KinesisStreamSpecification", "ImportSourceSpecification"],
    "AWS::Lambda::Function": ["TracingConfig", "DeadLetterConfig", "FileSystemConfigs"],
    "AWS::KinesisFirehose::DeliveryStream": ["S3BackupMode"],
    "AWS::CloudFront::Distribution": ["Logging"],
}
# Actions that name no resource: only for the function in the network, and refused to its code.
WITHOUT_RESOURCE = {("ProcessRole", "ec2:")}


def problems(resources: dict[str, Any]) -> Iterator[str]:
    yield from unknown_kinds(resources)
    yield from copies(resources)
    yield from retention(resources)
    yield from roles(resources)
    yield from bucket_policies(resources)
    yield from access(resources)
    yield from alarms(resources)


def of_kind(resources: dict[str, Any], *kinds: str) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, resource.get("Properties", {})) for name, resource in resources.items() if resource["Type"] in kinds)


def unknown_kinds(resources: dict[str, Any]) -> Iterator[str]:
    known = set().union(*KINDS.values())
    for name, resource in resources.items():
        if resource["Type"] not in known:
            yield f"{name}: it is not said what ends the copies that a {resource['Type']} holds"


def copies(resources: dict[str, Any]) -> Iterator[str]:
    for kind, properties in COPIES.items():
        for name, found in of_kind(resources, kind):
            inner = found.get("ExtendedS3DestinationConfiguration") or found.get("DistributionConfig") or {}
            yield from (f"{name}: {key} makes or keeps copies" for key in properties if key in found or key in inner)


def retention(resources: dict[str, Any]) -> Iterator[str]:
    for name, queue in of_kind(resources, "AWS::SQS::Queue"):
        if queue.get("MessageRetentionPeriod") != WEEK:
            yield f"{name}: its messages must live as long as images"
        if not queue.get("SqsManagedSseEnabled"):
            yield f"{name}: it is not encrypted"
    for name, group in of_kind(resources, "AWS::Logs::LogGroup"):
        if group.get("RetentionInDays", WEEK) > 3:
            yield f"{name}: a log keeps three days"
    for name, table in of_kind(resources, "AWS::DynamoDB::Table"):
        if table.get("TimeToLiveSpecification") != {"AttributeName": "expires_at", "Enabled": True}:
            yield f"{name}: TTL must be on `expires_at`"
        if table.get("PointInTimeRecoverySpecification") != {"PointInTimeRecoveryEnabled": False}:
            yield f"{name}: backups outlive what they back up"
        if table.get("SSESpecification", {}).get("SSEType") != "KMS":
            yield f"{name}: it is not encrypted with the platform's key"
    for name, bucket in of_kind(resources, "AWS::S3::Bucket"):
        yield from (f"{name}: {problem}" for problem in lifecycle(bucket))
    for name, policy in of_kind(resources, "AWS::CloudFront::CachePolicy"):
        if policy["CachePolicyConfig"]["MaxTTL"] > 3600:
            yield f"{name}: a copy at the edge is served for an hour at most"


def lifecycle(bucket: dict[str, Any]) -> Iterator[str]:
    rules = bucket.get("LifecycleConfiguration", {}).get("Rules", [])
    whole = [rule for rule in rules if rule["Status"] == "Enabled" and "Prefix" not in rule]
    if not any(rule.get("ExpirationInDays", 8) <= 7 for rule in whole):
        yield "objects must expire after seven days at most"
    if not any(rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays", 8) <= 1 for rule in whole):
        yield "old versions must expire after a day"
    if not any(rule.get("ExpiredObjectDeleteMarker") for rule in whole):
        yield "delete markers must expire"
    if not any(rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation", 8) <= 1 for rule in whole):
        yield "incomplete uploads must end after a day"
    if set(bucket.get("PublicAccessBlockConfiguration", {}).values()) != {True}:
        yield "public access is not blocked"
    encryption = bucket.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [{}])[0]
    if encryption.get("ServerSideEncryptionByDefault", {}).get("SSEAlgorithm") != "aws:kms":
        yield "it is not encrypted with the platform's key"


def roles(resources: dict[str, Any]) -> Iterator[str]:
    used = [str(function["Role"]) for _, function in of_kind(resources, "AWS::Lambda::Function")]
    if len(used) != len(set(used)):
        yield "two functions share a role"
    for name, role in of_kind(resources, "AWS::IAM::Role"):
        if role.get("ManagedPolicyArns"):
            yield f"{name}: a managed policy allows more than is needed"
        for policy in role["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Effect"] == "Allow":
                    yield from (f"{name}: {problem}" for problem in wildcards(name, statement))


def wildcards(role: str, statement: dict[str, Any]) -> Iterator[str]:
    for action in listed(statement["Action"]):
        if "*" in action:
            yield f"the action {action} is a wildcard"
        if "*" in listed(statement["Resource"]) and not any(
            (role, action[: len(prefix)]) == (of, prefix) for of, prefix in WITHOUT_RESOURCE
        ):
            yield f"{action} is allowed on all resources"
    for resource in listed(statement["Resource"]):
        text = resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource
        if "*" in text.removesuffix("/*") and text != "*" or text.endswith(":*"):
            yield f"{text} is a wildcard"


def bucket_policies(resources: dict[str, Any]) -> Iterator[str]:
    policies = {
        policy["Bucket"]["Ref"]: policy["PolicyDocument"]["Statement"]
        for _, policy in of_kind(resources, "AWS::S3::BucketPolicy")
    }
    for name, _ in of_kind(resources, "AWS::S3::Bucket"):
        denied = {statement["Sid"] for statement in policies.get(name, []) if statement["Effect"] == "Deny"}
        wanted = {"EncryptedTransport"}
        if name == "Originals":
            wanted |= {"OnlyNewObjects", "FreshSignatures", "OnlyProcessingReads"}
        yield from (f"{name}: its policy lacks {sid}" for sid in sorted(wanted - denied))


def access(resources: dict[str, Any]) -> Iterator[str]:
    for name, route in of_kind(resources, "AWS::ApiGatewayV2::Route"):
        if route.get("AuthorizationType") != "JWT" or not route.get("AuthorizationScopes"):
            yield f"{name}: a route needs a token with a scope"
    for name, client in of_kind(resources, "AWS::Cognito::UserPoolClient"):
        if client["AccessTokenValidity"] > 15 or client["TokenValidityUnits"]["AccessToken"] != "minutes":
            yield f"{name}: a token is valid for 15 minutes at most"
    for name, cdn in of_kind(resources, "AWS::CloudFront::Distribution"):
        if not cdn["DistributionConfig"]["DefaultCacheBehavior"].get("TrustedKeyGroups"):
            yield f"{name}: images need a signed address"


def alarms(resources: dict[str, Any]) -> Iterator[str]:
    for name, alarm in of_kind(resources, "AWS::CloudWatch::Alarm"):
        if not alarm.get("AlarmActions"):
            yield f"{name}: nobody hears it"
    watched = {alarm.get("MetricName") for _, alarm in of_kind(resources, "AWS::CloudWatch::Alarm")}
    wanted = {
        "SweepEnded",
        "AuditEnded",
        "OverdueHours",
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesVisible",
        "Failed",
        "FromTheFuture",
    }
    yield from (f"no alarm watches {metric}" for metric in sorted(wanted - watched))
    targets = [str(rule["Targets"]) for _, rule in of_kind(resources, "AWS::Events::Rule")]
    for name in ("Sweep", "Reconcile", "Audit"):
        if not any(f"['{name}', 'Arn']" in target for target in targets):
            yield f"{name}: no rule starts it"


def main() -> int:
    linter = pathlib.Path(sys.executable).with_name("cfn-lint")
    if subprocess.run([linter, "--template", TEMPLATE], check=False).returncode != 0:
        return 1
    found = list(problems(template()["Resources"]))
    print("\n".join(found) or "cfn-lint has no warning, and the rules of the design hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
