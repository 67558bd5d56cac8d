"""Several lookups of one event: side by side, each for itself, and decided on together."""

import asyncio
from collections import Counter
from typing import Any

import meshpass
import pytest
from enrichment.errors import FaultError, Stage, TransientError
from enrichment.expressions import Scope, compile_expression
from enrichment.lookup import CachedLookup, LookupAnswers, Lookups
from enrichment.lookup.lookups import counted_apart
from enrichment.lookup.profile import CacheEvent, LookupResult, Profile
from enrichment.lookup.request import LookupKey, key_text
from enrichment.settings.lookup_rules import DeclaredField, LookupRules, OnMiss, OnNoKey
from enrichment.telemetry.counters import Counters
from enrichment.telemetry.trace import Trace

from .lookup_cases import rules

TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
DENIED = FaultError(Stage.LOOKUP, "not_allowed", "the mesh says no")
DOWN = TransientError(Stage.LOOKUP, "service_unavailable", "the service answered 503")


class Service:
    """A lookup that answers with its own name, or fails; it waits until as many as are awaited are under way."""

    def __init__(self, name: str, failure: Exception | None = None, *, knows: bool = True) -> None:
        self.name, self.failure, self.knows = name, failure, knows
        self.asked: list[str] = []
        self.together: asyncio.Barrier | None = None

    async def fetch(self, key: LookupKey, trace: Trace, deadline: meshpass.Deadline) -> LookupResult:
        self.asked.append(key_text(key))
        if self.together is not None:
            await self.together.wait()
        if self.failure is not None:
            raise self.failure
        profile = Profile("{}", {"of": self.name, "key": key_text(key)}) if self.knows else None
        return LookupResult(profile, CacheEvent.FETCHED)


def named(name: str, **changes: Any) -> LookupRules:  # noqa: ANN401 - any of its fields
    return rules(name=name, values={"key": DeclaredField(f"{name}_key")}, **changes)


KEYS: dict[str, object] = {"profile_key": "p", "shop_key": "s"}


def fetch(*lookups: tuple[LookupRules, Service], **values: object) -> LookupAnswers:
    scope = Scope({"event": {}}, {**KEYS, **values})
    return asyncio.run(Lookups(lookups).fetch(scope, TRACE, meshpass.Deadline.after(5)))


def test_no_lookup_finds_nothing_and_takes_no_time() -> None:
    assert fetch() == LookupAnswers({})


def test_each_is_asked_for_its_own_key_and_they_run_side_by_side() -> None:
    async def scene() -> LookupAnswers:
        services = Service("profile"), Service("shop")
        for service in services:
            service.together = barrier
        lookups = Lookups([(named(service.name), service) for service in services])
        return await lookups.fetch(Scope({"event": {}}, KEYS), TRACE, meshpass.Deadline.after(5))

    barrier = asyncio.Barrier(2)  # opens only when both are under way
    answers = asyncio.run(asyncio.wait_for(scene(), 10))
    assert answers.error is None
    found = {name: result.profile and result.profile.document for name, result in answers.results.items()}
    assert found == {"profile": {"of": "profile", "key": "p"}, "shop": {"of": "shop", "key": "s"}}
    assert answers.cache == {"profile": "fetched", "shop": "fetched"}


def test_the_only_lookup_is_logged_without_its_name() -> None:
    assert fetch((named("profile"), Service("profile"))).cache == "fetched"


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (Service("profile", DENIED), Service("shop", DOWN), "not_allowed"),
        (Service("profile", DOWN), Service("shop", DENIED), "not_allowed"),
        (Service("profile", knows=False), Service("shop", DOWN), "service_unavailable"),
        (Service("profile", DOWN), Service("shop", knows=False), "service_unavailable"),
        (Service("profile", knows=False), Service("shop", DENIED), "not_allowed"),
        (Service("profile", knows=False), Service("shop"), "profile_not_found"),
        (Service("profile", KeyError("4111")), Service("shop", DOWN), "unexpected_error"),
    ],
)
def test_the_gravest_end_wins_and_an_event_is_dead_lettered_only_if_no_other_lookup_failed(
    first: Service, second: Service, reason: str
) -> None:
    answers = fetch((named("profile"), first), (named("shop"), second))
    assert answers.error is not None
    assert answers.error.reason == reason
    assert "4111" not in str(answers.error)
    assert len(first.asked) == len(second.asked) == 1


