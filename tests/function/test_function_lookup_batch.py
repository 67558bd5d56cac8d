"""Keys that wait at the same time share one request, and each is answered for itself."""

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any

import meshpass
import pytest
from enrichment.errors import EnrichmentError, FaultError, Stage, TransientError
from enrichment.lookup import CachedLookup
from enrichment.lookup.batch import FEW_KEYS, MANY_CALLS, SLOW_S, may_begin
from enrichment.lookup.batch_response import BatchResult, RefusedBatchError, batch_body, read_batch
from enrichment.lookup.overload import OverloadError
from enrichment.lookup.profile import CacheEvent, Profile
from enrichment.lookup.request import LookupKey, LookupRequest, key_text
from enrichment.settings.lookup_rules import BatchRules, CacheLimits
from enrichment.telemetry.trace import Trace
from hypothesis import given
from hypothesis import strategies as st

from .lookup_cases import rules

TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
BATCH = BatchRules("ids", ("data", "users"), "id", max_keys=10)
DENIED = FaultError(Stage.LOOKUP, "not_allowed", "")
REFUSED = RefusedBatchError(
    FaultError(Stage.LOOKUP, "service_answer_unexpected", "the service answered 400"), nothing_done=True
)
BROKE = RefusedBatchError(FaultError(Stage.LOOKUP, "service_unavailable", "the service answered 500"))


# --- when a request may begin


@pytest.mark.parametrize(
    ("calls", "waiting", "begins"),
    [
        ([], 1, True),
        ([(FEW_KEYS, 0.0)] * (MANY_CALLS - 1), 1, True),
        ([(FEW_KEYS, 0.0)] * MANY_CALLS, 1, False),
        ([(FEW_KEYS + 1, 0.0)], 1, False),
        ([(FEW_KEYS + 1, 0.0)], 10, True),
        ([(FEW_KEYS + 1, SLOW_S + 0.1)], 1, True),
        ([(FEW_KEYS, SLOW_S + 0.1)] * MANY_CALLS, 1, True),
        ([(10, 0.0)] * 50, 10, True),
    ],
)
def test_keys_wait_only_while_others_gather_behind_a_large_request(
    calls: list[tuple[int, float]],
    waiting: int,
    begins: bool,
) -> None:
    assert may_begin(calls, waiting, 10) is begins


# --- what an answer says


def read(answer: object, *keys: LookupKey, status: int = 200, max_bytes: int = 1000) -> Sequence[BatchResult]:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return read_batch(status, body, keys, BATCH, max_bytes)


def users(*found: object) -> dict[str, object]:
    return {"data": {"users": list(found)}}


def documents(results: Sequence[BatchResult]) -> list[object]:
    return [result.document if isinstance(result, Profile) else result for result in results]


def test_keys_are_sent_as_they_are() -> None:
    assert json.loads(batch_body(["a", LookupRequest((7,))], BATCH)) == {"ids": ["a", 7]}


def test_profiles_are_matched_by_key_and_one_that_is_missing_is_a_miss() -> None:
    results = read(users({"id": "c"}, {"id": 7, "n": 1}, None), "a", LookupRequest((7,)), "b", "c")
    assert documents(results) == [None, {"id": 7, "n": 1}, None, {"id": "c"}]


def test_a_profile_is_taken_as_it_came() -> None:
    (found,) = read(b'{"data":{"more":1,"users":[ {"id" : "a",  "n": 1.0} ]}}', "a")
    assert found == Profile('{"id" : "a",  "n": 1.0}', {"id": "a", "n": 1.0})


def test_the_list_may_be_the_whole_answer() -> None:
    found = read_batch(200, b'[{"id": "a"}]', ["a"], BatchRules("ids", (), "id"), 100)
    assert documents(found) == [{"id": "a"}]


