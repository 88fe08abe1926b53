"""CSV to one file of JSON Lines or Parquet in DuckDB: one `COPY`. With rejects: rows with a value that is not of its type are
skipped by the reader, and its table of rejects is written beside.

    python duckdb_job.py jsonl|parquet|rejects INPUT_DIR OUTPUT_DIR
"""

import pathlib
import sys

import duckdb

from columns import COLUMNS

THREADS = 2


def main(job: str, input_folder: str, output_folder: str) -> None:
    pathlib.Path(output_folder).mkdir()
    # The order of the rows does not matter here, and preserving it costs time and memory.
    database = duckdb.connect(config={"threads": THREADS, "preserve_insertion_order": False})
    columns = COLUMNS["events" if job == "rejects" else "orders"]
    rejects = ", store_rejects = true, rejects_limit = 0" if job == "rejects" else ""
    rows = f"read_csv('{input_folder}/*.csv', header = true, auto_detect = false, quote = '\"', escape = '\"', " \
           f"columns = {columns}{rejects})"
    form = "jsonl" if job == "jsonl" else "parquet"
    database.execute(f"copy (from {rows}) to '{output_folder}/part.{form}' (format {'json' if form == 'jsonl' else form})")
    if job == "rejects":
        database.execute(f"copy (select line, column_name, csv_line, error_message from reject_errors) "
                         f"to '{output_folder}/rejected.csv' (format csv, header)")


if __name__ == "__main__":
    main(*sys.argv[1:])
