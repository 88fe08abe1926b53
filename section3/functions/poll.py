"""Feeds `process` from the queue: the entry point of the tasks that process images at the large size.

A task has a worker for each processor. A worker processes one message at a time, each in a process of its own: an image
that crashes the decoder, or keeps it busy for ever, ends that process, and nothing else."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
from typing import Any

import process
from platform_io import client, setting

# The messages of one call, and the seconds of one attempt, as the function of the small size has them.
BATCH, SECONDS = 5, 120
FORK = multiprocessing.get_context("fork")


def once(wait_seconds: int = 20) -> int:
    """Receives some messages, processes them, and removes those that are done. Returns how many there were."""
    queue, sqs = setting("QUEUE"), client("sqs")
    got = sqs.receive_message(
        QueueUrl=queue,
        MaxNumberOfMessages=BATCH,
        WaitTimeSeconds=wait_seconds,
        MessageSystemAttributeNames=["ApproximateReceiveCount"],
    ).get("Messages", [])
    done = [message for message in got if apart(message)]
    if done:
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]} for number, message in enumerate(done)
        ]
        sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
    return len(got)


def apart(message: dict[str, Any]) -> bool:
    """Whether a process of its own has processed the message. The queue's messages come again if not."""
    attempt = FORK.Process(target=lambda: sys.exit(not succeeds(message)))
    attempt.start()
    attempt.join(SECONDS)
    if attempt.is_alive():
        attempt.kill()
        attempt.join()
    return attempt.exitcode == 0


def succeeds(message: dict[str, Any]) -> bool:
    record = {"messageId": message["MessageId"], "body": message["Body"], "attributes": message["Attributes"]}
    return not process.handler({"Records": [record]}, None)["batchItemFailures"]


def work() -> None:
    """Until SIGTERM, which comes two minutes before Spot capacity goes: what was received is finished first."""
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    while not stopping:
        once()


def main() -> None:
    """A worker that dies ends the task, which ECS replaces."""
    workers = [FORK.Process(target=work) for _ in range(os.cpu_count() or 1)]
    for worker in workers:
        worker.start()

    def stop(*_: Any) -> None:
        for worker in workers:
            worker.terminate()

    signal.signal(signal.SIGTERM, stop)
    multiprocessing.connection.wait([worker.sentinel for worker in workers])
    stop()
    for worker in workers:
        worker.join()
    sys.exit(any(worker.exitcode for worker in workers))


if __name__ == "__main__":
    main()
