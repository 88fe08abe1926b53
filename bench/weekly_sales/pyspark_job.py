"""The job of pipelines/weekly_sales in Spark on one machine: broadcast joins, one action for the sums and one for what is rejected.

    python pyspark_job.py INPUT_DIR OUTPUT_DIR
"""

import sys

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

import documents

GROUP = ["year", "key", "division", "gender", "category", "week"]


def joined(spark: SparkSession, source: str) -> DataFrame:
    text = lambda name: spark.read.csv(f"{source}/{name}.csv", header=True)
    product = (text("product").withColumn("times", F.count("*").over(Window.partitionBy("productid")))
               .where("division is not null and times = 1")
               .select(F.col("productid").alias("productId"), F.trim("division").alias("division"),
                       F.trim("gender").alias("gender"), F.trim("category").alias("category")))
    store = text("store").where("channel is not null").select(F.col("storeid").alias("storeId"), F.trim("channel").alias("channel"))
    calendar = text("calendar").selectExpr(
        "cast(datekey as bigint) as dateId", "cast(datecalendaryear as int) as year", "cast(weeknumberofseason as int) as week")
    sale = spark.read.csv(f"{source}/sales.csv", header=True, enforceSchema=True, schema=(
        "saleId bigint, netSales string, salesUnits int, storeId string, dateId bigint, productId string"))
    reason = lambda name, holds: F.when(holds, F.lit(name))
    return (
        sale.join(F.broadcast(calendar), "dateId", "left").join(F.broadcast(product), "productId", "left")
        .join(F.broadcast(store), "storeId", "left")
        .withColumn("net_sales", F.col("netSales").try_cast("decimal(18,2)"))
        .withColumn("reasons", F.concat_ws(
            ";",
            reason("unreadable", F.col("netSales").isNotNull() & F.col("net_sales").isNull()),
            reason("unknown_date", F.col("week").isNull()),
            reason("unknown_product", F.col("division").isNull()),
            reason("unknown_store", F.col("channel").isNull()),
            reason("missing_amount", F.col("netSales").isNull() | F.col("salesUnits").isNull())))
    )


def main(source: str, output: str) -> None:
    spark = (SparkSession.builder.master("local[2]").config("spark.driver.memory", "4g").config("spark.ui.enabled", "false")
             .config("spark.sql.shuffle.partitions", "2").getOrCreate())
    spark.sparkContext.setLogLevel("ERROR")
    sale = joined(spark, source)
    sale.where("reasons <> ''").write.csv(f"{output}/rejected", header=True)
    sums = (sale.where("reasons = ''").withColumn("key", F.upper("channel")).groupBy(*GROUP)
            .agg(F.min("channel").alias("channel"), F.sum("net_sales").alias("net_sales"), F.sum("salesUnits").alias("sales_units"))
            .select("year", "key", "channel", "division", "gender", "category", "week", "net_sales", "sales_units"))
    documents.write((tuple(row) for row in sums.collect()), f"{output}/documents")
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
