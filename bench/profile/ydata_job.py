#!/usr/bin/env python3
"""Profile a CSV file with ydata-profiling in its minimal mode: without correlations, interactions and samples.

    ydata_job.py FOLDER OUTPUT    the one CSV file of FOLDER; writes OUTPUT/profile.html and OUTPUT/profile.json
"""

import json
import pathlib
import sys

import pandas
from ydata_profiling import ProfileReport


def main() -> None:
    data, output = map(pathlib.Path, sys.argv[1:])
    [file] = data.glob("*.csv")
    # As weir does, a mobile number is not a number if some are none; the others are texts.
    # Only an empty field is null, as for weir.
    frame = pandas.read_csv(file, keep_default_na=False, na_values=[""])
    report = ProfileReport(frame, title=file.name, minimal=True, progress_bar=False)
    output.mkdir()
    report.to_file(output / "profile.html", silent=True)
    description = report.get_description()
    rows = {
        "rows": description.table["n"],
        "columns": {name: {"nulls": int(column["n_missing"]), "distinct": int(column["n_distinct"])}
                    for name, column in description.variables.items()},
    }
    (output / "profile.json").write_text(json.dumps(rows, default=int))


if __name__ == "__main__":
    main()
