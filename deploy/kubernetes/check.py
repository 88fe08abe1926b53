#!/usr/bin/env python3
"""Renders the manifests with kubectl and checks them without a cluster: against the schemas that Kubernetes publishes
(an unknown field is an error), the pod security profile `restricted`, and the other files of this project. Needs
kubectl, and the packages of requirements.txt."""

import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# The oldest version that has all the fields, such as podFailurePolicy as a stable one, and the newest.
VERSIONS = ["1.31", "1.37"]

# What is not listed is not allowed. This is stricter than the profile `restricted`.
POD_KEYS = {
    "affinity", "automountServiceAccountToken", "containers", "enableServiceLinks", "initContainers", "restartPolicy",
    "securityContext", "serviceAccountName", "terminationGracePeriodSeconds", "topologySpreadConstraints", "volumes",
}
POD_SECURITY_KEYS = {"fsGroup", "fsGroupChangePolicy", "runAsGroup", "runAsNonRoot", "runAsUser", "seccompProfile"}
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


def render(folder: pathlib.Path) -> list[dict]:
    command = ["kubectl", "kustomize", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"`{' '.join(command)}` failed:\n{result.stderr}")
    return list(yaml.safe_load_all(result.stdout))


def render_with_own_task() -> list[dict]:
    """The base with the component `section1-task`, and the task of section 1 as the task of one's own."""
    with tempfile.TemporaryDirectory() as folder:
        for file in ["applications.yaml", "sql/applicant.sql"]:
            shutil.copy(ROOT / "section1/conf" / file, folder)
        overlay = {
            "namespace": "weir",
            "resources": [os.path.relpath(HERE / "base", os.path.realpath(folder))],
            "components": [os.path.relpath(HERE / "components/section1-task", os.path.realpath(folder))],
            "configMapGenerator": [{"name": "section1-task", "files": ["applications.yaml", "applicant.sql"]}],
        }
        pathlib.Path(folder, "kustomization.yaml").write_text(yaml.safe_dump(overlay))
        return render(pathlib.Path(folder))


def name_of(manifest: dict) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def pod_template(manifest: dict) -> dict | None:
    spec = manifest.get("spec", {})
    return spec.get("jobTemplate", {}).get("spec", spec).get("template")


