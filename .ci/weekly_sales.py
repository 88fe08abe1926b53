"""Turn the real sales into documents and rows of a temporary PostgreSQL, and check both."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docker" / "grafana"))
import loaded  # noqa: E402


def main(shared: str) -> None:
    with loaded.cluster("sales") as (folder, owner):
        output = folder / "out"
        values = {"input": f"{shared}/data/weekly_sales", "output": output, "database_name": "postgres",
                  "database_port": owner.rsplit(":", 1)[1].split("/")[0]}
        # It waits for the database.
        loaded.run([loaded.built("weir"), "run", str(ROOT / "pipelines/weekly_sales/weekly_sales.yaml"), "--quiet",
                    "--state", str(folder / "state"),
                    *(part for name, value in values.items() for part in ("--param", f"{name}={value}"))],
                   env=os.environ | {"SALES_PASSWORD": "sales"})
        documents = output / "documents"
        subprocess.run([sys.executable, f"{shared}/acceptance/check.py", "weekly_sales", str(documents)], check=True)
        rows = {key: json.loads(body) for key, body in loaded.Database(owner).rows("select unique_key, body from weekly_sales")}
        files = {file.stem: json.loads(file.read_text()) for file in documents.glob("*.json")}
        if rows != files:
            sys.exit(f"the table has other documents than the folder: {sorted(rows)}, {sorted(files)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
