"""What a watcher sees while several folders are published: for how long old and new ones are side by side.

    cargo build --release -p weir && python3 bench/publish/run.py

A watcher asks for the identity of every folder as fast as it can while a task with these folders runs again and again.
Prints the time between the moment at which the first folder was seen to be new and the moment at which all were.
With --replace-folder the task publishes them by one rename of their parent, and the watcher looks through the parent that it
opens each time, as a reader does who wants all of one run: how often were they of different runs?
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TASK = """
name: publish
sources:
  row:
    files: {path: "in/*.csv", format: csv}
    columns: {number: bigint}
sinks:
"""


class Watcher(threading.Thread):
    """Measures the windows in which the folders are of different runs."""

    def __init__(self, paths):
        super().__init__()
        self.paths, self.windows, self.stop = paths, [], False

    def run(self):
        before = [os.stat(path).st_ino for path in self.paths]
        opened = None
        while not self.stop:
            now = [os.stat(path).st_ino for path in self.paths]
            changed = sum(new != old for new, old in zip(now, before))
            if changed == 0:
                last_seen_old = time.perf_counter()
            elif changed < len(now):
                opened = opened or last_seen_old
            else:
                self.windows.append(time.perf_counter() - (opened or last_seen_old))
                before, opened, last_seen_old = now, None, time.perf_counter()


class WholeWatcher(threading.Thread):
    """Counts the looks at a folder in which its folders were of different runs."""

    def __init__(self, parent, names):
        super().__init__()
        self.parent, self.names, self.stop, self.looks, self.runs, self.mixed = parent, names, False, 0, 0, 0

    def run(self):
        before = None
        while not self.stop:
            parent = os.open(self.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                now = [os.stat(name, dir_fd=parent).st_ino for name in self.names]
            except FileNotFoundError:
                continue  # It was opened in the last moment, and is being removed.
            finally:
                os.close(parent)
            self.looks += 1
            if before is not None and now != before:
                self.runs += 1
                self.mixed += any(new == old for new, old in zip(now, before))
            before = now


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", default="target/release/weir", help="the program")
    parser.add_argument("--folders", type=int, default=10)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--replace-folder", action="store_true", help="publish by one rename of the parent")
    arguments = parser.parse_args()
    sys.setswitchinterval(1e-5)
    weir = pathlib.Path(arguments.weir).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        sinks = "".join(
            f"  f{number}: {{from: row, mode: overwrite, files: {{path: out/f{number}, format: csv}}}}\n"
            for number in range(arguments.folders)
        )
        whole = "replace_folder: out\n" if arguments.replace_folder else ""
        (folder / "task.yaml").write_text(TASK.replace("sources:", f"{whole}sources:") + sinks)
        (folder / "in").mkdir()
        (folder / "in" / "a.csv").write_text("number\n1\n")
        command = [weir, "run", "--quiet", "--task-config", "task.yaml"]
        subprocess.run(command, cwd=folder, check=True)
        names = [f"f{number}" for number in range(arguments.folders)]
        if arguments.replace_folder:
            watcher = WholeWatcher(folder / "out", names)
        else:
            watcher = Watcher([folder / "out" / name for name in names])
        watcher.start()
        for _ in range(arguments.runs):
            subprocess.run(command, cwd=folder, check=True)
        watcher.stop = True
        watcher.join()
    if arguments.replace_folder:
        if watcher.runs != arguments.runs:
            sys.exit(f"the watcher saw {watcher.runs} of {arguments.runs} runs")
        print(f"{arguments.folders} folders, {arguments.runs} runs, {watcher.looks} looks: of different runs {watcher.mixed} times")
        return
    if len(watcher.windows) != arguments.runs:
        sys.exit(f"the watcher saw {len(watcher.windows)} of {arguments.runs} runs")
    windows = sorted(window * 1e3 for window in watcher.windows)
    print(f"{arguments.folders} folders, {arguments.runs} runs: median {statistics.median(windows):.3f} ms, "
          f"95 % {windows[int(len(windows) * 0.95)]:.3f} ms, largest {windows[-1]:.3f} ms")


if __name__ == "__main__":
    main()
