#!/usr/bin/env python3
"""Storage, requests, computing and monthly cost of both sizes, from the inputs below: prints capacity.md.

python3 section3/capacity.py >section3/capacity.md
"""

from __future__ import annotations

import dataclasses
import math

import queueing

# Inputs -----------------------------------------------------------------------------------------------

DAYS, HOURS = 30, 730
WEB = 0.7
ORIGINAL_MB, PROCESSED_MB = 2.0, 0.3
ITEM_KB, ROW_KB, PARQUET_KB = 0.7, 0.5, 0.1
# Kept for 7 days, and up to an hour and five minutes until the sweep.
KEPT_DAYS = 7 + 0.5 / 24 + 5 / 60 / 24
VIEWS, HIT_RATE = 1.0, 0.5
READS = 0.5
IMAGES_PER_USER = 10
CPU_SECONDS = queueing.SERVICE.mean
LAMBDA_GB = 1769 / 1024
API_SECONDS, API_GB = 0.03, 0.5
UTILIZATION = 0.7
SPOT_SHARE = 0.8
API_PER_CPU = 100

# US dollars, list prices of us-east-1 as they were published in 2025. Estimates: check them before a decision.
PRICES_OF = "2025"
S3_GB = [(50_000, 0.023), (450_000, 0.022), (math.inf, 0.021)]
S3_PUT, S3_GET = 0.005 / 1000, 0.0004 / 1000
SQS_CALL = 0.40e-6
WRITE_UNIT, READ_UNIT, TABLE_GB = 0.625e-6, 0.125e-6, 0.25
LAMBDA_CALL, LAMBDA_GB_SECOND = 0.20e-6, 0.0000133334
HTTP_API = [(300e6, 1.00e-6), (math.inf, 0.90e-6)]
FARGATE_CPU, FARGATE_GB, SPOT_PRICE = 0.03238, 0.00356, 0.3
EC2_SPOT_CPU = 0.0145
BALANCER_HOUR, BALANCER_UNIT = 0.0225, 0.008
CDN_GB = [
    (10_000, 0.085),
    (40_000, 0.080),
    (100_000, 0.060),
    (350_000, 0.040),
    (524_000, 0.030),
    (4_000_000, 0.025),
    (math.inf, 0.020),
]
CDN_REQUEST, WAF_REQUEST, WAF_FIXED = 1.0e-6, 0.6e-6, 9.0
FIREHOSE_GB = 0.029 + 0.018 + 0.020
ATHENA_TB, AUTHOR, READER = 5.0, 24.0, 3.0
COGNITO = [(10_000, 0.0), (90_000, 0.0055), (900_000, 0.0046), (9_000_000, 0.00325), (math.inf, 0.0025)]
LOG_GB, ALARM, METRIC = 0.50, 0.10, 0.30
KMS_CALL, KMS_KEY = 3e-6, 1.0
ENDPOINT_HOUR, ENDPOINT_GB = 0.01, 0.01
KAFKA = {"kafka.t3.small": 0.0456, "kafka.m7g.large": 0.204, "express.m7g.large": 0.408}
KAFKA_GB, EXPRESS_IN_GB, EXPRESS_MB_A_SECOND = 0.10, 0.01, 15.6


@dataclasses.dataclass(frozen=True)
class Size:
    name: str
    per_day: int
    large: bool
    brokers: str
    broker_gb: int
    intake_cpus: float
    authors: int
    readers: int
    queries: int
    query_gb: float

    @property
    def month(self) -> float:
        return self.per_day * DAYS

    @property
    def second(self) -> float:
        return self.per_day / 86_400


SMALL = Size("10 thousand", queueing.SMALL, False, "kafka.t3.small", 20, 0.5, 3, 20, 200, 0.01)
LARGE = Size("100 million", queueing.LARGE, True, "kafka.m7g.large", 200, 4, 20, 300, 1000, 10)
SIZES = (SMALL, LARGE)


# Amounts ----------------------------------------------------------------------------------------------


def stored_gb(size: Size) -> float:
    return size.per_day * KEPT_DAYS * (ORIGINAL_MB + PROCESSED_MB) / 1000


