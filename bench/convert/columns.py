"""The columns of the data, with DuckDB's types."""

COLUMNS = {"id": "bigint", "name": "varchar", "email": "varchar", "city": "varchar", "birthday": "date",
           "amount": "decimal(12, 2)"}
