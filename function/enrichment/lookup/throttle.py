"""Limit of the lookups under way, which narrows while the service says that it has too much to do."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeVar

import meshpass

from enrichment.errors import FaultError, TransientError, failure
from enrichment.lookup.overload import OverloadError
from enrichment.telemetry.counters import Count, uncounted

T = TypeVar("T")

# A call that took so long without an answer says as much as a refusal. One that ended sooner may have begun too late,
# or its caller has left.
_SLOW_S = 1.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_LONGEST_RETRY_AFTER_S = 10.0


class Limit:
    """Decides how many calls may be under way: decisions alone, with the time as an argument.

    - A refused call takes its own place away; a whole round of good answers gives one back. So the width soon is
      what the service accepts, and from there asks for one more a round. Refusals at random, whatever the load,
      cost little: at one in a hundred the width stays near a hundred, where halving it at each, as TCP does, would
      leave twelve (Mathis et al., "The Macroscopic Behavior of the TCP Congestion Avoidance Algorithm", 1997).
    - A whole round without one good answer: the service is down. Then one call at a time probes it, with a pause
      before each that doubles from 0.1 to 2 s. Calls that were begun before are not counted against it again.
    - The first good answer ends that. The width doubles every round, as in TCP's slow start (RFC 5681, section
      3.1), until a call is refused, and grows by one a round from there.

    Args:
        most: The greatest width, which it starts with.
    """

    def __init__(self, most: int) -> None:
        self._most = float(max(most, 1))
        self._width = self._most
        self._slow_start_until = 0.0
        self._refused_in_a_row = 0
        self._pause_s = 0.0
        self._down_at_s = float("-inf")
        self.resume_at_s = float("-inf")
        """When the next call may begin, in the seconds that all methods are given."""

    @property
    def width(self) -> int:
        """How many calls may be under way."""
        return int(self._width)

    @property
    def is_narrowed(self) -> bool:
        """Whether that is fewer than it may be."""
        return self._width < self._most

    @property
    def is_refused(self) -> bool:
        """Whether a refusal was the last that was heard of the service."""
        return self._refused_in_a_row > 0

    def allows(self, in_flight: int, now_s: float) -> bool:
        """Return whether one more call may begin."""
        return in_flight < self.width and now_s >= self.resume_at_s

    def accepted(self) -> None:
        """Note a good answer."""
        self.answered()
        gain = 1 if self._width < self._slow_start_until else 1 / self._width
        self._width = min(self._width + gain, self._most)

    def answered(self) -> None:
        """Note an answer that is neither good nor a refusal for load: that of a policy, for instance."""
        self._refused_in_a_row = 0
        self._pause_s = 0.0

    def refused(self, began_s: float, now_s: float, retry_after_s: float | None = None) -> None:
        """Note a call that was refused for load, or that brought no answer in all its time.

        Args:
            began_s: When it began.
            now_s: When it ended.
            retry_after_s: When to come back, in seconds from now; taken as 10 if it is more, for no single answer
                should stop an instance for long.
        """
        if retry_after_s is not None:
            self._pause_until(now_s + min(retry_after_s, _LONGEST_RETRY_AFTER_S))
        if began_s <= self._down_at_s:
            return
        self._refused_in_a_row += 1
        is_down = self._refused_in_a_row >= self._width
        self._width = max(self._width - 1, 1.0)
        self._slow_start_until = min(self._slow_start_until, self._width)
        if is_down:
            self._width = 1.0
            self._slow_start_until = self._most
            self._down_at_s = now_s
            self._pause_s = min(max(self._pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            self._pause_until(now_s + self._pause_s)

    def _pause_until(self, moment_s: float) -> None:
        self.resume_at_s = max(self.resume_at_s, moment_s)


class Throttle:
    """Lets calls begin as a `Limit` says, first come, first served.

    Args:
        most: Most calls at once.
        count: Counts `lookup_throttled`: calls that had to wait because the service had refused others.
        clock: The monotonic time, in seconds.
    """

    def __init__(
        self, most: int, count: Count = uncounted, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = Limit(most)
        self._count = count
        self._clock = clock
        self._in_flight = 0
        self._queue: OrderedDict[asyncio.Future[bool], None] = OrderedDict()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def width(self) -> int:
        """How many calls may be under way."""
        return self._limit.width

    @property
    def holds_back(self) -> bool:
        """Whether a call would have to wait because the service refuses them."""
        return self._limit.is_refused and not self._has_room()

    async def call(self, begin: Callable[[], Awaitable[T]], deadline: meshpass.Deadline) -> T:
        """Make one call when it may be made, and learns from its end.

        Args:
            begin: Makes the call.
            deadline: How long to wait for a place.

        Raises:
            TransientError: `lookup_throttled`, no place came free in time.
            EnrichmentError: as the call.
        """
        await self._enter(deadline)
        began_s = self._clock()
        try:
            result = await begin()
        except OverloadError as error:
            self._limit.refused(began_s, self._clock(), error.retry_after_s)
            raise
        except FaultError:
            self._limit.answered()
            raise
        except (TransientError, asyncio.CancelledError):
            if self._clock() - began_s >= _SLOW_S:
                self._limit.refused(began_s, self._clock())
            raise
        else:
            self._limit.accepted()
            return result
        finally:
            self._leave()

    def _has_room(self) -> bool:
        return not self._queue and self._limit.allows(self._in_flight, self._clock())

    async def _enter(self, deadline: meshpass.Deadline) -> None:
        if self._has_room():
            self._in_flight += 1
            return
        if self._limit.is_narrowed or self._limit.is_refused:
            self._count("lookup_throttled")
        loop = asyncio.get_running_loop()
        place: asyncio.Future[bool] = loop.create_future()
        self._queue[place] = None
        self._admit()  # sets the alarm, if it is a pause that must end
        timer = loop.call_later(deadline.left_s(), _give, place, False)
        try:
            admitted = await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self._leave()  # was admitted and cancelled at once: the place is the next one's
            raise
        finally:
            timer.cancel()
            self._queue.pop(place, None)
        if not admitted:
            raise failure("lookup_throttled", "no more lookups at once than the service answers")

    def _leave(self) -> None:
        self._in_flight -= 1
        self._admit()

    def _admit(self) -> None:
        while self._queue and self._limit.allows(self._in_flight, self._clock()):
            place, _ = self._queue.popitem(last=False)
            if not place.done():  # else it has left, in this very turn of the loop
                self._in_flight += 1
                _give(place, True)
        if self._queue:
            self._set_alarm()

    def _set_alarm(self) -> None:
        wait_s = self._limit.resume_at_s - self._clock()
        if wait_s > 0 and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(wait_s, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._admit()


def _give(place: asyncio.Future[bool], admitted: bool) -> None:
    if not place.done():
        place.set_result(admitted)
