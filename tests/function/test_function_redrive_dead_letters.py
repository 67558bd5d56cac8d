"""Choice of the dead letters to redrive, what is published for them, and how fast."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from enrichment import dead_letter
from enrichment.errors import BadEventError, Stage
from enrichment.event import message
from enrichment.event.message import Message
from enrichment.redrive.dead_letters import DeadLetter, Selection, Verdict, original
from enrichment.redrive.rate import RateLimiter
from enrichment.redrive.report import Kind, Report
from enrichment.telemetry.trace import Trace
from google.pubsub_v1 import PubsubMessage
from hypothesis import given
from hypothesis import strategies as st

BEGAN_AT = datetime(2026, 3, 2, tzinfo=UTC)
PUBLISHED_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def dead_letter_of(came: Message, reason: str = "profile_not_found", **changes: str) -> DeadLetter:
    error = BadEventError(Stage.LOOKUP, reason, "why")
    composed = dead_letter.compose(came, error, Trace("t" * 32, ""), "v1", "enrich")
    return DeadLetter(
        composed.data, composed.attributes | changes, composed.ordering_key, "l-1", PUBLISHED_AT
    )


def came(**attributes: str) -> Message:
    return Message(b"data", attributes, "m-1", datetime(2026, 3, 1, tzinfo=UTC), "key", delivery_id="m-1")


DEAD_LETTER = dead_letter_of(came(a="v"))


@pytest.mark.parametrize(
    ("selection", "verdict"),
    [
        ({}, Verdict.REDRIVE),
        ({"reasons": frozenset({"profile_not_found", "row_invalid"})}, Verdict.REDRIVE),
        ({"reasons": frozenset({"row_invalid"})}, Verdict.OTHER_REASON),
        ({"since": PUBLISHED_AT}, Verdict.REDRIVE),
        ({"since": PUBLISHED_AT + HOUR}, Verdict.OTHER_TIME),
        ({"until": PUBLISHED_AT}, Verdict.OTHER_TIME),
        ({"until": PUBLISHED_AT + HOUR}, Verdict.REDRIVE),
        ({"began_at": PUBLISHED_AT - HOUR}, Verdict.LATER),
        ({"function": "other"}, Verdict.OTHER_FUNCTION),
        ({"function": ""}, Verdict.UNNAMED_FUNCTION),
        ({"function": "", "any_function": True}, Verdict.REDRIVE),
    ],
    ids=[
        "all",
        "reason",
        "other-reason",
        "since",
        "before-since",
        "at-until",
        "before-until",
        "later",
        "other-function",
        "no-function",
        "any-function",
    ],
)
def test_dead_letters_are_chosen_by_reason_and_by_when_they_were_dead_lettered(
    selection: dict[str, Any], verdict: Verdict
) -> None:
    assert (
        Selection(**{"began_at": BEGAN_AT, "function": "enrich", **selection}).decide(DEAD_LETTER) is verdict
    )


def test_a_message_without_a_reason_is_not_ours() -> None:
    foreign = DeadLetter(b"data", {"a": "v"}, "", "l-1", PUBLISHED_AT)
    assert Selection(BEGAN_AT, function="enrich").decide(foreign) is Verdict.FOREIGN


def test_a_delivery_that_held_no_message_is_left_even_if_it_is_asked_for() -> None:
    composed = dead_letter_of(message.unreadable(b"{"), "envelope_invalid")
    assert (
        Selection(BEGAN_AT, function="enrich", reasons=frozenset({"envelope_invalid"})).decide(composed)
        is Verdict.NO_MESSAGE
    )


def test_a_dead_letter_that_lost_attributes_of_the_original_is_left() -> None:
    composed = dead_letter_of(came(**{f"a{number}": "v" for number in range(100)}))
    assert Selection(BEGAN_AT, function="enrich").decide(composed) is Verdict.INCOMPLETE


@pytest.mark.parametrize(
    "attributes",
    [
        {f"a{number}": "v" for number in range(94)},
        {"x-token-payload": "v" * 1025},
        {"goog-x": "v"},
    ],
    ids=["many", "too-long", "reserved"],
)
def test_a_dead_letter_that_has_all_that_a_publisher_can_have_sent_is_redriven(
    attributes: dict[str, str],
) -> None:
    composed = dead_letter_of(came(**attributes))
    assert Selection(BEGAN_AT, function="enrich").decide(composed) is Verdict.REDRIVE
    assert len(original(composed).attributes) <= 100


def redelivered(composed: DeadLetter) -> Message:
    """The message that the function reads once the dead letter's original is published again."""
    again = original(composed)
    attributes, published_at = dict(again.attributes), "2026-03-02T00:00:00Z"
    return message.of_parts(again.data, attributes, "m-2", published_at, again.ordering_key)


@given(st.dictionaries(st.text(min_size=1, max_size=9), st.text(max_size=9), max_size=90), st.binary())
def test_the_event_comes_again_as_it_came_first(attributes: dict[str, str], data: bytes) -> None:
    first = Message(data, attributes, "m-1", datetime(2026, 3, 1, tzinfo=UTC), "key", delivery_id="m-1")
    again = original(dead_letter_of(first))
    assert (again.data, again.ordering_key) == (data, "key")
    assert attributes.items() <= again.attributes.items()
    assert again.attributes.keys() - attributes.keys() == set(message.REDRIVE_ATTRIBUTES)


def test_a_redriven_event_has_its_first_identity_and_knows_how_often_it_was_redriven() -> None:
    first = came(a="v")
    once = redelivered(dead_letter_of(first))
    twice = redelivered(dead_letter_of(once))
    for again, redriven in ((once, 1), (twice, 2)):
        assert (again.message_id, again.publish_time) == (first.message_id, first.publish_time)
        assert (again.attributes, again.redriven, again.delivery_id) == ({"a": "v"}, redriven, "m-2")


