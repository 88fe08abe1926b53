"""The crates that a program of the workspace contains, as cargo resolves them. To be imported."""

import json
import subprocess
import sys


def linked(target: str, package: str) -> dict[str, dict]:
    """The metadata of the package and of all crates that it is built from, by id.

    Procedural macros are among them, because they write parts of the program. Build scripts' dependencies and tests'
    are not.
    """
    tree = ["cargo", "tree", "--locked", "--package", package, "--edges", "normal", "--target", target,
            "--prefix", "none", "--format", "{p}"]
    names = {tuple(line.split()[:2]) for line in _output(tree).splitlines() if line}
    packages = metadata(target)["packages"]
    return {crate["id"]: crate for crate in packages if (crate["name"], f"v{crate['version']}") in names}


def metadata(target: str) -> dict:
    """What `cargo metadata` says of the workspace."""
    return json.loads(_output(["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]))


def _output(command: list[str]) -> str:
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if process.returncode != 0:
        # cargo has said why.
        sys.exit(f"this command failed: {' '.join(command)}")
    return process.stdout
