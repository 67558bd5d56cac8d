"""The parts of the worker that decide: leases, order, flow, what a subscription says, settings."""

import itertools
import re

import pytest
from enrichment.drivers.work import description, messages, settings
from enrichment.drivers.work.flow import Admission, Window, nack_delay_s
from enrichment.drivers.work.leases import Leases
from enrichment.drivers.work.ordering import OrderingKeys
from google.protobuf import timestamp_pb2  # type: ignore[import-untyped]
from google.pubsub_v1.types import pubsub
from hypothesis import given
from hypothesis import strategies as st

from .conftest import FUNCTION
from .scripted_pubsub import leased

TOPIC = "projects/p/topics/events"


# The messages of Pub/Sub as we build them, held to Google's generated classes.

OFFICIAL = {
    "Timestamp": timestamp_pb2.Timestamp,
    "SubscriptionProperties": pubsub.StreamingPullResponse.pb().SubscriptionProperties,
}


@pytest.mark.parametrize("name", messages.FIELDS)
def test_every_field_has_the_number_and_the_type_of_googles_own(name: str) -> None:
    official = OFFICIAL[name] if name in OFFICIAL else getattr(pubsub, name).pb()
    theirs = official.DESCRIPTOR.fields_by_name
    for field in messages._MADE[name].DESCRIPTOR.fields:
        known = theirs[field.name]
        assert (field.number, field.type) == (known.number, known.type)
        assert field.is_repeated == known.is_repeated
        if field.message_type is not None:
            assert field.message_type.name == known.message_type.name
            assert field.message_type.GetOptions().map_entry == known.message_type.GetOptions().map_entry


def test_a_message_is_read_as_google_writes_it() -> None:
    theirs = pubsub.StreamingPullResponse(
        received_messages=[
            {
                "ack_id": "a",
                "message": {"data": b"\0", "attributes": {"": "1", "key": "ä\0"}, "message_id": "m"},
                "delivery_attempt": 3,
            }
        ]
    )
    found = messages.StreamResponse.FromString(pubsub.StreamingPullResponse.serialize(theirs))
    (ours,) = found.received_messages
    assert (ours.ack_id, ours.delivery_attempt, ours.message.data) == ("a", 3, b"\0")
    assert dict(ours.message.attributes) == {"": "1", "key": "ä\0"}
    assert ours.message.ByteSize() == pubsub.PubsubMessage.pb(theirs.received_messages[0].message).ByteSize()


# Leases.


def names(messages: list) -> list[str]:  # type: ignore[type-arg]
    return [one.ack_id for one in messages]


def test_a_lease_is_extended_when_half_of_it_is_over_and_again_after_that() -> None:
    leases = Leases(30, event_s=65, wait_s=600)
    first, second = leased("first"), leased("second")
    leases.take([first], 0)
    leases.take([second], 5)
    assert leases.next_s() == 15
    assert names(leases.due(14.9).extend) == []
    assert names(leases.due(15).extend) == ["first"]
    assert leases.next_s() == 20
    assert names(leases.due(20).extend) == ["second"]
    assert names(leases.due(30).extend) == ["first"]


def test_a_lease_is_not_extended_once_the_event_has_had_its_time() -> None:
    leases = Leases(30, event_s=65, wait_s=600)
    begun, waiting = leased("begun"), leased("waiting")
    leases.take([begun, waiting], 0)
    begun.began_at_s = 10
    for now_s in (15, 30, 45, 60):
        assert names(leases.due(now_s).extend) == ["begun", "waiting"]
    due = leases.due(75)
    assert (names(due.overdue), names(due.extend)) == (["begun"], ["waiting"])
    assert len(leases) == 1


def test_a_message_that_waits_too_long_is_given_up() -> None:
    leases = Leases(30, event_s=65, wait_s=600)
    leases.take([leased("waiting")], 0)
    for now_s in range(15, 600, 15):
        assert names(leases.due(now_s).overdue) == []
    assert names(leases.due(600).overdue) == ["waiting"]
    assert leases.next_s() is None


def test_an_answer_that_is_under_way_keeps_its_lease() -> None:
    leases = Leases(30, event_s=65, wait_s=600)
    answered = leased("answered")
    leases.take([answered], 0)
    answered.began_at_s, answered.is_answered = 0, True
    assert names(leases.due(300).extend) == ["answered"]
    leases.drop([answered])
    assert leases.next_s() is None


@given(st.lists(st.tuples(st.floats(0, 40), st.booleans()), min_size=1, max_size=30))
def test_no_lease_ends_before_it_is_extended(steps: list[tuple[float, bool]]) -> None:
    """Whenever it is looked at in time, by messages that come at any time."""
    leases, now_s = Leases(30, event_s=1e6, wait_s=1e6), 0.0
    ends: dict[str, float] = {}
    for number, (wait_s, comes) in enumerate(steps):
        until_s = now_s + wait_s
        while (next_s := leases.next_s()) is not None and next_s <= until_s:
            now_s = max(now_s, next_s)
            for one in leases.due(now_s).extend:
                assert ends[one.ack_id] > now_s
                ends[one.ack_id] = now_s + 30
        now_s = until_s
        assert all(end_s > now_s for end_s in ends.values())
        if comes:
            leases.take([leased(str(number))], now_s)
            ends[str(number)] = now_s + 30


