"""Messages as Beam reads them, in the form that the core takes."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from enrichment.event.message import Message
from enrichment_beam.messages import PubsubMessage, of_pubsub, received
from proto.datetime_helpers import DatetimeWithNanoseconds  # type: ignore[import-untyped]


@pytest.mark.parametrize(
    "publish_time",
    [
        datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
        datetime(2026, 3, 1, 14, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2, minutes=30))),
        DatetimeWithNanoseconds(2026, 3, 1, 12, 0, 0, nanosecond=123456789, tzinfo=UTC),
    ],
    ids=["UTC", "another zone", "of Pub/Sub's client"],
)
def test_a_publish_time_is_the_same_however_it_is_given(publish_time: datetime) -> None:
    of_client = of_pubsub(PubsubMessage(b"x", {}, "m-1", publish_time)).message
    of_text = received(b"x", {}, "m-1", "2026-03-01T12:00:00.123456789Z").message
    assert isinstance(of_client, Message)
    assert of_client == of_text
    # A class of its own would be written with nanoseconds by some encoders.
    assert type(of_client.publish_time) is datetime
    assert of_client.publish_time.tzinfo is UTC
