"""Print the licences of the libraries that `weir` contains: `third_party.py TARGET`, in the root of the workspace."""

import json
import pathlib
import subprocess
import sys

# What is linked besides crates.
ALWAYS = """\
The Rust standard library: MIT OR Apache-2.0
The GNU C Library: LGPL-2.1-or-later, linked statically; to link another version, build weir from its sources"""
NAMES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE")


def main(target: str) -> None:
    packages = metadata(target)
    tree = ["cargo", "tree", "--locked", "--package", "weir", "--edges", "normal", "--target", target,
            "--prefix", "none", "--format", "{p}"]
    lines = {tuple(line.split()[:2]) for line in output(tree).splitlines() if line}
    print(ALWAYS)
    texts: dict[str, list[str]] = {}
    for name, version in sorted(lines):
        package = packages[name, version.removeprefix("v")]
        if package["source"] is None:
            continue
        print(f"{name} {package['version']}: {package['license'] or 'see its text'}")
        for text in licences(pathlib.Path(package["manifest_path"]).parent):
            texts.setdefault(text, []).append(f"{name} {package['version']}")
    for text, users in texts.items():
        print(f"\n{'-' * 100}\n{', '.join(users)}\n\n{text}")


def metadata(target: str) -> dict[tuple[str, str], dict]:
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    packages = json.loads(output(command))["packages"]
    return {(package["name"], package["version"]): package for package in packages}


def licences(folder: pathlib.Path) -> list[str]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name.upper().startswith(NAMES))
    return [file.read_text(encoding="utf-8", errors="replace").strip() for file in files]


def output(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