def lists(size: Size) -> float:
    """Pages of the sweep: one for each shard and bucket an hour, and one for each thousand objects that go."""
    return 2 * 256 * HOURS + 2 * size.month / 1000


def write_units(size: Size) -> float:
    """Web: announced, counted, entered with its index, processed with its index. Kafka: entered, processed. The sweep
    deletes item and index; at the large size TTL does, which is free."""
    web, kafka = (6, 2) if size.large else (8, 3)
    return size.month * (WEB * web + (1 - WEB) * kafka)


def read_units(size: Size) -> float:
    """Half a unit before processing, a quarter in the three looks of reconcile, four for a page of a list."""
    return size.month * (0.5 + 0.25 + READS * 4)


def queue_calls(size: Size) -> float:
    """Alone in its batch at the small size, with the empty answers to five pollers; five a batch at the large one."""
    return size.month * 1.4 if size.large else size.month * 3 + 5 * HOURS * 3600 / 20


def api_calls(size: Size) -> float:
    return size.month * (WEB + READS)


def viewed_gb(size: Size) -> float:
    return size.month * VIEWS * PROCESSED_MB / 1000


def busy_cpus(size: Size) -> float:
    return size.second * CPU_SECONDS


# Costs ------------------------------------------------------------------------------------------------


def tiers(amount: float, steps: list[tuple[float, float]]) -> float:
    total = 0.0
    for width, price in steps:
        total += min(amount, width) * price
        amount -= min(amount, width)
    return total


def fargate(cpus: float, gb_per_cpu: float, spot: float = 0.0) -> float:
    price = FARGATE_CPU + gb_per_cpu * FARGATE_GB
    return cpus * HOURS * price * (1 - spot + spot * SPOT_PRICE)


def by_lambda(size: Size) -> float:
    return size.month * (LAMBDA_CALL + CPU_SECONDS * LAMBDA_GB * LAMBDA_GB_SECOND)


def by_fargate(size: Size) -> float:
    # Two tasks of one processor at least, in two zones.
    return fargate(max(2, busy_cpus(size) / UTILIZATION), 2, SPOT_SHARE if size.large else 0)


def by_ec2(size: Size) -> float:
    return max(2, busy_cpus(size) / UTILIZATION) * HOURS * EC2_SPOT_CPU


def api_by_lambda(size: Size) -> float:
    calls = api_calls(size)
    return tiers(calls, HTTP_API) + calls * (LAMBDA_CALL + API_SECONDS * API_GB * LAMBDA_GB_SECOND)


def api_by_fargate(size: Size) -> float:
    per_second = api_calls(size) / HOURS / 3600
    # A unit of the balancer is, among others, 1 GB an hour.
    units = max(1, per_second * 3600 * 2e-6, per_second / 100)
    return fargate(max(2, per_second / API_PER_CPU), 2) + HOURS * (BALANCER_HOUR + units * BALANCER_UNIT)


def kafka(size: Size) -> float:
    brokers = 3 * (KAFKA[size.brokers] * HOURS + size.broker_gb * KAFKA_GB)
    return brokers + fargate(size.intake_cpus, 2)


def kafka_with_bytes(size: Size) -> float:
    """With the bytes in the records: small brokers as long as they do, then express brokers for the peak of 4 times."""
    mean = size.second * (1 - WEB) * ORIGINAL_MB
    if 4 * mean < 5:
        return kafka(SMALL)
    brokers = max(3, math.ceil(4 * mean / EXPRESS_MB_A_SECOND / 3) * 3)
    kept_a_day = mean * 86_400 / 1000
    return (
        brokers * KAFKA["express.m7g.large"] * HOURS
        + kept_a_day * DAYS * EXPRESS_IN_GB
        + kept_a_day * KAFKA_GB
        + kafka(size)
    )


