#!/usr/bin/env python3
"""How long images wait: `python3 section3/queueing.py` prints the waiting times of a day of both sizes.

The small size is simulated image by image: Poisson arrivals whose rate follows the time of day and a burst, service
times from a log-normal distribution, as many invocations as Lambda has started, first come first served. The large
size is simulated second by second: so many images arrive in a second that only the backlog makes them wait, and what
matters is how fast tasks are added. `--check` compares both models where both can be computed. Seeded; the standard
library only."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import heapq
import math
import random
from collections.abc import Iterator

DAY = 86_400


@dataclasses.dataclass(frozen=True)
class Load:
    """Arrivals of one day: the mean rate, doubled in the evening, and one burst on top of the peak."""

    per_day: int
    # Times the mean at that time of day, and for how long.
    burst: float
    burst_seconds: int
    seed: int = 20_261_127

    def rate(self, second: float) -> float:
        """Images a second. The wave of the day has its peak, twice the mean, at 20 h."""
        rate = self.per_day / DAY * (1 + math.cos((second / DAY - 20 / 24) * 2 * math.pi))
        begin = 20 * 3600
        return rate * self.burst if begin <= second < begin + self.burst_seconds else rate

    @property
    def highest(self) -> float:
        return 2 * self.per_day / DAY * self.burst


@dataclasses.dataclass(frozen=True)
class Service:
    """The time that one image takes, in seconds: mean and coefficient of variation."""

    mean: float = 1.5
    variation: float = 1.0

    def draw(self, source: random.Random) -> float:
        square = math.log(1 + self.variation**2)
        return math.exp(math.log(self.mean) - square / 2 + math.sqrt(square) * normal(source))


@dataclasses.dataclass(frozen=True)
class Tasks:
    """Tasks that process at once, `slots` images each: between `least` and `most`, added as the backlog demands."""

    least: int
    most: int
    slots: int
    # How often the number is decided, and how long a new task takes until it works.
    every_seconds: int = 60
    start_seconds: int = 90
    # How many tasks Fargate starts in a second.
    per_second: int = 20
    # The part of the slots that is busy when nothing waits.
    target: float = 0.7

    def wanted(self, rate: float, backlog: float, service: Service) -> int:
        """What arrives, and the backlog within five minutes."""
        slots = (rate / self.target + backlog / 300) * service.mean
        return min(self.most, max(self.least, math.ceil(slots / self.slots)))


def normal(source: random.Random) -> float:
    return math.sqrt(-2 * math.log(1 - source.random())) * math.cos(2 * math.pi * source.random())


def poisson(mean: float, source: random.Random) -> int:
    """Exact up to 50; above that the normal distribution, which differs by less than matters here."""
    if mean > 50:
        return max(0, round(mean + math.sqrt(mean) * normal(source)))
    count, left = 0, math.exp(-mean)
    product = source.random()
    while product > left:
        count, product = count + 1, product * source.random()
    return count


# Image by image ---------------------------------------------------------------------------------------


def arrivals(load: Load, source: random.Random) -> Iterator[float]:
    """Thinned: candidates at the highest rate, kept in the ratio of the rate at that time."""
    second = 0.0
    while (second := second - math.log(1 - source.random()) / load.highest) < DAY:
        if source.random() * load.highest < load.rate(second):
            yield second


@dataclasses.dataclass
class Waits:
    """Seconds from arrival to the beginning of the processing, in order, and the most images that waited at once."""

    seconds: list[float]
    backlog: int

    def at(self, part: float) -> float:
        return self.seconds[math.ceil(len(self.seconds) * part) - 1]


def waits(load: Load, service: Service, workers: int) -> Waits:
    """With a fixed number of workers."""
    source, result = random.Random(load.seed), Waits([], 0)
    free = [0.0] * workers
    waiting: collections.deque[float] = collections.deque()
    for second in arrivals(load, source):
        begin = max(second, free[0])
        heapq.heapreplace(free, begin + service.draw(source))
        result.seconds.append(begin - second)
        while waiting and waiting[0] <= second:
            waiting.popleft()
        if begin > second:
            waiting.append(begin)
        result.backlog = max(result.backlog, len(waiting))
    result.seconds.sort()
    return result


# Second by second -------------------------------------------------------------------------------------


@dataclasses.dataclass
class Flow:
    """What a day looked like: (wait, images) of each second, and the largest backlog and number of tasks."""

    cohorts: list[tuple[float, int]]
    backlog: float
    tasks: int

    def at(self, part: float) -> float:
        return weighted(self.cohorts, part)


def flow(load: Load, service: Service, tasks: Tasks) -> Flow:
    source = random.Random(load.seed)
    backlog, recent = 0.0, load.rate(0)
    running = tasks.wanted(recent, backlog, service)
    starting: list[tuple[int, int]] = []
    result = Flow([], 0.0, running)
    for second in range(DAY):
        while starting and starting[0][0] <= second:
            running += starting.pop(0)[1]
        came = poisson(load.rate(second), source)
        recent += (came - recent) / tasks.every_seconds
        capacity = running * tasks.slots / service.mean
        # Those of this second wait for what is before them, and on average for half of their own.
        result.cohorts.append((max(0.0, backlog + came / 2 - capacity / 2) / capacity, came))
        backlog = max(0.0, backlog + came - capacity)
        result.backlog, result.tasks = max(result.backlog, backlog), max(result.tasks, running)
        if second % tasks.every_seconds == 0:
            wanted = tasks.wanted(recent, backlog, service)
            coming = running + sum(count for _, count in starting)
            if wanted > coming:
                added = min(wanted - coming, tasks.per_second * tasks.every_seconds)
                starting.append((second + tasks.start_seconds, added))
            elif wanted < running and not starting:
                # As many as go in a quarter of an hour.
                running -= math.ceil((running - wanted) / 15)
    return result


def weighted(cohorts: list[tuple[float, int]], part: float) -> float:
    left = part * sum(count for _, count in cohorts)
    for wait, count in sorted(cohorts):
        left -= count
        if left <= 0:
            return wait
    raise ValueError("no images")


# Results ----------------------------------------------------------------------------------------------

SMALL, LARGE = 10_000, 100_000_000
SERVICE = Service()
LEAST_LARGE, MOST_LARGE = 320, 4000


def rounded(seconds: float) -> str:
    """To two digits: the last ones of logarithms differ between machines."""
    if seconds < 0.05:
        return "< 0.1 s"
    value = round(seconds, 1 - math.floor(math.log10(seconds)))
    return f"{value:.1f} s" if value < 10 else f"{value:,.0f} s"


def small_table() -> list[str]:
    rows = [
        "| burst in the evening | workers | longest queue | median | 99th percentile | longest |",
        "|---|---|---|---|---|---|",
    ]
    for burst, seconds, name in ((1, 0, "none"), (10, 600, "10 times for 10 min"), (100, 600, "100 times for 10 min")):
        for workers in (2, 5, 50):
            found = waits(Load(SMALL, burst, seconds), SERVICE, workers)
            times = " | ".join(rounded(found.at(part)) for part in (0.5, 0.99, 1))
            rows.append(f"| {name} | {workers} | {found.backlog:,} | {times} |")
    return rows


def large_table() -> list[str]:
    rows = [
        "| burst in the evening | a task starts in | most tasks | longest queue | median | 99th percentile | longest |",
        "|---|---|---|---|---|---|---|",
    ]
    for burst, seconds, name in ((1, 0, "none"), (2, 1800, "2 times for 30 min"), (4, 600, "4 times for 10 min")):
        for start in (90, 300):
            found = flow(Load(LARGE, burst, seconds), SERVICE, Tasks(LEAST_LARGE, MOST_LARGE, 4, start_seconds=start))
            rows.append(
                f"| {name} | {start} s | {found.tasks:,} | {found.backlog / 1e6:.1f} million | "
                f"{rounded(found.at(0.5))} | {rounded(found.at(0.99))} | {rounded(found.at(1))} |"
            )
    return rows


def difference() -> float:
    """Of the 99th percentiles of both models, as a part of the exact one, at a load at which images wait."""
    load, workers = Load(1_000_000, 3, 600), 60
    exact = waits(load, SERVICE, workers).at(0.99)
    return abs(exact - flow(load, SERVICE, Tasks(workers, workers, 1)).at(0.99)) / exact


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare the two models")
    if parser.parse_args().check:
        print(f"the 99th percentiles of the two models differ by {difference():.1%}")
        return
    print("\n".join([*small_table(), "", *large_table()]))


if __name__ == "__main__":
    main()
