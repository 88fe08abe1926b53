"""Load the real COVID-19 files through the mock API into a temporary PostgreSQL, twice, and check the results."""

import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench"))
from cluster import Cluster  # noqa: E402


def main(section4: str, shared: str) -> None:
    files = sorted(pathlib.Path(shared, "data", "covid").iterdir())
    with Cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        cluster.psql("postgres", "create database covid")
        database = cluster.url("covid")
        for _ in range(2):
            for file in files:
                load(section4, file, database, folder)
            subprocess.run([sys.executable, f"{shared}/acceptance/check.py", "covid", database], check=True)


def load(section4: str, file: pathlib.Path, database: str, folder: str) -> None:
    mock = [section4, "mock-api", "--listen", "127.0.0.1:0", "--data", file]
    with subprocess.Popen(mock, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().split()[-1]
            subprocess.run([section4, "load", "--quiet", "--source", "covid19api", "--base-url", address, "--all",
                            "--database-url", database, "--state", folder, "--param", f"output={folder}/refused"], check=True)
        finally:
            server.terminate()


if __name__ == "__main__":
    main(*sys.argv[1:])
