"""Everything breaks while events flow, and every event still ends where it belongs.

The messages, what is broken and when come from one seed. A blow falls when so many messages are settled, so a slow
machine meets it at the same point of the work as a fast one.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from meshlab.cloud.bigquery.control import order_faults, stats
from meshlab.cloud.bigquery.faults import Faults
from meshlab.cloud.pubsub import backlog, fail_publish

from tests.e2e import chaos
from tests.e2e.chaos import Blow, Plan, Sent
from tests.e2e.conftest import alerts

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.demo.events import EventClients
    from meshlab.lab.stack import Lab

    from tests.e2e.conftest import OwnLab

SEED = 20261120
EVENTS = 20_000
OUTAGE_S = 5.0
PATIENCE_S = 90.0
SHOWN = 5
ALWAYS = Faults(partial_share=0.05, lost_answer_share=0.02, seed=SEED)
OUTAGE = Faults(unavailable_s=OUTAGE_S, partial_share=0.05, lost_answer_share=0.02, seed=SEED + 1)


@pytest.fixture
def lab(own_lab: OwnLab, tmp_path: Path) -> Lab:
    """A lab of its own, with enough profiles."""
    profiles = tmp_path / "profiles.json"
    profiles.write_text(json.dumps(chaos.profiles()))
    return own_lab(profiles)


@pytest.fixture
def run(lab: Lab, clients: EventClients) -> Run:
    return Run(lab, clients, chaos.draw(SEED, EVENTS))


class Run:
    """One run of a plan against a lab, and what is found afterwards.

    Attributes:
        rows: The message ids of each event's rows.
        letters: The reasons of each message's dead letters.
    """

    def __init__(self, lab: Lab, clients: EventClients, plan: Plan) -> None:
        self.plan = plan
        self.messages: dict[str, Sent] = {}
        self.rows: dict[str, list[str]] = defaultdict(list)
        self.mismatched: list[str] = []
        self.letters: dict[str, list[str]] = defaultdict(list)
        self._lab, self._clients = lab, clients
        self._pubsub, self._bigquery = (
            lab.environment[name] for name in ("PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST")
        )
        self._story: list[str] = []
        self._began_at = time.monotonic()

    def go(self) -> None:
        """Publish everything, strike when it is time, and wait until every message is settled."""
        order_faults(self._bigquery, ALWAYS)
        published = self._clients.publish([message.data for message in self.plan.sent])
        self.messages = {
            found.message_id: message for found, message in zip(published, self.plan.sent, strict=True)
        }
        self._tell(0, f"published {self.plan}")
        blows = list(self.plan.blows)
        settled, moved_at = 0, time.monotonic()
        while settled < len(self.messages):
            now = backlog(self._pubsub, self._lab.resources.subscription)
            if now.acked > settled:
                settled, moved_at = now.acked, time.monotonic()
            assert time.monotonic() - moved_at < PATIENCE_S, f"nothing moves any more{self.picture()}"
            if blows and settled >= blows[0][0] and now.outstanding:
                _, blow = blows.pop(0)
                self._tell(settled, f"with {now.outstanding} in flight {blow.value}")
                self._strike(blow)
            time.sleep(0.05)
        assert not blows, f"it was over before {blows}{self.picture()}"
        self._tell(settled, "all settled")
        self._look()

    @property
    def refused_letters(self) -> int:
        """How many dead letters the topic refused."""
        return fail_publish(self._pubsub, self._lab.resources.dead_letter_topic, 0)

    @property
    def bigquery(self) -> dict[str, int]:
        """How often each fault of BigQuery has struck."""
        found = stats(self._bigquery)
        return {name: getattr(found, name) for name in ("unavailable", "partial", "lost_answers")}

    @property
    def undelivered(self) -> int:
        """Messages that Pub/Sub gave up on."""
        return backlog(self._pubsub, self._lab.resources.undelivered_subscription).unacked

    def picture(self, *message_ids: str) -> str:
        """What happened, and where some messages were seen."""
        log = (self._lab.directory / "function.log").read_text(errors="replace").splitlines()
        lines = ["", *self._story, f"insertAll: {stats(self._bigquery)}"]
        lines.append(f"dead letters by reason: {Counter(r for rs in self.letters.values() for r in rs)}")
        for message_id in message_ids[:SHOWN]:
            sent = self.messages[message_id]
            lines.append(f"message {message_id}, {sent.kind}, event {sent.event_id}: {sent.data[:120]!r}")
            lines.append(f"  rows of its event, by message: {self.rows.get(sent.event_id or '', [])}")
            lines.append(f"  dead letters: {self.letters.get(message_id, [])}")
            lines += [f"  said of it: {line[:300]}" for line in log if message_id in line][-SHOWN:]
        if len(message_ids) > SHOWN:
            lines.append(f"and {len(message_ids) - SHOWN} more")
        return "\n".join([*lines, "the end of the function's log:", *(line[:300] for line in log[-SHOWN:])])

    def _strike(self, blow: Blow) -> None:
        match blow:
            case Blow.GATEWAY_RESTARTED:
                self._lab.mesh.gateway.restart()
            case Blow.BIGQUERY_UNAVAILABLE:
                order_faults(self._bigquery, OUTAGE)
            case Blow.DEAD_LETTER_TOPIC_FAILS:
                fail_publish(self._pubsub, self._lab.resources.dead_letter_topic, OUTAGE_S)
            case Blow.FUNCTION_KILLED:
                self._lab.restart_function(kill=True)
            case Blow.FUNCTION_ENDED:
                self._lab.restart_function()

    def _look(self) -> None:
        """Read all rows, and dead letters until every bad message has one; whatever else there is came before."""
        columns = "event_id, message_id, user_id, JSON_VALUE(profile, '$.user_id') AS profile_of"
        with bigquery.Client(
            project=self._lab.resources.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self._bigquery},
        ) as client:
            for row in client.query_and_wait(f"SELECT {columns} FROM `{self._lab.resources.table}`"):
                self.rows[row["event_id"]].append(row["message_id"])
                if row["profile_of"] != row["user_id"]:
                    self.mismatched.append(row["message_id"])
        letters = self._lab.resources.dead_letter_subscription
        deadline = time.monotonic() + PATIENCE_S
        while backlog(self._pubsub, letters).unacked and time.monotonic() < deadline:
            time.sleep(0.05)
        for letter in self._clients.dead_letters():
            self.letters[letter.message_id].append(letter.reason)

    def _tell(self, settled: int, what: str) -> None:
        self._story.append(f"{time.monotonic() - self._began_at:6.1f} s, {settled:6} settled: {what}")


def test_whatever_breaks_every_event_ends_in_exactly_one_place(lab: Lab, run: Run) -> None:
    run.go()
    print(run.picture())

    def ids(*, bad: bool) -> set[str]:
        return {message_id for message_id, sent in run.messages.items() if bool(sent.reason) is bad}

    good_events = {sent.event_id for sent in run.plan.sent if sent.event_id}
    lost = [i for i in ids(bad=False) if run.messages[i].event_id not in run.rows]
    assert not lost, f"good events without a row{run.picture(*lost)}"
    assert run.rows.keys() == good_events, "rows that no good event made"
    assert not run.mismatched, f"rows with another one's profile{run.picture(*run.mismatched)}"

    missed = ids(bad=True) - run.letters.keys()
    assert not missed, f"bad events without a dead letter{run.picture(*missed)}"
    wrong = run.letters.keys() - ids(bad=True)
    assert not wrong, f"good events that were dead-lettered{run.picture(*wrong)}"
    # At least once: a function killed between publishing a letter and acknowledging its event publishes it again.
    mistaken = [i for i, reasons in run.letters.items() if set(reasons) != {run.messages[i].reason}]
    assert not mistaken, f"dead letters with the wrong reason{run.picture(*mistaken)}"
    assert run.undelivered == 0, "messages that Pub/Sub gave up on"
    assert alerts(lab) == [], "all of it passes by itself, so nobody is to be woken"

    assert all(run.bigquery.values()), f"a fault of BigQuery that never struck: {run.bigquery}"
    assert run.refused_letters > 0, "the dead-letter topic refused nothing"


def test_the_plan_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert chaos.draw(SEED, 500) == chaos.draw(SEED, 500)
    assert chaos.draw(SEED, 500) != chaos.draw(SEED + 1, 500)
    assert Counter(blow for _, blow in chaos.draw(SEED, 500).blows) == Counter(
        [*Blow, Blow.GATEWAY_RESTARTED]
    )
