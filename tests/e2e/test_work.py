"""Events through the pull worker in place of the function: nothing lost and nothing doubled, whatever breaks."""

from __future__ import annotations

import json
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from meshlab.cloud.pubsub import PullFaults, backlog, end_streams, fail_pull, pull_counts
from meshlab.demo.ledger import Ledger, Published
from meshlab.lab.stack import Driver, Lab

if TYPE_CHECKING:
    from meshlab.demo.events import EventClients
    from meshlab.lab.project import Project

Settled = Callable[[list[Published]], Ledger]

# The shortest lease: what a killed worker held comes again after it.
SETTINGS = {"WORK_LEASE_S": "10", "WORK_DRAIN_S": "2", "WORK_MAX_MESSAGES": "32"}


# Rows of the second have no insertId, so a second row of an event is there until it is de-duplicated.
WRITERS = ("insert-all", "storage-write")


@pytest.fixture(scope="module", params=WRITERS)
def writer(request: pytest.FixtureRequest) -> str:
    """What writes rows."""
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def lab(project: Project, writer: str) -> Iterator[Lab]:
    """The lab with the worker, in place of that of the session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
        with Lab(project, driver=Driver.WORK, settings={**SETTINGS, "BIGQUERY_WRITER": writer}) as lab:
            yield lab


def event(**fields: object) -> bytes:
    basic = {
        "event_id": f"e2e-{uuid.uuid4()}",
        "user_id": "u-1001",
        "type": "page_view",
        "occurred_at": "2026-11-20T08:00:00Z",
    }
    return json.dumps({**basic, **fields}).encode()


def log(lab: Lab) -> list[dict[str, str]]:
    lines = (lab.directory / "function.log").read_text(errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_an_event_becomes_a_row_and_a_bad_one_a_dead_letter(
    lab: Lab, clients: EventClients, settled: Settled
) -> None:
    good, bad = clients.publish([event(user_id="zoë-å", page="/preise"), b'{"event_id": "broken"'])
    ledger = settled([good, bad])
    assert (ledger.rows, [dead_letter.reason for dead_letter in ledger.dead_letters]) == (1, ["json_invalid"])
    (row,) = clients.row(good.event_id or "")
    assert row["profile"]["name"] == "Zoë Ångström"
    assert row["message_id"] == good.message_id
    assert len(row["trace_id"]) == 32


def test_nothing_is_lost_or_doubled_while_the_worker_its_streams_and_its_acks_break(
    lab: Lab, clients: EventClients, settled: Settled, writer: str
) -> None:
    host, subscription = lab.environment["PUBSUB_EMULATOR_HOST"], lab.resources.subscription
    published: list[Published] = []

    def publish(number: int) -> None:
        published.extend(clients.publish([event(user_id=f"u-{1001 + each % 30}") for each in range(number)]))

    # Acks without effect: their messages come again after the lease, and so make their rows again.
    fail_pull(host, subscription, PullFaults(lost_ack_share=0.1, lost_answer_share=0.2, seed=13))
    publish(100)
    wait_until(lambda: pull_counts(host, subscription).lost_acks > 0)
    fail_pull(host, subscription, PullFaults(stream_life_s=0.2))
    publish(100)
    wait_until(lambda: pull_counts(host, subscription).streams_ended > 3)
    fail_pull(host, subscription, PullFaults())
    lab.function.signal(signal.SIGSTOP)
    publish(100)
    lab.function.signal(signal.SIGCONT)
    wait_until(lambda: backlog(host, subscription).outstanding > 0)
    lab.kill_function()
    assert backlog(host, subscription).outstanding > 0, "it was killed in the middle of events"
    lab.restart_function()
    publish(100)
    lab.restart_function()  # SIGTERM, and a drain
    fail_pull(host, subscription, PullFaults(unavailable_s=1.0))
    publish(50)
    end_streams(host, subscription, "INTERNAL")
    settled(published)
    wait_until(lambda: backlog(host, subscription).unacked == 0)  # what comes a second time has come
    ledger = settled(published)
    assert (ledger.lost, ledger.contradicted, ledger.dead_letters) == ([], [], [])
    if writer == "insert-all":
        assert (ledger.rows, ledger.doubled) == (450, [])
    ours = {one.event_id for one in published}
    identities = {(row.event_id, row.message_id) for row in clients.rows() if row.event_id in ours}
    assert len(identities) == 450, "one row of each event, once they are de-duplicated"
    drained = [line["message"] for line in log(lab) if line["message"].startswith("drained in")]
    assert len(drained) >= 1
    assert not [line for line in log(lab) if line["severity"] in {"ERROR", "CRITICAL"}]


def test_a_gateway_that_stops_in_mid_run_loses_nothing(
    lab: Lab, clients: EventClients, settled: Settled
) -> None:
    lab.restart_function()  # so that it remembers no profile
    before = clients.publish([event() for _ in range(40)])
    lab.mesh.gateway.stop()
    try:
        during = clients.publish([event(user_id=f"u-{1002 + number % 20}") for number in range(40)])
        wait_until(lambda: any(line["message"].startswith("retry") for line in log(lab)))
    finally:
        lab.mesh.gateway.start()
        lab.mesh.gateway.wait_ready()
    ledger = settled([*before, *during])
    assert (ledger.rows, ledger.lost, ledger.doubled, ledger.dead_letters) == (80, [], [], [])


def test_a_drained_worker_holds_no_message_and_ends_with_0(
    lab: Lab, clients: EventClients, settled: Settled
) -> None:
    host, subscription = lab.environment["PUBSUB_EMULATOR_HOST"], lab.resources.subscription
    published = clients.publish([event(user_id=f"u-{1001 + number % 30}") for number in range(300)])
    lab.function.signal(signal.SIGTERM)
    wait_until(lambda: not lab.function.running)
    assert "exit code 0" in lab.function.ended
    assert backlog(host, subscription).outstanding == 0, "other workers need not wait for the end of a lease"
    lab.restart_function()
    ledger = settled(published)
    assert (ledger.rows, ledger.lost, ledger.doubled) == (300, [], [])
