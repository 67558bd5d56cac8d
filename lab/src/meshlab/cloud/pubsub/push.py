"""Push delivery: takes leases like any consumer, posts them, and acks or nacks by the answer."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from . import envelope
from .delivery_leases import Client, Consumer, Lease
from .window import PushWindow

if TYPE_CHECKING:
    import aiohttp

    from .clock import Clock
    from .hub import Hub
    from .store import Entry, Store

ACK_STATUSES = frozenset({102, 200, 201, 202, 204})
"""Answers that acknowledge, all others nack: https://cloud.google.com/pubsub/docs/push#receive_push."""

# Shorter than any server's: posting on a connection the server is about to close would cost a delivery
# attempt.
_KEEPALIVE_S = 1.0

_log = logging.getLogger(__name__)


class Pusher:
    """Delivers the messages of all subscriptions with a push endpoint.

    Args:
        store: Where leases are acknowledged.
        clock: The time.
        concurrency: The largest number of pushes in flight for each subscription.
    """

    def __init__(self, store: Store, clock: Clock, concurrency: int) -> None:
        self._store = store
        self._clock = clock
        self._concurrency = concurrency
        self._loops: dict[str, asyncio.Task[None]] = {}
        self._pushes: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def ensure(self, entry: Entry, hub: Hub) -> None:
        """Start delivering a subscription's messages unless that is going on."""
        loop = self._loops.get(entry.name)
        if loop is None or loop.done():
            self._loops[entry.name] = asyncio.create_task(self._run(entry, hub))

    def forget(self, name: str) -> None:
        """Begin no more pushes for a subscription that was deleted."""
        if loop := self._loops.pop(name, None):
            loop.cancel()

    async def close(self) -> None:
        """Drop what is in flight."""
        tasks = [*self._loops.values(), *self._pushes]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _run(self, entry: Entry, hub: Hub) -> None:
        window = PushWindow(self._concurrency)
        consumer = Consumer(Client(one_per_key=True))
        # The policy is read anew each time: the endpoint may change, or be taken away to make this a pull
        # subscription.
        while endpoint := entry.subscription.policy.push_endpoint:
            bell = hub.bell(entry.name)
            now_s = self._clock.now_s()
            leases = entry.subscription.lease(now_s, consumer=consumer, max_messages=window.room(now_s))
            if leases:
                self._store.touch(entry.name)
                hub.settle()
            for lease in leases:
                push = asyncio.create_task(self._push(entry, lease, endpoint, window, window.begin(), hub))
                self._pushes.add(push)
                push.add_done_callback(self._pushes.discard)
            if not leases:
                await self._wait(bell, window.pause_s(now_s))

    async def _wait(self, bell: asyncio.Event, pause_s: float) -> None:
        try:
            async with asyncio.timeout(self._clock.real_s(pause_s) if pause_s else None):
                await bell.wait()
        except TimeoutError:
            pass

    async def _push(
        self, entry: Entry, lease: Lease, endpoint: str, window: PushWindow, begun_in_round: int, hub: Hub
    ) -> None:
        policy = entry.subscription.policy
        reason = await self._post(entry, lease, endpoint, policy.ack_deadline_s)
        if reason is None:
            window.succeeded()
            entry.subscription.ack([lease.ack_id])
        else:
            now_s = self._clock.now_s()
            window.failed(begun_in_round, now_s, policy.push_pause)
            entry.subscription.modify_deadline([lease.ack_id], 0, now_s)
            _log.info(
                "push of message %s, attempt %d, for %s was not acknowledged: %s",
                lease.message.message_id,
                lease.attempt,
                entry.name,
                reason,
            )
        self._store.touch(entry.name)
        hub.settle()

    async def _post(self, entry: Entry, lease: Lease, endpoint: str, deadline_s: float) -> str | None:
        """Post one message; return None if that acknowledged it, else the reason why not."""
        # Imported here because it costs 0.12 s, and a server without push subscriptions needs none of it.
        import aiohttp
        from yarl import URL

        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        data, headers = _request(entry, lease, endpoint)
        try:
            async with self._session.post(
                # Already encoded: the query's quoted slashes must arrive as Eventarc sends them.
                URL(endpoint, encoded=True),
                data=data,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self._clock.real_s(deadline_s)),
            ) as response:
                await response.read()
        except TimeoutError:
            return f"no answer within the ack deadline of {deadline_s:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        return None if response.status in ACK_STATUSES else f"status {response.status}"


def _request(entry: Entry, lease: Lease, endpoint: str) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a push, as the subscription asks for them."""
    policy = entry.subscription.policy
    if policy.unwrapped is not None:
        write_metadata = policy.unwrapped.write_metadata
        return lease.message.parsed().data, envelope.unwrapped_headers(
            lease, entry.name, write_metadata=write_metadata
        )
    body = envelope.body(lease, entry.name, show_attempt=policy.dead_letter is not None)
    return body, envelope.headers(lease, endpoint)
