"""Print the licences of the libraries that a program contains. To be run in the root of the workspace."""

import argparse
import pathlib

import crates

# What is linked besides crates.
STANDARD_LIBRARY = "The Rust standard library: MIT OR Apache-2.0"
C_LIBRARY = """\
The GNU C Library: LGPL-2.1-or-later, linked statically; to link another version, build {} from its sources"""
NAMES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", help="the target that the program is built for, such as x86_64-unknown-linux-gnu")
    parser.add_argument("--package", default="weir", help="the package of the program")
    parser.add_argument("--dynamic", action="store_true", help="the program loads the system's C library")
    options = parser.parse_args()
    print(STANDARD_LIBRARY)
    if not options.dynamic:
        print(C_LIBRARY.format(options.package))
    texts: dict[str, list[str]] = {}
    linked = crates.linked(options.target, options.package).values()
    for crate in sorted(linked, key=lambda crate: (crate["name"], crate["version"])):
        if crate["source"] is None:
            continue
        name = f"{crate['name']} {crate['version']}"
        print(f"{name}: {crate['license'] or 'see its text'}")
        for text in licences(pathlib.Path(crate["manifest_path"]).parent):
            texts.setdefault(text, []).append(name)
    for text, users in texts.items():
        print(f"\n{'-' * 100}\n{', '.join(users)}\n\n{text}")


def licences(folder: pathlib.Path) -> list[str]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name.upper().startswith(NAMES))
    return [file.read_text(encoding="utf-8", errors="replace").strip() for file in files]


if __name__ == "__main__":
    main()
