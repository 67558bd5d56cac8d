"""Events through the whole system: official clients, the function, the SDK, real Envoy, rows."""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest
from meshlab.certificates import private_pem
from meshlab.cloud.pubsub import backlog
from meshlab.demo.ledger import Ledger, Published
from meshlab.errors import LabError

if TYPE_CHECKING:
    from meshlab.demo.events import EventClients
    from meshlab.lab.stack import Lab

Settled = Callable[[list[Published]], Ledger]


def event(**fields: object) -> bytes:
    basic = {
        "event_id": f"e2e-{uuid.uuid4()}",
        "user_id": "u-1001",
        "type": "page_view",
        "occurred_at": "2026-11-20T08:00:00Z",
    }
    return json.dumps({**basic, **fields}).encode()


def wait_until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_an_event_becomes_a_row_with_its_profile(clients: EventClients, settled: Settled) -> None:
    (published,) = clients.publish([event(user_id="zoë-å", page="/preise")])
    assert settled([published]).rows == 1
    (row,) = clients.row(published.event_id or "")
    assert row["user_id"] == "zoë-å"
    assert row["event"]["page"] == "/preise"
    assert row["profile"]["name"] == "Zoë Ångström"
    assert row["message_id"] == published.message_id
    assert row["publish_time"] <= row["enriched_at"]
    assert len(row["trace_id"]) == 32


def test_a_repeated_event_makes_no_second_row(clients: EventClients, settled: Settled) -> None:
    repeated = event()
    published = clients.publish([repeated, repeated, repeated])
    ledger = settled(published)
    assert (ledger.rows, ledger.repeats, ledger.lost, ledger.doubled) == (1, 2, [], [])


def test_a_redelivered_push_makes_no_second_row(lab: Lab, clients: EventClients, settled: Settled) -> None:
    """The same CloudEvent again, straight to the function, as Pub/Sub sends it when an ack was lost."""
    (published,) = clients.publish([event()])
    settled([published])
    (row,) = clients.row(published.event_id or "")
    envelope = {
        "message": {
            "data": base64.b64encode(event(event_id=row["event_id"])).decode(),
            "messageId": published.message_id,
            "publishTime": "2026-11-20T08:00:01Z",
        },
        "subscription": lab.resources.subscription,
    }
    address = next(part.address for part in lab.parts if part.name == "function")
    request = Request(
        f"http://{address}/",
        data=json.dumps(envelope).encode(),
        headers={
            "content-type": "application/json",
            "ce-id": published.message_id,
            "ce-source": f"//pubsub.googleapis.com/{lab.resources.topic}",
            "ce-specversion": "1.0",
            "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
        },
    )
    with urlopen(request) as response:
        assert response.status == 200
    assert len(clients.row(published.event_id or "")) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"event_id": "broken"', "json_invalid"),
        (b"[1, 2]", "event_invalid"),
        (b'{"user_id": "u-1001", "type": "t", "occurred_at": "2026-11-20T08:00:00Z"}', "event_invalid"),
        (event(user_id="nobody"), "profile_not_found"),
        (event(user_id="../admin"), "profile_not_found"),
        (event(user_id=".."), "key_invalid"),
    ],
)
def test_a_bad_event_is_dead_lettered_with_its_reason(
    clients: EventClients, settled: Settled, data: bytes, reason: str
) -> None:
    (dead_letter,) = settled(clients.publish([data])).dead_letters
    assert dead_letter.reason == reason


def test_a_gateway_that_stops_in_mid_run_loses_nothing(
    lab: Lab, clients: EventClients, settled: Settled
) -> None:
    lab.restart_function()  # so that it remembers no profile
    before = clients.publish([event() for _ in range(40)])
    lab.mesh.gateway.stop()
    try:
        during = clients.publish([event(user_id=f"u-{1002 + number % 20}") for number in range(40)])
        subscription = lab.resources.subscription
        pubsub = lab.environment["PUBSUB_EMULATOR_HOST"]
        wait_until(lambda: backlog(pubsub, subscription).undelivered > 0)
    finally:
        lab.mesh.gateway.start()
        lab.mesh.gateway.wait_ready()
    ledger = settled([*before, *during])
    assert (ledger.rows, ledger.lost, ledger.doubled, ledger.dead_letters) == (80, [], [], [])


def test_a_function_that_is_killed_in_mid_run_loses_nothing(
    lab: Lab, clients: EventClients, settled: Settled
) -> None:
    published = clients.publish([event() for _ in range(60)])
    lab.restart_function(kill=True)
    ledger = settled(published)
    assert (ledger.rows, ledger.lost, ledger.doubled, ledger.dead_letters) == (60, [], [], [])


def test_no_log_of_any_part_holds_a_token_or_the_signing_key(
    lab: Lab, clients: EventClients, settled: Settled
) -> None:
    settled(clients.publish([event(), event(user_id="nobody"), b"not JSON"]))
    key = private_pem(lab.mesh.key.private).decode().splitlines()[1]
    logs = list(lab.directory.glob("*.log"))
    assert {"function.log", "envoy-istio-internal-gateway.access.log"} <= {path.name for path in logs}
    for path in logs:
        text = path.read_text(errors="replace")
        # An execution id has 12 characters at random, so three of them alone may be there by chance.
        assert re.search(r"eyJ[\w-]{10}", text) is None, f"{path.name} holds what looks like a JWT"
        assert key not in text, f"{path.name} holds the signing key"


def test_a_lab_starts_once(lab: Lab) -> None:
    with pytest.raises(LabError, match="started before"):
        lab.__enter__()
