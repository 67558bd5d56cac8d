"""What is remembered, for how long, and in how much memory."""

import gc
import json
import random
import sys
import tracemalloc
from collections.abc import Iterator

import msgspec
import pytest
from enrichment.lookup.cache import Cache, size_bytes
from enrichment.lookup.profile import Profile
from enrichment.settings.lookup_rules import CacheLimits
from hypothesis import example, given
from hypothesis import strategies as st

START_S = 1000.0
LIMITS = CacheLimits(ttl_s=60, negative_ttl_s=10, stale_if_error_s=300)


def profile(**more: object) -> Profile:
    text = json.dumps(more)
    return Profile(text, msgspec.json.decode(text))


def kept(cache: Cache[str], key: str, now_s: float) -> str:
    entry = cache.get(key, now_s)
    if entry is None:
        return "gone"
    return "fresh" if entry.fresh_until_s > now_s else "stale"


def test_a_profile_is_fresh_then_stale_then_gone() -> None:
    cache: Cache[str] = Cache(LIMITS)
    cache.put_found("k", profile(n=1), START_S)
    ages = (0, 59.9, 60, 359.9, 360)
    assert [kept(cache, "k", START_S + age) for age in ages] == ["fresh", "fresh", "stale", "stale", "gone"]


def test_that_a_key_is_unknown_is_remembered_for_its_own_time_and_never_stale() -> None:
    cache: Cache[str] = Cache(LIMITS)
    cache.put_missing("k", START_S)
    entry = cache.get("k", START_S + 9.9)
    assert entry is not None
    assert entry.profile is None
    assert [kept(cache, "k", START_S + age) for age in (9.9, 10)] == ["fresh", "gone"]


@pytest.mark.parametrize("limits", [CacheLimits(ttl_s=0, negative_ttl_s=0), CacheLimits(max_entries=0)])
def test_a_cache_that_is_turned_off_keeps_nothing(limits: CacheLimits) -> None:
    cache: Cache[str] = Cache(limits)
    cache.put_found("k", profile(), START_S)
    cache.put_missing("l", START_S)
    assert (len(cache), cache.size_bytes) == (0, 0)


def test_what_is_new_replaces_what_was_known() -> None:
    cache: Cache[str] = Cache(LIMITS)
    cache.put_found("k", profile(n=1), START_S)
    cache.put_missing("k", START_S)
    assert cache.get("k", START_S + 11) is None  # not the profile that the service has deleted since
    cache.put_found("k", profile(n=2), START_S)
    entry = cache.get("k", START_S)
    assert entry is not None
    assert entry.profile == profile(n=2)


def test_the_least_recently_used_entry_makes_room() -> None:
    cache: Cache[str] = Cache(CacheLimits(max_entries=2))
    cache.put_found("a", profile(), START_S)
    cache.put_found("b", profile(), START_S)
    cache.get("a", START_S)
    cache.put_found("c", profile(), START_S)
    assert [kept(cache, key, START_S) for key in "abc"] == ["fresh", "gone", "fresh"]


def test_an_answer_too_large_to_keep_throws_nothing_else_out() -> None:
    small, large = profile(n=1), profile(n="x" * 100_000)
    cache: Cache[str] = Cache(CacheLimits(max_bytes=50_000))
    cache.put_found("a", small, START_S)
    cache.put_found("b", small, START_S)
    cache.put_found("a", large, START_S)
    assert [kept(cache, key, START_S) for key in "ab"] == ["gone", "fresh"]


class Model:
    """What the cache guarantees, said slowly: every put that can still be had, the most recent use last."""

    def __init__(self, limits: CacheLimits) -> None:
        self.limits = limits
        self.known: dict[str, tuple[Profile | None, float]] = {}

    def get(self, key: str, now_s: float) -> Profile | str | None:
        found = self.known.pop(key, None)
        if found is None or found[1] <= now_s:
            return "gone"
        self.known[key] = found
        return found[0]

    def put(self, key: str, value: Profile | None, now_s: float) -> None:
        life_s = (
            self.limits.negative_ttl_s if value is None else self.limits.ttl_s + self.limits.stale_if_error_s
        )
        self.known.pop(key, None)
        if size_bytes(key, value) <= self.limits.max_bytes:
            self.known[key] = (value, now_s + life_s)
        while len(self.known) > self.limits.max_entries or self.size() > self.limits.max_bytes:
            del self.known[next(iter(self.known))]

    def size(self) -> int:
        return sum(size_bytes(key, value) for key, (value, _) in self.known.items())


