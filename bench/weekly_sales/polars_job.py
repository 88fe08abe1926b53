"""The job of pipelines/weekly_sales in Polars: one lazy scan for the sums and the rejected sales, on the streaming engine.

    python polars_job.py INPUT_DIR OUTPUT_DIR
"""

import os
import pathlib
import sys

os.environ["POLARS_MAX_THREADS"] = "2"

import polars as pl  # noqa: E402  (reads the number of threads when imported)

import documents  # noqa: E402


def main(source: str, output: str) -> None:
    pathlib.Path(output).mkdir(parents=True)
    text = lambda name: pl.read_csv(f"{source}/{name}.csv", infer_schema=False)
    trimmed = lambda name: pl.col(name).str.strip_chars()
    product = (text("product").filter(pl.col("division").is_not_null() & pl.col("productid").is_unique())
               .select(pl.col("productid").alias("productId"), trimmed("division"), trimmed("gender"), trimmed("category")))
    store = (text("store").filter(pl.col("channel").is_not_null())
             .select(pl.col("storeid").alias("storeId"), trimmed("channel")))
    calendar = pl.read_csv(f"{source}/calendar.csv").select(
        pl.col("datekey").alias("dateId"), pl.col("datecalendaryear").alias("year"), pl.col("weeknumberofseason").alias("week"))
    reason = lambda name, holds: pl.when(holds).then(pl.lit(name))
    sale = (
        pl.scan_csv(f"{source}/sales.csv", schema={
            "saleId": pl.Int64, "netSales": pl.String, "salesUnits": pl.Int64, "storeId": pl.String, "dateId": pl.Int64,
            "productId": pl.String})
        .join(calendar.lazy(), on="dateId", how="left")
        .join(product.lazy(), on="productId", how="left")
        .join(store.lazy(), on="storeId", how="left")
        .with_columns(pl.col("netSales").cast(pl.Decimal(18, 2), strict=False).alias("net_sales"))
        .with_columns(pl.concat_str(
            reason("unreadable", pl.col("netSales").is_not_null() & pl.col("net_sales").is_null()),
            reason("unknown_date", pl.col("week").is_null()),
            reason("unknown_product", pl.col("division").is_null()),
            reason("unknown_store", pl.col("channel").is_null()),
            reason("missing_amount", pl.col("netSales").is_null() | pl.col("salesUnits").is_null()),
            separator=";", ignore_nulls=True).alias("reasons"))
    )
    rejected = sale.filter(pl.col("reasons") != "")
    sums = (
        sale.filter(pl.col("reasons") == "")
        .group_by("year", pl.col("channel").str.to_uppercase().alias("key"), "division", "gender", "category", "week")
        .agg(pl.col("channel").min(), pl.col("net_sales").sum(), pl.col("salesUnits").sum())
        .select("year", "key", "channel", "division", "gender", "category", "week", "net_sales", "salesUnits")
    )
    sums, _ = pl.collect_all([sums, rejected.sink_csv(f"{output}/rejected.csv", lazy=True)], engine="streaming")
    documents.write(sums.rows(), f"{output}/documents")


if __name__ == "__main__":
    main(*sys.argv[1:])
