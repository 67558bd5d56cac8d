"""The lab's fake of Pub/Sub under load: `python -m bench.pubsub_fake`.

It prints what a message costs the fake in processor time and in memory, so that a bench of a pull worker can tell the
fake's share from the worker's. Processor time, unlike messages per second, is nearly the same on a busy machine.
"""

import argparse
import os
import queue
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.pubsub_v1 import PublisherClient, SubscriberClient, types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from meshlab.cloud.pubsub import backlog
from meshlab.processes.supervisor import Supervisor

TOPIC = "projects/bench/topics/events"
SUBSCRIPTION = "projects/bench/subscriptions/worker"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """A process, as /proc shows it."""

    pid: int

    def cpu_s(self) -> float:
        """Return the processor time it has used, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def resident_bytes(self) -> int:
        """Return its memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(arguments: list[str]) -> None:
    """Publish, pull and acknowledge, and print what each cost."""
    parser = argparse.ArgumentParser(prog="python -m bench.pubsub_fake", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000, help="how many (default: %(default)s)")
    parser.add_argument("--bytes", type=int, default=400, help="data of each (default: %(default)s)")
    parser.add_argument(
        "--batch",
        type=int,
        default=1000,
        help="messages of a Publish request, and at most so many ack IDs of a request (default: %(default)s)",
    )
    parser.add_argument("--keys", type=int, default=0, help="ordering keys; 0, the default, for none")
    parser.add_argument("--exactly-once", action="store_true", help="with exactly-once delivery")
    parser.add_argument("--hold", action="store_true", help="acknowledge only once everything was pulled")
    options = parser.parse_args(arguments)
    with Supervisor() as supervisor:
        child = supervisor.spawn("pubsub", [sys.executable, "-m", "meshlab.cloud.pubsub"])
        host = f"127.0.0.1:{child.listening_port()}"
        _run(host, Process(child.pid), options)


def _run(host: str, fake: Process, options: argparse.Namespace) -> None:
    channel_options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(host, options=channel_options) as channel:
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        publisher.create_topic(name=TOPIC)
        subscriber.create_subscription(
            request={
                "name": SUBSCRIPTION,
                "topic": TOPIC,
                "enable_message_ordering": options.keys > 0,
                "enable_exactly_once_delivery": options.exactly_once,
            }
        )
        empty = fake.resident_bytes()
        report = _Report(fake, options.messages, empty)
        _publish(channel, options)
        report.line("published")
        _pull(channel, options, report)
        report.line("pulled and acknowledged")
        left = backlog(host, SUBSCRIPTION)
        print(f"left: {left.unacked} messages")


class _Report:
    """Prints what a message cost since the line before."""

    def __init__(self, fake: Process, messages: int, empty_bytes: int) -> None:
        self._fake = fake
        self._messages = messages
        self._empty_bytes = empty_bytes
        self._cpu_s = fake.cpu_s()
        self._wall_s = time.monotonic()

    def line(self, what: str) -> None:
        """Print one line."""
        cpu_s, wall_s = self._fake.cpu_s(), time.monotonic()
        grown = self._fake.resident_bytes() - self._empty_bytes
        print(
            f"{what}: {(cpu_s - self._cpu_s) / self._messages * 1e6:.1f} us of the fake's processor time a message, "
            f"{self._messages / (wall_s - self._wall_s):,.0f} messages/s; the fake has grown by "
            f"{grown / 2**20:,.0f} MiB, {grown / self._messages:.0f} bytes a message"
        )
        self._cpu_s, self._wall_s = cpu_s, wall_s


def _publish(channel: grpc.Channel, options: argparse.Namespace) -> None:
    publish = channel.unary_unary("/google.pubsub.v1.Publisher/Publish")
    request_class = types.PublishRequest.pb()
    data = b"x" * options.bytes
    pending = []
    for number in range(0, options.messages, options.batch):
        request = request_class(topic=TOPIC)
        key = f"key-{number // options.batch % options.keys}" if options.keys else ""
        for _ in range(min(options.batch, options.messages - number)):
            request.messages.add(data=data, ordering_key=key, attributes={"origin": "bench"})
        pending.append(publish.future(request.SerializeToString()))
        if len(pending) > 4:
            pending.pop(0).result()
    for each in pending:
        each.result()


def _pull(channel: grpc.Channel, options: argparse.Namespace, report: _Report) -> None:
    request_class, response_class = types.StreamingPullRequest.pb(), types.StreamingPullResponse.pb()
    requests: queue.Queue[bytes | None] = queue.Queue()
    requests.put(
        request_class(subscription=SUBSCRIPTION, stream_ack_deadline_seconds=600).SerializeToString()
    )

    def sent() -> Iterator[bytes]:
        while (request := requests.get()) is not None:
            yield request

    stream = channel.stream_stream("/google.pubsub.v1.Subscriber/StreamingPull")(sent())
    held: list[bytes] = []
    seen = 0
    for response in stream:
        received = response_class.FromString(response).received_messages
        seen += len(received)
        for begin in range(0, len(received), options.batch):
            ids = [each.ack_id for each in received[begin : begin + options.batch]]
            held.append(request_class(ack_ids=ids).SerializeToString())
        if options.hold and seen >= options.messages:
            report.line("pulled and held")
        if not options.hold or seen >= options.messages:
            for request in held:
                requests.put(request)
            held.clear()
        if seen >= options.messages:
            break
    requests.put(None)
    for _ in stream:
        pass


if __name__ == "__main__":
    main(sys.argv[1:])
