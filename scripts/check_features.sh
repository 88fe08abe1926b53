#!/usr/bin/env bash
# Fails when a member alone is built of other units than in the workspace: when a crate has other features with `-p`, or
# without the tests. Cargo would then compile it, and everything on top of it, a second time. Compiles nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# `--unit-graph` prints what Cargo would compile. It is unstable, so the compiler's own switch for that allows it.
RUSTC_BOOTSTRAP=1 exec python3 - <<'PYTHON'
import json
import subprocess
import sys


def cargo(*arguments):
    result = subprocess.run(["cargo", *arguments], stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(result.returncode)
    return json.loads(result.stdout)


def units(command, *selection):
    """Every unit of a build by what identifies it: itself with features and profile, and all that it depends on."""
    graph = cargo(command, "--locked", "--unit-graph", "-Zunstable-options", *selection)["units"]
    identities = {}

    def identity(index):
        if index not in identities:
            unit = graph[index]
            profile = {key: value for key, value in unit["profile"].items() if key != "name"}
            own = [unit["pkg_id"], unit["target"], unit["mode"], unit["platform"], unit["features"], profile]
            dependencies = sorted((each["extern_crate_name"], identity(each["index"])) for each in unit["dependencies"])
            identities[index] = hash(json.dumps([own, dependencies], sort_keys=True))
        return identities[index]

    for index, unit in enumerate(graph):
        unit["on"] = [identity(each["index"]) for each in unit["dependencies"]]
    return {identity(index): unit for index, unit in enumerate(graph)}


def described(unit):
    return f"{unit['pkg_id'].rsplit('/', 1)[-1]} ({unit['target']['kind'][0]})"


def differences(alone, whole):
    """Where a difference begins: the units that are not in the workspace's build, while all that they depend on is."""
    variants = {}
    for unit in whole.values():
        variants.setdefault((described(unit), unit["mode"]), set()).add(frozenset(unit["features"]))
    lines = set()
    for key in alone.keys() - whole.keys():
        unit = alone[key]
        if not all(each in whole for each in unit["on"]):
            continue
        features = frozenset(unit["features"])
        for other in variants.get((described(unit), unit["mode"]), {features}):
            words = [f"-{name}" for name in sorted(other - features)]
            words += [f"+{name}" for name in sorted(features - other)]
            lines.add(f"{described(unit)}: {' '.join(words) or 'another profile, or a dependency more or less'}")
    return sorted(lines)


# What `weir-cluster` runs on turns on features that nothing else needs: it is built apart from the others.
APART = "weir-cluster"
WORKSPACE = ("--workspace", "--exclude", APART)
members = [package["name"] for package in cargo("metadata", "--locked", "--no-deps", "--format-version=1")["packages"]]
members.remove(APART)
failed = False
for profile in ("--profile=dev", "--profile=release"):
    whole = units("test", *WORKSPACE, profile)
    selections = [("build", *WORKSPACE, profile)]
    selections += [(command, "--package", member, profile) for member in members for command in ("build", "test")]
    for selection in selections:
        lines = differences(units(*selection), whole)
        if lines:
            failed = True
            print(f"cargo {' '.join(selection)} compiles anew, compared with cargo test --workspace:", file=sys.stderr)
            for line in lines:
                print(f"    {line}", file=sys.stderr)
if failed:
    print(
        "(- a feature that is missing, + one too many) Request the missing features in the manifest of "
        "shared-features, or of the member, as the entries there do.",
        file=sys.stderr,
    )
    sys.exit(1)
print(f"features: {len(members)} members, each built of the same units alone as in the workspace")
PYTHON
