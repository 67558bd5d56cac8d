"""The way of a message through the worker: admitted, in its order, taken to its end by the core, answered once."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from enrichment.core.received import Received
from enrichment.drivers.work.acknowledgements import Acknowledgements
from enrichment.drivers.work.api import Api
from enrichment.drivers.work.flow import Admission, Window, nack_delay_s
from enrichment.drivers.work.leased_message import LeasedMessage
from enrichment.drivers.work.leases import Leases
from enrichment.drivers.work.ordering import OrderingKeys
from enrichment.drivers.work.report import Report
from enrichment.errors import Disposition, Outcome
from enrichment.telemetry.counters import Count

EVENT_MARGIN_S = 5.0
"""How much longer than its own time limit an event may take before it is stopped, in seconds."""

MAX_WAIT_S = 600.0
"""How long a message waits in this process before it is given to another one, in seconds."""

_AGAIN = frozenset({Disposition.RETRY, Disposition.FAULT})
_MAX_REMEMBERED = 10_000

Handle = Callable[[Received], Awaitable[Outcome]]


@dataclass(frozen=True)
class Limits:
    """Bounds of a worker.

    Args:
        messages: The most messages in the process.
        bytes: The most bytes of them.
        event_s: How long an event may take, in seconds.
        lease_s: How long a lease lasts, in whole seconds.
    """

    messages: int
    bytes: int
    event_s: float
    lease_s: int


class Worker:
    """Takes messages to their ends, and gives each exactly one answer.

    An ack is given after the core has said that the event ended well, and so after its row or its dead letter is
    durable. A message whose event is to come again is nacked.

    Args:
        api: Pub/Sub.
        handle: The core.
        limits: Bounds.
        count: Counts answers.
        report: Logs what goes wrong.
        jitter: Gives a random number from 0 to 1.
    """

    def __init__(
        self,
        api: Api,
        handle: Handle,
        limits: Limits,
        count: Count,
        report: Report,
        jitter: Callable[[], float],
    ) -> None:
        self._handle = handle
        self._limits = limits
        self._count = count
        self.answers = Acknowledgements(api, limits.lease_s, count, self._settled, report.acks_refused)
        self._report = report
        self.server_waits = False
        self._leases = Leases(limits.lease_s, limits.event_s + EVENT_MARGIN_S, MAX_WAIT_S)
        self._admission = Admission(limits.messages, limits.bytes)
        self._window = Window(limits.messages, jitter)
        self._keys = OrderingKeys()
        self._by_message_id: dict[str, LeasedMessage] = {}
        self._line: deque[LeasedMessage] = deque()
        self._ready: deque[LeasedMessage] = deque()
        self._under_way: set[LeasedMessage] = set()
        self._resting: dict[LeasedMessage, asyncio.TimerHandle] = {}
        self._resting_bytes = 0
        self._failures: dict[str, int] = {}
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._lease_timer: asyncio.TimerHandle | None = None
        self._resume_timer: asyncio.TimerHandle | None = None
        self._is_draining = False

    @property
    def in_process(self) -> int:
        """How many messages are in the process."""
        return len(self._line) + self._admission.messages

    @property
    def window(self) -> int:
        """How many messages may be under way; less than the limit where none gets through."""
        return self._window.size

    async def room(self) -> None:
        """Return when all messages that arrived have been admitted, so that more may be read."""
        await self._room.wait()

    async def take(self, messages: Sequence[LeasedMessage]) -> None:
        """Take messages that have just arrived; with exactly-once delivery, only once Pub/Sub has confirmed them."""
        loop = asyncio.get_running_loop()
        self._leases.take(messages, loop.time())
        self._keep_leases()
        if self.answers.exactly_once:
            await self.answers.confirm(messages)
        self._line.extend(leased for leased in messages if not self._joins(leased))
        if self._is_draining:
            self._nack_waiting()
        else:
            self._pump()

    def stop_taking(self) -> None:
        """Nack what has not begun, and whatever comes from now on."""
        self._is_draining = True
        self._nack_waiting()

    async def drain(self, within_s: float, flush_s: float) -> int:
        """Nack what has not begun, finish what is under way, nack what does not end in time, and send all answers.

        Args:
            within_s: How long to wait for what is under way, in seconds.
            flush_s: How long to wait after that, for what is stopped and for the answers, in seconds.

        Returns:
            How many messages did not end in time.
        """
        self.stop_taking()
        loop = asyncio.get_running_loop()
        until_s = loop.time() + within_s + flush_s
        late: list[LeasedMessage] = []
        try:
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        except TimeoutError:
            late = list(self._under_way)
            tasks = [leased.task for leased in late if leased.task is not None]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=flush_s / 3)
        try:
            async with asyncio.timeout_at(min(until_s, loop.time() + flush_s)):
                await self.answers.flush()
        except TimeoutError:
            pass  # their leases end by themselves
        return len(late)

    def close(self) -> None:
        """End timers and requests."""
        for timer in (self._lease_timer, self._resume_timer, *self._resting.values()):
            if timer is not None:
                timer.cancel()
        self.answers.close()

    # Admission, order and begin.

    def _joins(self, leased: LeasedMessage) -> bool:
        """Join a delivery to one of the same message that is in the process, whose lease has ended; return whether.

        To handle both would write its rows twice, and make a process that was too slow slower still.
        """
        if not leased.message_id or leased.is_over:
            return False
        first = self._by_message_id.setdefault(leased.message_id, leased)
        if first is leased or first.ordering_key != leased.ordering_key:
            return False
        self._count("copies_joined")
        leased.received = None
        first.copies += (leased,)
        return True

    def _forget(self, leased: LeasedMessage) -> None:
        if self._by_message_id.get(leased.message_id) is leased:
            del self._by_message_id[leased.message_id]

    def _pump(self) -> None:
        """Admit what there is room for, and begin what may begin."""
        now_s = asyncio.get_running_loop().time()
        self._admit()
        while self._ready and self._window.room(len(self._under_way), now_s) > 0:
            leased = self._ready.popleft()
            if (
                not leased.open_deliveries
            ):  # taken back: those of its key that follow will be delivered after it
                self._nack(leased)
                self._admit()
            else:
                self._begin(leased, now_s)
        if self._line:
            self._room.clear()
        else:
            self._room.set()
        if self._ready and self._resume_timer is None and (at_s := self._window.resume_at_s(now_s)):
            self._resume_timer = asyncio.get_running_loop().call_at(at_s, self._resume)

    def _admit(self) -> None:
        while self._line and self._admission.has_room(self._line[0].size_bytes):
            leased = self._line.popleft()
            if not leased.open_deliveries:
                self._forget(leased)
                continue
            self._admission.take(leased.size_bytes)
            if leased.ordering_key:
                if self._keys.is_closed(leased.ordering_key):
                    self._finish(leased, self._send_nack)
                    continue
                if not self._keys.enter(leased):
                    continue
            self._ready.append(leased)

    def _resume(self) -> None:
        self._resume_timer = None
        self._pump()

    def _begin(self, leased: LeasedMessage, now_s: float) -> None:
        leased.began_at_s = now_s
        self._under_way.add(leased)
        self._idle.clear()
        task = leased.task = asyncio.create_task(self._outcome(leased.received))
        leased.received = None  # what is read is freed as soon as the core is done
        task.add_done_callback(lambda task: self._ended(leased, task))

    async def _outcome(self, received: Received | None) -> Outcome | None:
        try:
            return None if received is None else await self._handle(received)
        except Exception as error:  # noqa: BLE001 - the last line of defence: a defect must not lose an event
            self._report.defect(error)
            return None

    def _ended(self, leased: LeasedMessage, task: "asyncio.Task[Outcome | None]") -> None:
        outcome = None if task.cancelled() else task.result()
        self._under_way.discard(leased)
        leased.task = None
        if not self._under_way:
            self._idle.set()
        if outcome is not None and outcome.disposition not in _AGAIN:
            if outcome.disposition is Disposition.WRITTEN:
                self._window.succeeded()
            else:
                self._window.ended_without_row()
            self._succeeded(leased)
        else:
            self._failed(leased, is_stopped=outcome is None)
        if self._is_draining:
            self._nack_waiting()
        else:
            self._pump()

    def _succeeded(self, leased: LeasedMessage) -> None:
        if self._failures:
            self._failures.pop(leased.message_id, None)
        self._finish(leased, self.answers.ack)
        if not leased.ordering_key:
            return
        following = self._keys.ended(leased.ordering_key)
        if following is not None:
            self._ready.appendleft(following)

    # Failures.

    def _failed(self, leased: LeasedMessage, *, is_stopped: bool) -> None:
        loop = asyncio.get_running_loop()
        self._window.failed(loop.time())
        delay_s = nack_delay_s(self._attempt(leased), server_waits=self.server_waits)
        if is_stopped or not leased.open_deliveries or not delay_s:
            self._nack(leased)
        else:
            self._rest(leased, delay_s)

    def _rest(self, leased: LeasedMessage, delay_s: float) -> None:
        """Keep a message that failed before its nack, and for that nack the oldest where half of the bounds would rest.

        What rests takes the place of others, which may well succeed.
        """
        self._resting[leased] = asyncio.get_running_loop().call_later(delay_s, self._rested, leased)
        self._resting_bytes += leased.size_bytes
        while len(self._resting) > 1 and (
            2 * len(self._resting) > self._limits.messages or 2 * self._resting_bytes > self._limits.bytes
        ):
            self._end_rest(next(iter(self._resting)))

    def _end_rest(self, leased: LeasedMessage) -> None:
        self._resting.pop(leased).cancel()
        self._resting_bytes -= leased.size_bytes
        self._nack(leased)

    def _attempt(self, leased: LeasedMessage) -> int:
        """Return how often a message has failed: as Pub/Sub counts, or as this process remembers."""
        if leased.attempt:
            return leased.attempt
        failures = self._failures.pop(leased.message_id, 0) + 1
        self._failures[leased.message_id] = failures
        if len(self._failures) > _MAX_REMEMBERED:
            del self._failures[next(iter(self._failures))]
        return failures

    def _rested(self, leased: LeasedMessage) -> None:
        self._end_rest(leased)
        self._pump()

    def _nack(self, leased: LeasedMessage) -> None:
        """Let a message out with a nack that is the first of its key, and those that wait for it."""
        following: list[LeasedMessage] = []
        if leased.ordering_key:
            following = self._keys.close(leased.ordering_key)
            self._close_until_confirmed(leased)
        self._finish(leased, self._send_nack)
        for one in following:  # in their order, in one request
            self._finish(one, self._send_nack)

    def _close_until_confirmed(self, leased: LeasedMessage) -> None:
        delivery = next(iter(leased.open_deliveries), None)
        if delivery is None:
            self._keys.open(leased.ordering_key)
        else:
            delivery.closes_key = True

    def _finish(self, leased: LeasedMessage, answer: Callable[[LeasedMessage], None]) -> None:
        """Answer all deliveries of an admitted message that have no answer yet, and let it out."""
        self._admission.release(leased.size_bytes)
        self._forget(leased)
        leased.received = None
        for delivery in leased.open_deliveries:
            answer(delivery)

    def _send_nack(self, leased: LeasedMessage) -> None:
        self._leases.drop([leased])  # an extension that came after the nack would undo it
        self.answers.nack(leased)

    def _nack_waiting(self) -> None:
        """Nack everything that is not under way, and waits for no other message of its key."""
        for leased in list(self._resting):
            self._end_rest(leased)
        while self._ready:
            self._nack(self._ready.popleft())
        while self._line:
            leased = self._line.popleft()
            self._forget(leased)
            for delivery in leased.open_deliveries:
                self._send_nack(delivery)
        self._room.set()

    # Leases.

    def _keep_leases(self) -> None:
        if self._lease_timer is None and (at_s := self._leases.next_s()) is not None:
            self._lease_timer = asyncio.get_running_loop().call_at(at_s, self._extend)

    def _extend(self) -> None:
        self._lease_timer = None
        due = self._leases.due(asyncio.get_running_loop().time())
        self._keep_leases()
        if due.extend:
            self.answers.extend(due.extend)
        if due.overdue:
            self._count("leases_given_up", len(due.overdue))
            self._give_up(due.overdue)

    def _give_up(self, messages: Sequence[LeasedMessage]) -> None:
        """Nack messages that have been here for too long, wherever they are."""
        late = set(messages)
        for leased in late & self._under_way:
            if leased.task is not None:
                leased.task.cancel()
        late -= self._under_way
        for leased in late & self._resting.keys():
            self._end_rest(leased)
            late.discard(leased)
        ready, self._ready = self._ready, deque()
        for leased in ready:
            if leased in late:
                self._nack(leased)
                late.discard(leased)
            else:
                self._ready.append(leased)
        for leased in late.intersection(self._line):
            self._send_nack(leased)
            late.discard(leased)
        for leased in late:
            if leased.is_over:  # cut off with another one of its key
                continue
            if not self._keys.has_waiting(leased):  # its lease is being confirmed, or it is a copy
                self._send_nack(leased)
                continue
            following = self._keys.cut(leased.ordering_key)
            self._close_until_confirmed(following[0])
            for one in following:
                self._finish(one, self._send_nack)
        self._pump()

    def _settled(self, messages: Sequence[LeasedMessage]) -> None:
        self._leases.drop(messages)
        for leased in messages:
            if leased.closes_key:
                leased.closes_key = False
                self._keys.open(leased.ordering_key)
