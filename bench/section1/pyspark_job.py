"""The section1 job in Spark on one machine: every row is evaluated once into the cache, then one write per route.

    python pyspark_job.py INPUT_DIR OUTPUT_DIR
"""

import sys

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

COLUMNS = ["name", "email", "date_of_birth", "mobile_no"]

# Titles match regardless of case and full stops.
DOTTED = {word: r"\.*" + r"\.*".join(word) + r"\.*" for word in
          "mr mrs ms miss dr prof md dds dvm phd jr sr ii iii iv v".split()}
HONORIFIC = "(?:" + "|".join(DOTTED[word] for word in "mr mrs ms miss dr prof".split()) + ")"
SUFFIX = "(?:" + "|".join(DOTTED[word] for word in "md dds dvm phd jr sr ii iii iv v".split()) + ")"
# Most names have no title and no unusual white space: one search avoids the three replacements.
TO_CLEAN = rf"(?i)^{HONORIFIC}(?:\s|\z)|(?:\s|^){SUFFIX},?\z|^\s|\s\z|\s\s|[\t\n\x0B\f\r]"
HONORIFICS = rf"(?i)^\s*(?:{HONORIFIC}(?:\s+|\z))+"
SUFFIXES = rf"(?i)(?:(?:^|,?\s+){SUFFIX})+,?\s*\z"


def first_reason(*reasons: tuple[str, Column]) -> Column:
    """The first of `reasons` that applies, or null."""
    chosen = F.lit(None)
    for reason, holds in reversed(reasons):
        chosen = F.when(holds, reason).otherwise(chosen)
    return chosen


def birthday(text: Column) -> Column:
    """The date in one of its four formats, or null."""
    part = lambda start, length: F.substring(text, start, length)
    separators = lambda first, second, sign: (part(first, 1) == sign) & (part(second, 1) == sign)
    iso = (
        F.when(separators(5, 8, "-"), text)
        .when(separators(5, 8, "/"), F.replace(text, F.lit("/"), F.lit("-")))
        .when(separators(3, 6, "-"), F.concat_ws("-", part(7, 99), part(4, 2), part(1, 2)))
        .when(separators(3, 6, "/"), F.concat_ws("-", part(7, 99), part(1, 2), part(4, 2)))
    )
    # The cast alone would accept a one-digit month, or a time after the date.
    return F.when(iso.rlike(r"^\d{4}-\d\d-\d\d\z"), iso.try_cast("date"))


def evaluated(spark: SparkSession, input_folder: str) -> DataFrame:
    """The input columns, the derived columns, and `reasons`, empty for a successful row."""
    applications = spark.read.csv(
        f"{input_folder}/*.csv",
        schema=", ".join(f"{column} string" for column in COLUMNS),
        header=True,
        escape='"',
        multiLine=True,
        enforceSchema=True,
    )
    name, email, birth, mobile = (F.coalesce(column, F.lit("")) for column in COLUMNS)
    cleaned = F.regexp_replace(F.regexp_replace(name, HONORIFICS, ""), SUFFIXES, "")
    bare_name = F.when(name.rlike(TO_CLEAN), F.trim(F.regexp_replace(cleaned, r"\s+", " "))).otherwise(name)
    return (
        applications
        .withColumns({"bare_name": bare_name, "birthday": birthday(F.trim(birth, F.lit(" \t\r\n")))})
        .withColumn("reasons", F.concat_ws(
            ";",
            first_reason(
                ("missing_name", F.col("bare_name") == ""),
                ("incomplete_name", ~F.col("bare_name").contains(" ")),
            ),
            first_reason(
                ("invalid_birthday", F.col("birthday").isNull()),
                ("under_18", F.col("birthday") > F.lit("2004-01-01").cast("date")),
            ),
            first_reason(("invalid_mobile", ~mobile.rlike(r"^[ -]*(?:[0-9][ -]*){8}\z"))),
            first_reason(("invalid_email", ~email.rlike(r"(?is)^[^@]+@[^@]+\.(?:com|net)\z"))),
        ))
    )


def main(input_folder: str, output_folder: str) -> None:
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "4g")
        .config("spark.sql.inMemoryColumnarStorage.compressed", False)
        .config("spark.ui.enabled", False)
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    rows = evaluated(spark, input_folder).cache()
    last_name = F.substring_index("bare_name", " ", -1)
    birthday_text = F.date_format("birthday", "yyyyMMdd")
    successful = rows.where(F.col("reasons") == "").select(
        F.left("bare_name", F.length("bare_name") - F.length(last_name) - 1).alias("first_name"),
        last_name.alias("last_name"),
        "email",
        birthday_text.alias("date_of_birth"),
        F.replace(F.replace("mobile_no", F.lit(" ")), F.lit("-")).alias("mobile_no"),
        F.lit(True).alias("above_18"),
        F.concat(last_name, F.lit("_"), F.left(F.sha2(birthday_text, 256), F.lit(5))).alias("membership_id"),
    )
    unsuccessful = rows.where(F.col("reasons") != "").select(*COLUMNS, "reasons")
    for folder, route in (("successful_application", successful), ("unsuccessful_application", unsuccessful)):
        route.write.csv(
            f"{output_folder}/{folder}",
            header=True,
            escape='"',
            ignoreLeadingWhiteSpace=False,
            ignoreTrailingWhiteSpace=False,
        )
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
