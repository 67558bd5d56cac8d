"""Redrive of dead letters: against the fake Pub/Sub, with the official client, to the last lease."""

import argparse
import os
import queue
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, groupby
from pathlib import Path

import pytest
from enrichment import dead_letter, redrive
from enrichment.dead_letter import DeadLetter
from enrichment.errors import BadEventError, Stage
from enrichment.event import message
from enrichment.event.message import Message
from enrichment.redrive.dead_letters import Original, Selection, Verdict
from enrichment.redrive.errors import RedriveError, RefusedError, of_google_error
from enrichment.redrive.journal import Journal, State
from enrichment.redrive.leases import Leases
from enrichment.redrive.pubsub import DeadLetterSource, EventTarget
from enrichment.redrive.report import Report
from enrichment.redrive.run import Job, Redrive, Timing
from enrichment.telemetry.trace import Trace
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError
from google.pubsub_v1 import PublisherClient, PubsubMessage, PushConfig, SubscriberClient
from meshlab.cloud.pubsub import Backlog, backlog
from msgspec.structs import replace

from .conftest import PROJECT, Topic

QUICK = Timing(lease_s=60, pull_wait_s=0.2, idle_pulls=2)
PUBLISHED_AT = datetime(2026, 3, 1, tzinfo=UTC)

FUNCTION_NAME = "enrich-user-events"

_numbers = count(1)


def a_dead_letter(
    event: str, reason: str = "profile_not_found", ordering_key: str = "", **attributes: str
) -> DeadLetter:
    came = Message(
        event.encode(), attributes, f"m-{event}", PUBLISHED_AT, ordering_key, delivery_id=f"m-{event}"
    )
    return dead_letter.compose(
        came, BadEventError(Stage.LOOKUP, reason, "why"), Trace("t" * 32, ""), "v1", FUNCTION_NAME
    )


@dataclass(frozen=True)
class Scene:
    """A dead-letter topic and a trigger topic of their own, with a pull subscription each."""

    topic: Topic
    dead_letters: str
    events: str
    journal: Path

    @property
    def dead_letter_subscription(self) -> str:
        return self.dead_letters.replace("/topics/", "/subscriptions/")

    @property
    def event_subscription(self) -> str:
        return self.events.replace("/topics/", "/subscriptions/")

    def add(self, *dead_letters: DeadLetter) -> None:
        """Publish dead letters, as the service takes them: one ordering key in a request."""
        for key, group in groupby(dead_letters, lambda one: one.ordering_key):
            messages = [
                PubsubMessage(data=one.data, attributes=one.attributes, ordering_key=key) for one in group
            ]
            self.topic.publisher.publish(topic=self.dead_letters, messages=messages)

    def redrive(self, *options: str, timing: Timing = QUICK) -> int:
        """Run the command in this process and return its exit code."""
        return redrive.run(_parsed(*self.options(*options)), timing)

    def options(self, *more: str) -> list[str]:
        """Return the options of a run that waits for no other one."""
        names = ["--subscription", self.dead_letter_subscription, "--topic", self.events]
        return [*names, "--journal", str(self.journal), "--function", FUNCTION_NAME, "--no-wait", *more]

    def published(self) -> list[PubsubMessage]:
        """Take everything off the trigger topic and return it. A message of our own marks the end."""
        self.topic.publisher.publish(topic=self.events, messages=[PubsubMessage(data=b"the end")])
        found: list[PubsubMessage] = []
        while True:
            pulled = self.topic.subscriber.pull(subscription=self.event_subscription, max_messages=100)
            for received in pulled.received_messages:
                self.topic.subscriber.acknowledge(
                    subscription=self.event_subscription, ack_ids=[received.ack_id]
                )
                if received.message.data == b"the end":
                    return found
                found.append(received.message)

    @property
    def backlog(self) -> Backlog:
        return backlog(self.topic.host, self.dead_letter_subscription)


