"""Event loop of a worker process, shared by all DoFns of the process.

A Beam worker calls a DoFn with one element after the other, in as many threads as it likes. Lookups and writes wait for
the network, so the elements of all bundles of a process are handed to one event loop in a thread of its own. They share
what the function's events share: connections, tokens, the cache, single flight, the throttle and the group commit.
"""

import asyncio
import contextlib
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import uvloop
from enrichment.core.received import Received
from enrichment.errors import Disposition, Outcome, Stage

from enrichment_beam import tally
from enrichment_beam.admission import Admission
from enrichment_beam.tally import Tally

START_S = 60.0
"""Longest start of an engine, in seconds: settings and perhaps a secret are read."""

LINGER_S = 30.0
"""How long an engine that no DoFn uses lives on, in seconds: the next bundle has its connections and its cache."""

CLOSE_S = 2.0
"""Longest time to close one part of an engine, in seconds."""

FIRST_DELAY_S = 0.5
MAX_DELAY_S = 30.0
_CHECK_S = 1.0


class EngineError(RuntimeError):
    """The process's engine cannot go on; the message says why."""


@dataclass(frozen=True)
class EngineOptions:
    """How an engine works.

    Args:
        in_flight: Most events under way in the process, across all of its bundles.
        rate_per_s: Most events that begin in a second in the process; 0 for no limit.
        patience_s: How long an event with a transient error is tried again, in seconds.
        collects_rows: Whether rows are collected for a later step, and not written.
        collects_dead_letters: Whether dead letters are collected for a later step, and not published.
        looks_only: Whether events are only decoded and counted: nothing is looked up, written or published.
    """

    in_flight: int = 256
    rate_per_s: float = 0.0
    patience_s: float = 120.0
    collects_rows: bool = False
    collects_dead_letters: bool = False
    looks_only: bool = False


class Handler(Protocol):
    """Takes messages to their end: `enrichment.core.enricher.Enricher`."""

    async def handle(self, received: Received) -> Outcome:
        """Return the end of one message."""


@dataclass(slots=True)
class Ended:
    """One message at its end.

    Args:
        ticket: What was given with it.
        received: The message.
        outcome: The end; of several events the gravest.
        tally: What became of its events.
    """

    ticket: Any
    received: Received
    outcome: Outcome
    tally: Tally

    @property
    def message_id(self) -> str:
        """The message's id; empty where the record holds no message."""
        return str(getattr(self.received.message, "message_id", ""))


