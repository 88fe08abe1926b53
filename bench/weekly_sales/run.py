#!/usr/bin/env python3
"""Compare the job of pipelines/weekly_sales, and the writing of many documents, with alternatives.

sales      made-up sales, joined with three dimensions and summed up by week, into a JSON document for each group of products and
           year, and rejected sales into CSV: weir, DuckDB, Polars and PySpark
documents  rows of a Parquet file, each into a document of its own: weir, and a plain loop of writes in Python

Creates the prerequisites in a cache folder, runs the contestants in turns, each as a fresh process with a fresh output folder,
checks that all wrote the same documents with the same digits, and prints a Markdown table for each part. Exits with code 1 if a
contestant failed or wrote other documents.
"""

import csv
import hashlib
import json
import os
import pathlib
import re
import sys
from decimal import Decimal

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from harness import Contestant, Failed, step  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PIPELINE = harness.ROOT / "pipelines/weekly_sales"
PARTS = ["sales", "documents"]
PEERS = ["duckdb", "polars", "pyspark"]
WAYS = ["weir", *PEERS, "loop"]

DOCUMENTS_TASK = """
name: documents
params: {{output: {{type: string}}}}
sources:
  row: {{files: {{path: "{data}/*.parquet", format: parquet}}, columns: {{id: string, body: string}}}}
models: {{document: document.sql}}
sinks:
  document: {{from: document, mode: overwrite, documents: {{path: "${{output}}", name: "${{id}}.json", body: body}}}}
  unreadable: {{from: row.rejected, mode: overwrite, files: {{path: "${{output}}-unreadable", format: csv}}}}
  rejected: {{from: document.rejected, mode: overwrite, files: {{path: "${{output}}-rejected", format: csv}}}}
"""


def main() -> int:
    options = parse_arguments()
    harness.adopt_orphans()
    options.cache.mkdir(parents=True, exist_ok=True)
    results = {}
    try:
        weir = options.weir or harness.built(harness.ROOT, "weir", os.environ.get("CARGO_TARGET_DIR"))
        python = harness.python_environment(options.cache)
        harness.hold_to_cores()
        with harness.work_folder(options, "weekly-") as work:
            for part in options.parts:
                results[part] = PART[part](weir, python, work, options)
    except Failed as failure:
        sys.exit(f"run.py: {failure}")
    return harness.report_parts(options, results)


def parse_arguments():
    parser = harness.arguments(__doc__, 50_000_000, WAYS)
    parser.add_argument("--parts", type=harness.one_or_more_of(PARTS), default=PARTS, metavar="PARTS",
                        help=f"parts, separated by commas (default: {','.join(PARTS)})")
    parser.add_argument("--documents", type=int, default=100_000, metavar="N",
                        help="documents of the part documents; --rows is for sales (default: %(default)s)")
    parser.add_argument("--memory", default="512MiB", metavar="SIZE", help="weir's --memory-limit (default: %(default)s)")
    parser.add_argument("--weir", type=harness.absolute, metavar="PATH", help="a built binary instead of building one")
    return parser.parse_args()


def weir_command(weir: pathlib.Path, task: pathlib.Path, options, *more: str) -> list[str]:
    return [str(weir), "run", str(task), "--quiet", "--state", "STATE", "--memory-limit", options.memory, *more]


# ---- sales


