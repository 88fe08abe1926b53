#!/usr/bin/env python3
"""Compare the conversion of CSV to JSON Lines and to Parquet in weir, DuckDB and Polars.

Creates the prerequisites (a Python environment, weir, the data) in a cache folder, runs the contestants in turns, each
as a fresh process with a fresh output folder, checks that all wrote the rows of the input, and prints a Markdown table
per format. Exits with code 1 if a contestant failed or wrote different rows.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from harness import Contestant, Failed, say, step  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
CONTESTANTS = ["weir", "duckdb", "polars"]
FORMATS = {"jsonl": "JSON Lines", "parquet": "Parquet"}


def main() -> int:
    options = parse_arguments()
    options.cache.mkdir(parents=True, exist_ok=True)
    reports = []
    try:
        weir = options.weir or harness.built(harness.ROOT, "weir", os.environ.get("CARGO_TARGET_DIR"))
        python = harness.python_environment(options.cache)
        harness.hold_to_cores()
        command = [python, HERE / "data.py"]
        data = harness.made_once(options.cache / f"orders-{options.rows}",
                                 lambda folder: step([*command, folder, options.rows]))
        wanted = checksum(python, "csv", data)
        for form in options.formats:
            say(FORMATS[form])
            contestants = [contestant(name, form, weir, python) for name in options.only]
            if options.former:
                contestants.append(own_contestant("former", form, options.former))
            sizes = compete(contestants, form, data, wanted, python, options)
            reports.append({
                "format": form,
                "sizes": sizes,
                "contestants": [asdict(one) for one in contestants],
            })
            print_table(form, contestants, sizes)
    except Failed as failure:
        sys.exit(f"run.py: {failure}")
    print_end(wanted, data)
    if options.json:
        report = {"machine": harness.machine(), "rows": wanted[0], "checksum": wanted[1], "formats": reports}
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(any(one["error"] for report in reports for one in report["contestants"]))


def parse_arguments():
    parser = harness.arguments(__doc__, 5_000_000, CONTESTANTS)
    parser.add_argument("--formats", type=harness.one_or_more_of(list(FORMATS)), default=list(FORMATS),
                        metavar="NAMES", help=f"formats, separated by commas (default: {','.join(FORMATS)})")
    parser.add_argument("--weir", type=harness.absolute, metavar="PATH", help="a built binary instead of building one")
    harness.add_former(parser)
    return parser.parse_args()


def contestant(name: str, form: str, weir: pathlib.Path, python: pathlib.Path) -> Contestant:
    if name == "weir":
        return own_contestant(name, form, weir)
    command = [str(python), str(HERE / f"{name}_job.py"), form, "INPUT", "OUTPUT"]
    return Contestant(name, harness.version_of_package(python, name), command)


def own_contestant(name: str, form: str, weir: pathlib.Path) -> Contestant:
    command = [weir, "run", "--task-config", HERE / f"weir_{form}.yaml", "--param", "input=INPUT",
               "--param", "output=OUTPUT", "--state", "STATE", "--quiet"]
    return Contestant(name, harness.version_of_program(weir), [str(part) for part in command])


def compete(contestants, form, data, wanted, python, options) -> dict[str, int]:
    """Run the contestants; return the bytes that each wrote."""
    sizes = {}

    def check(output: pathlib.Path) -> None:
        if (found := checksum(python, form, output)) != wanted:
            raise Failed(f"wrote different rows: {found[0]:,} of {wanted[0]:,}")
        name = output.parent.name.rpartition("-")[0]
        sizes[name] = sum(file.stat().st_size for file in output.glob(f"*.{form}"))

    work = pathlib.Path(tempfile.mkdtemp(prefix="convert-", dir=options.cache))
    try:
        harness.compete(contestants, data, work, options, check)
    finally:
        if options.keep:
            say(f"outputs are kept in {work}")
        else:
            shutil.rmtree(work)
    return sizes


def checksum(python: pathlib.Path, form: str, folder: pathlib.Path) -> tuple[int, str]:
    """Row count and checksum of a folder."""
    done = subprocess.run([python, HERE / "checksum.py", form, folder], capture_output=True, text=True)
    if done.returncode:
        raise Failed(done.stderr.strip().splitlines()[-1])
    rows, checksum = done.stdout.split()
    return int(rows), checksum


def print_table(form: str, contestants: list[Contestant], sizes: dict[str, int]) -> None:
    print(f"\nCSV to {FORMATS[form]}:\n")
    harness.print_table(contestants, "weir")
    written = ", ".join(f"{name} {size / 2**20:.0f} MiB" for name, size in sizes.items())
    print(f"\nWritten: {written}.")


def print_end(wanted: tuple[int, str], data: pathlib.Path) -> None:
    size = sum(file.stat().st_size for file in data.glob("*.csv"))
    print(f"""
{harness.machine_line(harness.machine())}; {wanted[0]:,} rows, {size:,} bytes of CSV.

{harness.MEASURES}.
weir syncs its output to disk before it publishes it (fsync is in its time); the others do not.
Contestants without an error wrote exactly the rows of the input in every run.""")


if __name__ == "__main__":
    sys.exit(main())
