"""The columns of the data, with DuckDB's types."""

COLUMNS = {
    "orders": {"id": "bigint", "name": "varchar", "email": "varchar", "city": "varchar", "birthday": "date",
               "amount": "decimal(12, 2)"},
    "events": {"id": "bigint", "created_at": "timestamp", "price": "double", "weight": "double", "code": "varchar"},
}
