"""Answers to Pub/Sub: acks, nacks and extensions of leases, in batches, and sent again while that may help."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field

from enrichment import backoff
from enrichment.drivers.work.api import Api, CallError
from enrichment.drivers.work.leased_message import LeasedMessage
from enrichment.telemetry.counters import Count

MAX_IDS = 1000
"""Most ids in one request. It takes 512 KiB (https://cloud.google.com/pubsub/quotas#resource_limits), and an id has
about 200 bytes."""

BATCH_S = 0.01
"""How long the first answer of a batch waits for others, in seconds."""

RETRY_S = 60.0
"""How long an answer is sent again after transient errors, in seconds: as long as the official client does."""

EXACTLY_ONCE_RETRY_S = 600.0
"""The same where delivery is exactly once: until the answer is confirmed, nothing is decided."""

MAX_CALLS = 8
"""Most requests of one kind under way at once. What comes meanwhile waits for the next batch."""

_FIRST_DELAY_S = 0.1
_MAX_DELAY_S = 2.0

# The codes that the official client sends answers again for: its subscriber, and UNKNOWN the client below that.
_TRANSIENT = frozenset(
    {"ABORTED", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "UNKNOWN"}
)
_TRANSIENT_ID = "TRANSIENT_"
_INVALID_ID = "PERMANENT_FAILURE_INVALID_ACK_ID"

Send = Callable[[Sequence[str]], Coroutine[None, None, None]]


@dataclass
class _Batch:
    """Answers of one kind that wait for their request."""

    kind: str
    send: Send
    waiting: dict[str, LeasedMessage] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None
    calls: set[asyncio.Task[None]] = field(default_factory=set)


class Acknowledgements:
    """Sends answers.

    Acks and nacks are given once for each message; a second one is a defect, and is dropped and counted. Where nothing
    is to be sent no timer runs.

    Args:
        api: Pub/Sub.
        lease_s: By how long a lease is extended, in whole seconds.
        count: Counts answers by kind and result.
        settled: Is called with messages whose answers Pub/Sub has taken, or refused for good.
        refused: Is called where acks were refused for good: with their number and why.
    """

    def __init__(
        self,
        api: Api,
        lease_s: int,
        count: Count,
        settled: Callable[[Sequence[LeasedMessage]], None],
        refused: Callable[[int, str], None],
    ) -> None:
        self._api = api
        self._lease_s = lease_s
        self._count = count
        self._settled = settled
        self._refused = refused
        self.exactly_once = False
        self._acks = _Batch("ack", api.acknowledge)
        self._nacks = _Batch("nack", lambda ack_ids: api.modify(ack_ids, 0))
        self._extensions: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many answers wait for their request."""
        return len(self._acks.waiting) + len(self._nacks.waiting)

    def ack(self, leased: LeasedMessage) -> None:
        """Acknowledge a message, soon."""
        self._answer(self._acks, leased)

    def nack(self, leased: LeasedMessage) -> None:
        """Ask for a message again, soon."""
        self._answer(self._nacks, leased)

    def extend(self, messages: Sequence[LeasedMessage]) -> None:
        """Extend leases, in the background."""
        for chunk in _chunks([leased for leased in messages if not leased.is_lost]):
            task = asyncio.create_task(self._extend(chunk))
            self._extensions.add(task)
            task.add_done_callback(self._extensions.discard)

    async def confirm(self, messages: Sequence[LeasedMessage]) -> None:
        """Extend the leases of messages that have just arrived; mark as lost those that Pub/Sub has taken back.

        An exactly-once subscription wants that before a message is processed: where it succeeds, no other subscriber
        has the message (https://cloud.google.com/pubsub/docs/exactly-once-delivery).
        """
        await asyncio.gather(*(self._extend(chunk) for chunk in _chunks(messages)))

    async def flush(self) -> None:
        """Send all that waits, at once, and return when each answer is confirmed or refused."""
        while True:
            for batch in (self._acks, self._nacks):
                if batch.waiting:
                    self._start(batch)
            calls = self._acks.calls | self._nacks.calls
            if not calls:
                return
            await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)

    def close(self) -> None:
        """End what is under way; leases that are left end by themselves."""
        for batch in (self._acks, self._nacks):
            if batch.timer is not None:
                batch.timer.cancel()
        for task in (*self._acks.calls, *self._nacks.calls, *self._extensions):
            task.cancel()

    def _answer(self, batch: _Batch, leased: LeasedMessage) -> None:
        if leased.is_answered:
            self._count("answers", kind=batch.kind, result="repeated")
            return
        leased.is_answered = True
        batch.waiting[leased.ack_id] = leased
        if len(batch.waiting) >= MAX_IDS:
            self._start(batch)
        elif batch.timer is None and len(batch.calls) < MAX_CALLS:
            batch.timer = asyncio.get_running_loop().call_later(BATCH_S, self._start, batch)

    def _start(self, batch: _Batch) -> None:
        if batch.timer is not None:
            batch.timer.cancel()
            batch.timer = None
        while batch.waiting and len(batch.calls) < MAX_CALLS:
            if len(batch.waiting) <= MAX_IDS:
                chunk, batch.waiting = list(batch.waiting.values()), {}
            else:
                chunk = [batch.waiting.pop(ack_id) for ack_id in list(batch.waiting)[:MAX_IDS]]
            task = asyncio.create_task(self._deliver(batch, chunk))
            batch.calls.add(task)
            task.add_done_callback(lambda task: self._ended(batch, task))

    def _ended(self, batch: _Batch, task: asyncio.Task[None]) -> None:
        batch.calls.discard(task)
        if batch.waiting and batch.timer is None and not task.cancelled():
            self._start(batch)

    async def _deliver(self, batch: _Batch, messages: Sequence[LeasedMessage]) -> None:
        retry_s = EXACTLY_ONCE_RETRY_S if self.exactly_once else RETRY_S
        try:
            refused = await self._send(batch.send, messages, retry_s)
        finally:
            self._settled(messages)
        if taken := len(messages) - len(refused):
            self._count("answers", taken, kind=batch.kind, result="taken")
        if refused:
            self._count("answers", len(refused), kind=batch.kind, result="refused")
            if batch is self._acks:
                self._refused(len(refused), next(iter(refused.values())))

    async def _extend(self, messages: Sequence[LeasedMessage]) -> None:
        refused = await self._send(
            lambda ack_ids: self._api.modify(ack_ids, self._lease_s), messages, self._lease_s / 2, ends=True
        )
        if taken := len(messages) - len(refused):
            self._count("lease_extensions", taken, result="taken")
        if refused:
            self._count("lease_extensions", len(refused), result="refused")
        lost = [
            leased
            for leased in messages
            if refused.get(leased.ack_id) == _INVALID_ID and not leased.is_answered
        ]
        for leased in lost:
            leased.is_lost = True
        if lost:
            self._settled(lost)

    async def _send(
        self, send: Send, messages: Sequence[LeasedMessage], retry_s: float, *, ends: bool = False
    ) -> dict[str, str]:
        """Send one request, again while that may help.

        Args:
            send: Sends it.
            messages: What it is about.
            retry_s: How long it is sent again, in seconds.
            ends: Whether it is not sent again for messages that were answered meanwhile.

        Returns:
            By ack id, why it was refused.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + retry_s
        refused: dict[str, str] = {}
        left = list(messages)
        for delay_s in backoff.delays_s(_FIRST_DELAY_S, _MAX_DELAY_S):
            try:
                await send([leased.ack_id for leased in left])
            except CallError as error:
                results = _results(error, left)
            else:
                return refused
            again = {ack_id for ack_id, result in results.items() if _is_transient(result)}
            if ends:
                again -= {leased.ack_id for leased in left if leased.is_answered}
            if loop.time() + delay_s >= until_s:
                again.clear()
            refused |= {ack_id: result for ack_id, result in results.items() if ack_id not in again}
            left = [leased for leased in left if leased.ack_id in again]
            if not left:
                return refused
            await asyncio.sleep(delay_s)
        raise AssertionError("the delays have no end")


def _results(error: CallError, messages: Sequence[LeasedMessage]) -> dict[str, str]:
    """Return by ack id why it failed.

    Where an error names ids, it was taken for all others: to send those again, or to count them as refused, would be
    wrong. The official client for Python does so; that for Java does not. If Pub/Sub did not take one of them after
    all, its lease ends, and it is delivered again.
    """
    named = {
        leased.ack_id: error.by_ack_id[leased.ack_id]
        for leased in messages
        if leased.ack_id in error.by_ack_id
    }
    return named or {leased.ack_id: error.code for leased in messages}


def _is_transient(result: str) -> bool:
    return result in _TRANSIENT or result.startswith(_TRANSIENT_ID)


def _chunks(messages: Sequence[LeasedMessage]) -> Iterable[Sequence[LeasedMessage]]:
    return (messages[begin : begin + MAX_IDS] for begin in range(0, len(messages), MAX_IDS))
