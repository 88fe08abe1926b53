"""A CSV file into a table of PostgreSQL with dlt: `dlt_job.py FILE URL TABLE replace|merge FOLDER`."""

import sys

import dlt
import pyarrow
import pyarrow.csv

TYPES = {"id": pyarrow.int64(), "amount": pyarrow.decimal128(12, 2)}


def main(file: str, url: str, table: str, mode: str, folder: str) -> None:
    typed = TYPES if mode == "merge" else {"id": pyarrow.string()}
    convert = pyarrow.csv.ConvertOptions(column_types=typed, strings_can_be_null=True, quoted_strings_can_be_null=False)

    @dlt.resource(name=table, write_disposition=mode, primary_key="id" if mode == "merge" else None)
    def rows():
        yield from pyarrow.csv.open_csv(file, convert_options=convert)

    pipeline = dlt.pipeline("bench", destination=dlt.destinations.postgres(url), dataset_name="dlt", pipelines_dir=folder)
    pipeline.run(rows()).raise_on_failed_jobs()


if __name__ == "__main__":
    main(*sys.argv[1:])
