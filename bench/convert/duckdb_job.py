"""CSV to one file of JSON Lines or Parquet in DuckDB: one `COPY`.

    python duckdb_job.py jsonl|parquet INPUT_DIR OUTPUT_DIR
"""

import pathlib
import sys

import duckdb

from columns import COLUMNS

THREADS = 2


def main(form: str, input_folder: str, output_folder: str) -> None:
    pathlib.Path(output_folder).mkdir()
    # The order of the rows does not matter here, and preserving it costs time and memory.
    database = duckdb.connect(config={"threads": THREADS, "preserve_insertion_order": False})
    rows = f"read_csv('{input_folder}/*.csv', header = true, auto_detect = false, quote = '\"', escape = '\"', " \
           f"columns = {COLUMNS})"
    form_name = "json" if form == "jsonl" else form
    database.execute(f"copy (from {rows}) to '{output_folder}/part.{form}' (format {form_name})")


if __name__ == "__main__":
    main(*sys.argv[1:])
