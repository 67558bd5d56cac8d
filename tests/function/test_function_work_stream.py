"""A stream of messages: kept open, opened again with growing delays, ended; and the lines about it."""

import asyncio
import itertools
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from enrichment.core.received import Received
from enrichment.drivers.work import settings
from enrichment.drivers.work.api import CallError, PullStream
from enrichment.drivers.work.description import Description
from enrichment.drivers.work.messages import Proto, StreamRequest, StreamResponse
from enrichment.drivers.work.process import Parts, _Process
from enrichment.drivers.work.stream import (
    HEARTBEAT_S,
    OPEN_AFTER_S,
    Stream,
    StreamSettings,
    held_messages,
)
from enrichment.drivers.work.worker import Limits, Worker
from enrichment.errors import Disposition, Outcome
from enrichment.event.message import Message

from . import virtual_time
from .scripted_pubsub import SUBSCRIPTION, Lines, ScriptedApi


class ScriptedStream:
    """A stream that lives so long, and then ends with a status."""

    def __init__(self, life_s: float, code: str, responses: int) -> None:
        self.requests: list[tuple[float, Proto]] = []
        self.is_ended = asyncio.Event()
        self.is_cancelled = False
        self._code = code
        self._responses = responses
        self._until_s = asyncio.get_running_loop().time() + life_s

    async def read(self) -> Proto | None:
        if self._responses:
            self._responses -= 1
            return StreamResponse(
                received_messages=[
                    {
                        "ack_id": f"a{self._responses}",
                        "message": {"data": b"x", "message_id": f"m{self._responses}"},
                    }
                ]
            )
        try:
            async with asyncio.timeout_at(self._until_s):
                await self.is_ended.wait()
        except TimeoutError:
            raise CallError(self._code, "it ended") from None
        return None

    async def send(self, request: Proto) -> None:
        self.requests.append((asyncio.get_running_loop().time(), request))

    async def end(self) -> None:
        self.is_ended.set()

    def cancel(self) -> None:
        self.is_cancelled = True


class StreamApi(ScriptedApi):
    """Opens streams as a test says.

    Attributes:
        script: For each stream how long it lives, what it ends with and how many responses it brings; the last one
            stands for all further ones. A code without a life fails at once.
    """

    def __init__(self, *script: tuple[float, str, int]) -> None:
        super().__init__()
        self.script = list(script)
        self.opened: list[tuple[float, ScriptedStream]] = []

    async def stream(self) -> PullStream:
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.opened.append((asyncio.get_running_loop().time(), ScriptedStream(*step)))
        return self.opened[-1][1]


class Bench:
    """A stream over a scripted API."""

    def __init__(self, *script: tuple[float, str, int]) -> None:
        self.api = StreamApi(*script)
        self.lines = Lines()
        self.goes_on = asyncio.Event()
        self.goes_on.set()

        async def handle(_: Received) -> Outcome:
            await self.goes_on.wait()
            return Outcome(Disposition.WRITTEN)

        self.worker = Worker(
            self.api, handle, Limits(10, 1000, 60, 30), self.lines.counters, self.lines.report, lambda: 1.0
        )
        self.stream = Stream(
            self.api,
            StreamSettings(SUBSCRIPTION, "client", 30, 10, 1000),
            self.worker,
            lambda: "",
            self.lines.report,
            self.lines.counters,
            jitter=lambda: 1.0,
        )
        self.lines.report._clock = lambda: asyncio.get_running_loop().time()
        self.task = asyncio.create_task(self.stream.run())

    @property
    def pauses(self) -> list[float]:
        times = [when for when, _ in self.api.opened]
        return [round(later - earlier, 3) for earlier, later in itertools.pairwise(times)]

    async def end(self) -> None:
        self.stream.end()
        await self.task
        self.worker.close()


def run(work: Callable[[], object]) -> None:
    virtual_time.run(work())  # type: ignore[arg-type]


def test_a_silent_stream_counts_as_open_after_a_while_and_gets_heartbeats() -> None:
    async def work() -> None:
        bench = Bench((1e6, "UNAVAILABLE", 0))
        await asyncio.sleep(OPEN_AFTER_S - 0.1)
        assert not bench.stream.is_open
        await asyncio.sleep(0.2)
        assert bench.stream.is_open
        await asyncio.sleep(HEARTBEAT_S * 4)
        ((began_at_s, opened),) = bench.api.opened
        first, *beats = opened.requests
        assert first[1].subscription == SUBSCRIPTION
        assert [request for _, request in beats] == [StreamRequest()] * 4
        assert {round(later[0] - earlier[0]) for earlier, later in itertools.pairwise(beats)} == {30}
        assert bench.stream.tried_at_s > began_at_s + HEARTBEAT_S * 3
        await bench.end()

    run(work)


def test_a_stream_that_cannot_be_opened_is_tried_with_growing_delays_up_to_a_minute() -> None:
    async def work() -> None:
        bench = Bench((0, "UNAVAILABLE", 0))
        await asyncio.sleep(600)
        assert bench.pauses[:11] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60]
        await bench.end()

    run(work)


def test_a_stream_that_was_open_is_opened_again_at_once() -> None:
    async def work() -> None:
        bench = Bench((0, "UNAVAILABLE", 0), (0, "UNAVAILABLE", 0), (1800, "UNAVAILABLE", 0))
        await asyncio.sleep(3 * 1800)
        assert bench.pauses[:4] == [0.1, 0.2, 1800.1, 1800.1]
        assert bench.lines.with_severity("(WARNING|ERROR|CRITICAL)") == []
        await bench.end()

    run(work)


