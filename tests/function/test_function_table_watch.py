"""The guard against a table that was made anew: when it looks, and for how long it holds rows back."""

import pytest
from enrichment.sink.table_watch import CHECK_EVERY_S, TableWatch

from tests.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_first_rows_wait_for_no_look_and_later_ones_once_a_minute(clock: Clock) -> None:
    watch = TableWatch(600.0, clock)
    looked = []
    for _ in range(8):
        looked.append(watch.claim_look())
        clock.now_s += CHECK_EVERY_S / 4
    assert looked == [False] * 4 + [True] + [False] * 3


def test_a_table_that_was_not_found_is_looked_at_before_the_next_row(clock: Clock) -> None:
    watch = TableWatch(600.0, clock)
    watch.missed()
    assert [watch.claim_look(), watch.claim_look()] == [True, False]


def test_a_recreated_table_takes_no_rows_until_it_is_old_enough(clock: Clock) -> None:
    watch = TableWatch(600.0, clock)
    watch.saw(clock.now_s - 10_000)
    assert watch.held_s() == 0
    watch.saw(clock.now_s - 30)
    assert watch.held_s() == 570
    watch.saw(clock.now_s - 30)
    clock.now_s += 569
    assert watch.held_s() == 1
    clock.now_s += 1
    assert watch.held_s() == 0


def test_a_table_seen_for_the_first_time_is_not_held_however_young(clock: Clock) -> None:
    watch = TableWatch(600.0, clock)
    watch.missed()
    watch.saw(clock.now_s)
    assert watch.held_s() == 0


def test_no_hold_no_look(clock: Clock) -> None:
    watch = TableWatch(0.0, clock)
    watch.missed()
    clock.now_s += 1_000
    assert not watch.claim_look()
    watch.saw(clock.now_s - 1_000)
    watch.saw(clock.now_s)
    assert watch.held_s() == 0