def test_an_error_names_its_lookup_where_there_are_several() -> None:
    alone = fetch((named("shop"), Service("shop", DENIED))).error
    together = fetch((named("profile"), Service("profile")), (named("shop"), Service("shop", DENIED))).error
    assert alone is not None
    assert together is not None
    assert (alone.detail, together.detail) == ("the mesh says no", "shop: the mesh says no")


@pytest.mark.parametrize(
    ("on_miss", "reason"), [(OnMiss.WRITE, ""), (OnMiss.RETRY, "profile_not_found")], ids=str
)
def test_each_lookup_has_its_own_rule_for_a_miss(on_miss: OnMiss, reason: str) -> None:
    answers = fetch(
        (named("profile"), Service("profile")), (named("shop", on_miss=on_miss), Service("shop", knows=False))
    )
    assert (answers.error.reason if answers.error else "") == reason
    assert answers.results["shop"].profile is None


@pytest.mark.parametrize(
    ("on_no_key", "reason"), [(OnNoKey.WRITE, ""), (OnNoKey.DEAD_LETTER, "key_missing")], ids=str
)
def test_an_event_without_a_key_asks_nothing_and_ends_as_the_setting_says(
    on_no_key: OnNoKey, reason: str
) -> None:
    service = Service("shop")
    answers = fetch((named("shop", on_no_key=on_no_key), service), shop_key=None)
    assert (answers.error.reason if answers.error else "") == reason
    assert service.asked == []
    assert answers.cache == "no_key"
    if answers.error:
        assert answers.error.detail == "the event has no key for [lookups.shop]: event.shop_key gives none"


def test_a_lookup_whose_condition_is_not_true_is_skipped_whatever_its_other_rules() -> None:
    service = Service("shop")
    when = compile_expression("event.kind == 'order'", ("event",))
    answers = fetch((named("shop", when=when), service), shop_key=None)
    assert answers.error is None
    assert service.asked == []
    assert answers.cache == "skipped"


def test_no_lookup_answers_with_another_ones_profile_for_the_same_key() -> None:
    class Source:
        def __init__(self, name: str) -> None:
            self.name, self.asked = name, 0

        async def fetch(self, key: LookupKey, trace: Trace, deadline: meshpass.Deadline) -> Profile:
            self.asked += 1
            return Profile("{}", {"of": self.name})

    counters = Counters()
    sources = {name: Source(name) for name in ("profile", "shop")}
    pairs = [
        (named(name), CachedLookup(named(name), source, counted_apart(counters, named(name))))
        for name, source in sources.items()
    ]
    lookups = Lookups(pairs)
    scope = Scope({"event": {}}, {"profile_key": "same", "shop_key": "same"})

    async def scene() -> list[LookupAnswers]:
        return [await lookups.fetch(scope, TRACE, meshpass.Deadline.after(5)) for _ in range(2)]

    for answers in asyncio.run(scene()):
        for name, result in answers.results.items():
            assert result.profile is not None
            assert result.profile.document == {"of": name}
    assert [source.asked for source in sources.values()] == [1, 1]
    assert Counter(counters.snapshot()) == {
        "lookups/fetched": 1,
        "lookups/hit": 1,
        "lookup_calls/found": 1,
        "lookups/shop/fetched": 1,
        "lookups/shop/hit": 1,
        "lookup_calls/shop/found": 1,
    }
