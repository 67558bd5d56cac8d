"""Results that are kept for the last objects: found by identity, the oldest forgotten."""

from __future__ import annotations

from meshlab.processes.recent import Recent


def test_a_result_is_made_once_for_an_object_and_anew_for_an_equal_one() -> None:
    made: list[list[int]] = []

    def make(made_of: list[int]) -> int:
        made.append(made_of)
        return len(made)

    recent = Recent(make)
    base, one, another = [0], [1], [2]
    assert [recent.of(each) for each in (base, one, base, another, base)] == [1, 2, 1, 3, 1]
    assert recent.of([0]) == 4  # equal, and another object
    assert recent.of(one) == 5  # forgotten: two others were asked for since
