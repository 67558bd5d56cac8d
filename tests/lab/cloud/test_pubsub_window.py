"""How many pushes may be in flight, against a clock that only the test moves."""

from __future__ import annotations

from meshlab.cloud.pubsub.delivery_rules import PUSH_BACKOFF, Backoff, Policy
from meshlab.cloud.pubsub.window import PushWindow

T = 1_000_000.0


def grown(limit: int = 64, successes: int = 10) -> PushWindow:
    window = PushWindow(limit)
    for _ in range(successes):
        window.begin()
        window.succeeded()
    return window


def fail_one(window: PushWindow, at: float) -> None:
    window.failed(window.begin(), at, PUSH_BACKOFF)


def test_the_first_push_goes_alone() -> None:
    window = PushWindow(64)
    assert window.room(T) == 1
    window.begin()
    assert window.room(T) == 0


def test_each_success_doubles_the_window_up_to_its_limit() -> None:
    assert [grown(limit=6, successes=n).room(T) for n in range(5)] == [1, 2, 4, 6, 6]


def test_a_failure_halves_it() -> None:
    window = grown()
    fail_one(window, T)
    assert window.room(T) == 32
    assert window.pause_s(T) == 0


def test_pushes_that_fail_together_count_as_one_failure() -> None:
    window = grown()
    rounds = [window.begin() for _ in range(64)]
    for begun in rounds:
        window.failed(begun, T, PUSH_BACKOFF)
    assert window.room(T) == 32


def test_an_endpoint_that_only_fails_is_left_alone_for_longer_each_time() -> None:
    window = PushWindow(64)
    pauses = []
    now = T
    for _ in range(12):
        fail_one(window, now)
        assert window.room(now) == 0
        pauses.append(round(window.pause_s(now), 3))
        now += window.pause_s(now)
        assert window.room(now) == 1
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0]


def test_a_success_ends_the_pause_and_forgets_the_failures() -> None:
    window = PushWindow(64)
    for n in range(5):
        fail_one(window, T + 100 * n)
    window.begin()
    window.succeeded()
    assert window.room(T) == 2
    fail_one(window, T)
    fail_one(window, T)
    assert round(window.pause_s(T), 3) == 0.1


def test_under_a_retry_policy_the_pause_stays_short_but_never_nothing() -> None:
    pause = Policy(push_endpoint="http://127.0.0.1:1/", retry=Backoff(0, 0)).push_pause
    assert [pause.delay_s(failures) for failures in (1, 2, 9)] == [0.1, 0.1, 0.1]


def test_years_of_failures_do_not_overflow() -> None:
    assert PUSH_BACKOFF.delay_s(10**9) == 60.0
