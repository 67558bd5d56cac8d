"""All lookups of one event, run side by side and decided on together."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Any

import meshpass
import msgspec

from enrichment.errors import (
    Disposition,
    EnrichmentError,
    Stage,
    copy_error,
    of_miss,
    of_unexpected_error,
    release_frames,
)
from enrichment.expressions import Scope
from enrichment.lookup.cached import Lookup
from enrichment.lookup.profile import CacheEvent, LookupResult
from enrichment.lookup.request import Requests, no_key
from enrichment.settings.lookup_rules import FIRST_LOOKUP, LookupRules, OnNoKey
from enrichment.telemetry import spans
from enrichment.telemetry.counters import Count
from enrichment.telemetry.trace import Trace

_GRAVITY = (Disposition.FAULT, Disposition.RETRY, Disposition.DEAD_LETTERED)


class LookupAnswers(msgspec.Struct):
    """What the lookups of one event found.

    Args:
        results: By the lookup's name, in the order of `pipeline.toml`; without those that failed.
        error: Why the event cannot go on, None if it can. Of several errors it is the gravest.
        cache: How the lookup was answered; where there are several, each by its name. None where none was.
        seconds: How long it took; None where nothing is looked up.
    """

    results: dict[str, LookupResult]
    error: EnrichmentError | None = None
    cache: str | dict[str, str] | None = None
    seconds: float | None = None


class Lookups:
    """The lookups of one pipeline. Each has a cache, a throttle and limits of its own.

    Args:
        lookups: The rules of each, with what looks up.
    """

    def __init__(self, lookups: Sequence[tuple[LookupRules, Lookup]]) -> None:
        self._all = [_OneLookup(rules, lookup, len(lookups) > 1) for rules, lookup in lookups]

    def fetch(
        self, scope: Scope, trace: Trace, deadline: meshpass.Deadline
    ) -> Coroutine[Any, Any, LookupAnswers]:
        """Look up everything that one event needs.

        All lookups come to their end before the event does. An event is dead-lettered for a miss only if no other
        lookup failed: a fault or a transient error is graver, because it says nothing about the event.

        Args:
            scope: What expressions may use of the event.
            trace: The event's.
            deadline: When to have answered.

        Returns:
            What was found, to be awaited. Raises no EnrichmentError.
        """
        if len(self._all) == 1:  # without a step of its own, since most pipelines have one
            return self._all[0].answers(scope, trace, deadline)
        return self._fetch_all(scope, trace, deadline)

    async def _fetch_all(self, scope: Scope, trace: Trace, deadline: meshpass.Deadline) -> LookupAnswers:
        if not self._all:
            return LookupAnswers({})
        found = await asyncio.gather(*(one.answers(scope, trace, deadline) for one in self._all))
        results: dict[str, LookupResult] = {}
        for answers in found:
            results |= answers.results
        errors = [answers.error for answers in found if answers.error is not None]
        return LookupAnswers(
            results,
            min(errors, key=lambda error: _GRAVITY.index(error.disposition)) if errors else None,
            {name: result.event.value for name, result in results.items()} or None,
            max(answers.seconds or 0.0 for answers in found),
        )


class _OneLookup:
    """One of a pipeline's lookups."""

    def __init__(self, rules: LookupRules, lookup: Lookup, is_one_of_many: bool) -> None:
        self.name = rules.name
        self._rules = rules
        self._lookup = lookup
        self._requests = Requests(rules)
        self._is_one_of_many = is_one_of_many
        self._span_name = "lookup" if rules.name == FIRST_LOOKUP else f"lookup {rules.name}"

    async def answers(self, scope: Scope, trace: Trace, deadline: meshpass.Deadline) -> LookupAnswers:
        """Look up, and decide what a miss or a missing key means for the event."""
        began_at = time.monotonic()
        result: LookupResult | None = None
        error: EnrichmentError | None = None
        try:
            if self._rules.when is not None and not self._requests.is_wanted(scope):
                result = _SKIPPED
            elif (key := self._requests.of_event(scope)) is None:
                result, error = _NO_KEY, self._no_key_error()
            else:
                with spans.span(self._span_name, trace) as span:
                    result = await self._lookup.fetch(key, span.trace, deadline)
                    span.set("meshpass.cache", result.event.value)
                if result.profile is None:
                    error = of_miss(self._rules.on_miss)
        except EnrichmentError as failed:
            error = release_frames(failed)
        except Exception as unexpected:  # noqa: BLE001 - a defect in one lookup must not leave the others running
            error = of_unexpected_error(unexpected, Stage.LOOKUP)
        if error is not None and self._is_one_of_many:
            error = copy_error(error)
            error.detail = f"{self.name}: {error.detail}"
        seconds = time.monotonic() - began_at
        if result is None:
            return LookupAnswers({}, error, None, seconds)
        return LookupAnswers({self.name: result}, error, result.event.value, seconds)

    def _no_key_error(self) -> EnrichmentError | None:
        if self._rules.on_no_key is OnNoKey.WRITE:
            return None
        return no_key(self._rules)


def counted_apart(count: Count, rules: LookupRules) -> Count:
    """Return what counts for one lookup: with its name as a label, but for the one in `[lookup]`."""
    name = rules.name
    if name == FIRST_LOOKUP:
        return count

    def count_named(counter: str, amount: int = 1, /, **labels: str) -> None:
        count(counter, amount, lookup=name, **labels)

    return count_named


_SKIPPED = LookupResult(None, CacheEvent.SKIPPED)
_NO_KEY = LookupResult(None, CacheEvent.NO_KEY)
