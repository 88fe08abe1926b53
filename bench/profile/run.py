#!/usr/bin/env python3
"""Compare `weir profile` with ydata-profiling in its minimal mode, on one CSV file of section1's membership applications.

Creates the prerequisites (a Python environment, weir, section1 for the data) in a cache folder, runs the contestants in turns,
each as a fresh process, and prints a Markdown table. Exits with code 1 if a contestant failed, if the two count other rows or
nulls, or if the distinct values of weir are outside of the range that it states.
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile
from dataclasses import asdict

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from harness import Contestant, Failed, say, step  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
CONTESTANTS = ["weir", "ydata"]


def main() -> int:
    options = parse_arguments()
    options.cache.mkdir(parents=True, exist_ok=True)
    profiles = {}
    try:
        target = os.environ.get("CARGO_TARGET_DIR")
        weir = options.weir or harness.built(harness.ROOT, "weir", target)
        section1 = options.section1 or harness.built(harness.ROOT, "section1", target)
        data = generated(section1, options.rows, options.cache)
        contestants = [contestant(name, weir, options.cache) for name in options.only]
        harness.hold_to_cores()
        work = pathlib.Path(tempfile.mkdtemp(prefix="profile-", dir=options.cache))
        try:
            harness.compete(contestants, data, work, options, lambda output: read(output, profiles))
        finally:
            if options.keep:
                say(f"outputs are kept in {work}")
            else:
                shutil.rmtree(work)
        differences = compared(profiles)
    except Failed as failure:
        sys.exit(f"run.py: {failure}")
    print_results(contestants, data, options.rows)
    for difference in differences:
        print(f"\n{difference}")
    if options.json:
        report = {"machine": harness.machine(), "rows": options.rows, "contestants": [asdict(one) for one in contestants]}
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(bool(differences) or any(one.error for one in contestants))


def parse_arguments():
    parser = harness.arguments(__doc__, 10_000_000, CONTESTANTS)
    parser.add_argument("--weir", type=harness.absolute, metavar="PATH", help="a built binary instead of building one")
    parser.add_argument("--section1", type=harness.absolute, metavar="PATH",
                        help="a built binary that generates the data, instead of building one")
    return parser.parse_args()


def generated(section1: pathlib.Path, rows: int, cache: pathlib.Path) -> pathlib.Path:
    """The folder of one CSV file with all applications."""
    def make(folder: pathlib.Path) -> None:
        parts = folder.with_suffix(".parts")
        step([section1, "generate", "--rows", rows, "--seed", 1, "--malformed-per-million", 0, parts])
        folder.mkdir()
        with open(folder / "applications.csv", "wb") as whole:
            for number, part in enumerate(sorted(parts.glob("*.csv"))):
                with open(part, "rb") as file:
                    header = file.readline()
                    if number == 0:
                        whole.write(header)
                    shutil.copyfileobj(file, whole, 1 << 20)
        shutil.rmtree(parts)

    return harness.made_once(cache / f"one-file-{rows}", make)


def contestant(name: str, weir: pathlib.Path, cache: pathlib.Path) -> Contestant:
    if name == "weir":
        # The output of the other one is a folder, which a shell makes here, too.
        command = 'mkdir "$2" && exec "$0" profile "$1/applications.csv" --output "$2/profile.html" --json >"$2/profile.json"'
        return Contestant(name, harness.version_of_program(weir), ["sh", "-c", command, str(weir), "INPUT", "OUTPUT"])
    python = harness.python_environment(cache, HERE / "requirements.txt")
    version = harness.version_of_package(python, "ydata-profiling")
    return Contestant(name, version, [str(python), str(HERE / "ydata_job.py"), "INPUT", "OUTPUT"])


def read(output: pathlib.Path, profiles: dict) -> None:
    """Keep what a contestant has counted."""
    name = output.parent.name.rpartition("-")[0]
    profile = json.loads((output / "profile.json").read_text())
    if (output / "profile.html").stat().st_size < 10_000:
        raise Failed("wrote no page")
    profiles[name] = profile


def compared(profiles: dict) -> list[str]:
    """What the profiles contradict each other in."""
    if len(profiles) < len(CONTESTANTS):
        return []
    weir, ydata = (profiles[name] for name in CONTESTANTS)
    wrong = []
    if weir["rows"] != ydata["rows"]:
        wrong.append(f"weir has {weir['rows']:,} rows, ydata {ydata['rows']:,}")
    for column in weir["columns"]:
        other = ydata["columns"][column["name"]]
        # An empty field within quotes is an empty text, and null for pandas.
        nulls = column["nulls"] + (column["texts"] or {}).get("empty", 0)
        if nulls != other["nulls"]:
            wrong.append(f"{column['name']}: weir has {nulls:,} nulls, ydata {other['nulls']:,}")
        distinct = column["distinct"]
        # The range has a probability of 95 %: twice as much is allowed here.
        slack = 0 if distinct["is_exact"] else distinct["most"] - distinct["least"]
        if not distinct["least"] - slack <= other["distinct"] <= distinct["most"] + slack:
            wrong.append(f"{column['name']}: weir has {distinct}, ydata {other['distinct']:,} distinct values")
    return wrong


def print_results(contestants: list[Contestant], data: pathlib.Path, rows: int) -> None:
    print()
    harness.print_table(contestants, "weir")
    size = sum(file.stat().st_size for file in data.glob("*.csv"))
    print(f"\n{rows:,} rows, {size:,} bytes of CSV.\n\n{harness.machine_line(harness.machine())}.\n\n{harness.MEASURES}.")


if __name__ == "__main__":
    sys.exit(main())