class Bundle:
    """The messages that one bundle has under way. Belongs to one thread.

    Args:
        engine: What takes them to their end.
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._done: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self.left = 0
        """How many have not been given back yet."""

    def add(self, ticket: object, received: Received) -> None:
        """Begin with a message, as soon as the process may have one more under way.

        Args:
            ticket: Given back with its end.
            received: The message.

        Raises:
            EngineError: The event loop is gone.
        """
        self._engine.begin(self, ticket, received)
        self.left += 1

    def finished(self) -> Iterator[Ended]:
        """Give the messages that have come to their end by now."""
        while self.left and not self._done.empty():
            self.left -= 1
            yield self._done.get_nowait()

    def wait_one(self) -> Ended:
        """Wait for one message to come to its end.

        Raises:
            EngineError: The event loop is gone.
        """
        while True:
            try:
                ended = self._done.get(timeout=_CHECK_S)
            except queue.Empty:
                self._engine.check()
            else:
                self.left -= 1
                return ended

    def drain(self) -> Iterator[Ended]:
        """Wait for all messages and give them as they end. Raises EngineError as `wait_one` does."""
        while self.left:
            yield self.wait_one()

    def abandon(self) -> None:
        """Cancel what is under way: the runner will give these elements again."""
        self._engine.abandon(self)

    def put(self, ended: Ended) -> None:
        """Take one message that has ended; called by the loop."""
        self._done.put(ended)


class Engine:
    """One event loop in a thread, and the parts of the enrichment that live in it.

    Args:
        handler: Makes what takes messages to their end. Called in the loop's thread.
        options: How many events may be under way, and how fast.
        clock: The monotonic time, in seconds.
        closing: What closes the connections that the parts have made, awaited at the end.
    """

    def __init__(
        self,
        handler: Callable[[], Handler],
        options: EngineOptions,
        clock: Callable[[], float] = time.monotonic,
        closing: "list[Callable[[], Awaitable[None]]] | None" = None,
    ) -> None:
        self.options = options
        self._make = handler
        self._closing = closing if closing is not None else []
        self._tasks: dict[asyncio.Task[None], Bundle] = {}
        self._clock = clock
        self._admission = Admission(options.in_flight, options.rate_per_s)
        self._gate = threading.Condition()
        self._in_flight = 0
        self._inbox: deque[tuple[Bundle, object, Received]] = deque()
        self._is_woken = False
        self._error: BaseException | None = None
        self._is_closed = False
        self._users = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="enrichment-loop", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_S):
            raise EngineError(f"The enrichment did not start within {START_S:.0f} s.")
        self.check()

    @property
    def in_flight(self) -> int:
        """How many events are under way."""
        return self._in_flight

    @property
    def is_alive(self) -> bool:
        """Whether it takes messages."""
        return not self._is_closed and self._error is None

    def check(self) -> None:
        """Return if the loop goes on.

        Raises:
            EngineError: It does not; what ended it is the cause.
        """
        if self._error is not None:
            raise EngineError(f"The event loop of the worker has ended: {self._error}") from self._error
        if self._is_closed:
            raise EngineError("The event loop of the worker was closed while a bundle was under way.")

    def begin(self, bundle: Bundle, ticket: object, received: Received) -> None:
        """Wait for a free place, and begin with a message. Raises EngineError where the loop is gone."""
        with self._gate:
            while True:
                self.check()
                wait_s = self._admission.wait_s(self._in_flight, self._clock())
                if wait_s == 0:
                    break
                self._gate.wait(_CHECK_S if wait_s is None else min(wait_s, _CHECK_S))
            self._admission.began(self._clock())
            self._in_flight += 1
        self._inbox.append((bundle, ticket, received))
        if not self._is_woken:  # one wake-up for all that come until the loop looks
            self._is_woken = True
            self._loop.call_soon_threadsafe(self._take_all)

    def abandon(self, bundle: Bundle) -> None:
        """Cancel the messages of a bundle."""
        if self.is_alive:
            self._loop.call_soon_threadsafe(self._cancel, bundle)

    def hold(self) -> bool:
        """Count one more user; return whether there is an engine to use."""
        with self._gate:
            if not self.is_alive:
                return False
            self._users += 1
            return True

    def release(self) -> None:
        """Count one user less; without any, the engine ends after a while."""
        with self._gate:
            self._users -= 1
            is_unused = self._users <= 0 and self.is_alive
        if is_unused:
            self._loop.call_soon_threadsafe(self._loop.call_later, LINGER_S, self._end_unused)

    def close(self) -> None:
        """End the loop and its thread; what is under way is cancelled."""
        self._close(if_unused=False)

    def _close(self, *, if_unused: bool) -> None:
        with self._gate:
            if self._is_closed or (if_unused and self._users > 0):
                return
            self._is_closed = True
            self._gate.notify_all()
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
            if threading.current_thread() is not self._thread:
                self._thread.join(10)

    def _end_unused(self) -> None:
        self._close(if_unused=True)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._live())
        except BaseException as error:  # noqa: BLE001 - reported in the threads that use it
            self._error = error
        finally:
            self._ready.set()
            with self._gate:
                self._gate.notify_all()

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._handler = self._make()
        # What the handler has begun may load modules, which holds the loop for a tenth of a second.
        await asyncio.sleep(0)
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for close in self._closing:
                with contextlib.suppress(Exception):  # a peer that is gone must not keep the others open
                    await asyncio.wait_for(close(), CLOSE_S)

    def _take_all(self) -> None:
        self._is_woken = False
        while self._inbox:
            bundle, ticket, received = self._inbox.popleft()
            task = self._loop.create_task(self._handle(bundle, ticket, received))
            self._tasks[task] = bundle
            # Not in the task itself: one that is cancelled before its first step runs none of its code.
            task.add_done_callback(self._leave)

    def _leave(self, task: "asyncio.Task[None]") -> None:
        del self._tasks[task]
        with self._gate:
            self._in_flight -= 1
            self._gate.notify()

    def _cancel(self, bundle: Bundle) -> None:
        self._take_all()
        for task, its_bundle in self._tasks.items():
            if its_bundle is bundle:
                task.cancel()

    async def _handle(self, bundle: Bundle, ticket: object, received: Received) -> None:
        found = Tally()
        tally.current.set(found)
        try:
            outcome = await self._persist(received, found)
        except Exception as error:  # noqa: BLE001 - the core raises nothing: a defect, which must reach the bundle
            outcome = Outcome(
                Disposition.FAULT, None, "unexpected_error", f"{type(error).__name__} in the engine"
            )
        bundle.put(Ended(ticket, received, outcome, found))

    async def _persist(self, received: Received, found: Tally) -> Outcome:
        """Take one message to its end, trying again what passes by itself."""
        give_up_at = self._clock() + self.options.patience_s
        longest_s = FIRST_DELAY_S
        while True:
            outcome = await self._handler.handle(received)
            retries = outcome.disposition is Disposition.RETRY
            with self._gate:
                if retries and outcome.stage is Stage.LOOKUP and outcome.reason != "profile_not_found":
                    self._admission.refused(self._clock())
                else:
                    self._admission.accepted()
            if not retries:
                return outcome
            delay_s = random.uniform(longest_s / 2, longest_s)  # noqa: S311 - no secret
            if self._clock() + delay_s > give_up_at:
                return outcome
            await asyncio.sleep(delay_s)
            longest_s = min(longest_s * 2, MAX_DELAY_S)
            found.outcomes.clear()
            found.collected.clear()
            found.dead_letters.clear()
            found.rows = 0
            found.tries += 1