def costs(size: Size) -> dict[str, float]:
    month, objects = size.month, size.month * 2
    gets = month + month * VIEWS * (1 - HIT_RATE)
    endpoints = 5 if size.large else 1
    return {
        "S3: storage": tiers(stored_gb(size), S3_GB),
        "S3: requests": (objects + lists(size)) * S3_PUT + gets * S3_GET,
        "Processing": by_fargate(size) if size.large else by_lambda(size),
        "API": api_by_fargate(size) if size.large else api_by_lambda(size),
        "Sign-in": tiers(size.per_day * WEB / IMAGES_PER_USER, COGNITO),
        "CDN: bytes": tiers(viewed_gb(size), CDN_GB),
        "CDN: requests, WAF": WAF_FIXED + (month * VIEWS + api_calls(size)) * (CDN_REQUEST + WAF_REQUEST),
        "DynamoDB": write_units(size) * WRITE_UNIT
        + read_units(size) * READ_UNIT
        + size.per_day * KEPT_DAYS * ITEM_KB * 1.6 / 1e6 * TABLE_GB,
        "SQS": queue_calls(size) * SQS_CALL,
        "Kafka and its intake": kafka(size),
        "Firehose": month * math.ceil(ROW_KB / 5) * 5 / 1e6 * FIREHOSE_GB,
        "Athena, QuickSight": size.queries * DAYS * size.query_gb / 1000 * ATHENA_TB
        + size.authors * AUTHOR
        + size.readers * READER,
        "KMS, logs, alarms, endpoints": KMS_KEY
        + 0.01 * (objects + gets) * KMS_CALL
        + month * 0.5 / 1e6 * LOG_GB
        + 12 * ALARM
        + 20 * METRIC
        + endpoints * 3 * ENDPOINT_HOUR * HOURS
        + month * 2 / 1e6 * ENDPOINT_GB,
    }


# The document -----------------------------------------------------------------------------------------


