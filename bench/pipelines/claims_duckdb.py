"""The pipeline `claims` in DuckDB with its extensions for MySQL and PostgreSQL: tables in memory, then one transaction.

The extensions are packages of the Python index: `install mysql` needs DuckDB's own server. The latest version of DuckDB
that they exist for there is older than that of the other benchmarks.

    python claims_duckdb.py MARIADB_PORT POSTGRES_PORT DATABASE USER PASSWORD
"""

import sys

import duckdb
from duckdb_extensions import import_extension

from claims_tables import TABLES, publication

THREADS = 2

# The source has the names of its columns in capital letters.
RAW = {
    "treatment": "id status type date_created date_modified date_submitted date_treatment provider_id program_id",
    "claim": "id status type date_created date_modified treatment_id program_id amount currency",
    "invoice": "id status date_created treatment_id",
    "invoice_item": "id status date_created invoice_id product_id currency amount",
}

MODELS = {
    "repaired_treatment": """
        with treatment as (
            select
                *,
                coalesce(regexp_matches(type, '^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}'), false)
                    as repaired
            from raw_treatment
        ),
        parsed as (select *, try_cast(type as timestamp) as type_time from treatment)
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
        from parsed
        where not (repaired and type_time is null)
            and coalesce(status, type, date_created::text, date_modified::text, date_submitted::text,
                date_treatment::text, provider_id::text, program_id::text) is not null""",
    "treatment": """
        with last_claim as (
            select treatment_id, program_id
            from raw_claim
            where treatment_id is not null
            qualify row_number() over (partition by treatment_id order by date_modified desc nulls last, id desc) = 1
        )
        select treatment.* replace (coalesce(claim.program_id, treatment.program_id) as program_id)
        from repaired_treatment as treatment
        left join last_claim as claim on claim.treatment_id = treatment.id""",
    "claim": """
        select claim.* replace (coalesce(claim.date_created, treatment.date_created) as date_created)
        from raw_claim as claim
        left join repaired_treatment as treatment on treatment.id = claim.treatment_id
        where coalesce(claim.status, claim.type, coalesce(claim.date_created, treatment.date_created)::text,
            claim.date_modified::text, claim.treatment_id::text, claim.program_id::text, claim.amount::text,
            claim.currency) is not null""",
    "invoice": """
        select invoice.* replace (coalesce(invoice.date_created, treatment.date_created) as date_created)
        from raw_invoice as invoice
        left join repaired_treatment as treatment on treatment.id = invoice.treatment_id
        where coalesce(invoice.status, coalesce(invoice.date_created, treatment.date_created)::text,
            invoice.treatment_id::text) is not null""",
    "invoice_item": """
        select item.* replace (coalesce(item.date_created, treatment.date_created) as date_created)
        from raw_invoice_item as item
        left join raw_invoice as invoice on invoice.id = item.invoice_id
        left join repaired_treatment as treatment on treatment.id = invoice.treatment_id
        where coalesce(item.status, coalesce(item.date_created, treatment.date_created)::text, item.invoice_id::text,
                item.product_id::text, item.currency, item.amount::text) is not null
            and (item.product_id is null or item.product_id >= 0)
            and (item.amount is null or item.amount <> 0)""",
    "claims_by_status": """
        select
            coalesce(status, 'unknown') as status, coalesce(currency, 'unknown') as currency, count(*) as claims,
            sum(amount) as total_amount, max(amount) as max_amount, min(amount) as min_amount,
            (sum(amount) / count(amount))::decimal(18,2) as avg_amount
        from claim
        group by all""",
    "invoices_by_claim_status": """
        select
            coalesce(claim.status, 'unknown') as claim_status, count(distinct invoice.id) as invoices,
            max(invoice.date_created) as latest_invoice_date
        from claim
        join invoice on invoice.treatment_id = claim.treatment_id
        group by all""",
}


def main(mariadb_port: str, postgres_port: str, database: str, user: str, password: str) -> None:
    duck = duckdb.connect()
    duck.execute(f"set threads = {THREADS}")
    for name in ["mysql", "postgres"]:
        # `postgres` is also a name of `postgres_scanner`, by which DuckDB loads it.
        import_extension(name, con=duck)
        duck.load_extension(name)
    login = f"user={user} password={password} database={database} ssl_mode=disabled"
    duck.execute(f"attach 'host=127.0.0.1 port={mariadb_port} {login}' as source (type mysql, read_only)")
    target = f"host=127.0.0.1 port={postgres_port} user=owner dbname=warehouse"
    duck.execute(f"attach '{target}' as warehouse (type postgres)")
    for name, columns in RAW.items():
        renamed = ", ".join(f"{column} as {column}" for column in columns.split())
        duck.execute(f"create table raw_{name} as select {renamed} from source.{name.upper()}")
    for name, query in MODELS.items():
        duck.execute(f"create table {name} as {query}")
    duck.execute("begin")
    duck.execute("create schema warehouse.staging")
    for name in TABLES:
        duck.execute(f"create table warehouse.staging.{name} as select * from memory.{name}")
    for sql in publication():
        duck.execute("call postgres_execute('warehouse', ?)", [sql])
    duck.execute("commit")


if __name__ == "__main__":
    main(*sys.argv[1:])
