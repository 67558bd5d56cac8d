"""Hub that wakes the consumers of a subscription: when something changed it, and when time passed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .clock import Clock
    from .store import Entry, Store


class Hub:
    """Carry the store's changes to its consumers, on the running event loop.

    Args:
        store: The topics and subscriptions.
        clock: The time they live in.
        on_push: Called with every changed subscription that has a push endpoint.
        on_gone: Called with the name of every subscription that was deleted.
    """

    def __init__(
        self, store: Store, clock: Clock, on_push: Callable[[Entry], None], on_gone: Callable[[str], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_push = on_push
        self._on_gone = on_gone
        self._bells: dict[str, asyncio.Event] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def bell(self, name: str) -> asyncio.Event:
        """Return an event set at the subscription's next change.

        Take it before looking at the subscription: a change between the look and the wait is then not missed.
        """
        return self._bells.setdefault(name, asyncio.Event())

    def ring(self, name: str) -> None:
        """Wake everyone who waits for the subscription."""
        if bell := self._bells.pop(name, None):
            bell.set()

    def settle(self) -> None:
        """Act on all changes of the store since the last call. To be called after every operation on it."""
        # Taking back leases may forward dead letters, which touches other subscriptions in turn.
        while touched := self._store.take_touched():
            for name in touched:
                self._update(name)

    def close(self) -> None:
        """Stop the timers."""
        for timer in self._timers.values():
            timer.cancel()

    def _update(self, name: str) -> None:
        entry = self._store.find(name)
        if entry is None:
            if timer := self._timers.pop(name, None):
                timer.cancel()
            self._on_gone(name)
        else:
            entry.subscription.advance(self._clock.now_s())
            self.expect(entry)
            if entry.subscription.policy.push_endpoint:
                self._on_push(entry)
        self.ring(name)

    def expect(self, entry: Entry) -> None:
        """Set the timer of a subscription to the next deadline or end of a rest.

        Enough after messages were handed out, which gives no other consumer anything to do.
        """
        name = entry.name
        event_s = entry.subscription.next_event_s()
        if event_s is None:
            return
        loop = asyncio.get_running_loop()
        when_s = loop.time() + max(0.0, self._clock.real_s(event_s - self._clock.now_s()))
        timer = self._timers.get(name)
        if timer is not None:
            # One that fires too early does no harm; resetting it at every ack would cost more.
            if timer.when() <= when_s:
                return
            timer.cancel()
        self._timers[name] = loop.call_at(when_s, self._on_timer, name)

    def _on_timer(self, name: str) -> None:
        del self._timers[name]
        self._store.touch(name)
        self.settle()
