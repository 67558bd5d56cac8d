"""One token per identity and audience in a process, however many threads, tasks and event loops ask for it.

Who needs a token that is not there either fetches it or waits for the one who does: there is one fetch at a time for
each key (see `CachedSource._cache_key`). A thread fetches where it is; for asyncio a thread of its own fetches, so
that a task that is cancelled takes nobody's token with it. While a token is renewed ahead of its end, all but the one
who renews it go on with the old one. Nothing runs in the background between fetches.
"""

import math
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, NoReturn

from meshpass._errors import MeshError, MeshTimeout
from meshpass._frames import seal
from meshpass._token import Token
from meshpass._tokens.bearer_auth import BearerAuth
from meshpass._tokens.lifetime import CachedToken, back_off_s, cached_token

if TYPE_CHECKING:
    from concurrent.futures import Future

    # What a fetch came to; None when it was broken off, by Ctrl-C for instance, and told nothing.
    Fetch = Future[Token | Exception | None]

FETCH_LIMIT_S = 20.0
"""How long one fetch may take, its own retries included."""

# A fetch that ignores its limit is given up for lost, and the next who asks fetches anew.
_LOST_AFTER_S = 2 * FETCH_LIMIT_S
_FORCED_FETCH_EVERY_S = 2.0
_KEPT = 256


class _Entry:
    """What the process knows for one key. Changed only under `_lock`; `cached` is read without it."""

    __slots__ = (
        "__weakref__",
        "cached",
        "failure",
        "failures",
        "fetch",
        "forced_at",
        "leader",
        "retry_at",
        "started_at",
    )

    def __init__(self) -> None:
        self.cached: CachedToken | None = None
        self.fetch: Fetch | None = None
        self.leader: tuple[Fetch, int] | None = None
        """The fetch that a thread makes itself, and the thread; None where a thread of its own makes it."""
        self.started_at = 0.0
        self.failures = 0
        self.failure: Exception | None = None
        self.retry_at = 0.0
        self.forced_at = -math.inf


# Reentrant, because a signal handler may want a token, too.
_lock = threading.RLock()
_entries: "weakref.WeakValueDictionary[Hashable, _Entry]" = weakref.WeakValueDictionary()
# Keeps the token of a source that is made anew for each call, up to a number.
_kept: deque[_Entry] = deque(maxlen=_KEPT)
_UNBOUND = _Entry()


