"""Bad events are kept as they came, with the reason beside them, within Pub/Sub's limits."""

import asyncio
import socket
from datetime import UTC, datetime

import pytest
from enrichment.dead_letter import MAX_ATTRIBUTES, DeadLetter, PubSubDeadLetters, compose
from enrichment.message import Message
from enrichment.outcome import BadEventError, FaultError, Stage, TransientError
from enrichment.trace import Trace
from hypothesis import given
from hypothesis import strategies as st

from .conftest import PROJECT, TOPIC, Topic

TRACE = Trace("t" * 32, "")


def letter(attributes: dict[str, str], detail: str = "why") -> DeadLetter:
    message = Message(b"data", attributes, "m-1", datetime(2026, 3, 1, tzinfo=UTC), "key")
    return compose(message, BadEventError(Stage.WRITE, "row_invalid", detail), TRACE, "v")


@given(st.dictionaries(st.text(min_size=1, max_size=9), st.text(max_size=9), max_size=93))
def test_the_original_stays_untouched_where_there_is_room(attributes: dict[str, str]) -> None:
    composed = letter(attributes)
    assert (composed.data, composed.ordering_key) == (b"data", "key")
    assert attributes.items() <= composed.attributes.items()
    assert composed.attributes["dead_letter_reason"] == "row_invalid"
    assert composed.attributes["dead_letter_stage"] == "write"
    assert "dead_letter_attributes_dropped" not in composed.attributes


@pytest.mark.parametrize("count", [94, 99, 100])
def test_the_reason_finds_room_among_a_hundred_attributes_and_says_what_gave_way(count: int) -> None:
    attributes = {f"a{number}": "v" for number in range(count)}
    composed = letter(attributes).attributes
    assert len(composed) == MAX_ATTRIBUTES
    kept = attributes.items() & composed.items()
    assert composed["dead_letter_attributes_dropped"] == str(count - len(kept))


def test_a_letter_of_an_earlier_life_gets_the_new_reason() -> None:
    again = letter(
        letter({"a": "v"}).attributes | {"dead_letter_reason": "old", "dead_letter_attributes_dropped": "3"}
    )
    assert again == letter({"a": "v"})


@given(st.text())
def test_a_detail_is_one_line_that_fits_into_an_attribute(detail: str) -> None:
    found = letter({}, detail * 300).attributes["dead_letter_detail"]
    assert len(found.encode()) <= 1024
    assert len(found.splitlines()) <= 1


def publish(topic: str, deadline_s: float = 5.0) -> None:
    # Attributes named like the client's own arguments must not change the call.
    attributes = {"topic": "t", "timeout": "0", "retry": "r", "data": "d", "self": "s"}
    asyncio.run(PubSubDeadLetters(topic, deadline_s).publish(DeadLetter(b"data", attributes, "")))


def test_a_published_letter_is_on_the_topic(topic: Topic) -> None:
    topic.letters()
    publish(TOPIC)
    (found,) = topic.letters()
    assert found.data == b"data"
    assert found.attributes["timeout"] == "0"


def test_a_missing_topic_is_our_fault(topic: Topic) -> None:
    with pytest.raises(FaultError, match="pubsub_not_found"):
        publish(f"projects/{PROJECT}/topics/nowhere")


def test_a_pubsub_out_of_reach_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:  # bound and not listening: every connection is refused
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(TransientError, match="pubsub_unavailable"):
            publish(TOPIC, deadline_s=0.2)
