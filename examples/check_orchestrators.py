#!/usr/bin/env python3
"""Imports the examples for Airflow and Dagster as these do, and lets them run a task with a real weir: one that is published, one
without new files, one whose gate closes, one that is wrong, and one whose lock is held.

Needs the packages of requirements-orchestrators.txt and a built `weir` (cargo build -p weir)."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pathlib
import sys
import tempfile
from types import ModuleType

HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))

TASK = """
name: orders
sources:
  order:
    files: {path: "incoming/*.csv", format: csv}
    read: new
    columns: {id: bigint, amount: "decimal(12,2)"}
models: {positive: positive.sql}
quality:
  positive: {reject_unless: {amount_positive: amount > 0}, gate: {max_rejected: 50%}}
sinks:
  orders: {from: positive, mode: append, files: {path: out/orders, format: csv}}
  refused: {from: positive.rejected, mode: append, files: {path: out/refused, format: csv}}
  unreadable: {from: order.rejected, mode: append, files: {path: out/unreadable, format: csv}}
"""


class Task:
    """A task in a folder of its own."""

    def __init__(self, folder: str) -> None:
        self.folder = pathlib.Path(folder)
        self.file = self.folder / "task.yaml"
        self.file.write_text(TASK)
        (self.folder / "positive.sql").write_text('select * from "order"\n')
        (self.folder / "incoming").mkdir()

    def deliver(self, name: str, *rows: str) -> None:
        (self.folder / "incoming" / name).write_text("\n".join(["id,amount", *rows, ""]))


def loaded(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).parent.name + "_orders", HERE / path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outcome(call) -> str:
    """What a call returns, or the name of the exception that it raises."""
    try:
        return str(call())
    except Exception as error:  # noqa: BLE001: every kind of failure is compared
        return type(error).__name__


def outcomes(task: Task, call) -> list[str]:
    """How the same call ends as the task changes."""
    ends = []
    task.deliver("monday.csv", "1,9.50", "2,3.00")
    ends.append(outcome(call))
    ends.append(outcome(call))
    task.deliver("tuesday.csv", "3,-1", "4,-2")
    ends.append(outcome(call))
    with open(task.folder / ".weir/locks/orders.default.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ends.append(outcome(call))
    task.file.write_text(TASK.replace("sources:", "sauces:"))
    ends.append(outcome(call))
    return ends


def check(what: str, found: object, expected: object) -> None:
    if found != expected:
        sys.exit(f"{what}: {found}, and not {expected}")


def check_airflow(folder: str) -> None:
    task = Task(folder)
    os.environ["WEIR_EXAMPLE_TASK"] = str(task.file)
    module = loaded("airflow/orders.py")
    dag = module.orders()
    check("tasks of the DAG", sorted(dag.task_ids), ["load", "tell"])
    check("after `load`", dag.get_task("load").downstream_task_ids, {"tell"})
    check("retries", dag.get_task("load").retries, 2)
    load = dag.get_task("load").python_callable
    expected = ["{'orders': 2, 'refused': 0, 'unreadable': 0}", "AirflowSkipException", "AirflowFailException",
                "RuntimeError", "AirflowFailException"]
    check("ends of Airflow's task", outcomes(task, load), expected)


def check_dagster(folder: str) -> None:
    import dagster

    task = Task(folder)
    os.environ["WEIR_EXAMPLE_TASK"] = str(task.file)
    module = loaded("dagster/orders.py")
    check("retries", module.orders.op.retry_policy.max_retries, 2)
    dagster.Definitions.validate_loadable(module.definitions)
    schedule = module.definitions.resolve_schedule_def("load_orders_schedule")
    check("schedule", schedule.cron_schedule, "30 6 * * *")

    def materialize() -> str:
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        result = dagster.materialize([module.orders], raise_on_error=False, run_config=quiet)
        if not result.success:
            # A step that was tried again has both.
            kinds = [event.event_type_value for event in result.all_events]
            return next(kind for kind in ("STEP_UP_FOR_RETRY", "STEP_FAILURE") if kind in kinds)
        [event] = result.asset_materializations_for_node("orders")
        [evaluation] = result.get_asset_check_evaluations()
        return f"{event.metadata['state'].value} {event.metadata['rows'].value} {evaluation.passed}"

    expected = ["done 2 True", "skipped 0 True", "STEP_FAILURE", "STEP_UP_FOR_RETRY", "STEP_FAILURE"]
    check("ends of Dagster's asset", outcomes(task, materialize), expected)


def main() -> None:
    os.environ["PATH"] = f"{TARGET / 'debug'}:{os.environ['PATH']}"
    for name in ("WEIR_STATE", "WEIR_TASK_CONFIG", "WEIR_ENV"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "false", "WEIR_EXAMPLE_RETRY_DELAY": "0.1"}
        for run in (check_airflow, check_dagster):
            with tempfile.TemporaryDirectory() as folder:
                run(folder)
    print("the DAG and the asset are loaded, and end as the runs do")


if __name__ == "__main__":
    main()
