#!/usr/bin/env python3
"""Tests of check.py: each case breaks one thing in the rendered base, and has words of the problem to be reported."""

import copy
import unittest

import check

BASE = check.render(check.HERE / "base")

SECTION1 = "CronJob section1"
DATABASE = "StatefulSet section2-postgresql"
REPORT = "Deployment section5-report"


def pod(manifest):
    return check.pod_template(manifest)["spec"]


def container(manifest):
    return pod(manifest)["containers"][0]


def volume(manifest, name):
    [found] = [one for one in pod(manifest)["volumes"] if one["name"] == name]
    return found


def without(entries, name):
    entries[:] = [one for one in entries if one["name"] != name]


def rules(manifest):
    return manifest["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]


CASES = [
    ("unknown field", SECTION1, lambda one: one["spec"].update(concurencyPolicy="Forbid"), "concurencyPolicy"),
    ("wrong type", REPORT, lambda one: one["spec"].update(replicas="two"), "'two' is not"),
    ("unknown version", REPORT, lambda one: one.update(apiVersion="apps/v1beta1"), "Couldn't find schema"),
    ("a secret", "ServiceAccount weir", lambda one: one.update(kind="Secret", apiVersion="v1"), "a secret"),
    ("no namespace", REPORT, lambda one: one["metadata"].pop("namespace"), "namespace"),
    ("root", DATABASE, lambda one: pod(one)["securityContext"].update(runAsUser=0), "as root"),
    ("perhaps root", SECTION1, lambda one: pod(one)["securityContext"].pop("runAsNonRoot"), "as root"),
    ("no seccomp", SECTION1, lambda one: pod(one)["securityContext"].pop("seccompProfile"), "seccompProfile"),
    ("host network", REPORT, lambda one: pod(one).update(hostNetwork=True), "`hostNetwork`"),
    ("sysctls", REPORT, lambda one: pod(one)["securityContext"].update(sysctls=[]), "`sysctls`"),
    ("token", REPORT, lambda one: pod(one).pop("automountServiceAccountToken"), "token"),
    ("capability", DATABASE, lambda one: container(one)["securityContext"]["capabilities"].update(add=["CHOWN"]),
     "securityContext is not"),
    ("privileged", SECTION1, lambda one: container(one)["securityContext"].update(privileged=True),
     "securityContext is not"),
    ("writable", REPORT, lambda one: container(one).pop("securityContext"), "container report: the securityContext"),
    ("writable in an init container", REPORT, lambda one: pod(one)["initContainers"][0].pop("securityContext"),
     "container make: the securityContext"),
    ("port of the node", REPORT, lambda one: container(one)["ports"][0].update(hostPort=80), "port of the node"),
    ("no memory limit", SECTION1, lambda one: container(one)["resources"]["limits"].pop("memory"),
     "limits has no memory"),
    ("folder of the node", SECTION1,
     lambda one: pod(one)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), "`hostPath`"),
    ("no size", SECTION1, lambda one: volume(one, "tmp")["emptyDir"].pop("sizeLimit"), "no sizeLimit"),
    ("secret in the environment", DATABASE, lambda one: container(one)["env"].append(
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "section2-owner", "key": "password"}}}),
     "PASSWORD would be readable"),
    ("unmounted volume", SECTION1, lambda one: container(one)["volumeMounts"].pop(), "is not mounted"),
    ("unknown volume", REPORT, lambda one: container(one)["volumeMounts"][0].update(name="reports"),
     "reports does not exist"),
    ("unknown claim", SECTION1, lambda one: volume(one, "input")["persistentVolumeClaim"].update(claimName="in"),
     "PersistentVolumeClaim in does not exist"),
    ("unknown secret", DATABASE, lambda one: volume(one, "secrets")["projected"]["sources"][0]["secret"].update(name="pg"),
     "Secret pg does not exist"),
    ("unknown account", REPORT, lambda one: pod(one).update(serviceAccountName="me"),
     "ServiceAccount me does not exist"),
    ("service without pods", "Service section5-report", lambda one: one["spec"]["selector"].update(x="y"),
     "no pod has"),
    ("unknown port", "Service section5-report", lambda one: one["spec"]["ports"][0].update(targetPort="web"),
     "no container has the port web"),
    ("policy without pods", "NetworkPolicy section2-postgresql",
     lambda one: one["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"].update(x="y"), "no pod has"),
    ("budget without pods", "PodDisruptionBudget section5-report",
     lambda one: one["spec"]["selector"]["matchLabels"].update(x="y"), "no pod has"),
    ("unknown container", SECTION1, lambda one: rules(one)[1]["onExitCodes"].update(containerName="x"),
     "there is no container x"),
    ("other image", DATABASE, lambda one: container(one).update(image="postgres:latest"), "postgres:latest"),
    ("other schedule", "CronJob section4-load", lambda one: one["spec"].update(schedule="0 7 * * *"), "0 7 * * *"),
    ("other time zone", "CronJob section4-load", lambda one: one["spec"].update(timeZone="Etc/UTC"), "Etc/UTC"),
    ("file that is not mounted", "Deployment section4-grafana",
     lambda one: without(container(one)["volumeMounts"], "dashboards"), "covid.json is not at"),
    ("variable that is not set", "Deployment section4-grafana",
     lambda one: without(container(one)["env"], "COVID_DB_HOST"), "uses COVID_DB_HOST"),
]


class Check(unittest.TestCase):
    def test_each_fault_is_reported(self):
        # Those of the manifests as they are, which check.py reports.
        known = set(check.problems(BASE))
        for label, name, change, words in CASES:
            with self.subTest(label):
                manifests = copy.deepcopy(BASE)
                [manifest] = [one for one in manifests if check.name_of(one) == name]
                change(manifest)
                new = set(check.problems(manifests)) - known
                self.assertTrue(any(words in problem for problem in new), new)


if __name__ == "__main__":
    unittest.main()
