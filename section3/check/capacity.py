#!/usr/bin/env python3
"""Checks that capacity.md is what capacity.py prints, and that the two models of waiting agree."""

import difflib
import pathlib
import sys

SECTION = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
# This file has the same name.
sys.path[0] = str(SECTION)
import capacity  # noqa: E402
import queueing  # noqa: E402


def main() -> int:
    committed = (SECTION / "capacity.md").read_text()
    lines = list(
        difflib.unified_diff(committed.splitlines(), capacity.document().splitlines(), "capacity.md", "now", "", "", 0)
    )
    if lines:
        print("\n".join(lines))
        print("capacity.md is stale: python3 section3/capacity.py >section3/capacity.md")
        return 1
    difference = queueing.difference()
    if difference > 0.05:
        print(f"the two models of waiting differ by {difference:.1%}")
        return 1
    print(f"capacity.md is current, and the models of waiting differ by {difference:.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
