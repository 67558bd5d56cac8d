"""A subscription that takes answers as a test wants it to, in memory."""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence

from enrichment.core.received import Received
from enrichment.drivers.work.api import CallError, PullStream
from enrichment.drivers.work.leased_message import LeasedMessage
from enrichment.drivers.work.messages import Proto
from enrichment.drivers.work.report import Report
from enrichment.event.message import Message
from enrichment.telemetry.counters import Counters
from enrichment.telemetry.log import Log

SUBSCRIPTION = "projects/meshpass-lab/subscriptions/events-pull"


class ScriptedApi:
    """Notes each answer, with its time.

    Attributes:
        failures: What the next requests raise, first to last; None for a request that is taken.
        acked: By ack id, how often it was acknowledged and taken.
        nacked: The same of nacks.
        extended: The same of extensions.
        requests: Each request: its kind, its ids and when it came.
        answer_s: How long a request takes, in seconds.
    """

    def __init__(self) -> None:
        self.failures: list[CallError | None] = []
        self.acked: Counter[str] = Counter()
        self.nacked: Counter[str] = Counter()
        self.extended: Counter[str] = Counter()
        self.requests: list[tuple[str, list[str], float]] = []
        self.answer_s = 0.001

    async def acknowledge(self, ack_ids: Sequence[str]) -> None:
        await self._take("ack", ack_ids, self.acked)

    async def modify(self, ack_ids: Sequence[str], seconds: int) -> None:
        if seconds:
            await self._take(f"extend {seconds}", ack_ids, self.extended)
        else:
            await self._take("nack", ack_ids, self.nacked)

    async def stream(self) -> PullStream:
        raise NotImplementedError

    async def describe(self) -> Proto:
        raise NotImplementedError

    def of_kind(self, kind: str) -> list[list[str]]:
        """The ids of each request of a kind."""
        return [ids for found, ids, _ in self.requests if found.startswith(kind)]

    async def _take(self, kind: str, ack_ids: Sequence[str], taken: Counter[str]) -> None:
        self.requests.append((kind, list(ack_ids), asyncio.get_running_loop().time()))
        await asyncio.sleep(self.answer_s)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            taken.update(
                ack_id for ack_id in ack_ids if failure.by_ack_id and ack_id not in failure.by_ack_id
            )
            raise failure
        taken.update(ack_ids)


class Lines:
    """A log, and a report that writes to it."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.counters = Counters()
        self.now_s = 0.0
        log = Log("", counters=self.counters, write=self.raw.append, clock=lambda: self.now_s)
        self.report = Report(log, SUBSCRIPTION, clock=lambda: self.now_s)

    def with_severity(self, severity: str) -> list[str]:
        pattern = re.compile(rf'"severity":"{severity}","message":"([^"]*)"')
        found = (pattern.search(line.decode()) for line in self.raw)
        return [one[one.lastindex or 0] for one in found if one]


def leased(name: str, key: str = "", *, size_bytes: int = 10, attempt: int = 0) -> LeasedMessage:
    """A message whose data, id and ack id are its name."""
    known = Message(name.encode(), {}, name, None, key)
    return LeasedMessage(name, name, key, size_bytes, attempt, Received(known.data, known, {}))
