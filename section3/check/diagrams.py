#!/usr/bin/env python3
"""Checks that the diagrams are drawn from their sources, and that they can be read at the width of a page.

Another version of Graphviz, or other fonts, place the same things elsewhere. So they are drawn anew, and what is
compared is what they show: nodes, arrows, groups, and their texts. Needs Graphviz."""

from __future__ import annotations

import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator

SECTION = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(SECTION))
import draw  # noqa: E402

PAGE, SMALLEST = 700, 11


def shown(svg: str) -> Counter[tuple[str, ...]]:
    """Each group of a drawing: its class, its name, its texts."""
    groups = Counter()
    for group in ElementTree.fromstring(svg).iter(f"{draw.SVG}g"):
        texts = [element.text or "" for element in group if element.tag in (f"{draw.SVG}title", f"{draw.SVG}text")]
        # Some versions write hard spaces.
        groups[(group.attrib["class"], *(text.replace("\xa0", " ") for text in texts))] += 1
    return groups


def problems(name: str) -> Iterator[str]:
    committed = (SECTION / f"{name}.svg").read_text()
    root = ElementTree.fromstring(committed)
    if root.attrib.get("data-source") != draw.fingerprint(name):
        yield "drawn from another source"
    before, now = shown(committed), shown(draw.draw(name))
    yield from (f"only in the committed drawing: {group}" for group in before - now)
    yield from (f"only in the new drawing: {group}" for group in now - before)
    width = float(root.attrib["viewBox"].split()[2])
    for size in {float(size) for size in re.findall(r'font-size="([\d.]+)"', committed)}:
        if size * min(1, PAGE / width) < SMALLEST:
            yield f"texts of {size} are smaller than {SMALLEST} pixels at a width of {PAGE}"
    edges = [group for group in root.iter(f"{draw.SVG}g") if group.attrib["class"].split()[0] == "edge"]
    labels = [group for group in edges if any(element.tag == f"{draw.SVG}text" for element in group)]
    arrows = [group for group in edges if any(element.tag == f"{draw.SVG}path" for element in group)]
    if not arrows or len(labels) != len(arrows):
        yield f"{len(arrows)} arrows have {len(labels)} labels"
    if "prefers-color-scheme: dark" not in committed:
        yield "it has no dark mode"


def main() -> int:
    found = [f"{name}.svg: {problem}" for name in draw.DRAWINGS for problem in problems(name)]
    if found:
        print("\n".join(found))
        print("after a change of a source: python3 section3/draw.py")
        return 1
    print(f"{len(draw.DRAWINGS)} diagrams are those of their sources")
    return 0


if __name__ == "__main__":
    sys.exit(main())
