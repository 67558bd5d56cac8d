"""Keys that wait at the same time, asked for in one request.

While little is under way each key is asked for at once. Under load, keys that come while a request is under way wait
for its end and then go together. No timer gathers them, so an idle function adds no delay, and the busier it is the
larger its requests become. The rows of events are written in the same way.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import meshpass

from enrichment.errors import (
    EnrichmentError,
    Stage,
    TransientError,
    copy_error,
    of_unexpected_error,
    release_frames,
)
from enrichment.lookup.batch_response import BatchResult, RefusedBatchError
from enrichment.lookup.profile import Profile
from enrichment.lookup.request import LookupKey
from enrichment.lookup.throttle import Throttle
from enrichment.settings.lookup_rules import BatchRules, LookupRules
from enrichment.telemetry.counters import Count, uncounted
from enrichment.telemetry.trace import Trace

FEW_KEYS = 3
"""A request for so few keys keeps no others waiting: with hardly anything under way, sharing would save nothing."""

MANY_CALLS = 8
"""With so many requests under way, small ones too let others wait and gather."""

SLOW_S = 1.0
"""A request under way for longer, in seconds, may be hung, and keeps no others waiting."""


class BatchSource(Protocol):
    """Where the profiles of many keys come from: `MeshProfiles`."""

    async def fetch_batch(
        self, keys: Sequence[LookupKey], trace: Trace, deadline: meshpass.Deadline
    ) -> Sequence[BatchResult]:
        """Return a profile, None or an error for each key; raise `RefusedBatchError` or an EnrichmentError."""


def may_begin(calls: Collection[tuple[int, float]], waiting: int, max_keys: int) -> bool:
    """Decide whether keys that wait may be asked for now.

    Args:
        calls: The requests under way: how many keys each asks for, and for how long, in seconds.
        waiting: How many keys wait.
        max_keys: Most keys in one request.
    """
    if waiting >= max_keys:
        return True
    lively = [keys for keys, age_s in calls if age_s <= SLOW_S]
    return len(lively) < MANY_CALLS and all(keys <= FEW_KEYS for keys in lively)


@dataclass(slots=True, eq=False)
class _Waiter:
    """One key that is waited for.

    Args:
        key: The key.
        trace: The trace of the event that needs it.
        result: What comes of it, an error as a value: asyncio complains about an exception that was never fetched.
        call: The request that asks for it, None while it waits.
    """

    key: LookupKey
    trace: Trace
    result: "asyncio.Future[BatchResult]"
    call: "_Call | None" = None

    def answer(self, result: BatchResult) -> None:
        if not self.result.done():
            self.result.set_result(result)


@dataclass(slots=True, eq=False)
class _Call:
    """A request under way, with the smaller ones that may follow from it."""

    waiters: list[_Waiter]
    since_s: float
    task: "asyncio.Task[None] | None" = field(default=None)

    @property
    def is_abandoned(self) -> bool:
        return all(waiter.result.done() for waiter in self.waiters)


class Batches:
    """Asks for the keys of one lookup, many in one request.

    A request that is refused as a whole, or whose answer breaks the contract, is repeated in halves, so that one bad
    key does not fail its neighbours. One that may have been carried out is repeated only where the lookup is
    idempotent. Belongs to one event loop.

    Args:
        rules: How profiles are looked up.
        batch: How one request asks for many.
        source: Where they come from.
        throttle: Bounds the requests under way.
        count: Counts `lookup_calls` by result, and `lookup_keys` by result.
        clock: The monotonic time, in seconds.
    """

    def __init__(
        self,
        rules: LookupRules,
        batch: BatchRules,
        source: BatchSource,
        throttle: Throttle,
        count: Count = uncounted,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout_s = rules.timeout_s
        self._is_idempotent = rules.idempotent
        self._max_keys = batch.max_keys
        self._source = source
        self._throttle = throttle
        self._count = count
        self._clock = clock
        self._waiting: deque[_Waiter] = deque()
        self._calls: set[_Call] = set()
        self._decision_due = False
        self._alarm: asyncio.TimerHandle | None = None

    async def fetch(self, key: LookupKey, trace: Trace) -> Profile | None:
        """Look up one key. No two calls for the same key are made at the same time.

        Args:
            key: The key.
            trace: The trace of the event that needs it. A request is made in the name of its first key's event.

        Returns:
            The profile, None where the service does not know the key.

        Raises:
            EnrichmentError: The key's own verdict, or that of its request.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(key, trace, loop.create_future())
        self._waiting.append(waiter)
        if not self._decision_due:  # once for all keys of this turn of the loop, so that they go together
            self._decision_due = True
            loop.call_soon(self._decide)
        try:
            result = await waiter.result
        except asyncio.CancelledError:
            call = waiter.call
            if call is not None and call.task is not None and call.is_abandoned:
                call.task.cancel()
            raise
        if isinstance(result, EnrichmentError):
            raise copy_error(result) from result
        return result

    def _decide(self) -> None:
        self._decision_due = False
        now_s = self._clock()
        while self._waiting:
            under_way = [(len(call.waiters), now_s - call.since_s) for call in self._calls]
            if not may_begin(under_way, len(self._waiting), self._max_keys):
                self._set_alarm()
                return
            taken = [self._waiting.popleft() for _ in range(min(self._max_keys, len(self._waiting)))]
            waiters = [waiter for waiter in taken if not waiter.result.done()]  # some may have left
            if waiters:
                self._begin(_Call(waiters, now_s))

    def _set_alarm(self) -> None:
        if self._alarm is None:  # for requests that hang; those that end decide by themselves
            self._alarm = asyncio.get_running_loop().call_later(SLOW_S, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._decide()

    def _begin(self, call: _Call) -> None:
        for waiter in call.waiters:
            waiter.call = call
        self._calls.add(call)
        call.task = asyncio.get_running_loop().create_task(self._ask(call.waiters))
        call.task.add_done_callback(lambda task: self._end(call, task))

    def _end(self, call: _Call, task: "asyncio.Task[None]") -> None:
        self._calls.discard(call)
        if task.cancelled() and not call.is_abandoned:  # the loop ends, and the callers with it
            for waiter in (*call.waiters, *self._waiting):
                waiter.result.cancel()
            self._waiting.clear()
            return
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            for waiter in call.waiters:
                waiter.answer(of_unexpected_error(error, Stage.LOOKUP))
        self._decide()

    async def _ask(self, waiters: Sequence[_Waiter]) -> None:
        waiters = [waiter for waiter in waiters if not waiter.result.done()]
        if not waiters:
            return
        deadline = meshpass.Deadline.after(self._timeout_s)
        keys = [waiter.key for waiter in waiters]
        results: Sequence[BatchResult]
        try:
            results = await self._throttle.call(
                lambda: self._send(keys, waiters[0].trace, deadline), deadline
            )
        except RefusedBatchError as refusal:
            if len(waiters) > 1 and (self._is_idempotent or refusal.nothing_done):
                middle = len(waiters) // 2
                await asyncio.gather(self._ask(waiters[:middle]), self._ask(waiters[middle:]))
                return
            results = [refusal.verdict] * len(waiters)
        except EnrichmentError as error:
            results = [release_frames(error)] * len(waiters)
        for waiter, result in zip(waiters, results, strict=True):
            waiter.answer(result)

    async def _send(
        self, keys: Sequence[LookupKey], trace: Trace, deadline: meshpass.Deadline
    ) -> Sequence[BatchResult]:
        result = "fault"
        try:
            results = await self._source.fetch_batch(keys, trace, deadline)
            result = "batch"
        except RefusedBatchError as refusal:
            result = _result_of(refusal.verdict)
            raise
        except EnrichmentError as error:
            result = _result_of(error)
            raise
        except asyncio.CancelledError:
            result = "transient"
            raise
        finally:
            self._count("lookup_calls", result=result)
        for found in results:
            self._count("lookup_keys", result=_result_of(found))
        return results


def _result_of(result: BatchResult) -> str:
    match result:
        case None:
            return "missing"
        case TransientError():
            return "transient"
        case EnrichmentError():
            return "fault"
    return "found"
