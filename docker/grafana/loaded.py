"""Servers of their own with data that the sections' tasks have loaded, for the checks of the dashboards."""

import contextlib
import json
import os
import pathlib
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Less than a full history, so that the check is quick, and more countries than charts.
COUNTRIES, DAYS = 15, 400
TREATMENTS = 2000


class Database:
    """A database, as the user in its URL sees it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, sql: str) -> list[list[str]]:
        command = [program("psql"), "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t",
                   "--set=ON_ERROR_STOP=1", "--dbname", self.url]
        done = subprocess.run(command, input=sql, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ValueError(done.stderr.strip())
        return [line.split("\t") for line in done.stdout.splitlines()]


def expanded(sql: str, values: dict[str, list[str]]) -> str:
    """A query as Grafana sends it: `$name`, and `${name:sqlstring}`, a list of quoted values."""
    def value(match: re.Match[str]) -> str:
        name, form = match["braced"] or match["plain"], match["form"]
        if name not in values:
            raise ValueError(f"no variable is named `{name}`")
        if form == "sqlstring":
            return ",".join("'" + one.replace("'", "''") + "'" for one in values[name])
        if form or len(values[name]) != 1:
            raise ValueError(f"${name} must be written ${{{name}:sqlstring}}")
        return values[name][0]
    return re.sub(r"\$(?:(?P<plain>\w+)|\{(?P<braced>\w+)(?::(?P<form>\w+))?\})", value, sql)


@contextlib.contextmanager
def covid() -> Iterator[tuple[Database, Database]]:
    """The cases of the mock API, as Grafana's user sees them, and as their owner does."""
    with cluster("covid") as (folder, owner):
        mock = [built("section4"), "mock-api", "--listen", "127.0.0.1:0", "--countries", str(COUNTRIES), "--days", str(DAYS)]
        with running(mock, stdout=subprocess.PIPE) as api:
            assert api.stdout is not None
            # It prints its address.
            address = re.search(r"http://\S+", api.stdout.readline())
            if not address:
                sys.exit("section4 mock-api did not print its address")
            # It waits for the database.
            run([built("section4"), "load", "--source", "covid19api", "--base-url", address[0], "--all", "--quiet",
                 "--task-config", str(ROOT / "section4/conf/covid.yaml"), "--state", str(folder / "state"),
                 "--param", f"output={folder / 'refused'}", "--database-url", owner], cwd=folder)
        yield reader(owner, ["--set=password=grafana"], HERE / "reader.sql", HERE / "reader_loads.sql"), Database(owner)


@contextlib.contextmanager
def claims(*files: str) -> Iterator[tuple[Database, Database]]:
    """Claims out of MariaDB, made-up ones unless load.sh is given files, as Grafana's user and their owner see them."""
    with cluster("claims") as (folder, owner), mariadb(folder) as port:
        pipeline = ROOT / "pipelines/claims"
        passwords = {"CLAIMS_SOURCE_PASSWORD": "claims", "CLAIMS_WAREHOUSE_PASSWORD": "claims"}
        run([str(pipeline / "source/load.sh"), *(files or ("--sample", str(TREATMENTS)))], stdout=subprocess.DEVNULL,
            env=os.environ | passwords | {"CLAIMS_SOURCE_PORT": str(port)})
        values = {"source_port": port, "warehouse_port": owner.rsplit(":", 1)[1].split("/")[0],
                  "warehouse_database": "postgres", "output": folder / "unreadable"}
        run([built("weir"), "run", str(pipeline / "claims.yaml"), "--quiet", "--state", str(folder / "state"),
             *(part for name, value in values.items() for part in ("--param", f"{name}={value}"))],
            env=os.environ | passwords)
        reader(owner, ["--set=password=grafana", "--set=role_only=yes"], HERE / "reader.sql")
        grants = ROOT / "docker/claims/grafana/reader.sql"
        yield reader(owner, [], grants, HERE / "reader_loads.sql"), Database(owner)


def reader(owner: str, options: list[str], *files: pathlib.Path) -> Database:
    """Runs the files that create Grafana's user, and let it read."""
    run([program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", *options, "--dbname", owner,
         *(part for file in files for part in ("--file", str(file)))])
    return Database(re.sub(r"//\w+@", "//grafana@", owner))


@contextlib.contextmanager
def cluster(owner: str) -> Iterator[tuple[pathlib.Path, str]]:
    """A PostgreSQL server, which may still be starting: its folder and its URL."""
    with tempfile.TemporaryDirectory(prefix="check-dashboard-") as name:
        folder, port, account = pathlib.Path(name), free_port(), unprivileged()
        if account:
            shutil.chown(folder, **account)
        create = [program("initdb"), "--pgdata", str(folder / "data"), f"--username={owner}", "--auth=trust", "--no-sync"]
        run(create, stdout=subprocess.DEVNULL, cwd=folder, **account)
        server = [program("postgres"), "-D", str(folder / "data"), "-p", str(port), "-k", name, "-F",
                  "-c", "listen_addresses=127.0.0.1", "-c", "log_min_messages=fatal"]
        with running(server, cwd=folder, **account):
            yield folder, f"postgres://{owner}@127.0.0.1:{port}/postgres"


@contextlib.contextmanager
def mariadb(parent: pathlib.Path, user: str = "claims") -> Iterator[int]:
    """A MariaDB server with a user, and a database and a password of the same name: its port."""
    folder, port, account = parent / "mariadb", free_port(), unprivileged()
    folder.mkdir()
    if account:
        shutil.chown(folder, **account)
    run([program("mariadb-install-db"), "--no-defaults", f"--datadir={folder / 'data'}", "--skip-test-db",
         "--auth-root-authentication-method=normal"], stdout=subprocess.DEVNULL, cwd=folder, **account)
    (folder / "init.sql").write_text(f"create database {user};\ncreate user {user}@'127.0.0.1' identified by '{user}';\n"
                                     f"grant all on {user}.* to {user}@'127.0.0.1';\n")
    server = [program("mariadbd"), "--no-defaults", f"--datadir={folder / 'data'}", f"--socket={folder / 'socket'}",
              f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve", f"--init-file={folder / 'init.sql'}"]
    with running(server, cwd=folder, stderr=subprocess.DEVNULL, **account):
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield port


def unprivileged() -> dict[str, Any]:
    """Servers refuse to run as root."""
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid} if os.geteuid() == 0 else {}


def program(name: str) -> str:
    folders = [os.environ.get("PATH", ""), "/usr/sbin"]
    found = shutil.which(name, path=":".join(folders)) or next(
        map(str, sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), "")
    return found or sys.exit(f"{name} is missing: scripts/test.sh install")


def built(package: str) -> str:
    """The program that `cargo build` has built last."""
    metadata = subprocess.run(["cargo", "metadata", "--no-deps", "--format-version=1"], cwd=ROOT, check=True,
                              capture_output=True, text=True).stdout
    path = pathlib.Path(json.loads(metadata)["target_directory"]) / "debug" / package
    return str(path) if path.exists() else sys.exit(f"{path} is missing: cargo build -p {package}")


def run(command: list[str], **options: Any) -> None:
    if subprocess.run(command, check=False, **options).returncode != 0:
        sys.exit(f"{command[0]} failed: see the message above")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)
