"""When one more event may begin."""

import pytest
from enrichment_beam.admission import FIRST_PAUSE_S, LONGEST_PAUSE_S, Admission


def test_as_many_events_as_allowed_are_under_way() -> None:
    admission = Admission(2)
    assert [admission.wait_s(under_way, 0.0) for under_way in (0, 1, 2)] == [0, 0, None]


def test_events_begin_no_faster_than_the_rate() -> None:
    admission = Admission(100, rate_per_s=10)
    now_s, begun = 0.0, 0
    while now_s < 5:
        wait_s = admission.wait_s(0, now_s)
        assert wait_s is not None
        now_s += wait_s
        admission.began(now_s)
        begun += 1
    assert begun == pytest.approx(51, abs=2)


def test_a_refusal_stops_all_for_a_while_and_halves_what_follows() -> None:
    admission = Admission(64)
    admission.refused(10.0)
    assert admission.wait_s(0, 10.0) == FIRST_PAUSE_S
    assert admission.wait_s(0, 10.0 + FIRST_PAUSE_S) == 0
    assert admission.width == 32


def test_refusals_of_events_that_were_under_way_count_once() -> None:
    admission = Admission(64)
    for number in range(50):
        admission.refused(10.0 + number / 100)
    assert admission.width == 32


def test_pauses_double_up_to_a_minute_and_begin_anew_after_a_round_of_good_answers() -> None:
    admission, now_s, pauses = Admission(64), 0.0, []
    for _ in range(8):
        admission.refused(now_s)
        wait_s = admission.wait_s(0, now_s)
        assert wait_s is not None
        pauses.append(wait_s)
        now_s += wait_s
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert admission.width == 1
    for _ in range(3):
        admission.accepted()
    admission.refused(now_s)
    assert admission.wait_s(0, now_s) == FIRST_PAUSE_S


def test_the_width_comes_back_slowly_and_never_beyond_what_is_allowed() -> None:
    admission = Admission(16)
    admission.refused(0.0)
    for _ in range(8):
        admission.accepted()
    assert admission.width == 8, "a round of good answers makes room for less than one more"
    for _ in range(1000):
        admission.accepted()
    assert admission.width == 16


def test_what_does_not_yield_is_not_stopped() -> None:
    admission = Admission(16, yields=False)
    admission.refused(0.0)
    assert (admission.wait_s(0, 0.0), admission.width) == (0, 16)
