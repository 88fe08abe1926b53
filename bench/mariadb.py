"""An ephemeral MariaDB server, and its client."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import Failed, step  # noqa: E402

# All other settings are the defaults: the log is synced at each commit, pages are written twice, there is no binary log.
SETTINGS = {"innodb-buffer-pool-size": "1G", "innodb-log-file-size": "1G"}
USER, PASSWORD = "bench", "bench"
START_TIMEOUT = 60


class Server:
    """A server on a free port with a temporary data folder; stopped and removed at the end of a `with`."""

    def __init__(self) -> None:
        self.pid = 0
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-bench-"))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def __enter__(self):
        # A server that starts deletes the temporary files of the others in the same folder.
        (self.folder / "tmp").mkdir()
        common = ["--no-defaults", f"--datadir={self.folder / 'data'}", f"--tmpdir={self.folder / 'tmp'}"]
        # The server refuses to run as root unless it is told to.
        common += ["--user=root"] if os.geteuid() == 0 else []
        try:
            step(["mariadb-install-db", *common, "--auth-root-authentication-method=normal", "--skip-test-db",
                  "--skip-name-resolve"], stdout=subprocess.DEVNULL)
            self.pid = self.started(common)
            self.wait()
            self.as_root(f"create user {USER}@'%' identified by '{PASSWORD}'; grant all on *.* to {USER}@'%'")
        except Failed:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        if self.runs():
            os.kill(self.pid, signal.SIGKILL)
            while self.runs():
                time.sleep(0.05)
        shutil.rmtree(self.folder)

    def started(self, common: list[str]) -> int:
        """Start the server as an orphan, since the harness waits for all children; returns its process id."""
        usual = pathlib.Path("/usr/sbin/mariadbd")
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        command = [usual if usual.exists() else usual.name, *common, *settings, "--bind-address=127.0.0.1",
                   "--skip-name-resolve", "--local-infile=1", "--character-set-server=utf8mb4", f"--port={self.port}",
                   f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}",
                   f"--slow-query-log-file={self.folder / 'slow'}", "--long-query-time=0.02"]
        in_background = ["sh", "-c", 'log=$1; shift; "$@" </dev/null >"$log" 2>&1 & echo $!', "sh", self.folder / "log"]
        return int(step([*in_background, *command], stdout=subprocess.PIPE))

    def wait(self) -> None:
        end = time.monotonic() + START_TIMEOUT
        while not (self.folder / "pid").exists():
            if not self.runs() or time.monotonic() > end:
                raise Failed(f"mariadbd does not start: {(self.folder / 'log').read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def runs(self) -> bool:
        try:
            return self.pid > 0 and self.fields()[0] != "Z"
        except OSError:
            return False

    def fields(self) -> list[str]:
        """What the kernel says about the process, from its state on."""
        return pathlib.Path("/proc", str(self.pid), "stat").read_text().rpartition(")")[2].split()

    def client(self) -> list[str]:
        """The command-line client, with the server and a user who may do everything."""
        return ["mariadb", "--no-defaults", "--protocol=tcp", "--host=127.0.0.1", f"--port={self.port}", f"--user={USER}",
                f"--password={PASSWORD}", "--default-character-set=utf8mb4", "--local-infile=1", "--batch",
                "--skip-column-names"]

    def url(self, database: str) -> str:
        return f"mysql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def sql(self, database: str, sql: str) -> str:
        """Run statements in one session; returns their output, separated by tabs."""
        return step([*self.client(), "--raw", database, f"--execute={sql}"], stdout=subprocess.PIPE).strip()

    def as_root(self, sql: str) -> None:
        step(["mariadb", "--no-defaults", "--user=root", f"--socket={self.folder / 'socket'}", f"--execute={sql}"])

    def cpu(self) -> float:
        """The CPU time of the server so far, in seconds."""
        user, system = self.fields()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def log_statements(self) -> None:
        """Have new sessions log their statements that take more than 20 ms."""
        self.as_root("set global slow_query_log = on")

    def logged_statements(self) -> list[tuple[float, str]]:
        """The logged statements since the last call, in the order of their ends, each with its seconds."""
        log = self.folder / "slow"
        text = log.read_text(errors="replace") if log.exists() else ""
        log.write_bytes(b"")
        statements = re.findall(r"^# Query_time: (\S+).*\n((?:#.*\n)*)((?:[^#].*\n)*)", text, re.MULTILINE)
        return [(float(seconds), re.sub(r"(?i)^(use \S+; |set timestamp=\d+; )+", "", " ".join(sql.split())))
                for seconds, _, sql in statements]
