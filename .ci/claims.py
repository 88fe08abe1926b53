"""Load the real claims through a temporary MariaDB into a temporary PostgreSQL, and check the results."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "docker" / "grafana"))
import loaded  # noqa: E402


def main(shared: str) -> None:
    with loaded.claims(f"{shared}/data/claims") as (_, owner):
        subprocess.run([sys.executable, f"{shared}/acceptance/check.py", "claims", owner.url], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
