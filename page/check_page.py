#!/usr/bin/env python3
"""Check a report of section5 or a page of `weir profile` or `weir lineage` in headless Chromium: on narrow and wide
screens, in light and dark mode.

    python3 page/check_page.py PAGE.html [--screenshots DIR]

Requires the package `playwright` (page/requirements.txt) and Chromium: the system's one
(`apt-get install chromium`), or the path in CHROMIUM. Exits with code 1 and prints the violations if the page requests
an external resource, writes an error to the console, is wider than the screen, has truncated or too small text, or
colours with low contrast.
"""

import argparse
import os
import pathlib
import shutil
import sys

from playwright.sync_api import Page, sync_playwright

# The narrowest and the widest screen of each layout.
WIDTHS = [390, 400, 539, 540, 719, 720, 779, 780, 800, 1039, 1040, 1099, 1100, 1400]
SCHEMES = ["light", "dark"]
SMALLEST_LETTERS = 10  # pixels
LEAST_CONTRAST = 4.5  # WCAG 2, level AA

# Each returns the violations, as text.
MEASURES = {
    "the page is wider than the screen": """() => {
        const page = document.documentElement;
        return page.scrollWidth > page.clientWidth ? [`${page.scrollWidth} > ${page.clientWidth} pixels`] : [];
    }""",
    "a chart's text is outside the chart": """() => [...document.querySelectorAll('svg')].flatMap(svg => {
        const frame = svg.getBoundingClientRect();
        return [...svg.querySelectorAll('text')].filter(text => {
            const box = text.getBoundingClientRect();
            return box.left < frame.left - 1 || box.right > frame.right + 1
                || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
        }).map(text => `${svg.getAttribute('aria-label')}: ${text.textContent.trim()}`);
    })""",
    "texts of a chart overlap": """() => [...document.querySelectorAll('svg')].flatMap(svg => {
        const boxes = [...svg.querySelectorAll('text')].map(text => [text, text.getBoundingClientRect()]);
        return boxes.flatMap(([one, a], at) => boxes.slice(at + 1).filter(([, b]) =>
            Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
            && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4
        ).map(([other]) => `${svg.getAttribute('aria-label')}: ${one.textContent.trim()}, ${other.textContent.trim()}`));
    })""",
    "a text is truncated": """() => [...document.querySelectorAll('h1, h2, h3, p, li, b, span, figcaption, .scroll')]
        .filter(part => part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).display !== 'inline')
        .map(part => part.textContent.trim().slice(0, 60))""",
    "a row of cards is not filled": """() => [...document.querySelectorAll('.grid')].flatMap(grid => {
        const columns = getComputedStyle(grid).gridTemplateColumns.split(' ').length;
        const span = card => Number(/span (\\d+)/.exec(getComputedStyle(card).gridColumn)?.[1] ?? 1);
        const spans = [...grid.children].map(span);
        const empty = -spans.reduce((sum, span) => sum + span, 0) % columns;
        return empty ? [`${columns} columns, ${spans.length} cards: ${grid.textContent.trim().slice(0, 60)}`] : [];
    })""",
    "a chart is much narrower than its card": """() => [...document.querySelectorAll('.card svg')].filter(svg =>
        svg.getBoundingClientRect().width < 0.75 * svg.parentElement.getBoundingClientRect().width
    ).map(svg => svg.getAttribute('aria-label'))""",
    "a link leads nowhere": """() => [...document.querySelectorAll('a')].map(link => link.getAttribute('href'))
        .filter(to => !to.startsWith('#') || !document.getElementById(to.slice(1)))""",
    "text is too small": """smallest => [...document.querySelectorAll('svg')].flatMap(svg => {
        const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
        return [...svg.querySelectorAll('text')]
            .filter(text => parseFloat(text.getAttribute('font-size')) * scale < smallest)
            .map(text => `${svg.getAttribute('aria-label')}: ${text.textContent.trim()}`);
    })""",
}

CONTRASTS = """least => {
    const luminance = colour => {
        const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
            .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    const mixed = (over, under, share) => {
        const [a, b] = [over, under].map(colour => colour.match(/[\\d.]+/g).slice(0, 3).map(Number));
        return `rgb(${a.map((part, at) => part * share + b[at] * (1 - share)).join(',')})`;
    };
    const painted = colour => !/rgba\\(.*, 0\\)|transparent/.test(colour);
    const behind = part => {
        for (let at = part; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if (painted(colour)) return colour;
        }
        return 'rgb(255, 255, 255)';
    };
    // Rectangles of a chart under the middle of a text, in painting order.
    const under = text => {
        const box = text.getBoundingClientRect();
        const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
        return [...text.ownerSVGElement.querySelectorAll('rect')].filter(rect => {
            const of = rect.getBoundingClientRect();
            return of.left <= x && x <= of.right && of.top <= y && y <= of.bottom;
        }).reduce((colour, rect) => mixed(getComputedStyle(rect).fill, colour, rect.getAttribute('opacity')),
            behind(text.ownerSVGElement));
    };
    const contrast = (a, b) => {
        const [light, dark] = [luminance(a), luminance(b)].sort((a, b) => b - a);
        return (light + 0.05) / (dark + 0.05);
    };
    const texts = [...document.querySelectorAll('svg text')].map(text => [text, getComputedStyle(text).fill, under(text)]);
    const prose = [...document.querySelectorAll('h1, h2, h3, p, li, a, b, span, time, figcaption, td, th')]
        .map(part => [part, getComputedStyle(part).color, behind(part)]);
    return [...texts, ...prose].map(([part, ink, paper]) => [part, contrast(ink, paper)])
        .filter(([, found]) => found < least)
        .map(([part, found]) => `${part.textContent.trim().slice(0, 60)}: ${found.toFixed(2)}`);
}"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--screenshots", type=pathlib.Path, metavar="DIR", help="folder for a screenshot of each")
    parser.add_argument("--no-charts", action="store_true", help="the page may have no chart: a lineage, a profile of texts alone")
    options = parser.parse_args()
    if not options.page.is_file():
        sys.exit(f"{options.page}: the page does not exist; `section5 report --output {options.page}` writes one")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium:
        sys.exit("chromium is missing: apt-get install chromium, or set CHROMIUM to its path")
    wrong = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width in WIDTHS:
            for scheme in SCHEMES:
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                found = look(page, options.page.resolve(), options.no_charts)
                if options.screenshots:
                    options.screenshots.mkdir(parents=True, exist_ok=True)
                    page.screenshot(path=options.screenshots / f"{width}-{scheme}.png", full_page=True)
                page.close()
                print(f"{width} pixels, {scheme}: {len(found) or 'no'} violations")
                for one in found:
                    print(f"  {one}")
                wrong += len(found)
        browser.close()
    return 1 if wrong else 0


def look(page: Page, file: pathlib.Path, no_charts: bool) -> list[str]:
    """The violations on this screen."""
    wrong = []
    page.on("console", lambda message: wrong.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("request", lambda request: wrong.append(f"requests {request.url}")
            if not request.url.startswith(("file:", "data:")) else None)
    page.goto(file.as_uri())
    if not no_charts and not page.query_selector_all("svg text"):
        wrong.append("no chart found")
    for what, measure in MEASURES.items():
        wrong += [f"{what}: {one}" for one in page.evaluate(measure, SMALLEST_LETTERS)]
    return wrong + [f"low contrast: {one}" for one in page.evaluate(CONTRASTS, LEAST_CONTRAST)]


if __name__ == "__main__":
    sys.exit(main())
