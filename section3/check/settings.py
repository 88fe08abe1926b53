"""Reads the settings of a deployed stack back: encryption, retention, wiring, roles."""

from __future__ import annotations

import json

import boto3
from stack import Stack, expect


def check_buckets(stack: Stack) -> None:
    s3, days = boto3.client("s3"), {"Originals": 7, "Processed": 7, "Lake": 7, "Results": 1}
    expect(set(stack.named("AWS::S3::Bucket")), set(days), "the buckets whose retention is known")
    for name, kept in days.items():
        bucket = stack.ids[name]
        [rule] = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        expect(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"], "aws:kms", f"encryption of {name}")
        blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        expect(set(blocked.values()), {True}, f"public access of {name}")
        rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        whole = [rule for rule in rules if rule["Status"] == "Enabled" and not rule["Filter"].get("Prefix")]
        expect(
            [rule["Expiration"]["Days"] for rule in whole if "Days" in rule["Expiration"]], [kept], f"days of {name}"
        )
        expect(any(rule["Expiration"].get("ExpiredObjectDeleteMarker") for rule in whole), True, f"markers of {name}")
        [versions] = [rule["NoncurrentVersionExpiration"] for rule in whole if "NoncurrentVersionExpiration" in rule]
        expect(versions["NoncurrentDays"], 1, f"days of old versions in {name}")
        [uploads] = [
            rule["AbortIncompleteMultipartUpload"] for rule in whole if "AbortIncompleteMultipartUpload" in rule
        ]
        expect(uploads["DaysAfterInitiation"], 1, f"days of incomplete uploads in {name}")
        expect(s3.get_bucket_versioning(Bucket=bucket).get("Status"), None, f"versions of {name}")


def check_queues(stack: Stack) -> None:
    sqs = boto3.client("sqs")
    work, dead = [
        sqs.get_queue_attributes(QueueUrl=stack.ids[name], AttributeNames=["All"])["Attributes"]
        for name in ("Work", "DeadLetters")
    ]
    expect(
        json.loads(work["RedrivePolicy"]),
        {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 5},
        "where dead letters go",
    )
    for name, queue in (("Work", work), ("DeadLetters", dead)):
        expect(int(queue["MessageRetentionPeriod"]), 7 * 86_400, f"retention of {name}")
        expect(queue["SqsManagedSseEnabled"], "true", f"encryption of {name}")
    [statement] = json.loads(work["Policy"])["Statement"]
    expect(statement["Principal"], {"Service": "s3.amazonaws.com"}, "who may send to the queue")
    expect(statement["Condition"]["ArnEquals"]["aws:SourceArn"], stack.arn("Originals"), "which bucket may")
    [wired] = boto3.client("s3").get_bucket_notification_configuration(Bucket=stack.ids["Originals"])[
        "QueueConfigurations"
    ]
    expect((wired["QueueArn"], wired["Events"]), (work["QueueArn"], ["s3:ObjectCreated:Put"]), "the notification")
    [mapping] = boto3.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    expect((mapping["EventSourceArn"], mapping["FunctionArn"]), (work["QueueArn"], stack.arn("Process")), "the mapping")
    timeout = boto3.client("lambda").get_function_configuration(FunctionName=stack.ids["Process"])["Timeout"]
    expect(int(work["VisibilityTimeout"]) >= 6 * timeout, True, "a message is hidden for six timeouts")


def check_tables(stack: Stack) -> None:
    dynamodb = boto3.client("dynamodb")
    expect(set(stack.named("AWS::DynamoDB::Table")), {"Images", "Uploads"}, "the tables whose retention is known")
    for name in ("Images", "Uploads"):
        table = stack.ids[name]
        ttl = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        expect(ttl, {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}, f"TTL of {name}")
        described = dynamodb.describe_table(TableName=table)["Table"]
        expect(described["SSEDescription"]["SSEType"], "KMS", f"encryption of {name}")
        expect(described.get("StreamSpecification", {}).get("StreamEnabled", False), False, f"stream of {name}")
        backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        expect(backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"], "DISABLED", f"backups of {name}")


def check_functions(stack: Stack) -> None:
    lambdas, logs = boto3.client("lambda"), boto3.client("logs")
    names = stack.named("AWS::Lambda::Function")
    roles = [lambdas.get_function_configuration(FunctionName=stack.ids[name])["Role"] for name in names]
    expect(len(set(roles)), len(names), "the number of roles of functions")
    for group in logs.describe_log_groups()["logGroups"]:
        expect(group["retentionInDays"], 3, f"days of log {group['logGroupName']}")
    rules = boto3.client("events")
    scheduled = {stack.arn(name) for name in ("Sweep", "Reconcile", "Audit")}
    found = {
        target["Arn"]
        for rule in rules.list_rules()["Rules"]
        if "ScheduleExpression" in rule
        for target in rules.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    }
    expect(found, scheduled, "what is scheduled")
