"""Row count and checksum of a folder of CSV, JSON Lines or Parquet, independent of order and files.

    python checksum.py csv|jsonl|parquet DIR

Values are compared, not their text: all are read with the data's types, and files with other types of their own are
refused.
"""

import sys

import duckdb

from columns import COLUMNS

READERS = {
    "csv": f"read_csv('FILES', header = true, auto_detect = false, quote = '\"', escape = '\"', columns = {COLUMNS})",
    "jsonl": f"read_json('FILES', format = 'newline_delimited', columns = {COLUMNS})",
    "parquet": "read_parquet('FILES')",
}


def main(form: str, folder: str) -> None:
    rows = READERS[form].replace("FILES", f"{folder}/*.{form}")
    database = duckdb.connect()
    names, types = zip(*[column[:2] for column in database.execute(f"describe from {rows}").fetchall()])
    found = dict(zip(names, (kind.lower() for kind in types)))
    wanted = {name: kind.replace(" ", "") for name, kind in COLUMNS.items()}
    if found != wanted:
        sys.exit(f"the columns are {found}, expected {wanted}")
    values = ", ".join(f"{name}::varchar" for name in COLUMNS)
    count, checksum = database.execute(f"select count(*), sum(hash({values})::hugeint) from {rows}").fetchone()
    print(count, checksum)


if __name__ == "__main__":
    main(*sys.argv[1:])