def test_messages_make_a_stream_open_at_once() -> None:
    async def work() -> None:
        bench = Bench((0.5, "INTERNAL", 1))
        await asyncio.sleep(10)
        assert set(bench.pauses) == {0.6}
        assert len(bench.api.acked) == 1
        await bench.end()

    run(work)


def test_nothing_is_read_while_there_is_no_room_for_it() -> None:
    """Pub/Sub keeps to the bounds within a stream; a stream that is opened again starts to count anew."""

    async def work() -> None:
        bench = Bench((1e6, "UNAVAILABLE", 100))
        bench.goes_on.clear()
        await asyncio.sleep(5)
        assert bench.worker.in_process == 11, "the bound, and one response that waits"
        bench.goes_on.set()
        await asyncio.sleep(5)
        assert len(bench.api.acked) == 100
        await bench.end()

    run(work)


def test_only_a_subscription_that_keeps_order_has_keys() -> None:
    response = StreamResponse(
        received_messages=[{"ack_id": "a", "message": {"message_id": "m", "ordering_key": "k"}}]
    )
    for keeps_order, key in ((True, "k"), (False, "")):
        (one,) = held_messages(response.received_messages, "", keeps_order=keeps_order)
        assert one.ordering_key == key
        assert one.received is not None
        assert isinstance(one.received.message, Message)
        assert one.received.message.ordering_key == "k"


def test_what_a_subscription_says_of_itself_decides_who_waits_and_what_is_a_loop() -> None:
    async def work() -> None:
        bench = Bench((1e6, "UNAVAILABLE", 0))
        known = settings.read({"PULL_SUBSCRIPTION": SUBSCRIPTION}, [])
        core = SimpleNamespace(
            log=Lines().report._log, dead_letter_topic="projects/p/topics/dead", count=None
        )
        process = _Process(Parts(known, core, []), "127.0.0.1")  # type: ignore[arg-type]
        for has_policy in (True, False):
            process._learn(
                Description("projects/p/topics/t", has_retry_policy=has_policy, is_exactly_once=has_policy),
                bench.worker,
            )
            assert bench.worker.server_waits is has_policy
            assert bench.worker.answers.exactly_once is has_policy
        assert process._source == "//pubsub.googleapis.com/projects/p/topics/t"
        assert not process._stop.is_set()
        process._refuse(Description("projects/p/topics/dead"))
        assert (process._stop.is_set(), process._code) == (True, 2)
        await bench.end()

    run(work)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("PERMISSION_DENIED", "grant roles/pubsub.subscriber"),
        ("NOT_FOUND", "create the subscription"),
        ("FAILED_PRECONDITION", "without a push configuration"),
        ("UNAUTHENTICATED", "an identity of Google"),
    ],
)
def test_a_fault_is_critical_once_a_minute_and_does_not_end_the_worker(code: str, words: str) -> None:
    async def work() -> None:
        bench = Bench((0, code, 0))
        await asyncio.sleep(1200)
        alerts = bench.lines.with_severity("CRITICAL")
        assert 15 <= len(alerts) <= 20
        assert all(words in line and code in line for line in alerts)
        assert bench.lines.with_severity("WARNING") == []
        assert not bench.task.done()
        bench.api.script = [(1e6, "", 0)]
        await asyncio.sleep(100)
        assert bench.lines.with_severity("NOTICE") == [f"work receives from {SUBSCRIPTION} again"]
        await bench.end()

    run(work)


def test_a_token_that_is_refused_once_is_no_line() -> None:
    async def work() -> None:
        bench = Bench((1800, "UNAUTHENTICATED", 0), (1e6, "", 0))
        await asyncio.sleep(3600)
        assert bench.lines.with_severity("(WARNING|ERROR|CRITICAL)") == []
        assert len(bench.api.opened) == 2
        await bench.end()

    run(work)


def test_an_outage_is_a_warning_and_critical_after_two_minutes() -> None:
    async def work() -> None:
        bench = Bench((0, "UNAVAILABLE", 0))
        await asyncio.sleep(60)
        assert len(bench.lines.with_severity("WARNING")) == 1
        assert bench.lines.with_severity("CRITICAL") == []
        await asyncio.sleep(180)
        assert bench.lines.with_severity("CRITICAL")
        await bench.end()

    run(work)


def test_an_end_in_a_pause_or_in_a_stream_ends_at_once_and_leaves_nothing_open() -> None:
    async def work() -> None:
        for script in ((0, "UNAVAILABLE", 0), (1e6, "UNAVAILABLE", 0)):
            bench = Bench(script)
            await asyncio.sleep(300)
            began_at_s = asyncio.get_running_loop().time()
            await bench.end()
            assert asyncio.get_running_loop().time() - began_at_s < 2
            assert all(stream.is_cancelled for _, stream in bench.api.opened)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.sleep(0)
        assert not [task for task in left if not task.done()]

    run(work)


def test_refused_acks_are_one_line_a_minute_that_counts_them() -> None:
    lines = Lines()
    for now_s in (0, 1, 59, 60, 61):
        lines.now_s = now_s
        lines.report.acks_refused(10, "PERMISSION_DENIED")
    assert [line.split()[0] for line in lines.with_severity("WARNING")] == ["10", "30"]