class CachedSource(BearerAuth):
    """A source of tokens that are worth keeping: all equal sources of a process share one token and one fetch.

    It is a `TokenSource`, and an `httpx.Auth` for any `httpx` client, blocking or not. Safe for threads, tasks of
    several event loops, forked children and processes that were frozen.

    A subclass says what it fetches and how: `_cache_key`, `_fetch` and, if it is so, `_fetch_is_cheap`.
    """

    _entry: _Entry = _UNBOUND
    _clock: Callable[[], float] = staticmethod(time.time)
    _monotonic: Callable[[], float] = staticmethod(time.monotonic)

    @property
    def _fetch_is_cheap(self) -> bool:
        """Whether `_fetch` does no I/O just now, so that an event loop may call it."""
        return False

    def _cache_key(self) -> Hashable:
        """Return what this source's token depends on: kind of source, identity, audience and whatever else."""
        raise NotImplementedError

    def _fetch(self, deadline_s: float) -> Token:
        """Return a new token. Blocks; never called by two at once for one key.

        Args:
            deadline_s: How long it may take, in seconds.
        """
        raise NotImplementedError

    def token(self, timeout_s: float | None = None) -> Token:
        """Return the cached token, or fetch a new one.

        Args:
            timeout_s: How long to wait, in seconds; as long as the fetch itself may take when None. The fetch goes
                on for the others, and for the next call.

        Raises:
            MeshTimeout: there was no token within `timeout_s`.
            MeshError: no token can be made; the class says why.
        """
        cached = self._entry.cached
        if cached is not None and cached.is_fresh(self._clock(), self._monotonic()):
            return cached.token
        return self._obtain(timeout_s)

    def cached(self) -> Token | None:
        """Return the cached token if it is good for the next request; never fetch."""
        cached = self._entry.cached
        fresh = cached is not None and cached.is_fresh(self._clock(), self._monotonic())
        return cached.token if cached is not None and fresh else None

    async def atoken(self) -> Token:
        """Return the same as `token`; I/O is done off the event loop. It may be cancelled: the fetch goes on.

        Raises:
            MeshError: no token can be made; the class says why.
        """
        cached = self._entry.cached
        if cached is not None and cached.is_fresh(self._clock(), self._monotonic()):
            return cached.token
        return await self._aobtain()

    def invalidate(self, token: Token) -> None:
        """Forget this token, because it was refused; a newer one stays.

        Where fetching costs something, only one token in two seconds is forgotten: a mesh that refuses every
        token must not become a storm of fetches.
        """
        entry, cheap = self._entry, self._fetch_is_cheap
        with _lock:
            if entry.cached is None or entry.cached.token is not token:
                return
            monotonic = self._monotonic()
            if cheap or monotonic - entry.forced_at >= _FORCED_FETCH_EVERY_S:
                entry.cached, entry.forced_at = None, monotonic

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"A {type(self).__name__} cannot be pickled or copied, because it hands out secrets.")

    def _obtain(self, timeout_s: float | None) -> Token:
        handled = sys.exception()
        try:
            return self._wait(timeout_s)
        except BaseException as error:
            self._abandon()
            seal(error, handled)  # on the way to the cache's key are credentials
            raise

    def _wait(self, timeout_s: float | None) -> Token:
        ends_at = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while True:
            step = self._claim()
            if isinstance(step, Token):
                return step
            fetch, leading = step
            if leading and (timeout_s is None or self._fetch_is_cheap):
                self._run(fetch)
            elif leading:
                self._run_detached(fetch)
            try:
                outcome = fetch.result(max(min(ends_at - time.monotonic(), _LOST_AFTER_S), 0))
            except TimeoutError:
                outcome = None
            token = self._use(outcome, leading=leading)
            if token is not None:
                return token
            if time.monotonic() >= ends_at:
                raise MeshTimeout(
                    f"No token was there within {timeout_s:g} s.",
                    code="timeout_token",
                    hint="It is still being fetched for the next call; give the first call more time.",
                )

    async def _aobtain(self) -> Token:
        handled = sys.exception()
        try:
            return await self._await()
        except BaseException as error:
            self._abandon()
            seal(error, handled)
            raise

    async def _await(self) -> Token:
        import asyncio

        while True:
            step = self._claim()
            if isinstance(step, Token):
                return step
            fetch, leading = step
            if leading and self._fetch_is_cheap:
                self._run(fetch)
            elif leading:
                self._run_detached(fetch)
            try:
                async with asyncio.timeout(_LOST_AFTER_S):
                    # It is running, and what runs cannot be cancelled: neither by this task nor by another.
                    outcome = fetch.result() if fetch.done() else await asyncio.wrap_future(fetch)
            except TimeoutError:
                outcome = None
            token = self._use(outcome, leading=leading)
            if token is not None:
                return token

    def _claim(self) -> "Token | tuple[Fetch, bool]":
        """Decide what one who found no fresh token does: take one, wait for a fetch, or lead a new one."""
        from concurrent.futures import Future

        with _lock:
            entry = self._bind()
            now, monotonic = self._clock(), self._monotonic()
            cached = entry.cached
            if cached is not None and cached.is_fresh(now, monotonic):
                return cached.token
            waiting = monotonic < entry.retry_at
            fetching = entry.fetch is not None and monotonic - entry.started_at < _LOST_AFTER_S
            if cached is not None and (waiting or fetching) and cached.is_usable(now, monotonic):
                return cached.token
            if entry.fetch is not None and fetching:
                return entry.fetch, False
            failure = entry.failure if waiting else None
            if failure is None:
                fetch: Fetch = Future()
                fetch.set_running_or_notify_cancel()
                # In this order: an interrupt in between must find whose fetch it is.
                entry.leader = fetch, threading.get_ident()
                entry.fetch, entry.started_at = fetch, monotonic
                return fetch, True
        raise _copy_of(failure)

    def _bind(self) -> _Entry:
        if self._entry is _UNBOUND:
            key = self._cache_key()
            entry = _entries.get(key)
            if entry is None:
                entry = _entries[key] = _Entry()
            self._entry = entry
        return self._entry

    def _run(self, fetch: "Fetch") -> None:
        outcome: Token | Exception | None = None
        handled = None
        try:
            handled = sys.exception()
            outcome = self._fetch(FETCH_LIMIT_S)
        except BaseException as exc:
            seal(exc, handled)
            # Every caller that waits for this fetch gets the same error; an interrupt is this thread's alone.
            if not isinstance(exc, Exception):
                raise
            outcome = exc
        finally:
            self._finish(fetch, outcome)

    def _run_detached(self, fetch: "Fetch") -> None:
        from contextvars import copy_context

        run = copy_context().run
        try:
            threading.Thread(target=run, args=(self._run, fetch), name="meshpass-token", daemon=True).start()
            self._entry.leader = None
        except BaseException:
            self._finish(fetch, None)
            raise

    def _finish(self, fetch: "Fetch", outcome: Token | Exception | None) -> None:
        import random

        entry, chance = self._entry, random.random()  # noqa: S311 - spreads load, keeps no secret
        failure = _copy_of(outcome) if isinstance(outcome, Exception) else None
        with _lock:
            if entry.fetch is fetch:
                now, monotonic = self._clock(), self._monotonic()
                entry.fetch = None
                if isinstance(outcome, Token):
                    entry.cached = cached_token(outcome, now, monotonic, chance)
                    entry.failures, entry.failure, entry.retry_at = 0, None, 0.0
                    _kept.append(entry)
                elif failure is not None:
                    has_token = entry.cached is not None and entry.cached.is_usable(now, monotonic)
                    entry.failures += 1
                    entry.failure = failure
                    entry.retry_at = monotonic + back_off_s(entry.failures, chance, has_token=has_token)
        try:
            fetch.set_result(outcome)
        except Exception:
            if not fetch.done():  # else it was abandoned, and has its result
                raise

    def _abandon(self) -> None:
        """End the fetch of this thread, which was interrupted before it could do so: others wait for it."""
        leader = self._entry.leader
        if leader is not None and leader[1] == threading.get_ident() and not leader[0].done():
            self._finish(leader[0], None)

    def _use(self, outcome: Token | Exception | None, *, leading: bool) -> Token | None:
        if not isinstance(outcome, Exception):
            return outcome
        cached = self._entry.cached
        if cached is None or not cached.is_usable(self._clock(), self._monotonic()):
            raise outcome if leading else _copy_of(outcome)
        if leading:
            _log_still_used(cached.token, outcome)
        return cached.token


def _copy_of(error: Exception) -> Exception:
    """Return an error to raise elsewhere: without the traceback, whose frames hold the fetch's secrets."""
    import copy

    try:
        again = copy.copy(error)
    except Exception:  # noqa: BLE001 - an error of somebody's own that cannot be copied is shared
        return error
    return again.with_traceback(None)


def loggable(error: Exception) -> str:
    """Return what a log may say of an error: all of our own, which hold no secret, and the name of any other."""
    return str(error) if isinstance(error, MeshError) else type(error).__name__


def _log_still_used(token: Token, error: Exception) -> None:
    import logging

    logging.getLogger("meshpass").warning(
        "There is no new token, and the last one is used on: %s",
        loggable(error),
        extra={
            "token_source": token.source,
            "token_claims": dict(token.claims),
            "error_code": getattr(error, "code", None),
        },
    )


def _after_fork() -> None:
    """In a forked child: nobody is left who would open the lock or finish the fetches of the parent's threads."""
    global _lock
    _lock = threading.RLock()
    for entry in list(_entries.values()):
        entry.fetch = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
