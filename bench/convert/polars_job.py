"""CSV to one file of JSON Lines or Parquet in Polars: a lazy scan and its sink, on the streaming engine.

    python polars_job.py jsonl|parquet INPUT_DIR OUTPUT_DIR
"""

import os
import pathlib
import sys

os.environ["POLARS_MAX_THREADS"] = "2"

import polars as pl  # noqa: E402  (reads the number of threads when imported)

SCHEMA = {"id": pl.Int64, "name": pl.String, "email": pl.String, "city": pl.String, "birthday": pl.Date,
          "amount": pl.Decimal(12, 2)}


def main(form: str, input_folder: str, output_folder: str) -> None:
    rows = pl.scan_csv(f"{input_folder}/*.csv", schema=SCHEMA)
    file = pathlib.Path(output_folder, f"part.{form}")
    # The order of the rows does not matter here.
    options = {"mkdir": True, "maintain_order": False, "engine": "streaming"}
    if form == "jsonl":
        rows.sink_ndjson(file, **options)
    else:
        rows.sink_parquet(file, **options)


if __name__ == "__main__":
    main(*sys.argv[1:])