_step = st.tuples(
    st.sampled_from(["get", "found", "missing"]),
    st.sampled_from("abcde"),
    st.integers(0, 4000),
    st.floats(0, 5),
)


@given(st.lists(_step, max_size=60))
def test_it_never_gives_what_is_too_old_nor_holds_more_than_it_may(
    steps: list[tuple[str, str, int, float]],
) -> None:
    limits = CacheLimits(ttl_s=4, negative_ttl_s=2, stale_if_error_s=5, max_entries=3, max_bytes=12_000)
    cache: Cache[str] = Cache(limits)
    model, now_s = Model(limits), START_S
    for step, key, length, wait_s in steps:
        now_s += wait_s
        if step == "get":
            entry = cache.get(key, now_s)
            assert model.get(key, now_s) == ("gone" if entry is None else entry.profile)
        elif step == "found":
            value = profile(n="x" * length)
            cache.put_found(key, value, now_s)
            model.put(key, value, now_s)
        else:
            cache.put_missing(key, now_s)
            model.put(key, None, now_s)
        assert len(cache) <= limits.max_entries
        assert cache.size_bytes == model.size() <= limits.max_bytes


def _weigh(value: object) -> int:
    if isinstance(value, dict):
        return sys.getsizeof(value) + sum(_weigh(key) + _weigh(child) for key, child in value.items())
    if isinstance(value, list):
        return sys.getsizeof(value) + sum(map(_weigh, value))
    return 0 if value is None or isinstance(value, bool) else sys.getsizeof(value)


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(st.text(max_size=8), _json, min_size=1, max_size=4), st.booleans())
@example({"note": "x" * 2000 + "\N{SNOWMAN WITHOUT SNOW}"}, True)
@example({"note": "x" * 2000 + "\N{GRINNING FACE}"}, True)
@example({"list": [[]] * 500}, False)
@example({"list": [{}] * 500}, False)
@example({"list": [1000] * 500}, False)
def test_an_entry_never_weighs_more_than_it_is_taken_to(document: dict[str, object], escaped: bool) -> None:
    text = json.dumps(document, ensure_ascii=escaped, separators=(",", ":"))
    found = Profile(text, msgspec.json.decode(text))
    assert size_bytes("k", found) >= sys.getsizeof(text) + _weigh(found.document)


def _profiles(kind: str, count: int) -> Iterator[tuple[str, str]]:
    rng = random.Random(7)
    for number in range(count):
        key = f"user-{number}"
        document: dict[str, object] = {"user_id": key, "plan": "pro", "country": "NL", "score": rng.random()}
        if kind == "usual":
            document |= {
                "segments": [f"segment-{rng.randrange(10**6)}" for _ in range(5)],
                "address": {"city": f"city-{rng.randrange(10**6)}", "street": "x" * 30},
            }
        elif kind == "wide":
            document |= {"notes": ["é" * 50, "漢" * 50, "x" * 50], "tags": {}}
        elif kind == "large":
            document |= {f"field_{n}": {"value": n * 1000, "unit": "EUR"} for n in range(200)}
        yield key, json.dumps(document, ensure_ascii=False)


@pytest.mark.parametrize("kind", ["small", "usual", "wide", "large"])
def test_the_memory_that_it_takes_is_what_it_says_within_a_factor_of_three(kind: str) -> None:
    # `max_bytes` is a guarantee about the process's memory; the estimate may err on the safe side alone.
    limits = CacheLimits(max_entries=10_000, max_bytes=1 << 30)
    answers = list(_profiles(kind, 200 if kind == "large" else 2000))
    gc.collect()
    tracemalloc.start()
    try:
        cache: Cache[str] = Cache(limits)
        for key, text in answers:
            # As they come over the wire: key, text and document are new objects every time.
            body = text.encode()
            cache.put_found((key + "\0")[:-1], Profile(body.decode(), msgspec.json.decode(body)), START_S)
        del body
        gc.collect()
        real, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(cache) == len(answers)
    assert real <= cache.size_bytes <= 3 * real
