"""An ephemeral PostgreSQL cluster, and its programs."""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import Failed, step  # noqa: E402

# All other settings are initdb's defaults: fsync, synchronous_commit and full_page_writes are on.
SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "30min"}
NOBODY = 65534


def program(name: str) -> str:
    """Find a server program; Debian keeps them outside the search path."""
    versions = [path for path in pathlib.Path("/usr/lib/postgresql").glob("*") if path.name.isdigit()]
    found = [path / "bin" / name for path in sorted(versions, key=lambda path: int(path.name))]
    found = [str(path) for path in found if path.exists()]
    return found[-1] if found else name


class Cluster:
    """A server on a free port with a temporary data folder; stopped and removed at the end of a `with`."""

    def __init__(self) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-bench-"))
        self.data = self.folder / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def __enter__(self):
        try:
            if os.geteuid() == 0:
                os.chown(self.folder, NOBODY, NOBODY)
            self.server_step("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username=owner",
                             "--pgdata", self.data)
            settings = SETTINGS | {"port": self.port, "listen_addresses": "'127.0.0.1'", "unix_socket_directories": "''"}
            with open(self.data / "postgresql.conf", "a") as configuration:
                configuration.writelines(f"{name} = {value}\n" for name, value in settings.items())
            self.server_step("pg_ctl", "--silent", "--wait", "--pgdata", self.data, "--log", self.folder / "log", "start")
        except Failed:
            shutil.rmtree(self.folder)
            raise
        return self

    def __exit__(self, *_) -> None:
        self.server_step("pg_ctl", "--silent", "--pgdata", self.data, "--mode=immediate", "stop")
        shutil.rmtree(self.folder)

    def server_step(self, name: str, *arguments) -> None:
        """Run a program of the server as an unprivileged user."""
        user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        step([*user, program(name), *arguments], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def url(self, database: str) -> str:
        return f"postgres://owner@127.0.0.1:{self.port}/{database}"

    def psql(self, database: str, *commands: str, options: tuple[str, ...] = ()) -> str:
        """Run commands in one session; returns their output, unaligned."""
        given = [part for command in commands for part in ("--command", command)]
        return step([program("psql"), "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1",
                     *options, *given, self.url(database)], stdout=subprocess.PIPE).strip()
