#!/usr/bin/env python3
"""Compare section5's evaluation with an equivalent in scikit-learn: the same cars, folds, models and scores.

Prints a Markdown table of times and one of scores. Exits with code 1 on a failure, if the accuracy of a linear model
differs by more than one standard error from scikit-learn's, or if features were selected differently.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import harness  # noqa: E402
from harness import Failed, say, step  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
LINEAR = ["logistic", "bayes"]


def main() -> int:
    options = parse_arguments()
    try:
        return Bench(options).run()
    except Failed as failure:
        sys.exit(f"run.py: {failure}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    number = dict(type=int, metavar="N")
    cache = pathlib.Path.home() / ".cache" / "weir-bench"
    parser.add_argument("--runs", default=3, help="runs of each contestant, in turns (default: %(default)s)", **number)
    parser.add_argument("--folds", default=10, help="default: %(default)s", **number)
    parser.add_argument("--repeats", default=5, help="default: %(default)s", **number)
    parser.add_argument("--permutations", default=9999, help="default: %(default)s", **number)
    parser.add_argument("--seed", default=1, help="default: %(default)s", **number)
    parser.add_argument("--cache", type=harness.absolute, default=cache, metavar="DIR",
                        help="folder of the Python environment (default: %(default)s)")
    # A virtual environment is identified by the link to its interpreter, so the link is not resolved.
    parser.add_argument("--python", type=lambda path: pathlib.Path(path).absolute(), metavar="PATH",
                        help="a Python with scikit-learn, instead of creating an environment")
    parser.add_argument("--section5", type=harness.absolute, metavar="PATH",
                        help="a built binary instead of building one")
    return parser.parse_args()


class Bench:
    def __init__(self, options) -> None:
        self.options = options
        self.settings = {name: getattr(options, name) for name in ("folds", "repeats", "permutations", "seed")}

    def run(self) -> int:
        options = self.options
        binary = options.section5 or harness.built(harness.ROOT, "section5", os.environ.get("CARGO_TARGET_DIR"))
        python = options.python or harness.python_environment(options.cache)
        harness.hold_to_cores()
        flags = [part for name, value in self.settings.items() for part in (f"--{name}", str(value))]
        with tempfile.TemporaryDirectory(prefix="section5-bench-") as folder:
            cars, folds, output = (pathlib.Path(folder, name) for name in ("car.csv", "folds.csv", "sklearn.json"))
            step([binary, "generate", "--output", cars])
            ours = [binary, "evaluate", "--json", "--folds-output", folds, *flags]
            theirs = [python, HERE / "sklearn_job.py", cars, folds, output, json.dumps(self.settings)]
            times = {"section5": [], "scikit-learn": []}
            inside = []
            for number in range(1, options.runs + 1):
                seconds, printed = timed(ours)
                times["section5"].append(seconds)
                found = json.loads(printed)["models"]
                seconds, _ = timed(theirs)
                times["scikit-learn"].append(seconds)
                peer = json.loads(output.read_text())
                inside.append(peer["seconds"])
                say(f"run {number}: section5 {times['section5'][-1]:.2f} s, scikit-learn {seconds:.2f} s")
        versions = {"section5": harness.version_of_program(binary),
                    "scikit-learn": harness.version_of_package(python, "scikit-learn")}
        self.print_times(times, inside, versions)
        return print_scores(found, peer["models"])

    def print_times(self, times, inside, versions) -> None:
        settings = ", ".join(f"{value:,} {name}" for name, value in self.settings.items() if name != "seed")
        print(f"{harness.machine_line(harness.machine())}; {settings}, seed {self.settings['seed']}; "
              f"medians of {self.options.runs} runs in turns.\n")
        base = statistics.median(times["section5"])
        print("| contestant | version | relative to section5 | wall s | all runs |\n|---|---|--:|--:|---|")
        for name, seconds in times.items():
            median = statistics.median(seconds)
            print(f"| {name} | {versions[name]} | {median / base:.2f} | {median:.2f} | "
                  f"{', '.join(f'{one:.2f}' for one in seconds)} |")
        print(f"\nscikit-learn without starting Python and importing: {statistics.median(inside) / base:.2f} times.\n")


def timed(command: list) -> tuple[float, str]:
    start = time.perf_counter()
    printed = step(command, stdout=subprocess.PIPE)
    return time.perf_counter() - start, printed


def print_scores(ours: list[dict], theirs: list[dict]) -> int:
    """Print both scores; return 1 if they differ where they must not."""
    print("| model | features | accuracy | scikit-learn's | difference, in standard errors | log loss | scikit-learn's "
          "| fit and predict, relative to section5 |\n|---|---|--:|--:|--:|--:|--:|--:|")
    wrong = []
    for one, other in zip(ours, theirs, strict=True):
        name = f"{one['model']}, {one['feature_set']}"
        if (one["model"], one["feature_set"]) != (other["model"], other["feature_set"]):
            raise Failed(f"{name} is compared with another model")
        error = one["accuracy_standard_error"]
        apart = abs(one["accuracy_mean"] - other["accuracy_mean"]) / error if error else 0.0
        accuracies = [f"{100 * of['accuracy_mean']:.2f} % ± {100 * of['accuracy_standard_error']:.2f}" for of in (one, other)]
        print(f"| {one['model']} | {one['feature_set']} | {accuracies[0]} | {accuracies[1]} | {apart:.2f} | "
              f"{one['log_loss']:.4f} | {other['log_loss']:.4f} | {other['seconds'] / one['seconds']:.1f} |")
        if one["model"] in LINEAR and apart > 1:
            wrong.append(f"{name} differs by {apart:.2f} standard errors from scikit-learn's")
        if other["features"] and one["features"] != other["features"]:
            wrong.append(f"{name} has {one['features']}, scikit-learn {other['features']}")
    for one in wrong:
        print(f"\n{one}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