def test_redrive_attributes_that_a_publisher_wrote_do_not_survive_a_redrive() -> None:
    again = redelivered(dead_letter_of(came(redrive_message_id="forged", redrive_count="7")))
    assert (again.message_id, again.redriven, again.attributes) == ("m-1", 1, {})


@pytest.mark.parametrize("count", ["", "x", "-1", "9" * 5000, "100"])
def test_a_count_that_no_redrive_wrote_or_the_highest_one_does_not_break_the_next(count: str) -> None:
    composed = dead_letter_of(came(), dead_letter_redrive_count=count)
    assert redelivered(composed).redriven == (100 if count == "100" else 1)


@given(st.dictionaries(st.text(min_size=1, max_size=40), st.text(max_size=40), max_size=90))
def test_what_is_published_again_is_never_larger_than_the_dead_letter(attributes: dict[str, str]) -> None:
    composed = dead_letter_of(Message(b"", attributes, "m" * 19, datetime(2026, 3, 1, tzinfo=UTC)))
    essential = {name: composed.attributes[name] for name in dead_letter.ESSENTIAL}
    smallest = DeadLetter(b"", attributes | essential, "", "l-1", PUBLISHED_AT)

    def size(attributes: dict[str, str]) -> int:
        return int(PubsubMessage.pb(PubsubMessage(attributes=attributes)).ByteSize())

    assert size(original(smallest).attributes) <= size(smallest.attributes)


def test_messages_go_out_evenly_and_without_a_burst_after_a_pause() -> None:
    pacer = RateLimiter(10, 0.0)
    assert [pacer.wait_s(1, 0.0) for _ in range(3)] == pytest.approx([0.0, 0.1, 0.2])
    assert [pacer.wait_s(5, 60.0) for _ in range(2)] == pytest.approx([0.0, 0.5])


def test_without_a_rate_nothing_waits() -> None:
    pacer = RateLimiter(0, 0.0)
    assert [pacer.wait_s(1000, 0.0) for _ in range(3)] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(("rate", "batch"), [(0, 100), (0.5, 1), (1, 1), (100, 10), (5000, 100)])
def test_a_batch_is_what_a_tenth_of_a_second_may_carry(rate: float, batch: int) -> None:
    assert RateLimiter(rate, 0.0).batch(100) == batch


def test_what_any_publisher_can_write_is_shown_as_one_short_line_of_few_kinds() -> None:
    report = Report()
    for number in range(300):
        report.add(
            dead_letter_of(came(), dead_letter_reason=f"{number}\x1b[2J\n" + "x" * 900), Verdict.REDRIVE
        )
    assert len(report.kinds) == 201
    assert report.kinds[Kind("(others)", "", "", "")].count == 100
    assert all(kind.reason.isprintable() and len(kind.reason) <= 64 for kind in report.kinds)


UNDELIVERED = DeadLetter(
    b"data",
    {
        "a": "v",
        "CloudPubSubDeadLetterSourceDeliveryCount": "100",
        "CloudPubSubDeadLetterSourceDeliveryErrorMessage": "from a later version of Pub/Sub",
        "CloudPubSubDeadLetterSourceSubscription": "trigger",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "p",
        "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-03-01T10:00:00.123+00:00",
    },
    "key",
    "u-1",
    PUBLISHED_AT,
)
TRIGGER = {"projects/p/subscriptions/trigger": "projects/p/topics/events"}


@pytest.mark.parametrize(
    ("selection", "verdict"),
    [
        ({}, Verdict.REDRIVE),
        ({"topic": "projects/p/topics/other"}, Verdict.OTHER_SUBSCRIPTION),
        ({"topics": {}}, Verdict.UNKNOWN_SUBSCRIPTION),
        ({"topics": {}, "any_function": True}, Verdict.REDRIVE),
        ({"reasons": frozenset({"undelivered"})}, Verdict.REDRIVE),
        ({"reasons": frozenset({"row_invalid"})}, Verdict.OTHER_REASON),
    ],
    ids=["own", "other-topic", "unknown", "any", "reason", "other-reason"],
)
def test_what_pubsub_gave_up_is_redriven_to_the_topic_that_it_came_from(
    selection: dict[str, Any], verdict: Verdict
) -> None:
    own = {"began_at": BEGAN_AT, "topic": "projects/p/topics/events", "topics": TRIGGER}
    assert Selection(**{**own, **selection}).decide(UNDELIVERED) is verdict


def test_what_pubsub_gave_up_comes_again_without_its_marks_under_one_identity() -> None:
    again = redelivered(UNDELIVERED)
    assert (again.data, again.attributes, again.ordering_key) == (b"data", {"a": "v"}, "key")
    assert (again.message_id, again.redriven) == ("u-1", 1)
    assert again.publish_time == datetime(2026, 3, 1, 10, 0, 0, 123000, tzinfo=UTC)
    marks = {name: value for name, value in UNDELIVERED.attributes.items() if name != "a"}
    given_up_again = replace(
        UNDELIVERED, message_id="u-2", attributes={**original(UNDELIVERED).attributes, **marks}
    )
    twice = redelivered(given_up_again)
    assert (twice.message_id, twice.publish_time, twice.redriven) == ("u-1", again.publish_time, 2)
    assert given_up_again.original_id == "u-1"


def test_a_mark_that_is_no_time_falls_back_to_the_time_of_the_dead_letter() -> None:
    marks = {**UNDELIVERED.attributes, "CloudPubSubDeadLetterSourceTopicPublishTime": "yesterday"}
    assert redelivered(replace(UNDELIVERED, attributes=marks)).publish_time == PUBLISHED_AT
