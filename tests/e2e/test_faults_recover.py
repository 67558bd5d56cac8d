"""Faults of ours: no event pays for them, one alert reports them, and mending them is enough."""

from __future__ import annotations

import json
import re
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from meshlab.bench.signing_keys import SigningKey

from tests.e2e.conftest import alerts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from meshlab.demo.events import EventClients
    from meshlab.demo.ledger import Ledger, Published
    from meshlab.lab.project import Project
    from meshlab.lab.stack import Lab

    from tests.conftest import Edited
    from tests.e2e.conftest import OwnLab

    Settled = Callable[[list[Published]], Ledger]

PATIENCE_S = 60.0
WARM = 128
"""Pub/Sub begins with one push at a time and doubles; after so many it sends as many at once as it ever does."""
ALERT_EVERY_S = 60.0
POLICY = "infra/mesh/ingress/generated/caller-enrichment.yaml"


@pytest.fixture
def lab(own_lab: OwnLab) -> Lab:
    return own_lab()


def event(user_id: str) -> bytes:
    fields = {"event_id": f"fault-{uuid.uuid4()}", "user_id": user_id, "type": "page_view"}
    return json.dumps({**fields, "occurred_at": "2026-11-20T08:00:00Z"}).encode()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def refused(lab: Lab) -> set[str]:
    """The messages that the function nacked as a fault, as Pub/Sub reports it."""
    log = (lab.directory / "pubsub.log").read_text(errors="replace")
    return set(re.findall(r"push of message (\d+), .* was not acknowledged: status 500", log))


@contextmanager
def signing_key_expired(lab: Lab, edited: Edited, project: Project) -> Iterator[None]:
    """The mesh trusts another key than the function signs with."""
    lab.mesh.publish_keys(SigningKey.generate().jwks)
    yield
    lab.mesh.publish_keys(lab.mesh.key.jwks)


@contextmanager
def policy_denies(lab: Lab, edited: Edited, project: Project) -> Iterator[None]:
    """The gateway's policy lets no caller read profiles."""
    lab.mesh.apply(edited((POLICY, "              - GET\n", "              - PUT\n")))
    yield
    lab.mesh.apply(project)


@contextmanager
def table_missing(lab: Lab, edited: Edited, project: Project) -> Iterator[None]:
    """The table is deleted, and created anew."""
    name, dataset, table = lab.resources.table.split(".")
    reference = {"projectId": name, "datasetId": dataset, "tableId": table}
    with bigquery.Client(
        project=name,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": lab.environment["BIGQUERY_EMULATOR_HOST"]},
    ) as client:
        client.delete_table(lab.resources.table)
        yield
        definition = lab.pipeline.targets[0].definition
        client.create_table(bigquery.Table.from_api_repr({**definition, "tableReference": reference}))


@pytest.mark.parametrize(
    "fault", [signing_key_expired, policy_denies, table_missing], ids=lambda fault: fault.__name__
)
def test_a_fault_of_ours_costs_no_event_alerts_once_and_is_over_when_mended(
    lab: Lab,
    clients: EventClients,
    settled: Settled,
    edited: Edited,
    project: Project,
    fault: Callable[[Lab, Edited, Project], AbstractContextManager[None]],
) -> None:
    assert settled(clients.publish([event("u-1001") for _ in range(WARM)])).rows == WARM
    process, began = lab.function.pid, time.monotonic()
    with fault(lab, edited, project):
        # Of users that were not looked up before: what is remembered would hide a mesh that refuses.
        published = clients.publish([event(f"u-10{number:02}") for number in range(2, 32)])
        wait_until(lambda: len(refused(lab)) == len(published))
    ledger = settled(published)
    assert (ledger.rows, ledger.lost, ledger.doubled) == (len(published), [], [])
    assert clients.dead_letters() == []
    assert lab.function.pid == process, "it recovered without a restart"
    assert 1 <= len(alerts(lab)) <= 1 + (time.monotonic() - began) // ALERT_EVERY_S


def test_a_thousand_events_for_one_cold_key_at_once_are_one_lookup(
    lab: Lab, clients: EventClients, settled: Settled
) -> None:
    assert settled(clients.publish([event("u-1001") for _ in range(WARM)])).rows == WARM
    before = lab.mesh.requests_served
    ledger = settled(clients.publish([event("u-1002") for _ in range(1000)]))
    assert (ledger.rows, ledger.lost, ledger.doubled) == (1000, [], [])
    assert lab.mesh.requests_served - before == 1
