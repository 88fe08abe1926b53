"""A typical script: all countries' cases from a URL into PostgreSQL, with pandas and psycopg."""

import sys

import pandas
import psycopg

UPSERT = """
    insert into covid (country, measurement_date, num_cases, num_p7d_avg_cases, total_cases, days_covered, source)
    values (%s, %s, %s, %s, %s, 1, 'jhu')
    on conflict (country, measurement_date) do update set num_cases = excluded.num_cases,
        num_p7d_avg_cases = excluded.num_p7d_avg_cases, total_cases = excluded.total_cases,
        days_covered = excluded.days_covered, source = excluded.source
"""


def main(url: str, database: str) -> None:
    wide = pandas.read_csv(url).drop(columns=["Province/State", "Lat", "Long"])
    totals = wide.groupby("Country/Region").sum().melt(ignore_index=False, var_name="date", value_name="total")
    totals = totals.reset_index(names="country")
    totals["date"] = pandas.to_datetime(totals["date"], format="%m/%d/%y").dt.date
    totals = totals.sort_values(["country", "date"])
    totals["cases"] = totals.groupby("country")["total"].diff()
    totals = totals.dropna(subset=["cases"]).astype({"cases": int})
    by_country = totals.groupby("country")["cases"]
    totals["average"] = by_country.rolling(7).mean().reset_index(level=0, drop=True)
    totals["average"] = totals["average"].astype(object).where(totals["average"].notna(), None)
    rows = totals[["country", "date", "cases", "average", "total"]].itertuples(index=False, name=None)
    with psycopg.connect(database) as connection:
        connection.cursor().executemany(UPSERT, list(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
