"""Reaching the lab through the official clients, as a user's program would."""

import time
from collections.abc import Callable, Iterator

import pytest
from meshlab.demo.events import EventClients
from meshlab.demo.ledger import Ledger, Published, balance
from meshlab.stack import Lab

_TIMEOUT_S = 60.0


@pytest.fixture
def clients(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[EventClients]:
    """Official clients in the lab's environment."""
    for name, value in lab.environment.items():
        monkeypatch.setenv(name, value)
    connected = EventClients(lab.resources)
    yield connected
    connected.close()


@pytest.fixture
def settled(clients: EventClients) -> Callable[[list[Published]], Ledger]:
    """Wait until every message is somewhere, and return the balance of these messages alone."""

    def wait(published: list[Published]) -> Ledger:
        ours = {message.event_id for message in published}
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            rows = [row for row in clients.rows() if row.event_id in ours]
            ledger = balance(published, rows, clients.dead_letters())
            if not ledger.lost or time.monotonic() > deadline:
                return ledger
            time.sleep(0.1)

    return wait
