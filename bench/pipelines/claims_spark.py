"""The pipeline `claims` in Spark on one machine: JDBC in two partitions a table, Spark SQL, JDBC into staging tables.

    python claims_spark.py JARS MARIADB_PORT POSTGRES_PORT DATABASE USER PASSWORD
"""

import sys

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession

from claims_tables import TABLES, publication

PARTITIONS = 2

REPAIRED_TREATMENT = """
with treatment as (
    select *, coalesce(type rlike '^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}', false) as repaired
    from raw_treatment
),
cast as (select *, try_cast(type as timestamp_ntz) as type_time from treatment)
select
    id,
    status,
    case when not repaired then type end as type,
    case when repaired then type_time else date_created end as date_created,
    case when repaired then date_created else date_modified end as date_modified,
    case when repaired then date_modified else date_submitted end as date_submitted,
    case when repaired then date_submitted else date_treatment end as date_treatment,
    case when not repaired then provider_id end as provider_id,
    case when repaired then provider_id else program_id end as program_id,
    repaired
from cast
where not (repaired and type_time is null)
    and coalesce(status, type, string(date_created), string(date_modified), string(date_submitted),
        string(date_treatment), string(provider_id), string(program_id)) is not null
"""

TREATMENT = """
with last_claim as (
    select
        treatment_id,
        program_id,
        row_number() over (partition by treatment_id order by date_modified desc nulls last, id desc) as place
    from raw_claim
    where treatment_id is not null
)
select
    treatment.* except (program_id, repaired), coalesce(claim.program_id, treatment.program_id) as program_id, repaired
from repaired_treatment as treatment
left join last_claim as claim on claim.treatment_id = treatment.id and claim.place = 1
"""

CLAIM = """
select
    claim.id, claim.status, claim.type, coalesce(claim.date_created, treatment.date_created) as date_created,
    claim.date_modified, claim.treatment_id, claim.program_id, claim.amount, claim.currency
from raw_claim as claim
left join repaired_treatment as treatment on treatment.id = claim.treatment_id
where coalesce(claim.status, claim.type, string(coalesce(claim.date_created, treatment.date_created)),
    string(claim.date_modified), string(claim.treatment_id), string(claim.program_id), string(claim.amount),
    claim.currency) is not null
"""

INVOICE = """
select
    invoice.id, invoice.status, coalesce(invoice.date_created, treatment.date_created) as date_created,
    invoice.treatment_id
from raw_invoice as invoice
left join repaired_treatment as treatment on treatment.id = invoice.treatment_id
where coalesce(invoice.status, string(coalesce(invoice.date_created, treatment.date_created)),
    string(invoice.treatment_id)) is not null
"""

INVOICE_ITEM = """
select
    item.id, item.status, coalesce(item.date_created, treatment.date_created) as date_created, item.invoice_id,
    item.product_id, item.currency, item.amount
from raw_invoice_item as item
left join raw_invoice as invoice on invoice.id = item.invoice_id
left join repaired_treatment as treatment on treatment.id = invoice.treatment_id
where coalesce(item.status, string(coalesce(item.date_created, treatment.date_created)), string(item.invoice_id),
        string(item.product_id), item.currency, string(item.amount)) is not null
    and (item.product_id is null or item.product_id >= 0)
    and (item.amount is null or item.amount <> 0)
"""

CLAIMS_BY_STATUS = """
select
    coalesce(status, 'unknown') as status, coalesce(currency, 'unknown') as currency, count(*) as claims,
    sum(amount) as total_amount, max(amount) as max_amount, min(amount) as min_amount,
    cast(avg(amount) as decimal(18,2)) as avg_amount
from claim
group by 1, 2
"""

INVOICES_BY_CLAIM_STATUS = """
select
    coalesce(claim.status, 'unknown') as claim_status, count(distinct invoice.id) as invoices,
    max(invoice.date_created) as latest_invoice_date
from claim
join invoice on invoice.treatment_id = claim.treatment_id
group by 1
"""

QUERIES = {
    "treatment": TREATMENT,
    "claim": CLAIM,
    "invoice": INVOICE,
    "invoice_item": INVOICE_ITEM,
    "claims_by_status": CLAIMS_BY_STATUS,
    "invoices_by_claim_status": INVOICES_BY_CLAIM_STATUS,
}


def main(jars: str, mariadb_port: str, postgres_port: str, database: str, user: str, password: str) -> None:
    spark = (
        SparkSession.builder.master(f"local[{PARTITIONS}]")
        .config("spark.driver.extraClassPath", jars)
        .config("spark.driver.memory", "4g")
        .config("spark.sql.shuffle.partitions", PARTITIONS)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", False)
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    source = {
        "url": f"jdbc:mysql://127.0.0.1:{mariadb_port}/{database}?permitMysqlScheme&useSSL=false",
        "driver": "org.mariadb.jdbc.Driver",
        "user": user,
        "password": password,
        "preferTimestampNTZ": True,
    }

    def table(name: str) -> DataFrame:
        (least, most), = spark.read.format("jdbc").options(
            **source, query=f"select min(ID) as least, max(ID) as most from {name}").load().collect()
        halves = {"partitionColumn": "ID", "lowerBound": least, "upperBound": most + 1, "numPartitions": PARTITIONS}
        rows = spark.read.format("jdbc").options(**source, dbtable=name, **halves).load()
        return rows.toDF(*(column.lower() for column in rows.columns))

    # What several tables are computed from is cached.
    for name in ["treatment", "claim", "invoice", "invoice_item"]:
        rows = table(name.upper())
        if name in ["claim", "invoice"]:
            rows = rows.persist(StorageLevel.MEMORY_AND_DISK)
        rows.createOrReplaceTempView(f"raw_{name}")
    spark.sql(REPAIRED_TREATMENT).persist(StorageLevel.MEMORY_AND_DISK).createOrReplaceTempView("repaired_treatment")

    url = f"jdbc:postgresql://127.0.0.1:{postgres_port}/warehouse?reWriteBatchedInserts=true"
    properties = {"driver": "org.postgresql.Driver", "user": "owner", "batchsize": "10000"}
    jvm = spark.sparkContext._jvm
    # The JDBC driver of the class path is visible to the driver manager once it is loaded.
    jvm.java.lang.Class.forName("org.postgresql.Driver")
    connection = jvm.java.sql.DriverManager.getConnection(url, "owner", "")
    statement = connection.createStatement()
    statement.execute("drop schema if exists staging cascade")
    statement.execute("create schema staging")
    for name in TABLES:
        rows = spark.sql(QUERIES[name])
        if name in ["claim", "invoice"]:
            rows = rows.persist(StorageLevel.MEMORY_AND_DISK)
            rows.createOrReplaceTempView(name)
        rows.write.jdbc(url, f"staging.{name}", mode="overwrite", properties=properties)
    connection.setAutoCommit(False)
    for sql in publication():
        statement.execute(sql)
    connection.commit()
    connection.close()
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
