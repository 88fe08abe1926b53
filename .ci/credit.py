"""Put the real loans into a bucket of a temporary server, load them into a temporary MariaDB, and check the table."""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docker" / "grafana"))
import loaded  # noqa: E402

USER = "credit"
HOUR = "2022-06-05T09"


@contextlib.contextmanager
def bucket() -> Iterator[str]:
    """A server of objects, which `scripts/test.sh install` has installed: its address."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    port = loaded.free_port()
    command = [str(cache / "weir-test/moto/bin/python"), "-m", "moto.server", "--port", str(port)]
    with loaded.running(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        yield f"http://127.0.0.1:{port}"


def main(shared: str) -> None:
    with tempfile.TemporaryDirectory(prefix="credit-") as name, bucket() as address:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        with loaded.mariadb(folder, USER) as port:
            env = os.environ | {
                "AWS_ENDPOINT": address, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": USER, "CREDIT_WAREHOUSE_PASSWORD": USER,
            }
            pipeline = ROOT / "pipelines/credit"
            deliver = [str(pipeline / "source/deliver.sh"), "--create", HOUR, f"{shared}/data/credit/sample_data.csv"]
            # The server starts meanwhile.
            for attempt in range(60):
                if subprocess.run(deliver, env=env, stderr=None if attempt == 59 else subprocess.DEVNULL).returncode == 0:
                    break
                time.sleep(0.5)
            for verb in (["queue", "--due", "2022-06-05T10:05:00Z", "--param", f"first_window={HOUR}"], ["work", "--all"]):
                values = {"first_window": HOUR, "warehouse_port": port, "quarantine": folder / "quarantine"}
                subprocess.run([loaded.built("weir"), verb[0], str(pipeline / "credit.yaml"), *verb[1:],
                                "--state", str(folder / "state"),
                                *(part for name, value in values.items() for part in ("--param", f"{name}={value}"))],
                               env=env, check=True)
            subprocess.run([sys.executable, f"{shared}/acceptance/check.py", "credit", "127.0.0.1", str(port), USER, USER,
                            USER, "loan"], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