@pytest.fixture
def scene(topic: Topic, tmp_path: Path) -> Iterator[Scene]:
    number = next(_numbers)
    dead_letters, events = (
        f"projects/{PROJECT}/topics/{name}-{number}" for name in ("dead-letters", "events")
    )
    scene = Scene(topic, dead_letters, events, tmp_path / "journal.jsonl")
    pairs = ((scene.dead_letters, scene.dead_letter_subscription), (scene.events, scene.event_subscription))
    for name, subscription in pairs:
        topic.publisher.create_topic(name=name)
        topic.subscriber.create_subscription(name=subscription, topic=name)
    yield scene
    for name, subscription in pairs:
        topic.subscriber.delete_subscription(subscription=subscription)
        topic.publisher.delete_topic(topic=name)


def test_events_come_again_as_they_came_first_and_their_dead_letters_are_gone(scene: Scene) -> None:
    scene.add(
        a_dead_letter("a", ordering_key="k", shop="s-1", timeout="0"), a_dead_letter("b", "row_invalid")
    )
    assert scene.redrive() == 0
    first, second = sorted(scene.published(), key=lambda found: bytes(found.data))
    assert (first.data, first.ordering_key, second.data) == (b"a", "k", b"b")
    assert dict(first.attributes) == {
        "shop": "s-1",
        "timeout": "0",
        "redrive_message_id": "m-a",
        "redrive_publish_time": "2026-03-01T00:00:00Z",
        "redrive_count": "1",
    }
    assert (scene.backlog.acked, scene.backlog.unacked) == (2, 0)


def test_many_dead_letters_are_all_redriven_and_once(scene: Scene) -> None:
    events = [f"e{number}" for number in range(350)]
    scene.add(*map(a_dead_letter, events))
    assert scene.redrive("--rate", "0") == 0
    assert sorted(found.data.decode() for found in scene.published()) == sorted(events)
    assert scene.backlog.unacked == 0


