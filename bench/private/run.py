#!/usr/bin/env python3
"""Compare loads of applications with three private columns with the same loads as they are, and with pandas.

copy      made-up applicants are copied: with hashes of name, e-mail address and date of birth (weir, pandas), with patterns of the
          first two and a hash of the third (patterns), and as they are (plain)
parquet   the same applicants into Parquet, with the same hashes: weir (hashed_parquet) and Floe
section1  the job of section 1, with hashes of the same three columns and of all that is computed from them but of age and
          membership (hashed), with the e-mail address redacted in place of hashed (redacted), and as it is (section1)

Creates the prerequisites in a cache folder, runs the contestants in turns, each as a fresh process with a fresh output folder,
checks that both hash alike where their keys are the same, and prints a Markdown table for each part. Exits with code 1 if a
contestant failed.
"""

import base64
import csv
import hmac
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from harness import Contestant, Failed, step  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PARTS = {"copy": ["weir", "plain", "patterns", "pandas"], "parquet": ["hashed_parquet", "floe"],
         "section1": ["section1", "hashed", "redacted"]}
SECTION1 = harness.ROOT / "section1"
SECRET = b"0123456789012345678901234567890123456789"


def main() -> int:
    options = parse_arguments()
    options.cache.mkdir(parents=True, exist_ok=True)
    # weir derives the key of hashes from the secret.
    derived = hmac.digest(SECRET, b"weir hash", "sha256")
    os.environ["WEIR_KEY"], os.environ["HASH_KEY"] = base64.b64encode(SECRET).decode(), derived.hex()
    results = {}
    try:
        target = os.environ.get("CARGO_TARGET_DIR")
        harness.hold_to_cores()
        with harness.work_folder(options, "private-") as work:
            for part in options.parts:
                names = [name for name in PARTS[part] if name in options.only]
                program = "section1" if part == "section1" else "weir"
                built = getattr(options, program) or harness.built(harness.ROOT, program, target)
                results[part] = globals()[part](names, built, work, options)
    except Failed as failure:
        sys.exit(f"run.py: {failure}")
    return harness.report_parts(options, results)


def parse_arguments():
    parser = harness.arguments(__doc__, 5_000_000, [name for names in PARTS.values() for name in names])
    parser.add_argument("--parts", type=harness.one_or_more_of(list(PARTS)), default=list(PARTS), metavar="PARTS",
                        help=f"parts, separated by commas (default: {','.join(PARTS)})")
    parser.add_argument("--weir", type=harness.absolute, metavar="PATH", help="a built binary instead of building one")
    parser.add_argument("--section1", type=harness.absolute, metavar="PATH", help="the same, of section1")
    return parser.parse_args()


def parquet(names: list[str], weir: pathlib.Path, work: pathlib.Path, options) -> list[Contestant]:
    return copied("parquet", "hashed_parquet", names, weir, work, options)


def copy(names: list[str], weir: pathlib.Path, work: pathlib.Path, options) -> list[Contestant]:
    return copied("copy", "plain", names, weir, work, options)


def copied(part: str, own: str, names: list[str], weir: pathlib.Path, work: pathlib.Path, options) -> list[Contestant]:
    python = harness.python_environment(options.cache)
    data = harness.made_once(options.cache / f"applicants-{options.rows}", lambda folder: step(
        [python, HERE / "data.py", folder, options.rows]))
    contestants = [contestant(name, weir, python) for name in names]
    checks = check_parquet if part == "parquet" else check
    harness.compete(contestants, data, work, options, lambda output: checks(output, data, python))
    print_table(part, contestants, own, options.rows, data)
    return contestants


def section1(names: list[str], program: pathlib.Path, work: pathlib.Path, options) -> list[Contestant]:
    command = [program, "generate", "--rows", options.rows, "--seed", 1, "--malformed-per-million", 0]
    data = harness.made_once(options.cache / f"applications-{options.rows}", lambda folder: step([*command, folder]))
    contestants = []
    for name in names:
        folder = work / f"task-{name}"
        shutil.copytree(SECTION1 / "conf", folder)
        (folder / "weir.yaml").write_text((HERE / "weir.yaml").read_text())
        task = folder / "applications.yaml"
        task.write_text(protected(task.read_text(), name))
        of_run = [program, "run", "--task-config", task, "--param", "input=INPUT", "--param", "output=OUTPUT", "--state",
                  "STATE", "--quiet"]
        contestants.append(Contestant(name, harness.version_of_program(program), [str(part) for part in of_run]))
    harness.compete(contestants, data, work, options, lambda output: None)
    print_table("section1", contestants, "section1", options.rows, data)
    return contestants


