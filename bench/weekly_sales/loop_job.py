"""Rows of a Parquet file, each written into a file of its own by a plain loop; at the end everything is synced once.

    python loop_job.py INPUT_DIR OUTPUT_DIR
    python loop_job.py --generate ROWS DIR
"""

import os
import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def main(source: str, output: str) -> None:
    os.makedirs(output)
    for file in sorted(pathlib.Path(source).glob("*.parquet")):
        for batch in pq.ParquetFile(file).iter_batches(columns=["id", "body"]):
            for name, body in zip(batch["id"].to_pylist(), batch["body"].to_pylist()):
                with open(f"{output}/{name}.json", "w") as out:
                    out.write(body)
    os.sync()


def generate(rows: int, folder: str) -> None:
    weeks = ",".join(f'"W{week}":%d.%02d' for week in range(1, 53))
    body = lambda row: '{"id":%d,"weeks":{%s}}' % (row, weeks % tuple((row * 7919 + part) % 97 for part in range(104)))
    table = pa.table({"id": [f"document-{row:08}" for row in range(rows)], "body": [body(row) for row in range(rows)]})
    pq.write_table(table, f"{folder}/rows.parquet", row_group_size=10_000)


if __name__ == "__main__":
    if sys.argv[1] == "--generate":
        generate(int(sys.argv[2]), sys.argv[3])
    else:
        main(*sys.argv[1:])
