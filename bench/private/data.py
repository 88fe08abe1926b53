"""Generate reproducible applicants as CSV, in ten files.

    python data.py OUTPUT_DIR ROWS
"""

import pathlib
import sys

import polars as pl

FILES = 10
GIVEN = ["Ann", "Bartholomew", "Chen", "Dmitri", "Elodie", "Fatima", "Guadalupe", "Hiroshi", "Ingrid", "Jo", "Kwame", "Leandro"]
FAMILY = ["Abernathy", "Brown", "Castellanos", "Evans", "Featherstone", "Hughes", "Ito", "Johansson", "Kowalczyk", "Lee", "Okafor"]


def main(folder: str, rows: int) -> None:
    output = pathlib.Path(folder)
    output.mkdir(parents=True)
    each = rows // FILES
    for number in range(FILES):
        row = pl.int_range(number * each, (number + 1) * each, eager=True)
        pick = lambda seed, of, row=row: row.hash(seed) % of
        given, family = pl.Series(GIVEN)[pick(1, len(GIVEN))], pl.Series(FAMILY)[pick(2, len(FAMILY))]
        frame = pl.DataFrame({
            "name": given + " " + family,
            "email": family.str.to_lowercase() + "." + row.cast(pl.String) + "@example.com",
            "date_of_birth": pick(3, 20_000).cast(pl.Int32).cast(pl.Date).dt.to_string("%Y-%m-%d"),
            "mobile_no": (80_000_000 + pick(4, 20_000_000)).cast(pl.String),
        })
        frame.write_csv(output / f"applicants-{number}.csv")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
