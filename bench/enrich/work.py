"""Runs the pull worker on the same stage as the functions: one round, fed by the lab's Pub/Sub.

`python -m bench.enrich.work [EVENTS]` prints the worker beside the function, 64 and 256 at a time, as JSON.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.types import PubsubMessage
from meshlab.cloud.pubsub import backlog
from meshlab.processes.ports import LOOPBACK, free_ports

from bench.enrich import processes, push, workload
from bench.enrich.stage import OURS, Stage, standing
from bench.harness import BenchError

SUBSCRIPTION = f"projects/{workload.PROJECT}/subscriptions/events-pull"
FUNCTION = OURS.source.parent
_WARM_UP_FIRST = 50_000_000
_WARM_UP_EVENTS = 500
_PATIENCE_S = 120.0
_POLL_S = 0.02


@dataclass(frozen=True)
class Round:
    """What a round has shown.

    Attributes:
        events: How many there were.
        events_per_s: How many were acknowledged per second.
        cpu_s: Processor time of the worker, in seconds.
        peak_mib: The most memory of it, in MiB.
    """

    events: int
    events_per_s: float
    cpu_s: float
    peak_mib: float

    @property
    def cpu_ms_per_event(self) -> float:
        """Processor time for one event, in milliseconds."""
        return self.cpu_s / self.events * 1e3


def run(stage: Stage, events: int, in_flight: int) -> Round:
    """Start a worker, warm it up, let it take a backlog, and check that each event has become its own row.

    It is halted while the backlog is published, so that only its own work counts.

    Args:
        stage: What it runs on.
        events: How many, each with a key of its own.
        in_flight: The most messages in the process.

    Raises:
        BenchError: An event is not in the table, or with another user's profile.
    """
    supervisor, python = stage.supervisor, stage.python
    pubsub = supervisor.spawn("pubsub", [sys.executable, "-m", "meshlab.cloud.pubsub"])
    host = f"{LOOPBACK}:{pubsub.listening_port()}"
    os.environ["PUBSUB_EMULATOR_HOST"] = host
    publisher, subscriber = PublisherClient(), SubscriberClient()
    publisher.create_topic(name=workload.TOPIC)
    subscriber.create_subscription(
        request={"name": SUBSCRIPTION, "topic": workload.TOPIC, "retry_policy": {"minimum_backoff": "1s"}}
    )
    port = next(free_ports())
    with processes.one_cpu():
        worker = supervisor.spawn(
            f"worker-{port}",
            [python, "-m", "enrichment", "work", "--host", LOOPBACK],
            env={
                **stage.env_for("SIGNING_KEY_FILE"),
                "PUBSUB_EMULATOR_HOST": host,
                "PULL_SUBSCRIPTION": SUBSCRIPTION,
                "WORK_MAX_MESSAGES": str(in_flight),
                "PORT": str(port),
                "PYTHONPATH": str(FUNCTION),
            },
            stdout=supervisor.directory / f"worker-{port}.txt",
        )
    try:
        _publish(publisher, range(_WARM_UP_FIRST, _WARM_UP_FIRST + _WARM_UP_EVENTS))
        _settle(host)
        worker.signal(signal.SIGSTOP)
        stage.seen()
        _publish(publisher, range(events))
        before = processes.usage(worker.pid)
        began_at = time.monotonic()
        worker.signal(signal.SIGCONT)
        _settle(host)
        seconds = time.monotonic() - began_at
        after = processes.usage(worker.pid)
        _, table = stage.seen()
        push.check(events, table)
    finally:
        worker.signal(signal.SIGCONT)
        supervisor.stop(worker)
        supervisor.stop(pubsub)
    return Round(events, events / seconds, after.cpu_s - before.cpu_s, after.peak_mib)


def _publish(publisher: PublisherClient, numbers: Sequence[int]) -> None:
    for begin in range(0, len(numbers), 500):
        messages = [
            PubsubMessage(data=workload.event(number, number)) for number in numbers[begin : begin + 500]
        ]
        publisher.publish(topic=workload.TOPIC, messages=messages)


def _settle(host: str) -> None:
    until_s = time.monotonic() + _PATIENCE_S
    while backlog(host, SUBSCRIPTION).unacked:
        if time.monotonic() > until_s:
            raise BenchError(f"events were not all acknowledged within {_PATIENCE_S:.0f} s")
        time.sleep(_POLL_S)


def main(events: int) -> None:
    """Print the worker beside the function."""
    found: dict[str, dict[str, float]] = {}
    with standing() as stage:
        for in_flight in (64, 256):
            ours = run(stage, events, in_flight)
            function = push.run(stage, OURS, in_flight=in_flight, seconds=events / 1500)
            for name, cpu_s, number, per_s, peak_mib in (
                ("work", ours.cpu_s, ours.events, ours.events_per_s, ours.peak_mib),
                (
                    "function",
                    function.cpu_s,
                    function.delivered.events,
                    function.delivered.events_per_s,
                    function.peak_mib,
                ),
            ):
                found[f"{name}, {in_flight} in flight"] = {
                    "events": number,
                    "events_per_s": round(per_s),
                    "cpu_ms_per_event": round(cpu_s / number * 1e3, 3),
                    "events_per_cpu_s": round(number / cpu_s),
                    "peak_mib": round(peak_mib, 1),
                }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6000)