def short(value: float) -> str:
    """To three digits at most, in words."""
    for limit, unit in ((1e9, " billion"), (1e6, " million"), (1e3, " thousand")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def gigabytes(value: float) -> str:
    for limit, unit in ((1e6, "PB"), (1e3, "TB"), (1, "GB")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value * 1000:.3g} MB"


def rate(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def dollars(value: float) -> str:
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [head, ["---", *["---:"] * (len(head) - 1)], *rows]]


def amounts() -> list[str]:
    measures = [
        ("images a second, mean", lambda size: rate(size.second)),
        ("images a second, at the daily peak (2 times)", lambda size: rate(2 * size.second)),
        ("bytes uploaded a day", lambda size: gigabytes(size.per_day * ORIGINAL_MB / 1000)),
        ("bytes stored", lambda size: gigabytes(stored_gb(size))),
        ("objects stored", lambda size: short(2 * size.per_day * KEPT_DAYS)),
        ("items stored", lambda size: short(size.per_day * KEPT_DAYS)),
        ("rows of the analysts, compressed", lambda size: gigabytes(size.per_day * KEPT_DAYS * PARQUET_KB / 1e6)),
        ("S3 puts a month", lambda size: short(2 * size.month)),
        ("DynamoDB writes a second, at the peak", lambda size: rate(write_units(size) / DAYS / 86_400 * 2)),
        ("the same for each of the 256 slots of an hour", lambda size: rate(write_units(size) / DAYS / 43_200 / 256)),
        ("SQS calls a month", lambda size: short(queue_calls(size))),
        ("API calls a second, at the peak", lambda size: rate(api_calls(size) / DAYS / 43_200)),
        ("processors busy, mean", lambda size: rate(busy_cpus(size))),
        ("processors busy, at the peak", lambda size: rate(2 * busy_cpus(size))),
        ("objects that the sweep removes an hour", lambda size: short(2 * size.per_day / 24)),
        ("Kafka records a second, mean", lambda size: rate(size.second * (1 - WEB))),
        ("bytes that go out through the CDN a month", lambda size: gigabytes(viewed_gb(size))),
    ]
    return table(["", *[size.name for size in SIZES]], [[name, *[of(size) for size in SIZES]] for name, of in measures])


def cost_table() -> list[str]:
    found = [costs(size) for size in SIZES]
    rows = [[name, *[dollars(column[name]) for column in found]] for name in found[0]]
    totals = [sum(column.values()) for column in found]
    rows.append(["**together**", *[f"**{dollars(total)}**" for total in totals]])
    rows.append(["for a thousand images", *[dollars(total / size.month * 1000) for total, size in zip(totals, SIZES)]])
    return table(["USD a month", *[size.name for size in SIZES]], rows)


def alternatives() -> list[str]:
    steps = [dataclasses.replace(SMALL, per_day=count) for count in (10_000, 100_000, 1_000_000)] + [LARGE]
    rows = [
        [f"processing by {name}", *[dollars(of(size)) for size in steps]]
        for name, of in (("Lambda", by_lambda), ("Fargate, 80% Spot when large", by_fargate), ("EC2 Spot", by_ec2))
    ]
    rows += [
        [f"API by {name}", *[dollars(of(size)) for size in steps]]
        for name, of in (("API Gateway and Lambda", api_by_lambda), ("a load balancer and Fargate", api_by_fargate))
    ]
    rows.append(["Kafka with the bytes in it", *[dollars(kafka_with_bytes(size)) for size in steps]])
    rows.append(["one more object an image (a thumbnail)", *[dollars(size.month * S3_PUT) for size in steps]])
    return table(["USD a month at images a day", *[short(size.per_day) for size in steps]], rows)


TEXT = """\
# Capacity and cost

<!-- Generated by capacity.py, which has the arithmetic and all inputs. A check compares. -->

From these inputs: an original has {original:.0f} MB, a processed image {processed} MB, an item {item} KB, a row of the
analysts {row} KB, as Parquet {parquet} KB. {web:.0%} of the images come through the web, the others through Kafka.
Processing takes {cpu} s of one processor. Each image is looked at {views:.0f} time, from the CDN's cache in {hits:.0%}
of the cases, and for two images there is one call that reads metadata. A user who is active in a month uploads {each}
images a day. The evening has twice the mean.

## Amounts

{amounts}

## Monthly cost

List prices of us-east-1 as published in {prices}, in US dollars, without free tiers (but that of sign-in), discounts,
support and taxes. They are estimates: check them before a decision.

{costs}

## Alternatives

{alternatives}

- Lambda costs nothing when nothing comes, and little until some 100 thousand images a day. At 100 million Fargate costs
  {factor:.1f} times less. EC2 Spot would save a little more; it needs hosts to be patched.
- At the large size requests to S3 cost as much as the bytes. Therefore an image has two objects, not one more for each
  rendition.
- The bytes in Kafka are affordable at the small size, and are kept out of it at the large one.

## Waiting times

From arrival in the queue to the beginning of the processing, of one day, simulated by `python3 section3/queueing.py`:
Poisson arrivals whose rate follows the day, service times that are log-normal with a standard deviation as large as the
mean. `--check` compares the two models where both can be computed: their 99th percentiles differ by less than 5%.

{small_name} images a day, image by image, with a fixed number of invocations at once:

{small}

Lambda begins with five invocations and adds more within a minute; the template allows 50. A hundred times the load of
the evening does not keep images waiting.

{large_name} images a day, second by second, in {least} to {most:,} tasks of four processors, decided each minute by
arrivals and backlog; Fargate starts at most 20 tasks a second:

{large}

Waiting is bounded by how fast tasks start, until all of them run. The alarm is at 15 minutes.
"""


def document() -> str:
    return TEXT.format(
        original=ORIGINAL_MB,
        processed=PROCESSED_MB,
        item=ITEM_KB,
        row=ROW_KB,
        parquet=PARQUET_KB,
        web=WEB,
        cpu=CPU_SECONDS,
        views=VIEWS,
        hits=HIT_RATE,
        each=IMAGES_PER_USER,
        prices=PRICES_OF,
        amounts="\n".join(amounts()),
        costs="\n".join(cost_table()),
        alternatives="\n".join(alternatives()),
        factor=by_lambda(LARGE) / by_fargate(LARGE),
        small_name=SMALL.name,
        large_name=LARGE.name,
        least=queueing.LEAST_LARGE,
        most=queueing.MOST_LARGE,
        small="\n".join(queueing.small_table()),
        large="\n".join(queueing.large_table()),
    )


if __name__ == "__main__":
    print(document(), end="")