# Order.


def test_messages_of_one_key_are_under_way_one_after_the_other() -> None:
    keys = OrderingKeys()
    assert keys.enter(leased("1", "a"))
    assert keys.enter(leased("b1", "b"))
    assert not keys.enter(leased("2", "a"))
    assert not keys.enter(leased("3", "a"))
    assert [keys.ended("a"), keys.ended("a"), keys.ended("a")] == [*map(_named, ("2", "3")), None]
    assert keys.enter(leased("4", "a"))


class _named:  # noqa: N801 - reads as a value
    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return getattr(other, "ack_id", None) == self.name

    __hash__ = None  # type: ignore[assignment]


def test_a_key_whose_message_failed_is_closed_until_pubsub_knows() -> None:
    keys = OrderingKeys()
    for name in "123":
        keys.enter(leased(name, "a"))
    assert names(keys.close("a")) == ["2", "3"]
    assert keys.is_closed("a")
    assert not keys.is_closed("b")
    keys.open("a")
    assert not keys.is_closed("a")
    assert keys.enter(leased("1", "a"))
    assert len(keys) == 1


def test_what_waits_behind_a_message_can_be_taken_away_while_that_goes_on() -> None:
    keys = OrderingKeys()
    for name in "123":
        keys.enter(leased(name, "a"))
    assert names(keys.cut("a")) == ["2", "3"]
    assert keys.is_closed("a")
    keys.open("a")
    assert not keys.enter(leased("2", "a"))  # the first one is still under way
    assert keys.ended("a") == _named("2")


def test_a_key_that_was_closed_twice_is_opened_twice() -> None:
    keys = OrderingKeys()
    for name in "123":
        keys.enter(leased(name, "a"))
    keys.cut("a")
    keys.close("a")
    keys.open("a")
    assert keys.is_closed("a")
    keys.open("a")
    assert not keys.is_closed("a")


# Flow.


def test_admission_is_bounded_by_messages_and_by_bytes() -> None:
    admission = Admission(max_messages=3, max_bytes=100)
    admission.take(60)
    assert admission.has_room(40)
    assert not admission.has_room(41)
    admission.take(20)
    admission.take(20)
    assert not admission.has_room(0)
    admission.release(20)
    assert admission.has_room(20)


def test_a_message_that_is_larger_than_the_bound_comes_in_alone() -> None:
    admission = Admission(max_messages=3, max_bytes=100)
    assert admission.has_room(5000)
    admission.take(5000)
    assert not admission.has_room(1)


def window(limit: int = 256) -> Window:
    return Window(limit, jitter=lambda: 1.0)


def test_failures_in_a_row_shrink_the_window_to_one_and_then_pause() -> None:
    flow, now_s, sizes = window(), 0.0, []
    for _ in range(32 + 32 + 16 + 4):
        sizes.append(flow.size)
        flow.failed(now_s)
    sizes.append(flow.size)
    assert [size for size, _ in itertools.groupby(sizes)] == [256, 64, 16, 4, 1]
    pauses = []
    for _ in range(8):
        flow.failed(now_s)
        flow.failed(now_s)  # began before the pause, so it makes it no longer
        until_s = flow.resume_at_s(now_s)
        assert until_s is not None
        assert flow.room(0, now_s) == 0
        pauses.append(until_s - now_s)
        now_s = until_s
        assert flow.room(0, now_s) == 1
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_the_first_success_ends_the_pause_and_each_doubles_the_window() -> None:
    flow = window()
    for _ in range(500):
        flow.failed(0.0)
    assert flow.room(0, 0.0) == 0
    sizes = []
    for _ in range(9):
        flow.succeeded()
        sizes.append(flow.size)
    assert sizes == [2, 4, 8, 16, 32, 64, 128, 256, 256]
    assert flow.room(6, 0.0) == 250


def test_events_that_fail_among_others_do_not_shrink_the_window() -> None:
    flow = window()
    for number in range(10_000):
        if number % 31:
            flow.failed(0.0)
        else:
            flow.succeeded()
    assert flow.size == 256


def test_events_that_are_dropped_between_failures_do_not_keep_the_window_open() -> None:
    """A filter drops half of the events while the service is down: the other half must not use up its attempts."""
    flow, now_s, failures = window(), 0.0, 0
    for number in range(2000):
        if number % 2:
            flow.ended_without_row()
        else:
            failures += flow.room(0, now_s) > 0
            flow.failed(now_s)
        now_s += 0.001
    assert flow.size == 1
    assert flow.room(0, now_s) == 0
    assert failures < 200


