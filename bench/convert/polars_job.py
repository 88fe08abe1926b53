"""CSV to one file of JSON Lines or Parquet in Polars: a lazy scan and its sink, on the streaming engine. With rejects: all
columns are read as texts and cast without failing; rows with a text that became null are written beside.

    python polars_job.py jsonl|parquet|rejects INPUT_DIR OUTPUT_DIR
"""

import os
import pathlib
import sys

os.environ["POLARS_MAX_THREADS"] = "2"

import polars as pl  # noqa: E402  (reads the number of threads when imported)

ORDERS = {"id": pl.Int64, "name": pl.String, "email": pl.String, "city": pl.String, "birthday": pl.Date,
          "amount": pl.Decimal(12, 2)}
EVENTS = {"id": pl.Int64, "created_at": pl.Datetime("us"), "price": pl.Float64, "weight": pl.Float64, "code": pl.String}
# The order of the rows does not matter here.
OPTIONS = {"mkdir": True, "maintain_order": False}


def main(job: str, input_folder: str, output_folder: str) -> None:
    files, output = f"{input_folder}/*.csv", pathlib.Path(output_folder)
    if job == "rejects":
        return split(pl.scan_csv(files, schema={name: pl.String for name in EVENTS}), output)
    rows = pl.scan_csv(files, schema=ORDERS)
    if job == "jsonl":
        rows.sink_ndjson(output / "part.jsonl", engine="streaming", **OPTIONS)
    else:
        rows.sink_parquet(output / "part.parquet", engine="streaming", **OPTIONS)


def split(texts: pl.LazyFrame, output: pathlib.Path) -> None:
    def typed(name: str) -> pl.Expr:
        text = pl.col(name)
        return text.str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False) if name == "created_at" \
            else text.cast(EVENTS[name], strict=False)

    values = texts.with_columns(typed(name).alias(f"typed_{name}") for name in EVENTS)
    is_wrong = pl.any_horizontal(pl.col(f"typed_{name}").is_null() & pl.col(name).is_not_null() for name in EVENTS)
    accepted = values.filter(~is_wrong).select(pl.col(f"typed_{name}").alias(name) for name in EVENTS)
    rejected = values.filter(is_wrong).select(list(EVENTS))
    pl.collect_all([accepted.sink_parquet(output / "part.parquet", lazy=True, **OPTIONS),
                    rejected.sink_csv(output / "rejected.csv", lazy=True, **OPTIONS)], engine="streaming")


if __name__ == "__main__":
    main(*sys.argv[1:])
