"""A DAG of Airflow that runs a task of weir, and knows how the run ended by its exit code and its report."""

import json
import os
import pathlib
import subprocess
import tempfile
from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

TASK = os.environ.get("WEIR_EXAMPLE_TASK", "/opt/weir/orders/task.yaml")

DONE, WRONG_USAGE, GATE_CLOSED = 0, 2, 3


def run_weir(task_file: str, *options: str, environment: dict[str, str] | None = None) -> dict:
    """Runs a task; returns its report. Airflow tries it again unless it would fail in the same way."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        command = ["weir", "run", task_file, "--report", str(report), "--log-format", "json", *options]
        # The log on standard error becomes the log of Airflow's task. It has no values of rows.
        code = subprocess.run(command, check=False, env=os.environ | (environment or {})).returncode
        run = json.loads(report.read_text()) if report.exists() else {}
    message = run.get("message") or f"exit code {code}"
    if code == DONE and run["state"] == "skipped":
        raise AirflowSkipException(message)
    if code in (WRONG_USAGE, GATE_CLOSED):
        # A wrong task file, and data that is too bad to be published, are the same at the next attempt.
        raise AirflowFailException(message)
    if code != DONE:
        # A database that is away, or another run that holds the lock: that passes.
        raise RuntimeError(message)
    return run


@dag(
    schedule="30 6 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    # The lock of weir excludes a second run, too, but would make it fail.
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["weir"],
)
def orders():
    @task(execution_timeout=timedelta(minutes=50))
    def load(parent: str = "") -> dict[str, int]:
        # The events of OpenLineage name this task of Airflow as their parent.
        run = run_weir(TASK, environment={"OPENLINEAGE_PARENT_ID": parent} if parent else None)
        return {output["sink"]: output["rows"] for output in run["report"]["outputs"]}

    @task
    def tell(rows: dict[str, int]) -> None:
        print(f"published: {rows}")

    tell(load())


orders()
