"""Free ports for servers that need their number before they start."""

from __future__ import annotations

import gc
import socket
from itertools import islice

import pytest
from meshlab.processes import ports
from meshlab.processes.ports import LOOPBACK, free_ports

from tests.house.source_texts import ROOT, tracked


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> int:
    """A range of one free port."""
    chosen = free_ports()
    port = next(chosen)
    del chosen
    monkeypatch.setattr(ports, "_FIRST", port)
    monkeypatch.setattr(ports, "_LAST", port + 1)
    return port


def test_ports_are_distinct_and_below_those_of_outgoing_connections() -> None:
    found = list(islice(free_ports(), 50))
    assert len(set(found)) == 50
    assert all(20_000 <= port < 32_000 for port in found)


def test_every_port_is_tried_once_before_it_is_said_that_none_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[int] = []
    monkeypatch.setattr(ports, "_reserve", tried.append)
    with pytest.raises(OSError, match="no free port between 20000 and 32000"):
        next(free_ports())
    assert sorted(tried) == list(range(20_000, 32_000))


def test_a_port_that_is_listened_on_is_not_chosen(window: int) -> None:
    with socket.socket() as server:
        server.bind((LOOPBACK, window))
        server.listen()
        with pytest.raises(OSError, match="no free port"):
            next(free_ports())


def test_a_chosen_port_is_kept_from_others_until_its_chooser_is_done(window: int) -> None:
    mine = free_ports()
    assert next(mine) == window
    with pytest.raises(OSError, match="no free port"):
        next(free_ports())
    del mine
    next(free_ports())


def test_a_chooser_that_is_collected_as_garbage_gives_its_port_back_without_a_warning(window: int) -> None:
    mine = free_ports()
    assert next(mine) == window
    cycle: list[object] = [mine]
    cycle.append(cycle)
    del mine, cycle
    gc.collect()  # a warning about a socket that nothing closed would fail this test
    assert next(free_ports()) == window


def test_no_reservation_of_a_port_is_dropped_before_its_server_has_bound_it() -> None:
    """Another process may take the port in between."""
    dropped = "next(free_ports())"
    files = [name for name in tracked() if name.endswith(".py") and name != "tests/lab/test_ports.py"]
    assert [name for name in files if dropped in (ROOT / name).read_text()] == []