def test_a_profile_that_is_too_large_fails_alone() -> None:
    small, large = read(users({"id": "a"}, {"id": "b", "x": "x" * 1000}), "a", "b")
    assert isinstance(small, Profile)
    assert isinstance(large, FaultError)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (users({"id": "x"}), "profile_mismatch"),
        (users({"id": "A"}), "profile_mismatch"),
        (users({"id": "a"}, {"id": "a"}), "profile_mismatch"),
        (users({"id": "a"}, {"id": "b"}, {"id": "x"}), "profile_mismatch"),
        (users({}), "profile_malformed"),
        (users({"id": None}), "profile_malformed"),
        (users({"id": True}), "profile_malformed"),
        (users("a"), "profile_malformed"),
        (users(["id", "a"]), "profile_malformed"),
        ({"data": {"users": {"a": {}}}}, "profile_malformed"),
        ({"data": []}, "profile_malformed"),
        ({}, "profile_malformed"),
        ([], "profile_malformed"),
        (b"", "profile_malformed"),
        (b"\xff", "profile_malformed"),
        (b'{"data":{"users":[{"id":"a","id":"b"}]}}', "profile_malformed"),
    ],
    ids=str,
)
def test_an_answer_with_a_key_that_was_not_asked_for_or_twice_is_a_fault(answer: object, reason: str) -> None:
    with pytest.raises(RefusedBatchError) as caught:
        read(answer, "a", "b")
    assert caught.value.verdict.reason == reason


@pytest.mark.parametrize("status", [400, 404, 413, 422, 500, 501])
def test_a_refusal_of_the_whole_may_be_for_one_key(status: int) -> None:
    with pytest.raises(RefusedBatchError):
        read(b"", "a", status=status)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(408, TransientError), (429, OverloadError), (502, TransientError), (503, OverloadError), (504, OverloadError)],
)  # fmt: skip
def test_a_refusal_for_load_is_no_keys_fault(status: int, kind: type) -> None:
    with pytest.raises(EnrichmentError) as caught:
        read(b"", "a", status=status)
    assert type(caught.value) is kind


@given(st.lists(st.sampled_from("abcx"), max_size=6), st.permutations("abc"))
def test_no_key_ever_gets_the_profile_of_another(answered: list[str], asked: list[str]) -> None:
    try:
        results = read(users(*({"id": key} for key in answered)), *asked)
    except RefusedBatchError:
        assert "x" in answered or len(set(answered)) < len(answered)
        return
    for key, result in zip(asked, results, strict=True):
        assert (result is None) == (key not in answered)
        assert result is None or (isinstance(result, Profile) and result.document == {"id": key})


# --- how keys share requests


class Service:
    """Knows every key but `nobody`; waits until it is let go; refuses a request with a poisonous key as a whole."""

    def __init__(self) -> None:
        self.requests: list[list[str]] = []
        self.traces: list[Trace] = []
        self.failure: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.was_asked_twice = asyncio.Event()
        self.cancelled = 0

    async def fetch(self, key: LookupKey, trace: Trace, deadline: meshpass.Deadline) -> Profile | None:
        raise AssertionError("a batch never asks for one key")

    async def fetch_batch(
        self, keys: Sequence[LookupKey], trace: Trace, deadline: meshpass.Deadline
    ) -> Sequence[BatchResult]:
        names = [key_text(key) for key in keys]
        self.requests.append(names)
        if len(self.requests) == 2:
            self.was_asked_twice.set()
        self.traces.append(trace)
        try:
            await self.open.wait()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        if any(name.startswith("poison") for name in names):
            raise REFUSED
        return [None if name == "nobody" else Profile(name, {"id": name}) for name in names]


