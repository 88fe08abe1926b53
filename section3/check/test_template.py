#!/usr/bin/env python3
"""Checks the check of the template: each of these changes must be found."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

from stack import template
from template import problems

Resources = dict[str, Any]


def put(path: str, value: Any) -> Callable[[Resources], None]:
    """Sets the property of a resource, `Name.Property.Property`; numbers are positions in lists."""

    def change(resources: Resources) -> None:
        name, *steps, last = path.split(".")
        at = resources[name]["Properties"]
        for step in steps:
            at = at[int(step) if step.isdigit() else step]
        at[int(last) if last.isdigit() else last] = value

    return change


def add(name: str, kind: str, **properties: Any) -> Callable[[Resources], None]:
    return lambda resources: resources.update({name: {"Type": kind, "Properties": properties}})


def remove(name: str) -> Callable[[Resources], None]:
    return lambda resources: resources.pop(name)


OWN = "Policies.0.PolicyDocument.Statement"
CHANGES = [
    (add("Backups", "AWS::Backup::BackupPlan"), "Backups: it is not said what ends the copies"),
    (put("Originals.VersioningConfiguration", {"Status": "Enabled"}), "Originals: VersioningConfiguration"),
    (put("Originals.ReplicationConfiguration", {}), "Originals: ReplicationConfiguration"),
    (put("Processed.LifecycleConfiguration.Rules.0.ExpirationInDays", 30), "Processed: objects must expire"),
    (put("Processed.LifecycleConfiguration.Rules.0.Status", "Disabled"), "Processed: objects must expire"),
    (put("Lake.LifecycleConfiguration.Rules.0.Prefix", "rows/"), "Lake: objects must expire"),
    (put("Lake.LifecycleConfiguration.Rules.0.NoncurrentVersionExpiration", {}), "Lake: old versions"),
    (
        put("Originals.LifecycleConfiguration.Rules.0.AbortIncompleteMultipartUpload", {}),
        "Originals: incomplete uploads",
    ),
    (put("Originals.PublicAccessBlockConfiguration.IgnorePublicAcls", False), "Originals: public access"),
    (put("Results.BucketEncryption", {}), "Results: it is not encrypted"),
    (put("Images.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled", True), "Images: backups outlive"),
    (put("Images.TimeToLiveSpecification.Enabled", False), "Images: TTL"),
    (put("Images.StreamSpecification", {}), "Images: StreamSpecification"),
    (put("Uploads.SSESpecification", {}), "Uploads: it is not encrypted"),
    (put("DeadLetters.MessageRetentionPeriod", 1_209_600), "DeadLetters: its messages"),
    (put("Work.SqsManagedSseEnabled", False), "Work: it is not encrypted"),
    (put("ReadLog.RetentionInDays", 30), "ReadLog: a log keeps"),
    (put("Read.TracingConfig", {"Mode": "Active"}), "Read: TracingConfig"),
    (put("Rows.ExtendedS3DestinationConfiguration.S3BackupMode", "Enabled"), "Rows: S3BackupMode"),
    (put("CdnCache.CachePolicyConfig.MaxTTL", 86_400), "CdnCache: a copy at the edge"),
    (put("Cdn.DistributionConfig.DefaultCacheBehavior.TrustedKeyGroups", []), "Cdn: images need"),
    (put("Read.Role", {"Fn::GetAtt": ["TicketRole", "Arn"]}), "two functions share a role"),
    (put(f"ReadRole.{OWN}.1.Action", "dynamodb:*"), "ReadRole: the action dynamodb:* is a wildcard"),
    (put(f"ReadRole.{OWN}.1.Resource", "*"), "ReadRole: dynamodb:GetItem is allowed on all"),
    (put(f"SweepRole.{OWN}.1.Resource", {"Fn::Sub": "arn:aws:s3:::*"}), "SweepRole: arn:aws:s3:::* is a wildcard"),
    (put("ReadRole.ManagedPolicyArns", ["arn:aws:iam::aws:policy/AmazonS3FullAccess"]), "ReadRole: a managed policy"),
    (put("OriginalsPolicy.PolicyDocument.Statement", []), "Originals: its policy lacks OnlyNewObjects"),
    (remove("ResultsPolicy"), "Results: its policy lacks EncryptedTransport"),
    (put("ListRoute.AuthorizationType", "NONE"), "ListRoute: a route needs"),
    (put("WebClient.AccessTokenValidity", 60), "WebClient: a token is valid"),
    (put("SweepAlarm.AlarmActions", []), "SweepAlarm: nobody hears it"),
    (remove("RetentionAlarm"), "no alarm watches OverdueHours"),
    (remove("SweepSchedule"), "Sweep: no rule starts it"),
]


def main() -> int:
    whole, missed = template()["Resources"], 0
    for change, wanted in CHANGES:
        changed = copy.deepcopy(whole)
        change(changed)
        found = list(problems(changed))
        if not any(problem.startswith(wanted) for problem in found):
            print(f"a change that must be found as `{wanted}` is found as {found}")
            missed += 1
    print(f"{len(CHANGES) - missed} of {len(CHANGES)} changes are found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