def test_only_the_reasons_asked_for_are_redriven_and_the_others_are_given_back(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.add(
        a_dead_letter("a"),
        a_dead_letter("b", "row_invalid"),
        a_dead_letter("c", "json_invalid"),
        a_dead_letter("d", "json_invalid"),
    )
    assert scene.redrive("--reason", "profile_not_found", "--reason", "row_invalid") == 0
    assert {found.data for found in scene.published()} == {b"a", b"b"}
    assert (scene.backlog.undelivered, scene.backlog.outstanding) == (2, 0)
    printed = capsys.readouterr().out.split("\n")
    assert [line.split() for line in printed[:4]] == [
        ["reason", "redriven", "left", "failed"],
        ["json_invalid", "0", "2", "0"],
        ["profile_not_found", "1", "0", "0"],
        ["row_invalid", "1", "0", "0"],
    ]
    assert printed[4] == "left as they are, dead-lettered for another reason: 2"


def test_dead_letters_are_redriven_by_when_they_were_dead_lettered(scene: Scene) -> None:
    scene.add(a_dead_letter("a"))
    assert scene.redrive("--until", "2026-03-01") == 0
    assert scene.redrive("--since", "9999-01-01T00:00:00Z") == 0
    assert scene.published() == []
    assert scene.redrive("--since", "2026-03-01", "--until", "9999-01-01T00:00:00+01:00") == 0
    assert [found.data for found in scene.published()] == [b"a"]


def test_what_is_no_dead_letter_of_ours_is_left_and_counted(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.add(DeadLetter(b"foreign", {}, ""), a_dead_letter("a"))
    assert scene.redrive() == 0
    assert [found.data for found in scene.published()] == [b"a"]
    assert scene.backlog.undelivered == 1
    assert "left as they are, not a dead letter of such a function: 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    "crippled",
    [{dead_letter.MESSAGE_ID: ""}, {dead_letter.ATTRIBUTES_DROPPED: "3"}],
    ids=["no-message", "dropped"],
)
def test_a_dead_letter_that_is_asked_for_and_cannot_be_redriven_sets_the_exit_code(
    scene: Scene, capsys: pytest.CaptureFixture[str], crippled: dict[str, str]
) -> None:
    whole = a_dead_letter("a")
    scene.add(whole, replace(whole, data=b"b", attributes=whole.attributes | crippled))
    assert scene.redrive("--dry-run") == 0
    assert scene.redrive("--reason", "row_invalid") == 0
    capsys.readouterr()
    assert scene.redrive() == 1
    assert "1 dead letter that was asked for cannot be redriven" in capsys.readouterr().err
    assert [found.data for found in scene.published()] == [b"a"]
    assert scene.backlog.undelivered == 1


def test_a_dry_run_shows_what_there_is_and_changes_nothing(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.add(
        a_dead_letter("a"),
        a_dead_letter("b"),
        a_dead_letter("c", "row_invalid"),
        DeadLetter(b"foreign", {}, ""),
    )
    assert scene.redrive("--dry-run") == 0
    assert scene.published() == []
    assert scene.backlog == Backlog(undelivered=4, outstanding=0, acked=0, dead_lettered=0)
    head, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert head == ["reason", "function", "stage", "version", "count", "oldest", "newest"]
    assert [row[:5] for row in rows[:2]] == [
        ["profile_not_found", FUNCTION_NAME, "lookup", "v1", "2"],
        ["row_invalid", FUNCTION_NAME, "lookup", "v1", "1"],
    ]
    assert all(datetime.fromisoformat(instant) for row in rows[:2] for instant in row[5:])


def test_a_limit_is_kept_and_the_next_run_goes_on(scene: Scene) -> None:
    scene.add(*(a_dead_letter(f"e{number}") for number in range(5)))
    assert scene.redrive("--limit", "2") == 0
    assert (len(scene.published()), scene.backlog.undelivered) == (2, 3)
    assert scene.redrive() == 0
    assert (len(scene.published()), scene.backlog.unacked) == (3, 0)


def test_an_empty_subscription_is_soon_done(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert scene.redrive() == 0
    assert "No dead letters there." in capsys.readouterr().err
    assert scene.published() == []


def test_a_missing_trigger_topic_loses_no_dead_letter(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.add(a_dead_letter("a"), a_dead_letter("b"))
    missing = f"projects/{PROJECT}/topics/nowhere"
    assert scene.redrive("--topic", missing) == 1
    assert f"{missing} does not exist: create it, or correct --topic." in capsys.readouterr().err
    assert (scene.backlog.undelivered, scene.backlog.outstanding) == (2, 0)


def test_a_missing_subscription_is_named(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    missing = f"projects/{PROJECT}/subscriptions/nowhere"
    assert scene.redrive("--subscription", missing) == 1
    assert f"{missing} does not exist" in capsys.readouterr().err


def test_a_pubsub_out_of_reach_is_reported_and_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("enrichment.redrive.pubsub._ANSWER_S", 0.2)
    with socket.socket() as closed:  # bound and not listening: every connection is refused
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        options = ["--subscription", "projects/p/subscriptions/s", "--topic", "projects/p/topics/t"]
        assert redrive.run(_parsed(*options), QUICK) == 1
    assert "projects/p/subscriptions/s does not answer" in capsys.readouterr().err


def test_a_push_subscription_is_refused(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.topic.subscriber.modify_push_config(
        subscription=scene.dead_letter_subscription,
        push_config=PushConfig(push_endpoint="http://127.0.0.1:9/"),
    )
    assert scene.redrive() == 1
    assert "takes a pull subscription" in capsys.readouterr().err


def test_dead_letters_are_never_redriven_into_their_own_topic(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.add(a_dead_letter("a"))
    assert scene.redrive("--topic", scene.dead_letters) == 2
    assert "is the dead-letter topic itself" in capsys.readouterr().err
    assert scene.backlog == Backlog(undelivered=1, outstanding=0, acked=0, dead_lettered=0)


def test_an_account_that_may_not_see_the_subscription_is_warned_what_cannot_be_checked(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise exceptions.PermissionDenied("not for a mere subscriber")

    scene.add(a_dead_letter("a"))
    monkeypatch.setattr(SubscriberClient, "get_subscription", forbidden)
    assert scene.redrive() == 0
    assert f"{scene.events} must not be the dead-letter topic" in capsys.readouterr().err
    assert [found.data for found in scene.published()] == [b"a"]


def test_without_a_terminal_nothing_is_coloured_and_the_bar_is_left_out(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.add(a_dead_letter("a"))
    assert scene.redrive() == 0
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert printed.err == ""


class Recorder:
    """Target that records the requests, publishes them, and refuses some data."""

    def __init__(self, target: EventTarget, refused: bytes = b"\0") -> None:
        self.requests: list[list[Original]] = []
        self._target = target
        self._refused = refused

    def publish(self, originals: Sequence[Original]) -> None:
        self.requests.append(list(originals))
        if any(one.data == self._refused for one in originals):
            raise RefusedError("refused")
        self._target.publish(originals)


def run(
    scene: Scene, target: Recorder, rate: float = 0, limit: int | None = None, timing: Timing = QUICK
) -> Report:
    report = Report()
    job = Job(Selection(datetime.now(UTC), any_function=True), rate=rate, limit=limit, timing=timing)
    with (
        Journal(scene.journal) as journal,
        closing(DeadLetterSource(scene.dead_letter_subscription, timing.pull_wait_s)) as source,
    ):
        Redrive(job, source, target, journal, report, lambda _: None).run()
    return report


@pytest.fixture
def target(scene: Scene) -> Iterator[EventTarget]:
    with closing(EventTarget(scene.events)) as target:
        yield target


def test_one_event_that_pubsub_refuses_does_not_hold_up_the_others(scene: Scene, target: EventTarget) -> None:
    scene.add(*map(a_dead_letter, "abcd"))
    report = run(scene, Recorder(target, refused=b"c"))
    assert sorted(found.data for found in scene.published()) == [b"a", b"b", b"d"]
    assert (report.redriven.total(), dict(report.failed)) == (3, {"profile_not_found": 1})
    assert (scene.backlog.undelivered, scene.backlog.outstanding) == (1, 0)


def test_a_request_holds_one_ordering_key_and_its_messages_keep_their_order(
    scene: Scene, target: EventTarget
) -> None:
    scene.add(*(a_dead_letter(f"{number}", ordering_key=f"k{number % 3}") for number in range(9)))
    recorder = Recorder(target)
    run(scene, recorder)
    assert [{one.ordering_key for one in request} for request in recorder.requests] == [
        {"k0"},
        {"k1"},
        {"k2"},
    ]
    assert [[int(one.data) for one in request] for request in recorder.requests] == [
        [0, 3, 6],
        [1, 4, 7],
        [2, 5, 8],
    ]


def test_large_events_share_no_request(scene: Scene, target: EventTarget) -> None:
    large = "x" * 3_000_000
    for event in (large, large, "small"):
        scene.add(DeadLetter(event.encode(), a_dead_letter("a").attributes, ""))
    recorder = Recorder(target)
    # It ends with the third, and not with a pull that a busy machine answered too late.
    assert run(scene, recorder, limit=3, timing=Timing()).redriven.total() == 3
    sizes = [sum(len(one.data) for one in request) for request in recorder.requests]
    assert len(sizes) > 1
    assert max(sizes) <= 5_000_000


def test_an_event_that_fails_again_at_once_is_not_redriven_in_a_circle(
    scene: Scene, target: EventTarget
) -> None:
    class FailsAgain(Recorder):
        def publish(self, originals: Sequence[Original]) -> None:
            super().publish(originals)
            for one in originals:
                published_at = "2026-03-02T00:00:00Z"
                again = message.of_parts(one.data, dict(one.attributes), "m-2", published_at, "")
                error = BadEventError(Stage.LOOKUP, "profile_not_found", "why")
                scene.add(dead_letter.compose(again, error, Trace("t" * 32, ""), "v1"))

    scene.add(*map(a_dead_letter, "abc"))
    report = run(scene, FailsAgain(target))
    assert report.redriven.total() == 3
    assert len(scene.published()) == 3
    assert (scene.backlog.undelivered, scene.backlog.outstanding) == (3, 0)


def test_a_clock_that_is_slow_leaves_no_dead_letter_that_was_there_before(
    scene: Scene, target: EventTarget
) -> None:
    scene.add(a_dead_letter("a"), a_dead_letter("b"))
    report = Report()
    job = Job(Selection(PUBLISHED_AT, any_function=True), rate=0, timing=QUICK)
    with (
        Journal(scene.journal) as journal,
        closing(DeadLetterSource(scene.dead_letter_subscription, QUICK.pull_wait_s)) as source,
    ):
        Redrive(job, source, target, journal, report, lambda _: scene.add(a_dead_letter("later"))).run()
    assert {bytes(found.data) for found in scene.published()} == {b"a", b"b"}
    assert [verdict for _, verdict in report.left] == [Verdict.LATER]


def test_ctrl_c_between_publication_and_acknowledgement_waits_for_the_latter(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish = EventTarget.publish

    def interrupted(self: EventTarget, originals: Sequence[Original]) -> None:
        publish(self, originals)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(EventTarget, "publish", interrupted)
    scene.add(*map(a_dead_letter, "abc"))
    assert scene.redrive("--rate", "1") == 130
    assert [found.data for found in scene.published()] == [b"a"]
    assert (scene.backlog.acked, scene.backlog.undelivered, scene.backlog.outstanding) == (1, 2, 0)
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1].split() == ["profile_not_found", "1", "0", "0"]
    assert "run the same command again" in printed.err


COMMAND = """
import argparse, os, signal, sys
from enrichment import redrive
from enrichment.redrive.pubsub import DeadLetterSource, EventTarget
from enrichment.redrive.run import Timing

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

publish = EventTarget.publish
match sys.argv.pop(1):
    case "killed-before-the-request":
        EventTarget.publish = kill
    case "killed-before-the-response":
        EventTarget.publish = lambda self, originals: kill(publish(self, originals))
    case "killed-before-the-acknowledgement":
        DeadLetterSource.acknowledge = kill
parser = argparse.ArgumentParser()
redrive.add_arguments(parser)
sys.exit(redrive.run(parser.parse_args(), Timing(lease_s=1, pull_wait_s=0.2, idle_pulls=2)))
"""
AFTER_A_KILL = Timing(lease_s=1, pull_wait_s=0.2, idle_pulls=2, quiet_s=1.5)


def kill_a_run(scene: Scene, where: str, *options: str) -> None:
    """Run the command in a process of its own, which is killed at that place of its first batch of ten."""
    command = [sys.executable, "-c", COMMAND, where, *scene.options("--rate", "100", *options)]
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == -signal.SIGKILL
    assert scene.backlog.outstanding == 20


def twenty(scene: Scene) -> list[bytes]:
    events = [f"e{number:02}" for number in range(20)]
    scene.add(*map(a_dead_letter, events))
    return [event.encode() for event in events]


def test_after_a_kill_before_the_acknowledgement_no_event_is_published_twice_and_0_means_that_none_is_left(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    events = twenty(scene)
    kill_a_run(scene, "killed-before-the-acknowledgement")
    assert scene.redrive(timing=AFTER_A_KILL) == 0
    assert sorted(found.data for found in scene.published()) == events
    assert (scene.backlog.acked, scene.backlog.unacked) == (20, 0)
    printed = capsys.readouterr()
    assert "published by an earlier run, acknowledged now: 10" in printed.out
    assert "waiting 2 s for what it may hold" in printed.err


@pytest.mark.parametrize(
    ("where", "answer"),
    [("killed-before-the-request", "publish"), ("killed-before-the-response", "acknowledge")],
)
def test_what_may_have_been_published_is_left_until_it_is_said_what_to_do(
    scene: Scene, capsys: pytest.CaptureFixture[str], where: str, answer: str
) -> None:
    events = twenty(scene)
    kill_a_run(scene, where)
    assert scene.redrive(timing=AFTER_A_KILL) == 1
    assert scene.backlog.undelivered == 10
    asked = capsys.readouterr().err
    assert "10 dead letters may have been published by a run that was killed" in asked
    assert "m-e00" in asked
    assert scene.redrive("--in-doubt", answer) == 0
    assert sorted(found.data for found in scene.published()) == events
    assert scene.backlog.unacked == 0


def test_what_a_run_on_another_machine_held_is_waited_for(scene: Scene) -> None:
    events = twenty(scene)
    kill_a_run(scene, "killed-before-the-request", "--journal", f"{scene.journal}.other")
    options = [option for option in scene.options() if option != "--no-wait"]
    assert redrive.run(_parsed(*options), AFTER_A_KILL) == 0
    assert sorted(found.data for found in scene.published()) == events
    assert scene.backlog.unacked == 0


def test_a_dead_letter_that_comes_again_after_its_acknowledgement_is_not_published_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledge = DeadLetterSource.acknowledge

    def lose_once(
        self: DeadLetterSource, ack_ids: list[str]
    ) -> None:  # Pub/Sub guarantees no acknowledgement
        monkeypatch.setattr(DeadLetterSource, "acknowledge", acknowledge)
        self.extend(ack_ids, 0)

    monkeypatch.setattr(DeadLetterSource, "acknowledge", lose_once)
    scene.add(a_dead_letter("a"))
    assert scene.redrive() == 0
    assert [found.data for found in scene.published()] == [b"a"]
    assert scene.backlog.unacked == 0


def test_where_pubsub_gives_no_answer_the_events_are_in_doubt_and_where_it_refuses_they_are_not(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: object, **__: object) -> None:
        raise exceptions.ServiceUnavailable("")

    scene.add(a_dead_letter("a"))
    assert scene.redrive("--topic", f"projects/{PROJECT}/topics/nowhere") == 1
    assert scene.redrive() == 0
    scene.add(a_dead_letter("b"))
    monkeypatch.setattr("enrichment.redrive.pubsub._ANSWER_S", 0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PublisherClient, "publish", unavailable)
        assert scene.redrive() == 1
    assert scene.redrive() == 1
    assert scene.redrive("--in-doubt", "publish") == 0
    assert [found.data for found in scene.published()] == [b"a", b"b"]


def test_where_pubsub_falls_silent_nothing_found_is_not_reported_as_nothing_left(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def silent(*_: object, **__: object) -> None:
        monkeypatch.setattr(SubscriberClient, "get_subscription", silent)
        raise exceptions.DeadlineExceeded("")

    scene.add(a_dead_letter("a"))
    monkeypatch.setattr(SubscriberClient, "pull", silent)
    assert scene.redrive() == 1
    printed = capsys.readouterr()
    assert f"{scene.dead_letter_subscription} does not answer" in printed.err
    assert "No dead letters there" not in printed.err


def test_a_disk_that_is_full_after_the_publication_leaves_nothing_in_doubt(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = Journal.record

    def full(self: Journal, state: State, keys: Sequence[str]) -> None:
        if state is State.PUBLISHED:
            raise RedriveError("The disk is full.")
        record(self, state, keys)

    scene.add(a_dead_letter("a"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "record", full)
        assert scene.redrive() == 1
    assert "The disk is full." in capsys.readouterr().err
    assert (scene.backlog.acked, scene.backlog.unacked) == (1, 0)
    assert scene.redrive() == 0
    assert [found.data for found in scene.published()] == [b"a"]


def test_two_runs_do_not_share_a_journal(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.add(a_dead_letter("a"))
    with Journal(scene.journal):
        assert scene.redrive() == 1
    assert "Another redrive with the journal" in capsys.readouterr().err
    assert scene.backlog.undelivered == 1


def test_a_line_of_the_journal_that_was_cut_off_is_named(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.journal.write_bytes(
        b'{"run":"open","at":1.5}\n{"state":"publishing","keys":["x"\n{"run":"closed","at":1.5}\n'
    )
    assert scene.redrive() == 0
    assert "could not write the journal to its end (line 2)" in " ".join(capsys.readouterr().err.split())
    assert scene.redrive() == 0
    assert "could not write the journal" not in capsys.readouterr().err


def test_only_the_dead_letters_of_the_named_function_are_redriven(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = a_dead_letter("ours")
    other = {**ours.attributes, dead_letter.FUNCTION: "enrich-orders"}
    old = {name: value for name, value in ours.attributes.items() if name != dead_letter.FUNCTION}
    scene.add(ours, replace(ours, data=b"other", attributes=other))
    assert scene.redrive() == 0
    assert [found.data for found in scene.published()] == [b"ours"]
    assert "left as they are, written by another function: 1" in capsys.readouterr().out
    scene.add(replace(ours, data=b"old", attributes=old))
    assert scene.redrive() == 1
    assert "1 dead letter that name no function left" in capsys.readouterr().err
    options = [
        option for option in scene.options("--any-function") if option not in ("--function", FUNCTION_NAME)
    ]
    assert redrive.run(_parsed(*options), QUICK) == 0
    assert {found.data for found in scene.published()} == {b"other", b"old"}


def test_a_run_that_names_no_function_says_which_there_are(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FUNCTION_NAME", raising=False)
    scene.add(a_dead_letter("a"))
    options = [option for option in scene.options() if option not in ("--function", FUNCTION_NAME)]
    assert redrive.run(_parsed(*options), QUICK) == 1
    assert (
        f"1 dead letter of {FUNCTION_NAME} left: name the function with --function" in capsys.readouterr().err
    )
    monkeypatch.setenv("FUNCTION_NAME", FUNCTION_NAME)
    assert redrive.run(_parsed(*options), QUICK) == 0


@pytest.fixture
def undelivered(scene: Scene) -> Iterator[str]:
    """A subscription of the events' topic that gives up after five attempts; what it gives up is dead-lettered."""
    name = f"{scene.event_subscription}-trigger"
    policy = {"dead_letter_topic": scene.dead_letters, "max_delivery_attempts": 5}
    scene.topic.subscriber.create_subscription(
        request={"name": name, "topic": scene.events, "dead_letter_policy": policy}
    )
    yield name
    with suppress(exceptions.NotFound):
        scene.topic.subscriber.delete_subscription(subscription=name)


def give_up(scene: Scene, subscription: str) -> None:
    """Refuse what the subscription has until Pub/Sub gives it up."""
    while backlog(scene.topic.host, subscription).unacked:
        pulled = scene.topic.subscriber.pull(subscription=subscription, max_messages=100).received_messages
        scene.topic.subscriber.modify_ack_deadline(
            subscription=subscription, ack_ids=[found.ack_id for found in pulled], ack_deadline_seconds=0
        )


def test_what_pubsub_gave_up_is_redriven_and_keeps_its_identity(scene: Scene, undelivered: str) -> None:
    event = PubsubMessage(data=b"a", attributes={"shop": "s-1"}, ordering_key="k")
    scene.topic.publisher.publish(topic=scene.events, messages=[event])
    (first,) = scene.published()
    identities = []
    for redriven in ("1", "2"):
        give_up(scene, undelivered)
        assert scene.redrive("--reason", "undelivered") == 0
        again, *more = scene.published()
        assert more == []
        assert (again.data, again.ordering_key) == (b"a", "k")
        assert again.attributes.keys() == {"shop", *message.REDRIVE_ATTRIBUTES}
        assert again.attributes["redrive_count"] == redriven
        identities.append((again.attributes["redrive_message_id"], again.attributes["redrive_publish_time"]))
    assert identities[0] == identities[1]
    published = first.publish_time.isoformat(timespec="milliseconds").replace("+00:00", "")
    assert identities[0][1].startswith(published)
    assert scene.backlog.unacked == 0


def test_what_a_subscription_of_another_topic_could_not_deliver_is_left(
    scene: Scene, undelivered: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.topic.publisher.publish(topic=scene.events, messages=[PubsubMessage(data=b"a")])
    give_up(scene, undelivered)
    scene.published()
    other = f"projects/{PROJECT}/topics/other"
    scene.topic.publisher.create_topic(name=other)
    assert scene.redrive("--topic", other) == 0
    assert "undelivered by a subscription of another topic: 1" in capsys.readouterr().out
    scene.topic.subscriber.delete_subscription(subscription=undelivered)
    assert scene.redrive() == 1
    assert "the topic of their subscription cannot be seen" in capsys.readouterr().err
    options = [
        option for option in scene.options("--any-function") if option not in ("--function", FUNCTION_NAME)
    ]
    assert redrive.run(_parsed(*options), QUICK) == 0
    assert [found.data for found in scene.published()] == [b"a"]


def test_ctrl_c_gives_back_what_is_not_done(scene: Scene) -> None:
    scene.add(*(a_dead_letter(f"e{number}") for number in range(60)))
    command = [sys.executable, "-c", COMMAND, "", *scene.options("--rate", "10")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert scene.topic.subscriber.pull(
            subscription=scene.event_subscription, max_messages=1
        ).received_messages
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    left = scene.backlog
    assert (left.undelivered + left.acked, left.outstanding) == (60, 0)
    assert out.splitlines()[1].split() == ["profile_not_found", str(left.acked), "0", "0"]


@pytest.mark.parametrize("no_color", [True, False], ids=["no-color", "color"])
def test_a_person_at_a_terminal_sees_how_far_it_is(scene: Scene, no_color: bool) -> None:
    scene.add(a_dead_letter("a"), a_dead_letter("b"))
    ours, theirs = os.openpty()
    colors = {"NO_COLOR": "1"} if no_color else {"TERM": "xterm-256color"}
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")} | colors
    command = [sys.executable, "-c", COMMAND, "", *scene.options()]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=env) as process:
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b"")).decode()
    os.close(ours)
    assert process.returncode == 0
    assert "2 redriven" in shown
    assert bool(re.search(r"\x1b\[[0-9;]*m", shown)) is not no_color


def test_neither_googles_client_nor_rich_is_loaded_before_it_is_needed() -> None:
    code = "import sys, enrichment.redrive; print({'rich', 'grpc', 'google.pubsub_v1'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"


def test_leases_are_extended_as_long_as_the_block_lasts_and_then_given_back() -> None:
    asked: queue.Queue[tuple[list[str], int]] = queue.Queue()
    with Leases(lambda ack_ids, seconds: asked.put((ack_ids, seconds)), lease_s=1) as leases:
        leases.take({"m-1": "a-1", "m-2": "a-2"})
        leases.drop(["m-1"])
        assert asked.get(timeout=30) == (["a-1", "a-2"], 1)
        assert [asked.get(timeout=30) for _ in range(2)] == [(["a-2"], 1)] * 2
    *_, last = asked.queue
    assert last == (["a-2"], 0)


def test_a_dead_letter_whose_lease_ran_out_is_not_new_when_it_comes_again() -> None:
    with Leases(lambda *_: None, lease_s=60) as leases:
        assert leases.take({"m-1": "a-1"}) == {"m-1"}
        assert leases.take({"m-1": "a-2", "m-2": "a-3"}) == {"m-2"}
        assert leases.ack_ids(["m-1"]) == ["a-2"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (exceptions.NotFound("secret"), "does not exist"),
        (exceptions.PermissionDenied("secret"), "grant the-role on it"),
        (exceptions.Unauthenticated("secret"), "gcloud auth application-default login"),
        (DefaultCredentialsError("secret"), "gcloud auth application-default login"),
        (exceptions.ServiceUnavailable("secret"), "does not answer (ServiceUnavailable)"),
        (exceptions.RetryError("secret", None), "does not answer (RetryError)"),
        (exceptions.InvalidArgument("secret"), "refuses the request"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_of_googles_client_becomes_one_sentence_that_names_the_resource(
    error: Exception, said: str
) -> None:
    sentence = str(of_google_error(error, "the-topic", "--topic", "the-role"))
    assert "the-topic" in sentence
    assert said in sentence
    assert "secret" not in sentence


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--reason", "bad_luck"], "profile_not_found"),
        (["--since", "yesterday"], "2026-03-01"),
        (["--since", "2026-03-01T12:00:00"], "offset"),
        (["--rate", "-1"], "0 or more"),
        (["--rate", "nan"], "0 or more"),
        (["--rate", "fast"], "0 or more"),
        (["--limit", "0"], "1 or more"),
        (["--topic", "events"], "projects/PROJECT/topics/NAME"),
    ],
    ids=lambda value: "=".join(value).removeprefix("--") if isinstance(value, list) else "",
)
def test_a_mistaken_option_is_refused_with_what_it_takes(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        _parsed("--subscription", "projects/p/subscriptions/s", "--topic", "projects/p/topics/t", *options)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_span_of_time_that_is_none_is_refused(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert scene.redrive("--since", "2026-03-02", "--until", "2026-03-01") == 2
    assert "--since must be earlier than --until" in capsys.readouterr().err


def test_a_failed_nack_of_dead_letters_is_reported() -> None:
    def refuse(_: list[str], seconds: int) -> None:
        if seconds == 0:
            raise RedriveError("the-subscription does not answer")

    with pytest.raises(RedriveError, match="does not answer"), Leases(refuse, lease_s=60) as leases:
        leases.take({"m-1": "a-1"})


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that no process writes there any more
        return b""


def _parsed(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    redrive.add_arguments(parser)
    return parser.parse_args(options)
