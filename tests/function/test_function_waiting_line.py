"""The line of rows that wait to be written: how full it is while callers come and go."""

import asyncio

import meshpass
from enrichment.row import Row
from enrichment.settings.model import BatchLimits
from enrichment.sink.waiting import Waiter, WaitingLine
from hypothesis import given
from hypothesis import strategies as st

FAR_OFF = meshpass.Deadline(float("inf"))


def waiter(name: str, size_bytes: int) -> Waiter:
    loop = asyncio.new_event_loop()
    try:
        return Waiter(Row(name, {}, size_bytes), FAR_OFF, loop.create_future())
    finally:
        loop.close()


def test_a_line_fills_a_request_by_rows_or_by_bytes_and_no_more_once_they_are_taken() -> None:
    for limits in (BatchLimits(max_rows=2), BatchLimits(max_bytes=10)):
        line = WaitingLine(limits)
        line.join(waiter("a", 5))
        assert not line.fills_a_request
        line.join(waiter("b", 5))
        assert line.fills_a_request
        assert len(line.take()) == 2
        assert not line.fills_a_request


def test_a_row_in_the_place_of_another_with_its_id_counts_with_its_own_size() -> None:
    line = WaitingLine(BatchLimits(max_bytes=10))
    small, large = waiter("same", 1), waiter("same", 10)
    line.join(small)
    line.join(large)
    assert not line.fills_a_request
    line.leave(small)
    assert line.fills_a_request
    line.leave(large)
    assert not line.fills_a_request
    assert line.take() == []


def test_to_leave_twice_or_after_being_taken_changes_nothing() -> None:
    line = WaitingLine(BatchLimits(max_rows=1))
    first, second = waiter("same", 1), waiter("same", 1)
    line.join(first)
    line.take()
    line.join(second)
    line.leave(first)
    assert line.fills_a_request
    line.leave(second)
    line.leave(second)
    assert len(line) == 0


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 20)), max_size=30))
def test_everybody_is_taken_once_in_order_of_their_ids_arrival(arrivals: list[tuple[str, int]]) -> None:
    line = WaitingLine(BatchLimits(max_rows=3, max_bytes=25))
    waiters = [waiter(name, size_bytes) for name, size_bytes in arrivals]
    for each in waiters:
        line.join(each)
    taken = []
    while group := line.take():
        assert len(group) <= 3
        assert len(group) == 1 or sum(entry.row.size_bytes for entry in group) <= 25
        taken += group
    assert [entry.row.insert_id for entry in taken] == list(dict.fromkeys(name for name, _ in arrivals))
    assert sorted(id(each) for entry in taken for each in entry.waiters) == sorted(map(id, waiters))


def test_a_line_that_is_cleared_is_empty() -> None:
    line = WaitingLine(BatchLimits(max_rows=1))
    line.join(waiter("a", 1))
    assert [entry.row.insert_id for entry in line.clear()] == ["a"]
    assert not line.fills_a_request
    assert line.clear() == []
