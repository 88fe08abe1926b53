"""What the peers of weir share: the keys and indexes of the warehouse, and the statements that publish it.

Each peer writes its tables as `staging.NAME`; then one transaction makes the keys and indexes that the task declares,
and replaces the tables that were there.
"""

TABLES = {
    "treatment": (["id"], ["program_id", "date_created"]),
    "claim": (["id"], ["treatment_id", "date_created"]),
    "invoice": (["id"], ["treatment_id", "date_created"]),
    "invoice_item": (["id"], ["invoice_id", "product_id"]),
    "claims_by_status": (["status", "currency"], []),
    "invoices_by_claim_status": (["claim_status"], []),
}


def publication() -> list[str]:
    """The statements of the transaction, without its begin and commit."""
    statements = []
    for table, (key, indexed) in TABLES.items():
        statements.append(f"alter table staging.{table} add primary key ({', '.join(key)})")
        statements += [f"create index on staging.{table} ({column})" for column in indexed]
        statements.append(f"drop table if exists public.{table}")
        statements.append(f"alter table staging.{table} set schema public")
    return [*statements, "drop schema staging"]