class Bench:
    """A lookup with batches of ten, its service and what it has counted."""

    def __init__(self, max_in_flight: int = 100, *, idempotent: bool = False) -> None:
        self.service, self.counted = Service(), Counter[str]()
        given_rules = rules(
            batch=BATCH, max_in_flight=max_in_flight, idempotent=idempotent, cache=CacheLimits(ttl_s=60)
        )
        self.lookup = CachedLookup(given_rules, self.service, self.count, batch_source=self.service)

    def count(self, name: str, amount: int = 1, /, **labels: str) -> None:
        self.counted["/".join((name, *labels.values()))] += amount

    async def ask(self, key: str, deadline: meshpass.Deadline | None = None) -> str | None:
        result = await self.lookup.fetch(key, TRACE, deadline or meshpass.Deadline.after(30))
        return result.profile.text if result.profile else None

    async def end(self, key: str) -> str | None:
        try:
            return await self.ask(key)
        except EnrichmentError as error:
            return error.reason


def play(scene: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await scene

    asyncio.run(bounded())


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_one_key_alone_is_asked_for_at_once() -> None:
    async def scene() -> None:
        on = Bench()
        assert await on.ask("a") == "a"
        assert on.service.requests == [["a"]]
        assert on.service.traces == [TRACE]

    play(scene())


def test_keys_of_one_turn_go_together_and_each_gets_its_own_profile() -> None:
    async def scene() -> None:
        on = Bench()
        keys = ["a", "b", "nobody", "c"]
        assert await asyncio.gather(*map(on.ask, keys)) == ["a", "b", None, "c"]
        assert on.service.requests == [keys]
        assert on.counted == {
            "lookups/fetched": 4, "lookup_calls/batch": 1, "lookup_keys/found": 3, "lookup_keys/missing": 1
        }  # fmt: skip

    play(scene())


def test_keys_that_come_while_a_large_request_is_under_way_go_together_at_its_end() -> None:
    async def scene() -> None:
        on = Bench()
        on.service.open.clear()
        first = [asyncio.create_task(on.ask(f"a{n}")) for n in range(5)]
        await turns()
        later = []
        for number in range(6):
            later.append(asyncio.create_task(on.ask(f"b{number}")))
            await turns()
        assert [len(keys) for keys in on.service.requests] == [5]
        on.service.open.set()
        await asyncio.gather(*first, *later)
        assert [len(keys) for keys in on.service.requests] == [5, 6]

    play(scene())


def test_no_request_asks_for_more_keys_than_it_may() -> None:
    async def scene() -> None:
        on = Bench()
        await asyncio.gather(*(on.ask(f"u{n}") for n in range(35)))
        assert [len(keys) for keys in on.service.requests] == [10, 10, 10, 5]

    play(scene())


def test_no_more_requests_at_once_than_the_configuration_allows() -> None:
    async def scene() -> None:
        on = Bench(max_in_flight=2)
        on.service.open.clear()
        asked = [asyncio.create_task(on.ask(f"u{n}")) for n in range(50)]
        await turns()
        assert len(on.service.requests) == 2
        on.service.open.set()
        await asyncio.gather(*asked)
        assert len(on.service.requests) == 5

    play(scene())


def test_events_with_one_key_share_its_place_in_the_request() -> None:
    async def scene() -> None:
        on = Bench()
        assert await asyncio.gather(*(on.ask("hot") for _ in range(100))) == ["hot"] * 100
        assert on.service.requests == [["hot"]]

    play(scene())


def test_one_bad_key_does_not_fail_its_neighbours() -> None:
    async def scene() -> None:
        on = Bench()
        keys = ["a", "b", "c", "poison", "d", "e", "f", "g", "nobody"]
        ends = await asyncio.gather(*map(on.end, keys))
        wanted = [*"abc", "service_answer_unexpected", *"defg", None]
        assert ends == wanted
        assert len(on.service.requests) <= 2 * 4 + 1  # halves: twice the logarithm, and the first

    play(scene())


@pytest.mark.parametrize(("idempotent", "requests"), [(False, 1), (True, 7)])
def test_what_may_have_been_carried_out_is_repeated_only_where_it_is_idempotent(
    idempotent: bool, requests: int
) -> None:
    async def scene() -> None:
        on = Bench(idempotent=idempotent)
        on.service.failure = BROKE
        assert await asyncio.gather(*map(on.end, "abcd")) == ["service_unavailable"] * 4
        assert len(on.service.requests) == requests

    play(scene())


@pytest.mark.parametrize(("status", "nothing_done"), [(400, True), (422, True), (500, False), (200, False)])
def test_only_an_answer_that_blames_the_client_says_that_nothing_was_done(
    status: int, nothing_done: bool
) -> None:
    with pytest.raises(RefusedBatchError) as caught:
        read(b"", "a", "b", status=status)
    assert caught.value.nothing_done is nothing_done


def test_what_the_mesh_denies_is_not_asked_for_again_in_halves() -> None:
    async def scene() -> None:
        on = Bench()
        on.service.failure = DENIED
        assert await asyncio.gather(*map(on.end, "abcd")) == ["not_allowed"] * 4
        assert len(on.service.requests) == 1
        assert on.counted["lookup_calls/fault"] == 1

    play(scene())


def test_a_defect_is_a_fault_of_every_key_and_leaves_none_waiting() -> None:
    async def scene() -> None:
        on = Bench()
        on.service.failure = KeyError("4111")
        assert await asyncio.gather(*map(on.end, "abcd")) == ["unexpected_error"] * 4
        on.service.failure = None
        assert await on.ask("a") == "a"

    play(scene())


def test_an_event_that_gives_up_leaves_the_others_their_request_and_the_last_one_ends_it() -> None:
    async def scene() -> None:
        on = Bench()
        on.service.open.clear()
        patient = asyncio.create_task(on.ask("a"))
        hasty = asyncio.create_task(on.end("b"))
        await turns()
        hasty.cancel()
        await turns()
        assert on.service.cancelled == 0
        patient.cancel()
        await turns()
        assert on.service.cancelled == 1
        on.service.open.set()
        assert await on.ask("a") == "a"

    play(scene())


def test_a_key_whose_event_has_gone_is_not_asked_for() -> None:
    async def scene() -> None:
        on = Bench()
        on.service.open.clear()
        first = [asyncio.create_task(on.ask(f"a{n}")) for n in range(5)]
        await turns()
        gone, kept = asyncio.create_task(on.ask("gone")), asyncio.create_task(on.ask("kept"))
        await turns()
        gone.cancel()
        await turns()
        on.service.open.set()
        await asyncio.gather(*first, kept)
        assert on.service.requests[1:] == [["kept"]]

    play(scene())


def test_a_request_that_hangs_does_not_hold_up_the_keys_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enrichment.lookup.batch.SLOW_S", 0.005)

    async def scene() -> None:
        on = Bench()
        on.service.open.clear()
        hung = [asyncio.create_task(on.ask(f"a{n}")) for n in range(5)]
        await turns()
        behind = asyncio.create_task(on.ask("b"))
        await on.service.was_asked_twice.wait()
        assert on.service.requests[1] == ["b"]
        on.service.open.set()
        await asyncio.gather(*hung, behind)

    play(scene())


def test_when_the_loop_ends_nothing_is_left_waiting() -> None:
    async def scene() -> None:
        on.append(Bench())
        on[0].service.open.clear()
        left.extend(asyncio.create_task(on[0].ask(f"u{number}")) for number in range(30))
        await turns()

    on: list[Bench] = []
    left: list[asyncio.Task[str | None]] = []
    asyncio.run(scene())
    assert all(task.cancelled() for task in left)


def test_profiles_of_a_batch_are_remembered_one_by_one() -> None:
    async def scene() -> None:
        on = Bench()
        await asyncio.gather(*map(on.ask, "abc"))
        result = await on.lookup.fetch("b", TRACE, meshpass.Deadline.after(5))
        assert result.event is CacheEvent.HIT
        assert len(on.service.requests) == 1

    play(scene())
