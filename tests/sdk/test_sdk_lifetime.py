"""How long a token is handed out, and how soon a failed fetch is tried again."""

import meshpass
from hypothesis import given
from hypothesis import strategies as st
from meshpass._tokens.cached_token import back_off_s, cached_token

_NOW, _MONOTONIC = 1_800_000_000.0, 1000.0

lives = st.floats(min_value=0.1, max_value=90_000)
chances = st.floats(min_value=0, max_value=1)


def token(life_s: float) -> meshpass.Token:
    return meshpass.Token("t", _NOW + life_s, "test")


@given(lives, chances)
def test_a_token_is_refreshed_in_its_last_quarter_and_at_most_five_minutes_early(
    life_s: float, chance: float
) -> None:
    cached = cached_token(token(life_s), _NOW, _MONOTONIC, chance)
    early_s = cached.token.expires_at - cached.refresh_at

    assert 0 < early_s <= min(life_s / 4, 300) + 1e-6
    assert cached.refresh_at < cached.usable_until < cached.token.expires_at


def test_the_processes_of_a_fleet_spread_their_refreshes() -> None:
    moments = [
        _NOW + 3600 - cached_token(token(3600), _NOW, _MONOTONIC, chance).refresh_at for chance in (0, 0.5, 1)
    ]

    assert [round(moment) for moment in moments] == [240, 270, 300]


@given(lives, chances, st.floats(min_value=-200_000, max_value=200_000), st.floats(0, 200_000))
def test_no_jump_of_the_wall_clock_keeps_a_token_past_its_real_end(
    life_s: float, chance: float, wall_jump_s: float, passed_s: float
) -> None:
    cached = cached_token(token(life_s), _NOW, _MONOTONIC, chance)
    now, monotonic = _NOW + passed_s + wall_jump_s, _MONOTONIC + passed_s

    assert not cached.is_usable(now, monotonic) or passed_s < life_s
    assert not cached.is_fresh(now, monotonic) or cached.is_usable(now, monotonic)


@given(lives, chances, st.floats(0, 200_000))
def test_a_machine_that_slept_while_its_monotonic_clock_stood_still_keeps_no_expired_token(
    life_s: float, chance: float, slept_s: float
) -> None:
    cached = cached_token(token(life_s), _NOW, _MONOTONIC, chance)

    assert not cached.is_usable(_NOW + slept_s, _MONOTONIC) or slept_s < life_s


def test_a_clock_that_was_set_back_makes_the_token_one_of_the_future() -> None:
    cached = cached_token(token(3600), _NOW, _MONOTONIC, 0)

    assert cached.is_fresh(_NOW - 5, _MONOTONIC)
    assert not cached.is_fresh(_NOW - 6, _MONOTONIC)


@given(st.floats(min_value=-90_000, max_value=0), chances)
def test_a_token_that_is_expired_by_our_clock_alone_is_not_fetched_at_every_call(
    life_s: float, chance: float
) -> None:
    cached = cached_token(token(life_s), _NOW, _MONOTONIC, chance)

    assert cached.is_fresh(_NOW + 9, _MONOTONIC + 9)
    assert not cached.is_usable(_NOW + 11, _MONOTONIC + 11)


def test_the_first_failure_without_a_token_may_be_tried_again_at_once() -> None:
    assert back_off_s(1, 1, has_token=False) == 0


@given(st.integers(1, 10_000), chances, st.booleans())
def test_back_off_grows_to_a_few_seconds_and_no_further(
    failures: int, chance: float, has_token: bool
) -> None:
    delay_s = back_off_s(failures, chance, has_token=has_token)

    assert 0 <= delay_s <= (30 if has_token else 5)
    assert delay_s <= back_off_s(failures + 1, chance, has_token=has_token)


def test_failures_with_a_token_in_hand_are_tried_less_and_less_often() -> None:
    delays = [back_off_s(failures, 1, has_token=True) for failures in range(1, 9)]

    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30]
