#!/usr/bin/env python3
"""Compare the load of applications with three private columns, which are hashed, with the same load as it is, and with pandas.

The data is that of section 1: name, e-mail address, date of birth and mobile number of applicants; the first three are private.
Creates the prerequisites in a cache folder, runs the contestants in turns, each as a fresh process with a fresh output folder,
checks that both hash alike where their keys are the same, and prints a Markdown table. Exits with code 1 if a contestant failed.
"""

import base64
import csv
import hmac
import json
import os
import pathlib
import sys
from dataclasses import asdict

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from harness import Contestant, Failed, step  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
CONTESTANTS = ["weir", "plain", "pandas"]
SECRET = b"0123456789012345678901234567890123456789"


def main() -> int:
    options = parse_arguments()
    options.cache.mkdir(parents=True, exist_ok=True)
    # weir derives the key of hashes from the secret.
    derived = hmac.digest(SECRET, b"weir hash", "sha256")
    os.environ["WEIR_KEY"], os.environ["HASH_KEY"] = base64.b64encode(SECRET).decode(), derived.hex()
    try:
        weir = options.weir or harness.built(harness.ROOT, "weir", os.environ.get("CARGO_TARGET_DIR"))
        python = harness.python_environment(options.cache)
        harness.hold_to_cores()
        data = harness.made_once(options.cache / f"applicants-{options.rows}", lambda folder: step(
            [python, HERE / "data.py", folder, options.rows]))
        with harness.work_folder(options, "private-") as work:
            contestants = [contestant(name, weir, python) for name in options.only]
            harness.compete(contestants, data, work, options, lambda output: check(output, data))
    except Failed as failure:
        sys.exit(f"run.py: {failure}")
    print_table(contestants, options.rows, data)
    if options.json:
        report = {"machine": harness.machine(), "rows": options.rows, "contestants": [asdict(one) for one in contestants]}
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(any(one.error for one in contestants))


def parse_arguments():
    parser = harness.arguments(__doc__, 5_000_000, CONTESTANTS)
    parser.add_argument("--weir", type=harness.absolute, metavar="PATH", help="a built binary instead of building one")
    return parser.parse_args()


def contestant(name: str, weir: pathlib.Path, python: pathlib.Path) -> Contestant:
    if name == "pandas":
        command = [python, HERE / "pandas_job.py", "INPUT", "OUTPUT"]
        return Contestant(name, harness.version_of_package(python, name), [str(part) for part in command])
    task = HERE / f"{'hashed' if name == 'weir' else name}.yaml"
    command = [weir, "run", "--task-config", task, "--param", "input=INPUT", "--param", "output=OUTPUT", "--state", "STATE",
               "--quiet"]
    return Contestant(name, harness.version_of_program(weir), [str(part) for part in command])


def check(output: pathlib.Path, data: pathlib.Path) -> None:
    """The output has all rows, and the first address of the input, hashed or as it is."""
    with open(min(data.glob("*.csv")), newline="") as file:
        first = next(csv.DictReader(file))
    is_plain = output.parent.name.startswith("plain-")
    token = hmac.digest(bytes.fromhex(os.environ["HASH_KEY"]), first["email"].encode(), "sha256").hex()
    wanted = (first["email"] if is_plain else token).encode()
    files = list(output.rglob("*.csv"))
    rows = sum(file.read_bytes().count(b"\n") - 1 for file in files)
    of_data = sum(file.read_bytes().count(b"\n") - 1 for file in data.glob("*.csv"))
    if rows != of_data:
        raise Failed(f"wrote {rows:,} rows of {of_data:,}")
    if not any(wanted in file.read_bytes() for file in files):
        raise Failed(f"did not write {wanted.decode()} for {first['email']}")


def print_table(contestants: list[Contestant], rows: int, data: pathlib.Path) -> None:
    harness.print_table(contestants, "weir")
    size = sum(file.stat().st_size for file in data.glob("*.csv"))
    print(f"\n{rows:,} rows, {size:,} bytes of CSV. {harness.machine_line(harness.machine())}.\n\n{harness.MEASURES}.")


if __name__ == "__main__":
    sys.exit(main())
