"""Applicants from CSV to Parquet in Floe, with HMAC-SHA-256 in place of three columns.

    python floe_job.py INPUT_DIR OUTPUT_DIR
"""

import json
import os
import pathlib
import sys

os.environ["POLARS_MAX_THREADS"] = "2"

import floe  # noqa: E402  (its engine reads the number of threads when imported)

COLUMNS = ["name", "email", "date_of_birth", "mobile_no"]


def main(input_folder: str, output_folder: str) -> None:
    output = pathlib.Path(output_folder)
    output.mkdir()
    hashed = [{"name": name, "strategy": "hash", "key": "${HASH_KEY}"} for name in COLUMNS[:3]]
    entity = {
        "name": "applicant",
        "source": {"format": "csv", "path": input_folder, "options": {"separator": ","}},
        "sink": {"accepted": {"format": "parquet", "path": output_folder}},
        "policy": {"severity": "warn"},
        "schema": {"columns": [{"name": name, "type": "string"} for name in COLUMNS]},
        "pii": {"columns": hashed},
    }
    config = output.with_suffix(".json")  # JSON is YAML, too
    config.write_text(json.dumps({"version": "0.1", "entities": [entity]}))
    floe.run(str(config))


if __name__ == "__main__":
    main(*sys.argv[1:])
