"""CSV to Parquet and rejects in Floe: one entity, with its policy `reject`.

    python floe_job.py INPUT_DIR OUTPUT_DIR
"""

import json
import os
import pathlib
import sys

os.environ["POLARS_MAX_THREADS"] = "2"

import floe  # noqa: E402  (its engine reads the number of threads when imported)

COLUMNS = {"id": "int64", "created_at": "datetime", "price": "float64", "weight": "float64", "code": "string"}


def main(input_folder: str, output_folder: str) -> None:
    output = pathlib.Path(output_folder)
    output.mkdir()
    entity = {
        "name": "event",
        "source": {"format": "csv", "path": input_folder, "options": {"separator": ","}},
        "sink": {
            "accepted": {"format": "parquet", "path": output_folder},
            "rejected": {"format": "csv", "path": f"{output_folder}/rejected"},
        },
        "policy": {"severity": "reject"},
        "schema": {"columns": [{"name": name, "type": kind} for name, kind in COLUMNS.items()]},
    }
    config = output.with_suffix(".json")  # JSON is YAML, too
    config.write_text(json.dumps({"version": "0.1", "entities": [entity]}))
    floe.run(str(config))


if __name__ == "__main__":
    main(*sys.argv[1:])
