"""The columns of the data, as DuckDB names their types."""

COLUMNS = {"id": "bigint", "name": "varchar", "email": "varchar", "city": "varchar", "birthday": "date",
           "amount": "decimal(12, 2)"}
