"""Row count and checksum of a folder of CSV, JSON Lines or Parquet, independent of order and files.

    python checksum.py orders|events csv|jsonl|parquet DIR

Values are compared, not their text: all are read with the data's types, and files with other types of their own are
refused. Rows of CSV with a value that is not of its type do not count.
"""

import sys

import duckdb

from columns import COLUMNS


def rows(data: str, form: str, files: str) -> str:
    columns = COLUMNS[data]
    if form == "csv":
        texts = {name: "varchar" for name in columns}
        read = f"read_csv('{files}', header = true, auto_detect = false, quote = '\"', escape = '\"', columns = {texts})"
        values = ", ".join(f"try_cast({name} as {kind}) as {name}" for name, kind in columns.items())
        wrong = " or ".join(f"(try_cast({name} as {kind}) is null and {name} is not null)"
                            for name, kind in columns.items())
        return f"(select {values} from {read} where not ({wrong}))"
    if form == "jsonl":
        return f"read_json('{files}', format = 'newline_delimited', columns = {columns})"
    return f"read_parquet('{files}')"


def main(data: str, form: str, folder: str) -> None:
    found_rows = rows(data, form, f"{folder}/*.{form}")
    database = duckdb.connect()
    names, types = zip(*[column[:2] for column in database.execute(f"describe from {found_rows}").fetchall()])
    found = dict(zip(names, (kind.lower() for kind in types)))
    wanted = {name: kind.replace(" ", "") for name, kind in COLUMNS[data].items()}
    if found != wanted:
        sys.exit(f"the columns are {found}, expected {wanted}")
    values = ", ".join(f"{name}::varchar" for name in wanted)
    count, checksum = database.execute(f"select count(*), sum(hash({values})::hugeint) from {found_rows}").fetchone()
    print(count, checksum)


if __name__ == "__main__":
    main(*sys.argv[1:])
