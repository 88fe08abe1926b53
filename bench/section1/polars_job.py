"""The section1 job in Polars: one lazy scan, evaluated once, with one sink per route, on the streaming engine.

    python polars_job.py INPUT_DIR OUTPUT_DIR
"""

import datetime
import hashlib
import os
import pathlib
import sys

os.environ["POLARS_MAX_THREADS"] = "2"

import polars as pl  # noqa: E402  (reads the number of threads when imported)

COLUMNS = ["name", "email", "date_of_birth", "mobile_no"]
REASONS = ["missing_name", "incomplete_name", "invalid_birthday", "under_18", "invalid_mobile", "invalid_email"]

# Titles match regardless of case and full stops.
DOTTED = {word: r"\.*" + r"\.*".join(word) + r"\.*" for word in
          "mr mrs ms miss dr prof md dds dvm phd jr sr ii iii iv v".split()}
HONORIFIC = "(?:" + "|".join(DOTTED[word] for word in "mr mrs ms miss dr prof".split()) + ")"
SUFFIX = "(?:" + "|".join(DOTTED[word] for word in "md dds dvm phd jr sr ii iii iv v".split()) + ")"
HONORIFICS = rf"(?i-u)^\s*(?:{HONORIFIC}(?:\s+|$))+"
SUFFIXES = rf"(?i-u)(?:(?:^|,?\s+){SUFFIX})+,?\s*$"
ODD_SPACE = r"(?-u)\s\s+|[\t\n\x0B\f\r]"

# Polars has no SHA-256: a table with the digests of all possible adults' birthdays is joined.
FIRST_DAY, LAST_ADULT = datetime.date(1900, 1, 1), datetime.date(2004, 1, 1)


def as_number(day: datetime.date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


def calendar() -> pl.LazyFrame:
    texts = pl.date_range(FIRST_DAY, LAST_ADULT, eager=True).dt.to_string("%Y%m%d")
    return pl.LazyFrame({
        "from_first_day": texts.cast(pl.UInt32) - as_number(FIRST_DAY),
        "birthday_text": texts,
        "digest": [hashlib.sha256(text.encode()).hexdigest()[:5] for text in texts],
    })


def evaluated(input_folder: str) -> pl.LazyFrame:
    """The input columns, the derived columns, and `against`: one bit per reason."""
    name, email, birth, mobile = map(pl.col, COLUMNS)
    bare_name = (
        name.str.replace(HONORIFICS, "").str.replace(SUFFIXES, "").str.replace_all(ODD_SPACE, " ").str.strip_chars(" ")
    )
    birth = birth.str.strip_chars()
    digits = birth.str.replace_many(["-", "/"], ["", ""]).cast(pl.Int32, strict=False)
    year_first = birth.str.contains(r"(?-u)^\d{4}(?:-\d\d-|/\d\d/)\d\d$")
    day_first = birth.str.contains(r"(?-u)^\d\d-\d\d-\d{4}$")
    month_first = birth.str.contains(r"(?-u)^\d\d/\d\d/\d{4}$")
    number = (
        pl.when(year_first).then(digits)
        .when(day_first).then(digits % 10_000 * 10_000 + digits // 10_000 % 100 * 100 + digits // 1_000_000)
        .when(month_first).then(digits % 10_000 * 10_000 + digits // 10_000)
    )
    year, month, day = pl.col("number") // 10_000, pl.col("number") // 100 % 100, pl.col("number") % 100
    is_leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days = (
        pl.when(month == 2).then(28 + is_leap.cast(pl.Int32))
        .when(month.is_in([4, 6, 9, 11])).then(30)
        .otherwise(31)
    )
    is_day = ((year >= 1) & month.is_between(1, 12) & (day >= 1) & (day <= days)).fill_null(False)
    against = [
        pl.col("bare_name") == "",
        (pl.col("bare_name") != "") & ~pl.col("bare_name").str.contains(" ", literal=True),
        ~is_day,
        is_day & (pl.col("number") > as_number(LAST_ADULT)),
        ~mobile.str.contains(r"^[ -]*(?:[0-9][ -]*){8}$"),
        ~email.str.contains(r"(?is)^[^@]+@[^@]+\.(?:com|net)$"),
    ]
    files = sorted(pathlib.Path(input_folder).glob("*.csv"))
    return (
        pl.scan_csv(files, schema=dict.fromkeys(COLUMNS, pl.String), empty_string_is_null=False)
        .with_columns(bare_name=bare_name, number=number)
        .with_columns(against=sum(rule.cast(pl.UInt8) * 2**bit for bit, rule in enumerate(against)))
    )


def main(input_folder: str, output_folder: str) -> None:
    rows = evaluated(input_folder)
    last_name = pl.col("bare_name").str.split(" ").list.last()
    successful = (
        rows.filter(against=0)
        # The cast fails on a birthday before the calendar's start, which would otherwise join to nothing.
        .with_columns(from_first_day=(pl.col("number") - as_number(FIRST_DAY)).cast(pl.UInt32), last_name=last_name)
        .join(calendar(), on="from_first_day", how="left", maintain_order="none")
        .select(
            first_name=pl.col("bare_name").str.head(-1 - pl.col("last_name").str.len_chars().cast(pl.Int64)),
            last_name="last_name",
            email="email",
            date_of_birth="birthday_text",
            mobile_no=pl.col("mobile_no").str.replace_many([" ", "-"], ["", ""]),
            above_18=True,
            membership_id=pl.col("last_name") + "_" + pl.col("digest"),
        )
    )
    texts = [";".join(reason for bit, reason in enumerate(REASONS) if mask >> bit & 1) for mask in range(64)]
    reasons = pl.col("against").replace_strict(range(64), texts, return_dtype=pl.String)
    unsuccessful = rows.filter(pl.col("against") != 0).select(*COLUMNS, reasons=reasons)

    sinks = [
        route.sink_csv(pathlib.Path(output_folder, folder, "part.csv"), mkdir=True, maintain_order=False, lazy=True)
        for folder, route in (("successful_application", successful), ("unsuccessful_application", unsuccessful))
    ]
    pl.collect_all(sinks, engine="streaming")


if __name__ == "__main__":
    main(*sys.argv[1:])
