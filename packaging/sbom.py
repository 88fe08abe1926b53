"""Print a program's bill of materials as CycloneDX JSON: `sbom.py TARGET PACKAGE`, in the root of the workspace.

It names the crates. It has neither a time nor a serial number, so the same sources have the same bill.
"""

import json
import pathlib
import re
import sys

import crates


def main(target: str, package: str) -> None:
    linked = crates.linked(target, package)
    checksums = checksums_of(pathlib.Path("Cargo.lock").read_text(encoding="utf-8"))
    (program,) = [crate for crate in linked.values() if crate["name"] == package and crate["source"] is None]
    libraries = [crate for crate in linked.values() if crate is not program]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(program, "application", checksums)},
        "components": sorted(
            (component(crate, "library", checksums) for crate in libraries), key=lambda entry: entry["bom-ref"]
        ),
        "dependencies": dependencies(crates.metadata(target)["resolve"]["nodes"], linked),
    }
    print(json.dumps(bill, indent=1, ensure_ascii=False))


def checksums_of(lock: str) -> dict[tuple[str, str], str]:
    entry = r'^name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"$'
    return {(name, version): checksum for name, version, checksum in re.findall(entry, lock, re.MULTILINE)}


def component(crate: dict, kind: str, checksums: dict[tuple[str, str], str]) -> dict:
    entry = {"type": kind, "bom-ref": reference(crate), "name": crate["name"], "version": crate["version"]}
    if crate["license"]:
        # Old crates write `/` where SPDX has OR.
        entry["licenses"] = [{"expression": re.sub(r" */ *", " OR ", crate["license"])}]
    # A crate of this workspace is in no registry.
    if crate["source"] is not None:
        entry["purl"] = f"pkg:cargo/{crate['name']}@{crate['version'].replace('+', '%2B')}"
        entry["hashes"] = [{"alg": "SHA-256", "content": checksums[crate["name"], crate["version"]]}]
    return entry


def dependencies(nodes: list[dict], linked: dict[str, dict]) -> list[dict]:
    graph = {}
    for node in nodes:
        if node["id"] in linked:
            used = [
                dependency["pkg"]
                for dependency in node["deps"]
                if dependency["pkg"] in linked and any(kind["kind"] is None for kind in dependency["dep_kinds"])
            ]
            graph[reference(linked[node["id"]])] = sorted(reference(linked[name]) for name in used)
    return [{"ref": ref, "dependsOn": used} for ref, used in sorted(graph.items())]


def reference(crate: dict) -> str:
    return f"{crate['name']}@{crate['version']}"


if __name__ == "__main__":
    main(*sys.argv[1:])
