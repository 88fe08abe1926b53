"""An asset of Dagster that a task of weir computes; how the run ended is known by its exit code and its report."""

import json
import os
import pathlib
import subprocess
import tempfile

from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    Backoff,
    Definitions,
    Failure,
    MaterializeResult,
    RetryPolicy,
    ScheduleDefinition,
    asset,
    define_asset_job,
)

TASK = os.environ.get("WEIR_EXAMPLE_TASK", "/opt/weir/orders/task.yaml")

# Seconds before the first retry.
RETRY_DELAY = float(os.environ.get("WEIR_EXAMPLE_RETRY_DELAY", "60"))

DONE, WRONG_USAGE, GATE_CLOSED = 0, 2, 3


def run_weir(task_file: str, *options: str) -> dict:
    """Runs a task; returns its report. Dagster tries it again unless it would fail in the same way."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        command = ["weir", "run", task_file, "--report", str(report), "--log-format", "json", *options]
        code = subprocess.run(command, check=False).returncode
        run = json.loads(report.read_text()) if report.exists() else {}
    if code != DONE:
        # A wrong task file, and data that is too bad to be published, are the same at the next attempt.
        description = run.get("message") or f"exit code {code}"
        raise Failure(description, allow_retries=code not in (WRONG_USAGE, GATE_CLOSED))
    return run


@asset(
    retry_policy=RetryPolicy(max_retries=2, delay=RETRY_DELAY, backoff=Backoff.EXPONENTIAL),
    check_specs=[AssetCheckSpec("no_rejected_rows", asset="orders")],
)
def orders(context: AssetExecutionContext) -> MaterializeResult:
    """The orders, as the task publishes them."""
    run = run_weir(TASK)
    report = run["report"]
    context.log.info(f"run {run['id']} ended as {run['state']}")
    rejected = sum(table["rejected"] for table in report["tables"])
    return MaterializeResult(
        metadata={
            "run": run["id"],
            "state": run["state"],
            "rows": sum(output["rows"] for output in report["outputs"]),
            "seconds": run["seconds"],
            "peak_memory": run["peak_memory"],
        },
        # Rows that were rejected are in the quarantine of the task; the gate decides whether there are too many.
        check_results=[
            AssetCheckResult(passed=rejected == 0, check_name="no_rejected_rows", metadata={"rejected": rejected})
        ],
    )


load_orders = define_asset_job("load_orders", selection=[orders])

definitions = Definitions(
    assets=[orders],
    jobs=[load_orders],
    schedules=[ScheduleDefinition(job=load_orders, cron_schedule="30 6 * * *", execution_timezone="UTC")],
)
