"""Token cache of a process: one token per identity and audience for all threads, tasks and event loops.

There is one fetch at a time for each key (see `CachedSource._cache_key`). A thread that needs a token either starts the
fetch or waits for it. A blocking caller fetches in its own thread. For asyncio a separate thread fetches, so that a
cancelled task does not end a fetch that other tasks wait for. While a token is renewed before it expires, all other
callers use the old token. Nothing runs in the background between fetches.
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
from meshpass._tokens.cached_token import CachedToken, back_off_s, cached_token

if TYPE_CHECKING:
    from concurrent.futures import Future

    # The result of a fetch; None when it was interrupted, by Ctrl-C for instance.
    Fetch = Future[Token | Exception | None]

FETCH_LIMIT_S = 20.0
"""How long one fetch may take, its own retries included."""

# A fetch that ignores its limit is considered lost, and the next caller starts a new one.
_LOST_AFTER_S = 2 * FETCH_LIMIT_S
_FORCED_FETCH_EVERY_S = 2.0
_KEPT = 256


class _Entry:
    """Cached token and fetch of one key. Changed only under `_lock`; `cached` is read without it."""

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
        """The fetch that a caller runs in its own thread, and that thread; None where a separate thread runs it."""
        self.started_at = 0.0
        self.failures = 0
        self.failure: Exception | None = None
        self.retry_at = 0.0
        self.forced_at = -math.inf


# Reentrant, because a signal handler may need a token, too.
_lock = threading.RLock()
_entries: "weakref.WeakValueDictionary[Hashable, _Entry]" = weakref.WeakValueDictionary()
# Keeps the last tokens alive for programs that make a new source for each call.
_kept: deque[_Entry] = deque(maxlen=_KEPT)
_UNBOUND = _Entry()


class CachedSource(BearerAuth):
    """Source of tokens with a cache: all equal sources of a process share one token and one fetch.

    It is a `TokenSource`, and an `httpx.Auth` for any `httpx` client, blocking or not. It is safe for threads, tasks of
    several event loops, forked children and processes that were frozen.

    A subclass defines `_cache_key` and `_fetch`, and `_fetch_is_cheap` where a fetch needs no I/O.
    """

    _entry: _Entry = _UNBOUND
    _clock: Callable[[], float] = staticmethod(time.time)
    _monotonic: Callable[[], float] = staticmethod(time.monotonic)

    @property
    def _fetch_is_cheap(self) -> bool:
        """Whether `_fetch` would do no I/O now, so that an event loop may call it."""
        return False

    def _cache_key(self) -> Hashable:
        """Return all that this source's token depends on, such as kind of source, identity and audience."""
        raise NotImplementedError

    def _fetch(self, deadline_s: float) -> Token:
        """Return a new token. It may block. It is never called twice at the same time for one key.

        Args:
            deadline_s: How long it may take, in seconds.
        """
        raise NotImplementedError

    def token(self, timeout_s: float | None = None) -> Token:
        """Return the cached token, or fetch a new one.

        Args:
            timeout_s: How long to wait, in seconds; as long as the fetch itself may take when None. After this time
                the fetch continues, for other callers and for the next call.

        Raises:
            MeshTimeout: there was no token within `timeout_s`.
            MeshError: no token can be made; the class says why.
        """
        cached = self._entry.cached
        if cached is not None and cached.is_fresh(self._clock(), self._monotonic()):
            return cached.token
        return self._obtain(timeout_s)

    def cached(self) -> Token | None:
        """Return the cached token if it is valid for the next request, without fetching."""
        cached = self._entry.cached
        fresh = cached is not None and cached.is_fresh(self._clock(), self._monotonic())
        return cached.token if cached is not None and fresh else None

    async def atoken(self) -> Token:
        """Return the same as `token`, with I/O in another thread. It may be cancelled; the fetch then continues.

        Raises:
            MeshError: no token can be made; the class says why.
        """
        cached = self._entry.cached
        if cached is not None and cached.is_fresh(self._clock(), self._monotonic()):
            return cached.token
        return await self._aobtain()

    def invalidate(self, token: Token) -> None:
        """Remove this token from the cache, because it was refused; a newer one stays.

        Where a fetch does I/O, only one token in two seconds is removed. So a mesh that refuses every token does not
        cause a fetch for every call.
        """
        entry, cheap = self._entry, self._fetch_is_cheap
        with _lock:
            if entry.cached is None or entry.cached.token is not token:
                return
            monotonic = self._monotonic()
            if cheap or monotonic - entry.forced_at >= _FORCED_FETCH_EVERY_S:
                entry.cached, entry.forced_at = None, monotonic

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"A {type(self).__name__} cannot be pickled or copied, because it holds secrets.")

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
                    f"There was no token within {timeout_s:g} s.",
                    code="timeout_token",
                    hint="The fetch continues for the next call. Give the first call more time.",
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
                    # The future is marked as running, so the cancellation of a task cannot cancel it.
                    outcome = fetch.result() if fetch.done() else await asyncio.wrap_future(fetch)
            except TimeoutError:
                outcome = None
            token = self._use(outcome, leading=leading)
            if token is not None:
                return token

    def _claim(self) -> "Token | tuple[Fetch, bool]":
        """Decide what a caller without a fresh token does: use one, wait for a fetch, or start a fetch."""
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
                # In this order: an interrupt in between must find the thread of the fetch.
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
            # Every caller that waits for this fetch gets the same error; an interrupt ends only this thread.
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
            if not fetch.done():  # otherwise it was abandoned, and has a result
                raise
        with _lock:
            # Not before there is a result: `_abandon` must find it. And no longer: the result may be an error, whose
            # traceback leads back here.
            if entry.leader is not None and entry.leader[0] is fetch:
                entry.leader = None

    def _abandon(self) -> None:
        """End the fetch of this thread, which was interrupted, because other callers wait for it."""
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
    """Return a copy to raise in another thread, without the traceback, whose frames hold the fetch's secrets."""
    import copy

    try:
        again = copy.copy(error)
    except Exception:  # noqa: BLE001 - an error of other code that cannot be copied is shared
        return error
    return again.with_traceback(None)


def loggable(error: Exception) -> str:
    """Return the text of an error for a log: the message of a `MeshError`, which holds no secret, else the class."""
    return str(error) if isinstance(error, MeshError) else type(error).__name__


def _log_still_used(token: Token, error: Exception) -> None:
    import logging

    logging.getLogger("meshpass").warning(
        "No new token could be fetched, and the last one is still used: %s",
        loggable(error),
        extra={
            "token_source": token.source,
            "token_claims": dict(token.claims),
            "error_code": getattr(error, "code", None),
        },
    )


def _after_fork() -> None:
    """Reset lock and fetches in a forked child, because the parent's threads that held them do not run there."""
    global _lock
    _lock = threading.RLock()
    for entry in list(_entries.values()):
        entry.fetch = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