def test_events_without_rows_alone_open_the_window_again() -> None:
    flow = window()
    for _ in range(500):
        flow.failed(0.0)
    for _ in range(31):
        flow.ended_without_row()
    assert (flow.size, flow.room(0, 0.0)) == (1, 0)
    for _ in range(32 * 8):
        flow.ended_without_row()
    assert flow.size == 256
    assert flow.room(0, 0.0) == 256


def test_a_failed_message_rests_here_only_where_pubsub_would_deliver_it_at_once() -> None:
    assert [nack_delay_s(attempt, server_waits=False) for attempt in (1, 2, 3, 6, 7, 10**6)] == [
        1, 2, 4, 30, 30, 30
    ]  # fmt: skip
    assert nack_delay_s(5, server_waits=True) == 0


# What a subscription says of itself.


def resource(**fields: object) -> description.Description:
    made = pubsub.Subscription({"name": "projects/p/subscriptions/s", "topic": TOPIC, **fields})
    return description.read(messages.Subscription.FromString(pubsub.Subscription.serialize(made)))


GOOD = {
    "retry_policy": {"minimum_backoff": "10s"},
    "dead_letter_policy": {
        "dead_letter_topic": "projects/p/topics/undelivered",
        "max_delivery_attempts": 100,
    },
}


def test_a_subscription_as_it_should_be_has_neither_problems_nor_warnings() -> None:
    found = resource(**GOOD, enable_message_ordering=True, enable_exactly_once_delivery=True)
    assert found.problems("projects/p/topics/dead-letters") == []
    assert found.warnings() == []
    assert found.summary() == (
        f"topic {TOPIC}, in order of their keys, exactly once, with a retry policy, 100 delivery attempts"
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"push_config": {"push_endpoint": "https://x.example/?token=secret"}},
            "pushes its messages to a URL",
        ),
        ({"bigquery_config": {"table": "p.d.t"}}, "writes to BigQuery"),
        ({"cloud_storage_config": {"bucket": "b"}}, "writes to Cloud Storage"),
        ({"bigtable_config": {"table": "projects/p/instances/i/tables/t"}}, "writes to Bigtable"),
        ({"topic": "projects/p/topics/dead-letters"}, "which is DEAD_LETTER_TOPIC"),
        ({"dead_letter_policy": {"dead_letter_topic": TOPIC}}, "names the same topic"),
    ],
)
def test_a_subscription_that_must_not_be_pulled_is_refused(fields: dict[str, object], words: str) -> None:
    (problem,) = resource(**{**GOOD, **fields}).problems("projects/p/topics/dead-letters")
    assert words in problem
    assert "secret" not in problem


def test_a_subscription_without_policies_is_warned_about() -> None:
    retry, dead_letter = resource().warnings()
    assert "no retry policy" in retry
    assert "no dead-letter policy" in dead_letter
    (deleted,) = resource(**GOOD, topic="_deleted-topic_").warnings()
    assert "no topic" in deleted


# Settings.


def test_all_problems_of_the_settings_are_found_at_once() -> None:
    problems: list[str] = []
    wrong = {
        "PULL_SUBSCRIPTION": "events",
        "PUBSUB_EMULATOR_HOST": "http://localhost",
        **dict.fromkeys(settings.NUMBERS, "many"),
    }
    settings.read(wrong, problems)
    assert [problem.partition(" ")[0] for problem in problems] == [
        "PULL_SUBSCRIPTION", "PUBSUB_EMULATOR_HOST", *settings.NUMBERS
    ]  # fmt: skip


@pytest.mark.parametrize("name", settings.NUMBERS)
def test_a_number_is_taken_within_its_limits(name: str) -> None:
    number = settings.NUMBERS[name]
    for value, is_good in (
        (number.type.least, True),
        (number.type.most, True),
        (number.type.least - 1, False),
        (number.type.most + 1, False),
        (number.default, True),
    ):
        problems: list[str] = []
        settings.read({"PULL_SUBSCRIPTION": "projects/p/subscriptions/s", name: str(value)}, problems)
        assert (not problems) is is_good, (value, problems)


def test_only_the_subscription_has_no_default() -> None:
    problems: list[str] = []
    found = settings.read({}, problems)
    assert len(problems) == 1
    assert (found.max_messages, found.event_s, found.drain_s, found.streams, found.port) == (
        256,
        60,
        8,
        1,
        8080,
    )


def test_the_page_has_every_setting_as_it_is() -> None:
    page = (FUNCTION.parent / "docs/pull-worker.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\S+) \| (.*?) \| (.*) \|$", page, re.MULTILINE)
    assert [tuple(cell.replace("`", "") for cell in row) for row in rows] == [
        (
            "PULL_SUBSCRIPTION",
            "none",
            "a full name",
            "where events come from: projects/PROJECT/subscriptions/NAME",
        ),
        *(
            (name, str(number.default), f"{number.type.least} to {number.type.most}", number.about)
            for name, number in settings.NUMBERS.items()
        ),
    ]