def sales(weir: pathlib.Path, python: pathlib.Path, work: pathlib.Path, options) -> list[Contestant]:
    def generate(folder: pathlib.Path) -> None:
        step([weir, "run", PIPELINE / "source/generate.yaml", "--quiet", "--state", work / "generate",
              "--param", f"sales={options.rows}", "--param", f"folder={folder}"])

    data = harness.made_once(options.cache / f"weekly-sales-{options.rows}", generate)
    task = without_table(work)
    commands = {"weir": weir_command(weir, task, options, "--param", "input=INPUT", "--param", "output=OUTPUT")}
    versions = {"weir": harness.version_of_program(weir)}
    for peer in PEERS:
        versions[peer] = harness.version_of_package(python, peer)
        commands[peer] = [str(python), str(HERE / f"{peer}_job.py"), "INPUT", "OUTPUT"]
    contestants = [Contestant(name, versions[name], commands[name]) for name in options.only if name in commands]
    wanted = {}

    def check(output: pathlib.Path) -> None:
        got = f"{digest(output / 'documents')}, {rejected(output)} sales rejected"
        if got != wanted.setdefault("sales", got):
            raise Failed(f"wrote {got}, the first run {wanted['sales']}")

    harness.compete(contestants, data, work, options, check, whole_tree=("pyspark",))
    size = sum(file.stat().st_size for file in data.glob("*.csv"))
    print(f"### sales\n\n{harness.machine_line(harness.machine())}; {options.rows:,} sales, {size:,} bytes; {wanted.get('sales')}\n")
    harness.print_table(contestants, "weir")
    print(f"\n{harness.MEASURES}; for pyspark it is the largest sum over the Python process and its JVM, sampled ten times\n"
          "a second.\n")
    return contestants


def without_table(work: pathlib.Path) -> pathlib.Path:
    """The task of the pipeline without its sink in a database."""
    text = (PIPELINE / "weekly_sales.yaml").read_text()
    start, end = text.index("  document_table:"), text.index("  # Quarantine")
    text = text[:start] + text[end:]
    task = work / "task" / "weekly_sales.yaml"
    task.parent.mkdir()
    task.write_text(re.sub(r"(?m)^base_folder:.*\n", "", text))
    (task.parent / "sql").symlink_to(PIPELINE / "sql")
    return task


def digest(folder: pathlib.Path) -> str:
    """The documents of a folder, with the digits of their numbers."""
    files = sorted(file for file in folder.iterdir() if file.suffix == ".json")
    total = hashlib.sha256()
    for file in files:
        document = json.loads(file.read_text(), parse_float=Decimal, parse_int=Decimal)
        total.update(f"{file.name} {document}\n".encode())
    return f"{len(files):,} documents with the hash {total.hexdigest()[:12]}"


def rejected(output: pathlib.Path) -> int:
    # weir has unreadable sales apart; the other tables are rejected by it alone.
    folders = [output / "rejected" / "sale", output / "unreadable" / "sale"]
    if not folders[0].exists():
        folders = [output / "rejected", output]
    rows = 0
    for file in (file for folder in folders if folder.is_dir() for file in folder.glob("*.csv")):
        with open(file, newline="") as text:
            rows += max(sum(1 for _ in csv.reader(text)) - 1, 0)
    return rows


# ---- documents


def documents(weir: pathlib.Path, python: pathlib.Path, work: pathlib.Path, options) -> list[Contestant]:
    def generate(folder: pathlib.Path) -> None:
        folder.mkdir()
        step([python, HERE / "loop_job.py", "--generate", options.documents, folder])

    data = harness.made_once(options.cache / f"documents-{options.documents}", generate)
    folder = work / "documents"
    folder.mkdir()
    (folder / "task.yaml").write_text(DOCUMENTS_TASK.format(data=data))
    (folder / "document.sql").write_text("select * from row\n")
    commands = {
        "weir": weir_command(weir, folder / "task.yaml", options, "--param", "output=OUTPUT"),
        "loop": [str(python), str(HERE / "loop_job.py"), "INPUT", "OUTPUT"],
    }
    versions = {"weir": harness.version_of_program(weir), "loop": "Python " + sys.version.split()[0]}
    contestants = [Contestant(name, versions[name], commands[name]) for name in commands if name in options.only]
    wanted = {}

    def check(output: pathlib.Path) -> None:
        got = digest(output)
        if got != wanted.setdefault("documents", got):
            raise Failed(f"wrote {got}, the first run {wanted['documents']}")

    harness.compete(contestants, data, work, options, check)
    print(f"### documents\n\n{harness.machine_line(harness.machine())}; {wanted.get('documents')}\n")
    harness.print_table(contestants, "weir")
    print(f"\n{harness.MEASURES}.\n")
    return contestants


PART = {"sales": sales, "documents": documents}

if __name__ == "__main__":
    sys.exit(main())
