#!/usr/bin/env python3
"""Draws write_architecture.svg and read_architecture.svg from the .dot files next to them, with Graphviz.

Graphviz places everything; colours, and those of dark mode, come from the style sheet here. Texts are drawn last, with
a margin in the colour of the ground, so that no line crosses a letter."""

from __future__ import annotations

import hashlib
import pathlib
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from string import Template

SECTION = pathlib.Path(__file__).resolve().parent
DRAWINGS = {"write_architecture": "The write path", "read_architecture": "The read path, the analysts, and the purge"}
SVG = "{http://www.w3.org/2000/svg}"
# Each in light and in dark mode.
COLOURS = {
    "ground": ("#ffffff", "#0d1117"),
    "text": ("#1f2937", "#e6edf3"),
    "line": ("#4b5563", "#9ca3af"),
    "box": ("#f3f4f6", "#21262d"),
    "store": ("#dbeafe", "#1e3a5f"),
    "own": ("#dcfce7", "#14402a"),
    "account": ("#6b7280", "#8b949e"),
    "zone": ("#1d4ed8", "#79b8ff"),
    "outside": ("#b91c1c", "#ff8a80"),
    "company": ("#15803d", "#56d364"),
}
# Colours stand in each rule: not every program that shows drawings knows variables.
RULES = """
.ground { fill: $ground; }
text { font-family: Helvetica, Arial, 'Liberation Sans', sans-serif; fill: $text; }
.above text { paint-order: stroke; stroke: $ground; stroke-width: 4px; stroke-linejoin: round; }
.node path, .node polygon { fill: $box; stroke: $line; }
.node.store path, .node.store polygon { fill: $store; }
.node.own path, .node.own polygon { fill: $own; }
.edge path { fill: none; stroke: $line; stroke-width: 1.2; }
.edge polygon { fill: $line; stroke: $line; }
.cluster polygon, .cluster path { fill: none; stroke-width: 1.5; stroke-dasharray: 6 3; stroke: $account; }
.cluster text { font-weight: bold; fill: $account; }
.cluster.zone polygon, .cluster.zone path { stroke: $zone; }
.cluster.zone text { fill: $zone; }
.cluster.outside polygon, .cluster.outside path { stroke: $outside; }
.cluster.outside text { fill: $outside; }
.cluster.company polygon, .cluster.company path { stroke: $company; }
.cluster.company text { fill: $company; }
"""
# What the style sheet sets.
PAINT = {"fill", "stroke", "stroke-width", "font-family", "font-weight", "style"}


def style_sheet() -> str:
    light, dark = (Template(RULES).substitute({name: pair[mode] for name, pair in COLOURS.items()}) for mode in (0, 1))
    return f"{light}@media (prefers-color-scheme: dark) {{{dark}}}\n"


def fingerprint(name: str) -> str:
    """Of what a drawing is made from: its source and this program."""
    sources = (SECTION / f"{name}.dot").read_bytes() + pathlib.Path(__file__).read_bytes()
    return hashlib.sha256(sources.replace(b"\r\n", b"\n")).hexdigest()


def draw(name: str) -> str:
    command = ["dot", "-Tsvg", str(SECTION / f"{name}.dot")]
    drawn = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # The document type has no use, and the parser keeps no comments.
    return styled(ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", drawn)), name)


def styled(root: ElementTree.Element, name: str) -> str:
    x, y, width, height = map(float, root.attrib["viewBox"].split())
    graph = root.find(f"{SVG}g")
    for element in list(graph):
        # Graphviz's own ground, and the title of the graph.
        if element.tag in (f"{SVG}polygon", f"{SVG}title"):
            graph.remove(element)
    above = []
    for group in graph:
        group.attrib.pop("id", None)
        for element in group.iter():
            for attribute in PAINT & element.attrib.keys():
                del element.attrib[attribute]
        if "node" not in group.attrib["class"].split():
            texts = [element for element in group if element.tag == f"{SVG}text"]
            for text in texts:
                group.remove(text)
            layer = ElementTree.Element(f"{SVG}g", {"class": group.attrib["class"]})
            layer.extend(texts)
            above.append(layer)
    ElementTree.SubElement(graph, f"{SVG}g", {"class": "above"}).extend(above)
    result = ElementTree.Element(
        f"{SVG}svg",
        {
            "viewBox": root.attrib["viewBox"],
            "width": f"{width:.0f}",
            "height": f"{height:.0f}",
            "role": "img",
            "data-source": fingerprint(name),
        },
    )
    ElementTree.SubElement(result, f"{SVG}title").text = DRAWINGS[name]
    ElementTree.SubElement(result, f"{SVG}style").text = style_sheet()
    ground = {"class": "ground", "x": f"{x}", "y": f"{y}", "width": f"{width}", "height": f"{height}"}
    ElementTree.SubElement(result, f"{SVG}rect", ground)
    result.append(graph)
    ElementTree.register_namespace("", SVG[1:-1])
    ElementTree.indent(result, "")
    return ElementTree.tostring(result, encoding="unicode") + "\n"


def main() -> None:
    for name in DRAWINGS:
        (SECTION / f"{name}.svg").write_text(draw(name))


if __name__ == "__main__":
    main()
