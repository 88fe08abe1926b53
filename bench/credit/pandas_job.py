"""The job of pipelines/credit with boto3, pandas and SQLAlchemy: each file of the bucket that is not loaded yet is read,
judged and merged into the table, in a transaction of its own, and rejected loans are written to files with their reasons.

    python pandas_job.py S3_ENDPOINT BUCKET DATABASE_URL REJECTED_FOLDER [FROM TO]

FROM and TO are the first and the last hour, as 2022-01-01T09; without them all files are loaded.
"""

import io
import pathlib
import re
import sys

import boto3
import pandas as pd
from sqlalchemy import (BigInteger, Column, Integer, MetaData, Numeric, String, Table, case, create_engine,
                        insert, select)
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.dialects.mysql import insert as upsert

BATCH = 1000
INTEGERS = ["SeriousDlqin2yrs", "age", "NumberOfTime30-59DaysPastDueNotWorse", "MonthlyIncome",
            "NumberOfOpenCreditLinesAndLoans", "NumberOfTimes90DaysLate", "NumberRealEstateLoansOrLines",
            "NumberOfTime60-89DaysPastDueNotWorse", "NumberOfDependents"]
RATIOS = ["RevolvingUtilizationOfUnsecuredLines", "DebtRatio"]
COUNTS = ["NumberOfTime30-59DaysPastDueNotWorse", "NumberOfOpenCreditLinesAndLoans", "NumberOfTimes90DaysLate",
          "NumberRealEstateLoansOrLines", "NumberOfTime60-89DaysPastDueNotWorse", "NumberOfDependents"]

metadata = MetaData()
loan = Table(
    "loan", metadata, Column("id", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, BigInteger if name == "MonthlyIncome" else Integer) for name in INTEGERS),
    *(Column(name, Numeric(18, 9)) for name in RATIOS),
    Column("window_start", DATETIME(fsp=6), index=True),
)
loaded = Table("loaded", metadata, Column("name", String(200), primary_key=True))


def main(endpoint: str, bucket: str, database: str, rejected: str, first: str = "", last: str = "~") -> None:
    store = boto3.client("s3", endpoint_url=endpoint)
    engine = create_engine(database)
    metadata.create_all(engine)
    with engine.connect() as connection:
        known = set(connection.scalars(select(loaded.c.name)))
    pages = store.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    names = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    for name in sorted(names):
        year, month, day, hour = re.findall(r"=(\d+)", name)
        window = f"{year}-{month}-{day}T{hour}"
        if name not in known and first <= window <= last:
            content = store.get_object(Bucket=bucket, Key=name)["Body"].read()
            load(engine, name, pd.Timestamp(f"{window}:00:00"), content, pathlib.Path(rejected))


def load(engine, name: str, window: pd.Timestamp, content: bytes, rejected: pathlib.Path) -> None:
    frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, na_values=["", "NA"])
    frame = frame.rename(columns={frame.columns[0]: "id"})
    values, unreadable = {}, pd.Series(False, index=frame.index)
    for column in ["id", *INTEGERS, *RATIOS]:
        # A decimal is kept as its text, which the server reads exactly.
        numbers = pd.to_numeric(frame[column], errors="coerce")
        unreadable |= numbers.isna() & frame[column].notna()
        values[column] = frame[column] if column in RATIOS else numbers.astype("Int64")
    typed = pd.DataFrame(values)
    ratios = {column: pd.to_numeric(frame[column], errors="coerce") for column in RATIOS}
    reasons = {
        "unreadable": unreadable,
        "missing_id": typed["id"].isna(),
        "unknown_delinquency": ~typed["SeriousDlqin2yrs"].isin([0, 1]),
        "implausible_age": ~typed["age"].between(18, 120).fillna(False).astype(bool),
        "negative_ratio": ~((ratios[RATIOS[0]] >= 0) & (ratios[RATIOS[1]] >= 0)),
        "negative_income": (typed["MonthlyIncome"] < 0).fillna(False).astype(bool),
        "negative_count": (typed[COUNTS] < 0).fillna(False).astype(bool).any(axis=1),
    }
    failed = pd.DataFrame(reasons)
    bad = failed.any(axis=1)
    if bad.any():
        why = failed[bad].apply(lambda row: ";".join(row.index[row]), axis=1)
        folder = rejected / f"{window:%Y-%m-%dT%H}"
        folder.mkdir(parents=True, exist_ok=True)
        frame[bad].assign(reasons=why).to_csv(folder / "rejected.csv", index=False)
    good = typed[~bad].assign(window_start=window.to_pydatetime())
    rows = good.astype(object).where(good.notna(), None).to_dict("records")
    with engine.begin() as connection:
        merge = upsert(loan)
        newer = merge.inserted.window_start >= loan.c.window_start
        # In this order: MySQL assigns one after the other.
        columns = [column.name for column in loan.columns if column.name not in ("id", "window_start")] + ["window_start"]
        merge = merge.on_duplicate_key_update(
            [(column, case((newer, merge.inserted[column]), else_=loan.c[column])) for column in columns])
        for start in range(0, len(rows), BATCH):
            connection.execute(merge, rows[start:start + BATCH])
        connection.execute(insert(loaded), {"name": name})


if __name__ == "__main__":
    main(*sys.argv[1:])
