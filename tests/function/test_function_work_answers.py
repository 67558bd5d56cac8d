"""Answers to Pub/Sub: batches, what is sent again, and what an exactly-once subscription says."""

import asyncio
from collections.abc import Sequence

import pytest
from enrichment.drivers.work.acknowledgements import BATCH_S, MAX_CALLS, MAX_IDS, Acknowledgements
from enrichment.drivers.work.api import CallError
from enrichment.drivers.work.leased_message import LeasedMessage

from . import virtual_time
from .scripted_pubsub import Lines, ScriptedApi, leased


class Sender:
    """Answers over a scripted API, and what became of them."""

    def __init__(self) -> None:
        self.api = ScriptedApi()
        self.lines = Lines()
        self.settled: list[str] = []
        self.refused: list[tuple[int, str]] = []
        self.answers = Acknowledgements(
            self.api, 30, self.lines.counters, self._settled, lambda *refused: self.refused.append(refused)
        )

    def _settled(self, messages: Sequence[LeasedMessage]) -> None:
        self.settled += [one.ack_id for one in messages]

    def total(self, kind: str, result: str) -> int:
        return self.lines.counters.total("answers", kind=kind, result=result)


def test_answers_of_some_milliseconds_share_a_request() -> None:
    async def work() -> None:
        sender = Sender()
        for number in range(50):
            sender.answers.ack(leased(f"a{number}"))
            sender.answers.nack(leased(f"n{number}"))
        await asyncio.sleep(BATCH_S / 2)
        sender.answers.ack(leased("late"))
        await asyncio.sleep(1)
        (acks,), (nacks,) = sender.api.of_kind("ack"), sender.api.of_kind("nack")
        assert acks == [*(f"a{number}" for number in range(50)), "late"]
        assert nacks == [f"n{number}" for number in range(50)]
        assert sorted(sender.settled) == sorted([*acks, *nacks])
        assert (sender.total("ack", "taken"), sender.total("nack", "taken")) == (51, 50)

    virtual_time.run(work())


def test_no_timer_runs_where_nothing_is_to_be_sent() -> None:
    async def work() -> None:
        sender = Sender()
        sender.answers.ack(leased("a"))
        await sender.answers.flush()
        await asyncio.sleep(0)
        scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        assert [timer for timer in scheduled if not timer.cancelled()] == []

    virtual_time.run(work())


def test_a_request_has_at_most_a_thousand_ids_and_does_not_wait_once_it_is_full() -> None:
    async def work() -> None:
        sender = Sender()
        began_at_s = asyncio.get_running_loop().time()
        for number in range(MAX_IDS * 2 + 1):
            sender.answers.ack(leased(str(number)))
        await sender.answers.flush()
        assert [len(ids) for ids in sender.api.of_kind("ack")] == [MAX_IDS, MAX_IDS, 1]
        assert sender.api.requests[0][2] - began_at_s < BATCH_S
        assert len(sender.settled) == len(set(sender.settled)) == MAX_IDS * 2 + 1

    virtual_time.run(work())


def test_requests_under_way_are_bounded_while_pubsub_is_slow() -> None:
    async def work() -> None:
        sender = Sender()
        sender.api.answer_s = 5.0
        for number in range(100):
            sender.answers.ack(leased(str(number)))
            await asyncio.sleep(BATCH_S * 2)
        assert len(sender.api.requests) == MAX_CALLS
        assert sender.answers.waiting == 100 - MAX_CALLS
        await asyncio.sleep(15)
        assert len(sender.settled) == 100
        assert len(sender.api.requests) <= MAX_CALLS + 2

    virtual_time.run(work())


def test_a_message_gets_one_answer() -> None:
    async def work() -> None:
        sender = Sender()
        one = leased("a")
        sender.answers.ack(one)
        sender.answers.nack(one)
        sender.answers.ack(one)
        await sender.answers.flush()
        assert (dict(sender.api.acked), dict(sender.api.nacked)) == ({"a": 1}, {})
        assert (sender.total("nack", "repeated"), sender.total("ack", "repeated")) == (1, 1)

    virtual_time.run(work())


def test_an_answer_is_sent_again_after_a_transient_error() -> None:
    async def work() -> None:
        sender = Sender()
        sender.api.failures = [CallError("UNAVAILABLE"), CallError("UNKNOWN"), None]
        sender.answers.ack(leased("a"))
        await sender.answers.flush()
        assert sender.api.of_kind("ack") == [["a"]] * 3
        assert (sender.settled, sender.refused) == (["a"], [])

    virtual_time.run(work())


