"""Lookup as the pipeline sees it: what is remembered, else one call for all that ask, else what is stale."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import meshpass

from enrichment.errors import BadEventError, FaultError, Stage, TransientError, failure, of_unexpected_error
from enrichment.lookup.cache import Cache, Entry
from enrichment.lookup.profile import CacheEvent, LookupResult, Profile
from enrichment.lookup.request import LookupKey
from enrichment.lookup.single_flight import SingleFlight
from enrichment.lookup.throttle import Throttle
from enrichment.settings.lookup_rules import LookupRules
from enrichment.telemetry.counters import Count, uncounted
from enrichment.telemetry.trace import Trace

if TYPE_CHECKING:
    from enrichment.lookup.batch import Batches, BatchSource


class Lookup(Protocol):
    """Finds the profile that belongs to a key."""

    async def fetch(self, key: LookupKey, trace: Trace, deadline: meshpass.Deadline) -> LookupResult:
        """Return the result by the deadline, or raise an EnrichmentError."""


class Source(Protocol):
    """Where profiles come from: `MeshProfiles`."""

    async def fetch(self, key: LookupKey, trace: Trace, deadline: meshpass.Deadline) -> Profile | None:
        """Return the profile, or None for a key that is not known; raise an EnrichmentError."""


class CachedLookup:
    """Looks keys up with as few calls as possible, and goes on for a while without the service.

    Belongs to one event loop.

    Args:
        rules: How a profile is looked up, and how long it is remembered.
        source: Where profiles come from.
        count: Counts `lookups` by cache event, `lookup_calls` by result, and `lookup_throttled`.
        clock: The monotonic time, in seconds.
        batch_source: Where the profiles of many keys come from, where the rules have a batch.
    """

    def __init__(
        self,
        rules: LookupRules,
        source: Source,
        count: Count = uncounted,
        clock: Callable[[], float] = time.monotonic,
        batch_source: "BatchSource | None" = None,
    ) -> None:
        self._rules = rules
        self._source = source
        self._count = count
        self._clock = clock
        self._cache: Cache[LookupKey] = Cache(rules.cache)
        self._single_flight: SingleFlight[LookupKey, Profile | None] = SingleFlight()
        self._throttle = Throttle(rules.max_in_flight, count, clock)
        self._batches: Batches | None = None
        if rules.batch is not None and batch_source is not None:
            from enrichment.lookup import batch  # which few pipelines need

            self._batches = batch.Batches(rules, rules.batch, batch_source, self._throttle, count, clock)

    async def fetch(self, key: LookupKey, trace: Trace, deadline: meshpass.Deadline) -> LookupResult:
        """Find the profile that belongs to a key.

        A stale profile is used only while the service is unavailable: a call failed with a `TransientError`, or none
        may be made for now because the service refused others. It is not used after a `FaultError`: what the mesh
        denies now must not come from memory.

        Args:
            key: What to look up.
            trace: The event's; a call is made in the name of the first event that needs it.
            deadline: When to have answered.

        Returns:
            The profile, or that there is none, and where that comes from.

        Raises:
            BadEventError: `key_invalid`, no call can be made for this key.
            TransientError: the service or the way to it is unavailable, and nothing is remembered;
                `lookup_timeout` where no answer came by the deadline.
            FaultError: the mesh refuses us, or the service broke its contract.
        """
        now_s = self._clock()
        entry = self._cache.get(key, now_s)
        if entry is not None and (entry.fresh_until_s > now_s or self._throttle.holds_back):
            return self._from_memory(entry, now_s)
        try:
            profile, shared = await self._single_flight.join(key, lambda: self._look_up(key, trace), deadline)
        except (TransientError, TimeoutError) as error:
            now_s = self._clock()
            # Looked for again: it may have been replaced since, or taken away.
            entry = self._cache.get(key, now_s)
            if entry is not None:
                return self._from_memory(entry, now_s)
            if isinstance(error, TransientError):
                raise
            raise failure("lookup_timeout", "no answer came within the time of the event") from None
        return self._answer(profile, CacheEvent.SHARED if shared else CacheEvent.FETCHED)

    def _from_memory(self, entry: Entry, now_s: float) -> LookupResult:
        if entry.profile is None:
            return self._answer(None, CacheEvent.NEGATIVE_HIT)
        fresh = entry.fresh_until_s > now_s
        return self._answer(entry.profile, CacheEvent.HIT if fresh else CacheEvent.STALE)

    def _answer(self, profile: Profile | None, event: CacheEvent) -> LookupResult:
        self._count("lookups", cache=event.value)
        return LookupResult(profile, event)

    async def _look_up(self, key: LookupKey, trace: Trace) -> Profile | None:
        try:
            if self._batches is not None:
                profile = await self._batches.fetch(key, trace)
            else:
                deadline = meshpass.Deadline.after(self._rules.timeout_s)
                profile = await self._throttle.call(lambda: self._call(key, trace, deadline), deadline)
        except FaultError:
            self._cache.drop(key)
            raise
        if profile is None:
            self._cache.put_missing(key, self._clock())
        else:
            self._cache.put_found(key, profile, self._clock())
        return profile

    async def _call(self, key: LookupKey, trace: Trace, deadline: meshpass.Deadline) -> Profile | None:
        try:
            profile = await self._source.fetch(key, trace, deadline)
        except BadEventError:
            raise  # nothing was sent
        except FaultError:
            self._count("lookup_calls", result="fault")
            raise
        except (TransientError, asyncio.CancelledError):  # cancelled: no event had the time to wait for it
            self._count("lookup_calls", result="transient")
            raise
        except Exception as error:
            self._count("lookup_calls", result="fault")
            # Decided here, where the traceback still ends at the place of the defect.
            raise of_unexpected_error(error, Stage.LOOKUP) from error
        self._count("lookup_calls", result="missing" if profile is None else "found")
        return profile