def protected(task: str, name: str) -> str:
    """The task of section 1 with private columns."""
    if name == "section1":
        return task
    email = "hash" if name == "hashed" else "redact"
    columns = "columns: {name: string, email: string, date_of_birth: string, mobile_no: string}"
    private = "{name: {type: string, private: hash}, email: {type: string, private: EMAIL}, " \
              "date_of_birth: {type: string, private: hash}, mobile_no: string}"
    sink = "    columns: [first_name,"
    for part in (columns, sink):
        if part not in task:
            raise Failed(f"the task of section 1 has no `{part}`")
    task = task.replace(columns, "columns: " + private.replace("EMAIL", email))
    return task.replace(sink, "    public: [above_18, membership_id]\n" + sink)


def contestant(name: str, weir: pathlib.Path, python: pathlib.Path) -> Contestant:
    if name in ("pandas", "floe"):
        command = [python, HERE / f"{name}_job.py", "INPUT", "OUTPUT"]
        version = harness.version_of_package(python, "floe-python" if name == "floe" else name)
        return Contestant(name, version, [str(part) for part in command])
    task = HERE / f"{'hashed' if name == 'weir' else name}.yaml"
    command = [weir, "run", "--task-config", task, "--param", "input=INPUT", "--param", "output=OUTPUT", "--state", "STATE",
               "--quiet"]
    return Contestant(name, harness.version_of_program(weir), [str(part) for part in command])


def first_row(data: pathlib.Path) -> dict[str, str]:
    with open(min(data.glob("*.csv")), newline="") as file:
        return next(csv.DictReader(file))


def check_parquet(output: pathlib.Path, data: pathlib.Path, python: pathlib.Path) -> None:
    """The output has all rows, and the hash of the first address of the input."""
    address = first_row(data)["email"].encode()
    # Floe takes the key as a text.
    keys = [bytes.fromhex(os.environ["HASH_KEY"]), os.environ["HASH_KEY"].encode()]
    tokens = [hmac.digest(key, address, "sha256").hex() for key in keys]
    script = "import polars, sys; emails = polars.scan_parquet(sys.argv[1]).select('email').collect()['email']; " \
             "print(len(emails), any(token in emails for token in sys.argv[2:]))"
    found = step([python, "-c", script, f"{output}/*.parquet", *tokens], stdout=subprocess.PIPE)
    of_data = sum(file.read_bytes().count(b"\n") - 1 for file in data.glob("*.csv"))
    if found.split() != [str(of_data), "True"]:
        raise Failed(f"wrote {found.strip()}, and not {of_data} rows with the token of {address.decode()}")


def check(output: pathlib.Path, data: pathlib.Path, _: pathlib.Path) -> None:
    """The output has all rows, and the first address of the input, hashed or as it is."""
    first = first_row(data)
    name = output.parent.name.rsplit("-", 1)[0]
    token = hmac.digest(bytes.fromhex(os.environ["HASH_KEY"]), first["email"].encode(), "sha256").hex()
    given, _, host = first["email"].partition("@")
    wanted = {"plain": first["email"], "patterns": f"{given[0]}{'*' * (len(given) - 1)}@{host}"}.get(name, token).encode()
    files = list(output.rglob("*.csv"))
    rows = sum(file.read_bytes().count(b"\n") - 1 for file in files)
    of_data = sum(file.read_bytes().count(b"\n") - 1 for file in data.glob("*.csv"))
    if rows != of_data:
        raise Failed(f"wrote {rows:,} rows of {of_data:,}")
    if not any(wanted in file.read_bytes() for file in files):
        raise Failed(f"did not write {wanted.decode()} for {first['email']}")


def print_table(part: str, contestants: list[Contestant], own: str, rows: int, data: pathlib.Path) -> None:
    print(f"### {part}\n")
    harness.print_table(contestants, own)
    size = sum(file.stat().st_size for file in data.glob("*.csv"))
    print(f"\n{rows:,} rows, {size:,} bytes of CSV. {harness.machine_line(harness.machine())}.\n\n{harness.MEASURES}.\n")


if __name__ == "__main__":
    sys.exit(main())
