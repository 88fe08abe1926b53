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

SECTION = pathlib.Path(__file__).resolve().parent
DRAWINGS = {"write_architecture": "The write path", "read_architecture": "The read path, the analysts, and the purge"}
SVG = "{http://www.w3.org/2000/svg}"
STYLE = """
svg { --ground: #ffffff; --text: #1f2937; --line: #4b5563; --box: #f3f4f6; --store: #dbeafe; --own: #dcfce7;
      --account: #6b7280; --zone: #1d4ed8; --outside: #b91c1c; --company: #15803d; }
@media (prefers-color-scheme: dark) {
  svg { --ground: #0d1117; --text: #e6edf3; --line: #9ca3af; --box: #21262d; --store: #1e3a5f; --own: #14402a;
        --account: #8b949e; --zone: #79b8ff; --outside: #ff8a80; --company: #56d364; }
}
.ground { fill: var(--ground); }
text { font-family: Helvetica, Arial, 'Liberation Sans', sans-serif; fill: var(--text); }
.above text { paint-order: stroke; stroke: var(--ground); stroke-width: 4px; stroke-linejoin: round; }
.node path, .node polygon { fill: var(--box); stroke: var(--line); }
.node.store path, .node.store polygon { fill: var(--store); }
.node.own path, .node.own polygon { fill: var(--own); }
.edge path { fill: none; stroke: var(--line); stroke-width: 1.2; }
.edge polygon { fill: var(--line); stroke: var(--line); }
.cluster polygon, .cluster path { fill: none; stroke-width: 1.5; stroke-dasharray: 6 3; stroke: var(--account); }
.cluster text { font-weight: bold; fill: var(--account); }
.cluster.zone polygon, .cluster.zone path { stroke: var(--zone); }
.cluster.zone text { fill: var(--zone); }
.cluster.outside polygon, .cluster.outside path { stroke: var(--outside); }
.cluster.outside text { fill: var(--outside); }
.cluster.company polygon, .cluster.company path { stroke: var(--company); }
.cluster.company text { fill: var(--company); }
"""
# What the style sheet sets.
PAINT = {"fill", "stroke", "stroke-width", "font-family", "font-weight", "style"}


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
    ElementTree.SubElement(result, f"{SVG}style").text = STYLE
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
