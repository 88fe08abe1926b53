"""Check a bill of materials of sbom.py: `check_sbom.py BILL PROGRAM`.

It must be valid CycloneDX, its licences must be SPDX expressions, and it must name each crate that the program names:
messages of panics contain the paths of their sources.
"""

import json
import pathlib
import re
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.spdx import is_expression
from cyclonedx.validation.json import JsonStrictValidator


def main(bill: str, program: str) -> None:
    text = pathlib.Path(bill).read_text(encoding="utf-8")
    problems = []
    error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    if error is not None:
        problems.append(f"not valid CycloneDX: {error}")
    components = json.loads(text)["components"]
    for component in components:
        for licence in component.get("licenses", []):
            if not is_expression(licence["expression"]):
                problems.append(f"{component['bom-ref']}: not an SPDX expression: {licence['expression']}")
    listed = {f"{component['name']}-{component['version']}" for component in components}
    found = named_in(pathlib.Path(program).read_bytes())
    if not found:
        problems.append(f"{program} names no crate")
    problems += [f"{crate} is in the program and not in the bill" for crate in sorted(found - listed)]
    for problem in problems:
        print(f"{bill}: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)
    print(f"{bill}: {len(listed)} crates, {len(found)} of them named in the program")


def named_in(program: bytes) -> set[str]:
    paths = re.findall(rb"/registry/src/[^/\0]+/([A-Za-z0-9_-]+-\d[A-Za-z0-9.+-]*)/", program)
    return {path.decode() for path in paths}


if __name__ == "__main__":
    main(*sys.argv[1:])
