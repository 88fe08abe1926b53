"""Generate reproducible data as CSV: orders with texts of low and high cardinality, and some nulls; or events of numbers and
times, of which one in a hundred has a time that does not exist.

    python data.py orders|events OUTPUT_DIR ROWS
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
ORDERS = """
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


EVENTS = """
select
    row as id,
    case when pick(row, 1, 100) = 0 then '2024-13-45T00:00:00'
         else strftime(timestamp '2020-01-01' + to_seconds(pick(row, 2, 150_000_000)), '%Y-%m-%dT%H:%M:%S')
    end as created_at,
    (pick(row, 3, 10_000_000) / 1000)::double as price,
    (pick(row, 4, 100_000_000) / 100_000)::double as weight,
    'C-' || pick(row, 5, 100_000) as code
from range($first, $last) as rows(row)
"""


def main(data: str, output_folder: str, rows: int) -> None:
    output = pathlib.Path(output_folder)
    output.mkdir(parents=True)
    database = duckdb.connect()
    database.execute("create macro pick(row, n, of) as (hash(row, n) % of)::bigint")
    database.execute("create macro one(list, row, n) as list[1 + pick(row, n, len(list))]")
    for file in range(FILES):
        first, last = rows * file // FILES, rows * (file + 1) // FILES
        values = {"first": first, "last": last}
        if data == "orders":
            values |= {"given": GIVEN, "family": FAMILY, "city": CITY}
        select = {"orders": ORDERS, "events": EVENTS}[data]
        database.execute(f"copy ({select}) to '{output}/{data}-{file:02}.csv' (format csv, header)", values)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
