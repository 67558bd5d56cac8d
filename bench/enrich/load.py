"""Delivers events to a function as Pub/Sub's push does, and times each from its sending to its ack.

A process of its own: `python -m bench.enrich.load PLAN`, where PLAN is JSON; prints its findings as JSON. Two ways:

- *closed*: so many in flight, and whenever one is acked the next one goes out. It finds how much a function takes.
- *open*: events come when they come, whether or not the function keeps up, and wait from that moment on. It finds how
  long an event takes at a load that is the same for all.
"""

import asyncio
import itertools
import json
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import NamedTuple, cast

import uvloop

from bench.enrich import workload
from bench.harness import BenchError, percentile

_CONNECTIONS = 64
_PATIENCE_S = 60.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSING = re.compile(rb"^HTTP/1\.0|\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True)
class Plan:
    """What to deliver.

    Attributes:
        address: Where the function listens, `127.0.0.1:PORT`.
        first: Number of the first event; the others follow it.
        in_flight: How many to have in flight at once; 0 to send at `rate_hz` instead.
        rate_hz: How many arrive per second.
        seconds: For how long to send.
        zipf: How many events to send over keys that repeat, until all are sent; with 0, every event has a key of its
            own.
        wide: Whether events are those of the wider shape.
    """

    address: str
    first: int
    in_flight: int = 0
    rate_hz: float = 0.0
    seconds: float = 0.0
    zipf: int = 0
    wide: bool = False


@dataclass(frozen=True)
class Findings:
    """What came of it.

    Attributes:
        events: How many were delivered and acked, all of those that were sent.
        seconds: For how long events were sent.
        events_per_s: How many were acked per second, while new ones were sent.
        p50_ms: Time to the ack that half of them did not exceed.
        p99_ms: Time to the ack that 99 % of them did not exceed.
        added_p99_ms: The same without the time that the service took over each.
        busy_percent: Share of one processor that this process took meanwhile.
    """

    events: int
    seconds: float
    events_per_s: float
    p50_ms: float
    p99_ms: float
    added_p99_ms: float
    busy_percent: float


def deliver(plan: Plan) -> Findings:
    """Carry a plan out in a process of its own.

    Raises:
        BenchError: An event was not acked.
    """
    command = [sys.executable, "-m", "bench.enrich.load", json.dumps(asdict(plan))]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=plan.seconds + _PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"events were not all acked within {plan.seconds + _PATIENCE_S:.0f} s") from None
    if done.returncode != 0:
        raise BenchError(f"events were not all acked: {done.stderr.strip()[-500:]}")
    return Findings(**json.loads(done.stdout))


class _Connection(asyncio.Protocol):
    """A connection to the function: one delivery at a time, until it ends.

    Attributes:
        usable: Whether it can take another one.
    """

    def __init__(self) -> None:
        self.usable = True
        self._unread = b""
        self._status: asyncio.Future[int] | None = None

    async def post(self, request: bytes) -> int:
        """Deliver; gives the status, or 0 where the connection ended without one."""
        self._status = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._status

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _: Exception | None) -> None:
        self.usable = False
        self._tell(0)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        head, ended, body = self._unread.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not ended or len(body) < (int(length[1]) if length else 0):
            return
        self._unread = b""
        if _CLOSING.search(head):
            self.usable = False
            self._transport.close()
        self._tell(int(head[9:12]))

    def _tell(self, status: int) -> None:
        if self._status is not None and not self._status.done():
            self._status.set_result(status)


class _Load:
    """Deliveries, and what has come of those that ended."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._idle: list[_Connection] = []
        keys = workload.zipf_keys(plan.zipf) if plan.zipf else itertools.count(plan.first)
        self._events = zip(itertools.count(plan.first), keys, strict=False)
        self._done: list[_Done] = []

    async def run(self) -> Findings:
        """Send all, and wait for the last ack."""
        self._idle = [await self._connect() for _ in range(self._plan.in_flight or _CONNECTIONS)]
        cpu_s, started = time.process_time(), time.perf_counter()
        await (self._keep_in_flight(started) if self._plan.in_flight else self._keep_arriving(started))
        sending_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_s
        statuses = Counter(done.status for done in self._done)
        if refused := {status: number for status, number in statuses.items() if not 200 <= status < 300}:
            raise BenchError(f"how many got no ack, by status: {refused}")
        if self._plan.seconds:
            sending_s = self._plan.seconds
        in_time = sum(done.at_s <= started + sending_s for done in self._done)
        return Findings(
            events=len(self._done),
            seconds=sending_s,
            events_per_s=in_time / sending_s,
            p50_ms=percentile([done.taken_s * 1e3 for done in self._done], 50),
            p99_ms=percentile([done.taken_s * 1e3 for done in self._done], 99),
            added_p99_ms=percentile([(done.taken_s - done.by_service_s) * 1e3 for done in self._done], 99),
            busy_percent=cpu_s / sending_s * 100,
        )

    async def _keep_in_flight(self, started: float) -> None:
        async def one_after_the_other() -> None:
            for number, key in self._events:  # a task that is free takes the next one
                await self._deliver(number, key, time.perf_counter())
                if self._plan.seconds and time.perf_counter() >= started + self._plan.seconds:
                    break

        await asyncio.gather(*(one_after_the_other() for _ in range(self._plan.in_flight)))

    async def _keep_arriving(self, started: float) -> None:
        async with asyncio.TaskGroup() as deliveries:
            for after_s in workload.arrivals(self._plan.rate_hz):
                if after_s > self._plan.seconds:
                    break
                await asyncio.sleep(started + after_s - time.perf_counter())
                deliveries.create_task(self._deliver(*next(self._events), started + after_s))

    async def _deliver(self, number: int, key: int, came_at_s: float) -> None:
        connection = self._idle.pop() if self._idle else await self._connect()
        if not connection.usable:
            connection = await self._connect()
        status = await connection.post(
            workload.delivery(number, key, self._plan.address, wide=self._plan.wide)
        )
        now_s = time.perf_counter()
        self._done.append(_Done(status, now_s, now_s - came_at_s, workload.service_s(key)))
        self._idle.append(connection)

    async def _connect(self) -> _Connection:
        host, _, port = self._plan.address.partition(":")
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, host, int(port))
        return connection


class _Done(NamedTuple):
    status: int
    at_s: float
    taken_s: float
    by_service_s: float


if __name__ == "__main__":
    findings = uvloop.run(_Load(Plan(**json.loads(sys.argv[1]))).run())
    print(json.dumps(asdict(findings)))
