"""As few calls as possible, and some time without the service: the lookup as the pipeline sees it."""

import asyncio
import bisect
import itertools
import json
import random
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import meshpass
import pytest
from enrichment.errors import BadEventError, EnrichmentError, FaultError, Stage, TransientError
from enrichment.lookup import CachedLookup
from enrichment.lookup.overload import OverloadError
from enrichment.lookup.profile import CacheEvent, Profile
from enrichment.lookup.request import LookupKey
from enrichment.settings.lookup_rules import CacheLimits, LookupRules
from enrichment.telemetry.trace import Trace

from tests.clock import Clock

from . import lookup_cases

TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
LIMITS = CacheLimits(ttl_s=60, negative_ttl_s=10, stale_if_error_s=300)
DOWN = OverloadError("service_unavailable", "the service answered 503")
RESET = TransientError(Stage.LOOKUP, "connection_lost", "")
DENIED = FaultError(Stage.LOOKUP, "not_allowed", "")


def rules(*, timeout_s: float = 30.0, max_in_flight: int = 100, cache: CacheLimits = LIMITS) -> LookupRules:
    return lookup_cases.rules(timeout_s=timeout_s, max_in_flight=max_in_flight, cache=cache)


class Service:
    """Knows every key but `nobody`; answers at once, or when it is let go, or fails."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.traces: list[Trace] = []
        self.failure: Exception | None = None
        self.version = 0
        self.open = asyncio.Event()
        self.open.set()
        self.was_asked = asyncio.Event()
        self.at_once = self.most_at_once = self.given_up = 0

    async def fetch(self, key: LookupKey, trace: Trace, deadline: meshpass.Deadline) -> Profile | None:
        assert isinstance(key, str)
        self.asked[key] += 1
        self.traces.append(trace)
        self.was_asked.set()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.open.wait()
            await asyncio.sleep(0)  # no answer comes in the turn of the loop in which it was asked for
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        finally:
            self.at_once -= 1
        if self.failure is not None:
            raise self.failure
        if key == "nobody":
            return None
        text = json.dumps({"user_id": key, "version": self.version})
        return Profile(text, json.loads(text))


class Bench:
    """A lookup with its service, its clock and what it has counted."""

    def __init__(self, given: LookupRules | None = None) -> None:
        self.clock, self.service, self.counted = Clock(1000.0), Service(), Counter[str]()
        self.lookup = CachedLookup(given or rules(), self.service, self.count, self.clock)

    def count(self, name: str, amount: int = 1, /, **labels: str) -> None:
        self.counted["/".join((name, *labels.values()))] += amount

    async def ask(
        self, key: str = "u", deadline: meshpass.Deadline | None = None
    ) -> tuple[CacheEvent, object]:
        answer = await self.lookup.fetch(key, TRACE, deadline or meshpass.Deadline.after(30))
        return answer.event, answer.profile and answer.profile.document["version"]

    async def reason(self, key: str = "u", deadline: meshpass.Deadline | None = None) -> str:
        with pytest.raises(EnrichmentError) as caught:
            await self.ask(key, deadline)
        return caught.value.reason


def play(scene: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scene

    asyncio.run(bounded())


def test_a_profile_is_fetched_once_in_its_time_to_live() -> None:
    async def scene() -> None:
        on = Bench()
        assert await on.ask() == (CacheEvent.FETCHED, 0)
        on.service.version = 1
        on.clock.now_s += 59
        assert await on.ask() == (CacheEvent.HIT, 0)
        on.clock.now_s += 1
        assert await on.ask() == (CacheEvent.FETCHED, 1)
        assert on.counted == {"lookups/fetched": 2, "lookups/hit": 1, "lookup_calls/found": 2}

    play(scene())


def test_a_key_that_is_unknown_is_asked_for_once_in_its_own_time() -> None:
    async def scene() -> None:
        on = Bench()
        assert await on.ask("nobody") == (CacheEvent.FETCHED, None)
        on.clock.now_s += 9
        assert await on.ask("nobody") == (CacheEvent.NEGATIVE_HIT, None)
        on.clock.now_s += 1
        assert await on.ask("nobody") == (CacheEvent.FETCHED, None)
        assert on.counted["lookup_calls/missing"] == 2

    play(scene())


def test_a_thousand_events_for_one_cold_key_at_once_make_one_call() -> None:
    async def scene() -> None:
        on = Bench()
        answers = await asyncio.gather(*(on.ask("hot") for _ in range(1000)))
        assert on.service.asked == {"hot": 1}
        assert Counter(answers) == {(CacheEvent.FETCHED, 0): 1, (CacheEvent.SHARED, 0): 999}

    play(scene())


def test_skewed_keys_cost_one_call_a_key() -> None:
    async def scene() -> None:
        on = Bench()
        rng = random.Random(3)
        weights = list(itertools.accumulate(1 / rank for rank in range(1, 10_001)))  # Zipf over 10,000 keys
        keys = [f"u{bisect.bisect(weights, rng.random() * weights[-1])}" for _ in range(20_000)]
        waiting = iter(keys)

        async def worker() -> None:
            for key in waiting:
                await on.ask(key)

        await asyncio.gather(*(worker() for _ in range(64)))
        assert sum(on.service.asked.values()) <= 1.05 * len(set(keys))

    play(scene())


def test_the_call_carries_the_trace_of_the_event_that_it_was_begun_for() -> None:
    async def scene() -> None:
        on = Bench()
        await on.ask()
        assert on.service.traces == [TRACE]

    play(scene())


@pytest.mark.parametrize("failure", [DOWN, RESET], ids=["overloaded", "connection lost"])
def test_while_the_service_is_unavailable_a_stale_profile_stands_in_and_an_unknown_key_does_not(
    failure: Exception,
) -> None:
    async def scene() -> None:
        on = Bench()
        await on.ask("u")
        await on.ask("nobody")
        on.service.failure = failure
        on.clock.now_s += 359
        assert await on.ask("u") == (CacheEvent.STALE, 0)
        on.clock.now_s += 5  # after any pause of the throttle's
        assert await on.reason("nobody") == failure.args[0].partition(":")[0]
        assert await on.reason("u") == failure.args[0].partition(":")[0]  # too old by now
        assert on.counted["lookup_calls/transient"] == 3

    play(scene())


def test_once_the_service_is_back_a_stale_profile_is_replaced() -> None:
    async def scene() -> None:
        on = Bench()
        await on.ask()
        on.clock.now_s += 60
        on.service.failure = RESET
        assert await on.ask() == (CacheEvent.STALE, 0)
        on.service.failure, on.service.version = None, 1
        assert await on.ask() == (CacheEvent.FETCHED, 1)

    play(scene())


def test_all_who_wait_for_a_call_that_fails_get_the_stale_profile() -> None:
    async def scene() -> None:
        on = Bench()
        await on.ask()
        on.clock.now_s += 60
        on.service.failure = DOWN
        answers = await asyncio.gather(*(on.ask() for _ in range(100)))
        assert set(answers) == {(CacheEvent.STALE, 0)}
        assert on.service.asked["u"] == 2

    play(scene())


def test_what_the_mesh_denies_is_not_served_from_memory_not_even_in_a_later_outage() -> None:
    async def scene() -> None:
        on = Bench()
        await on.ask()
        on.clock.now_s += 60
        on.service.failure = DENIED
        assert await on.reason() == "not_allowed"
        on.service.failure = DOWN
        assert await on.reason() == "service_unavailable"
        assert on.counted["lookup_calls/fault"] == 1

    play(scene())


def test_a_fault_is_never_remembered_and_recovery_needs_no_restart() -> None:
    async def scene() -> None:
        on = Bench()
        on.service.failure = DENIED
        assert [await on.reason(), await on.reason()] == ["not_allowed", "not_allowed"]
        on.service.failure = None
        assert await on.ask() == (CacheEvent.FETCHED, 0)

    play(scene())


def test_while_the_service_refuses_a_stale_profile_is_given_without_asking() -> None:
    async def scene() -> None:
        on = Bench()
        await on.ask("a")
        await on.ask("b")
        on.clock.now_s += 60
        on.service.failure = OverloadError("service_unavailable", "", retry_after_s=5)
        assert await on.ask("a") == (CacheEvent.STALE, 0)
        assert await on.ask("b") == (CacheEvent.STALE, 0)
        assert on.service.asked == {"a": 2, "b": 1}
        on.clock.now_s += 5
        on.service.failure = None
        assert await on.ask("b") == (CacheEvent.FETCHED, 0)

    play(scene())


def test_a_key_that_no_path_can_carry_is_the_events_own_doing_and_no_call() -> None:
    async def scene() -> None:
        on = Bench()
        on.service.failure = BadEventError(Stage.LOOKUP, "key_invalid", "")
        assert await on.reason("..") == "key_invalid"
        assert "lookup_calls/transient" not in on.counted

    play(scene())


def test_a_defect_of_the_source_is_a_fault_that_names_its_place_and_quotes_nothing() -> None:
    async def scene() -> None:
        on = Bench()
        on.service.failure = KeyError("4111-1111")
        with pytest.raises(FaultError) as caught:
            await on.ask()
        assert caught.value.reason == "unexpected_error"
        assert "test_function_lookup_cached.py" in caught.value.detail
        assert "4111" not in str(caught.value)

    play(scene())


def test_an_event_gives_up_at_its_own_deadline_and_the_others_go_on() -> None:
    async def scene() -> None:
        on = Bench()
        on.service.open.clear()
        patient = asyncio.create_task(on.ask())
        await on.service.was_asked.wait()
        assert await on.reason(deadline=meshpass.Deadline.after(0.005)) == "lookup_timeout"
        on.service.open.set()
        assert await patient == (CacheEvent.FETCHED, 0)
        assert on.service.asked["u"] == 1

    play(scene())


def test_a_stale_profile_also_stands_in_for_an_answer_that_does_not_come_in_time() -> None:
    async def scene() -> None:
        on = Bench()
        await on.ask()
        on.clock.now_s += 60
        on.service.open.clear()
        assert await on.ask(deadline=meshpass.Deadline.after(0.005)) == (CacheEvent.STALE, 0)

    play(scene())


def test_no_call_goes_on_after_the_last_event_has_its_answer_and_none_is_remembered_of_it() -> None:
    async def scene() -> None:
        on = Bench()
        on.service.open.clear()
        assert await on.reason(deadline=meshpass.Deadline.after(0.005)) == "lookup_timeout"
        on.service.open.set()
        on.service.version = 1
        assert await on.ask() == (CacheEvent.FETCHED, 1)
        assert on.service.given_up == 1
        assert on.counted["lookup_calls/transient"] == 1

    play(scene())


def test_the_limit_of_a_call_is_the_configurations_and_not_its_first_events() -> None:
    class Asked:
        deadlines: list[float] = []  # noqa: RUF012 - one object alone

        async def fetch(self, key: LookupKey, trace: Trace, deadline: meshpass.Deadline) -> Profile | None:
            self.deadlines.append(deadline.left_s())
            return None

    async def scene() -> None:
        lookup = CachedLookup(rules(timeout_s=500), Asked())
        await lookup.fetch("u", TRACE, meshpass.Deadline.after(5))
        assert 400 < Asked.deadlines[0] <= 500

    play(scene())


def test_no_more_calls_at_once_than_the_configuration_allows() -> None:
    async def scene() -> None:
        on = Bench(rules(max_in_flight=7))
        await asyncio.gather(*(on.ask(f"u{number}") for number in range(100)))
        assert on.service.most_at_once == 7

    play(scene())


def test_without_a_cache_equal_keys_still_share_a_call() -> None:
    async def scene() -> None:
        on = Bench(rules(cache=CacheLimits(ttl_s=0, negative_ttl_s=0)))
        await asyncio.gather(*(on.ask() for _ in range(10)))
        await on.ask()
        assert on.service.asked["u"] == 2

    play(scene())