@functools.cache  # The renderings have most manifests in common.
def schema_problems(manifest: str) -> list[str]:
    found = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(json.loads(manifest), version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError as error:
            found.append(error.message)
    return found


def security_problems(pod: dict) -> Iterator[str]:
    yield from (f"the pod has `{key}`" for key in pod.keys() - POD_KEYS)
    security = pod.get("securityContext", {})
    yield from (f"the pod's securityContext has `{key}`" for key in security.keys() - POD_SECURITY_KEYS)
    if security.get("runAsNonRoot") is not True or not security.get("runAsUser") or not security.get("runAsGroup"):
        yield "the pod may run as root: set runAsNonRoot, runAsUser and runAsGroup"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "the pod has not the seccompProfile RuntimeDefault"
    if pod.get("automountServiceAccountToken") is not False:
        yield "the pod gets a token of the API server"
    for volume in pod.get("volumes", []):
        yield from (f"volume {volume['name']} is a `{key}`" for key in volume.keys() - VOLUMES - {"name"})
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"volume {volume['name']} has no sizeLimit"
    for container in containers(pod):
        where = f"container {container['name']}"
        if container.get("securityContext") != CONTAINER_SECURITY:
            yield f"{where}: the securityContext is not {json.dumps(CONTAINER_SECURITY)}"
        if any("hostPort" in port or "hostIP" in port for port in container.get("ports", [])):
            yield f"{where} uses a port of the node"
        for use in ["requests", "limits"]:
            missing = {"cpu", "memory", "ephemeral-storage"} - container.get("resources", {}).get(use, {}).keys()
            if missing:
                yield f"{where}: resources.{use} has no {', '.join(sorted(missing))}"
        yield from (f"{where}: {variable['name']} would be readable in the environment: mount the secret as a file"
                    for variable in container.get("env", []) if "secretKeyRef" in variable.get("valueFrom", {}))


def containers(pod: dict) -> list[dict]:
    return pod.get("initContainers", []) + pod["containers"]


def mounts_problems(pod: dict) -> Iterator[str]:
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    volumes |= {claim["metadata"]["name"] for claim in pod.get("volumeClaimTemplates", [])}
    mounted = {mount["name"] for container in containers(pod) for mount in container.get("volumeMounts", [])}
    yield from (f"volume {name} is not mounted" for name in volumes - mounted)
    yield from (f"volume {name} does not exist" for name in mounted - volumes)


def references(value: object) -> Iterator[tuple[str, str]]:
    """Kind and name of the objects that a pod needs."""
    if isinstance(value, list):
        for one in value:
            yield from references(one)
    if isinstance(value, dict):
        for key, one in value.items():
            if key == "configMap" and "name" in one:
                yield "ConfigMap", one["name"]
            elif key == "secret":
                yield "Secret", one.get("secretName") or one["name"]
            elif key == "claimName":
                yield "PersistentVolumeClaim", one
            elif key == "serviceAccountName":
                yield "ServiceAccount", one
            yield from references(one)


def selects(selector: dict, template: dict) -> bool:
    labels = template["metadata"]["labels"]
    return all(labels.get(key) == value for key, value in selector.items())


def selector_problems(manifest: dict, templates: list[dict]) -> Iterator[str]:
    """A Service, policy or budget without pods, or with a port that its pods do not have."""
    spec = manifest["spec"]
    match manifest["kind"]:
        case "Service":
            selector, ports = spec["selector"], [port["targetPort"] for port in spec["ports"]]
        case "NetworkPolicy":
            selector = spec["podSelector"].get("matchLabels", {})
            ports = [port["port"] for rule in spec.get("ingress", []) for port in rule["ports"]]
            peers = [peer["podSelector"]["matchLabels"] for way, end in [("ingress", "from"), ("egress", "to")]
                     for rule in spec.get(way, []) for peer in rule[end]
                     if "podSelector" in peer and "namespaceSelector" not in peer]
            yield from (f"no pod has the labels {peer}" for peer in peers
                        if not any(selects(peer, template) for template in templates))
        case "PodDisruptionBudget":
            selector, ports = spec["selector"]["matchLabels"], []
        case _:
            return
    pods = [template["spec"] for template in templates if selects(selector, template)]
    if not pods:
        yield f"no pod has the labels {selector}"
    for pod in pods:
        known = {port["name"] for container in containers(pod) for port in container.get("ports", [])}
        yield from (f"no container has the port {port}" for port in ports if port not in known)


def job_problems(manifest: dict) -> Iterator[str]:
    job = manifest["spec"].get("jobTemplate", {}).get("spec", manifest["spec"])
    names = {container["name"] for container in job["template"]["spec"]["containers"]}
    for rule in job.get("podFailurePolicy", {}).get("rules", []):
        name = rule.get("onExitCodes", {}).get("containerName")
        if name and name not in names:
            yield f"podFailurePolicy: there is no container {name}"


def image_problems(manifests: list[dict], templates: list[dict]) -> Iterator[str]:
    """Versions are written in docker/.env and Cargo.toml too."""
    defaults = dict(line.split("=", 1) for line in (ROOT / "docker/.env").read_text().splitlines()
                    if "=" in line and not line.startswith("#"))
    version = re.search('^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    expected = {defaults["POSTGRES_IMAGE"], defaults["GRAFANA_IMAGE"]}
    expected |= {f"weir/section{number}:{version}" for number in [1, 2, 4, 5]}
    used = {re.sub(r"^registry\.example\.com/", "", container["image"])
            for template in templates for container in containers(template["spec"])}
    yield from (f"image {image} is not one of docker/.env and Cargo.toml, which have {', '.join(sorted(expected))}"
                for image in sorted(used - expected))


def grafana_problems(manifests: list[dict]) -> Iterator[str]:
    """All files of docker/grafana are where Grafana looks for them, and have the variables that they use."""
    data = {manifest["metadata"]["name"]: manifest["data"] for manifest in manifests if manifest["kind"] == "ConfigMap"}
    [grafana] = [manifest for manifest in manifests if name_of(manifest) == "Deployment section4-grafana"]
    pod = pod_template(grafana)["spec"]
    [container] = pod["containers"]
    maps = {volume["name"]: volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
    mounted = {f"{mount['mountPath']}/{key}": text for mount in container["volumeMounts"]
               for key, text in data.get(maps.get(mount["name"]), {}).items()}
    given = {variable["name"] for variable in container["env"]} | set(re.findall(r"(\w+)=", container["command"][-1]))
    for folder in ["provisioning", "dashboards"]:
        for file in sorted((ROOT / "docker/grafana" / folder).rglob("*.*")):
            path, text = file.relative_to(ROOT / "docker"), file.read_text()
            if mounted.get(f"/etc/{path}") != text:
                yield f"docker/{path} is not at /etc/{path}: add it to docker/kustomization.yaml, and mount it"
            yield from (f"docker/{path} uses {name}, which Grafana does not get"
                        for name in sorted(set(re.findall(r"\$\{([A-Z_0-9]+)\}", text)) - given))


def postgres_problems(manifests: list[dict]) -> Iterator[str]:
    """All files of docker/postgres are in the ConfigMap of each server."""
    for section in ["section2", "section4"]:
        [files] = [manifest["data"] for manifest in manifests
                   if name_of(manifest).startswith(f"ConfigMap {section}-postgresql-")]
        for file in sorted((ROOT / "docker/postgres").iterdir()):
            if file.name != "kustomization.yaml" and files.get(file.name) != file.read_text():
                yield f"{file.relative_to(ROOT)} is missing: add it to docker/postgres/kustomization.yaml"


def schedule_problems(manifests: list[dict]) -> Iterator[str]:
    """A task file with a schedule, and the CronJob that replaces it."""
    for file, job in [("section1/conf/applications.yaml", "section1"), ("section4/conf/covid.yaml", "section4-load")]:
        schedule = yaml.safe_load((ROOT / file).read_text()).get("schedule")
        [spec] = [manifest["spec"] for manifest in manifests if name_of(manifest) == f"CronJob {job}"]
        if schedule and schedule["cron"] != spec["schedule"]:
            yield f"CronJob {job} has the schedule {spec['schedule']}, and {file} {schedule['cron']}"
        if schedule and schedule.get("timezone", "UTC") != spec["timeZone"].removeprefix("Etc/"):
            yield f"CronJob {job} has the time zone {spec['timeZone']}, and {file} {schedule.get('timezone', 'UTC')}"


def problems(manifests: list[dict]) -> Iterator[str]:
    templates = [template for template in map(pod_template, manifests) if template]
    # The secrets are not in the repository; create_secrets.sh creates them.
    listed = subprocess.run([HERE / "create_secrets.sh", "--list"], capture_output=True, text=True, check=True).stdout
    exists = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests}
    exists |= {("Secret", name) for name in listed.split()}
    for manifest in manifests:
        found = [*schema_problems(json.dumps(manifest))]
        if manifest["kind"] == "Secret":
            found.append("a secret does not belong into the repository")
        if manifest["kind"] != "Namespace" and manifest["metadata"].get("namespace") != "weir":
            found.append("the namespace is not `weir`")
        template = pod_template(manifest)
        if template:
            pod = template["spec"] | {"volumeClaimTemplates": manifest["spec"].get("volumeClaimTemplates", [])}
            found += security_problems(template["spec"])
            found += mounts_problems(pod)
            found += (f"{kind} {name} does not exist" for kind, name in references(pod) if (kind, name) not in exists)
        if manifest["kind"] in {"CronJob", "Job"}:
            found += job_problems(manifest)
        found += selector_problems(manifest, templates) if "spec" in manifest else []
        yield from (f"{name_of(manifest)}: {problem}" for problem in found)
    yield from image_problems(manifests, templates)
    yield from grafana_problems(manifests)
    yield from postgres_problems(manifests)
    yield from schedule_problems(manifests)


def main() -> int:
    if not shutil.which("kubectl"):
        sys.exit("kubectl is missing: it is one of the packages of scripts/requirements-test.txt")
    count = 0
    found = []
    for label, manifests in [
        ("base", render(HERE / "base")),
        ("overlays/example", render(HERE / "overlays/example")),
        ("components/section1-task", render_with_own_task()),
    ]:
        count += len(manifests)
        found += (f"{label}: {problem}" for problem in problems(manifests))
    print("\n".join(found) or f"{count} manifests are valid for Kubernetes {' and '.join(VERSIONS)}, and restricted")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
