"""Generate reproducible orders as CSV: texts of low and high cardinality, and some nulls.

    python data.py OUTPUT_DIR ROWS
"""

import pathlib
import sys

import duckdb

FILES = 10

GIVEN = ["Ann", "Bartholomew", "Chen", "Dmitri", "Élodie", "Fatima", "Guadalupe", "Hiroshi", "Ingrid", "Jo", "Kwame",
         "Leandro", "Mei Ling", "Nadia", "Oluwaseun", "Priya"]
FAMILY = ["Abernathy", "Brown", "Castellanos", "D'Angelo", "Evans", "Featherstone", "García", "Hughes", "Ito",
          "Johansson", "Kowalczyk", "Lee", "Müller", "Nakamura", "Okafor", "Papadopoulos", "Quinn", "Rodriguez",
          "Smith", "Tan"]
CITY = ["Singapore", "Kuala Lumpur", "São Paulo", "New York, NY", "Paris", "Johannesburg", "Zürich", None]

# `pick(row, n, of)` is the n-th random number of a row, below `of`; `one` is that element of a list.
ROWS = """
select
    row as id,
    one($given, row, 1) || ' ' || chr((65 + pick(row, 2, 26))::int) || '. ' || one($family, row, 3) as name,
    lower(one($family, row, 3)) || '.' || pick(row, 4, 100_000)
        || '@example.' || one(['com', 'net', 'org'], row, 5) as email,
    one($city, row, 6) as city,
    date '1950-01-01' + pick(row, 7, 20_000)::int as birthday,
    (pick(row, 8, 10_000_000) / 100)::decimal(12, 2) as amount
from range($first, $last) as rows(row)
"""


def main(output_folder: str, rows: int) -> None:
    output = pathlib.Path(output_folder)
    output.mkdir(parents=True)
    database = duckdb.connect()
    database.execute("create macro pick(row, n, of) as (hash(row, n) % of)::bigint")
    database.execute("create macro one(list, row, n) as list[1 + pick(row, n, len(list))]")
    for file in range(FILES):
        first, last = rows * file // FILES, rows * (file + 1) // FILES
        values = {"given": GIVEN, "family": FAMILY, "city": CITY, "first": first, "last": last}
        database.execute(f"copy ({ROWS}) to '{output}/orders-{file:02}.csv' (format csv, header)", values)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