def test_an_answer_is_given_up_after_a_minute_of_transient_errors() -> None:
    async def work() -> None:
        sender = Sender()
        sender.api.failures = [CallError("UNAVAILABLE")] * 1000
        sender.answers.ack(leased("a"))
        await sender.answers.flush()
        spent_s = sender.api.requests[-1][2] - sender.api.requests[0][2]
        assert 40 < spent_s <= 60
        assert (sender.settled, sender.refused) == (["a"], [(1, "UNAVAILABLE")])

    virtual_time.run(work())


def test_an_answer_that_is_refused_is_not_sent_again() -> None:
    async def work() -> None:
        sender = Sender()
        sender.api.failures = [CallError("PERMISSION_DENIED")]
        sender.answers.ack(leased("a"))
        await sender.answers.flush()
        assert len(sender.api.requests) == 1
        assert sender.refused == [(1, "PERMISSION_DENIED")]
        assert sender.total("ack", "refused") == 1

    virtual_time.run(work())


@pytest.mark.parametrize("code", ["FAILED_PRECONDITION", "INVALID_ARGUMENT", "UNAVAILABLE"])
def test_of_an_exactly_once_subscription_only_what_is_named_has_failed(code: str) -> None:
    """TRANSIENT_ is sent again, PERMANENT_ is not; an id that is not named was taken, whatever the status is."""

    async def work() -> None:
        sender = Sender()
        sender.answers.exactly_once = True
        by_ack_id = {
            "again": "TRANSIENT_FAILURE_ACK_INTERNAL",
            "gone": "PERMANENT_FAILURE_INVALID_ACK_ID",
        }
        sender.api.failures = [CallError(code, "", by_ack_id), None]
        for name in ("again", "gone", "taken"):
            sender.answers.ack(leased(name))
        await sender.answers.flush()
        assert sender.api.of_kind("ack") == [["again", "gone", "taken"], ["again"]]
        assert sender.refused == [(1, "PERMANENT_FAILURE_INVALID_ACK_ID")]
        assert (sender.total("ack", "taken"), sender.total("ack", "refused")) == (2, 1)
        assert sorted(sender.settled) == ["again", "gone", "taken"]

    virtual_time.run(work())


def test_an_error_that_names_other_things_than_ids_is_one_of_all_ids() -> None:
    """Such as `ErrorInfo` of a quota, whose metadata name the quota."""

    async def work() -> None:
        sender = Sender()
        sender.api.failures = [CallError("RESOURCE_EXHAUSTED", "", {"quota_metric": "x"}), None]
        sender.answers.ack(leased("a"))
        await sender.answers.flush()
        assert sender.api.of_kind("ack") == [["a"], ["a"]]
        assert sender.refused == []

    virtual_time.run(work())


def test_an_exactly_once_answer_is_sent_for_ten_minutes() -> None:
    async def work() -> None:
        sender = Sender()
        sender.answers.exactly_once = True
        sender.api.failures = [CallError("UNAVAILABLE")] * 1000
        sender.answers.ack(leased("a"))
        await sender.answers.flush()
        assert 560 < sender.api.requests[-1][2] - sender.api.requests[0][2] <= 600

    virtual_time.run(work())


def test_a_lease_that_an_exactly_once_subscription_has_taken_back_is_lost() -> None:
    async def work() -> None:
        sender = Sender()
        one, other = leased("one"), leased("other")
        sender.api.failures = [
            CallError(
                "FAILED_PRECONDITION", "", {"one": "PERMANENT_FAILURE_INVALID_ACK_ID", "other": "TRANSIENT_X"}
            )
        ]
        await sender.answers.confirm([one, other])
        assert (one.is_lost, other.is_lost) == (True, False)
        assert sender.api.of_kind("extend 30") == [["one", "other"], ["other"]]
        assert sender.settled == ["one"]

    virtual_time.run(work())


def test_a_lease_is_not_extended_again_after_its_message_was_answered() -> None:
    async def work() -> None:
        sender = Sender()
        one = leased("one")
        sender.api.failures = [CallError("UNAVAILABLE"), None, None]
        sender.answers.extend([one])
        await asyncio.sleep(0)
        sender.answers.nack(one)
        await sender.answers.flush()
        await asyncio.sleep(60)
        assert sender.api.of_kind("extend") == [["one"]]
        assert sender.api.of_kind("nack") == [["one"]]

    virtual_time.run(work())
