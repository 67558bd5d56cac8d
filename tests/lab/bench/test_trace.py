"""Which lines of the evidence are a request's, where connections had the same two ends one after the other."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from meshlab.bench.client.reply import Reply
from meshlab.bench.evidence.follow import LineFollower
from meshlab.bench.evidence.line import EvidenceLine, parse_line
from meshlab.bench.verdicts.addresses import AddressIndex
from meshlab.bench.verdicts.trace import Tracer, evidence_key, record_key
from meshlab.istio import WorkloadRef
from meshlab.istio.envoy.placement import Address

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.bench.verdicts.verdict import Verdict

CART, STOCK = WorkloadRef("shop", "cart"), WorkloadRef("shop", "stock")
ENTRY, APP, CLIENT = "127.0.0.1:2000", "127.0.0.1:3000", "127.0.0.1:40000"
SECOND, SECOND_CLIENT = "127.0.0.1:2100", "127.0.0.1:45000"
BEGAN, ENDED = 1_700_000_000.5, 1_700_000_000.6
OWN = "spiffe://cluster.local/ns/shop/sa/own"
GATEWAY = "spiffe://cluster.local/ns/edge/sa/gateway"

REFUSED = {
    "scope": "http",
    "start": f"{BEGAN + 0.01:.6f}",
    "duration_ms": 1,
    "mark": "m",
    "status": 403,
    "details": "rbac_access_denied_matched_policy[none]",
    "peer": OWN,
}
OF_GATEWAY = {"scope": "tcp", "peer": GATEWAY, "upstream": APP, "upstream_client": "127.0.0.1:50000"}


def traced(
    tmp_path: Path,
    lines: list[dict[str, Any]],
    reply: Reply,
    *records: dict[str, Any],
    later: list[dict[str, Any]] | None = None,
) -> Verdict:
    """The verdict where the proxy logged these lines, others `later`, and the application these records."""
    evidence = LineFollower[EvidenceLine](
        lambda _, text: parse_line(STOCK if json.loads(text)["client"] == SECOND_CLIENT else CART, text),
        lambda line: (evidence_key(line.proxy, line.client, line.server),),
    )
    recorded = LineFollower[dict[str, Any]](
        lambda _, text: json.loads(text), lambda record: (record_key(record["port"], record["peer"]),)
    )
    evidence.follow("log", tmp_path / "log")
    recorded.follow("record", tmp_path / "record")

    def write(lines: list[dict[str, Any]]) -> None:
        with (tmp_path / "log").open("a") as log:
            log.writelines(json.dumps({"client": CLIENT, "server": ENTRY} | line) + "\n" for line in lines)

    write(lines)
    writer = threading.Timer(0.05, write, [later or []])
    writer.start()
    with (tmp_path / "record").open("a") as log:
        log.writelines(json.dumps(record) + "\n" for record in records)
    addresses: Any = SimpleNamespace(
        ports={(CART, 80): Address("127.0.0.1", 2000), (STOCK, 80): Address("127.0.0.1", 2100)},
        apps={(CART, 80): Address("127.0.0.1", 3000)},
        external={},
        outbound={},
        internet=Address("127.0.0.1", 4000),
    )
    mesh: Any = SimpleNamespace(
        versions={}, relay="", relayed=lambda _: None, address_conditions=lambda _: (), sources={}
    )
    tracer = Tracer(AddressIndex(addresses), evidence, recorded, frozenset({APP}), mesh)
    try:
        return tracer.trace(replace(reply, began=BEGAN, ended=ENDED), ENTRY, "m")
    finally:
        writer.join()
        evidence.close()
        recorded.close()


@pytest.mark.parametrize("start", [BEGAN - 0.001, ENDED + 0.001], ids=["before", "after"])
def test_a_request_on_a_connection_that_had_the_clients_port_before_or_after_is_no_evidence(
    tmp_path: Path, start: float
) -> None:
    """It has no mark, and neither has a request of this client that could not be read."""
    other = OF_GATEWAY | {"scope": "http", "start": f"{start:.6f}", "duration_ms": 0}
    for lines in ([other, REFUSED], [REFUSED, other]):
        verdict = traced(tmp_path, lines, Reply(CLIENT, 403))
        assert verdict.proxy == CART
        assert [hop.line.peer for hop in verdict.hops] == [OWN]


@pytest.mark.parametrize("start", [BEGAN - 0.001, ENDED + 0.001], ids=["before", "after"])
@pytest.mark.parametrize("scope", ["tcp", "connection"])
def test_without_its_own_line_a_request_has_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: float, scope: str
) -> None:
    monkeypatch.setattr("meshlab.bench.verdicts.trace._TIMEOUT_S", 0.0)
    other = OF_GATEWAY | {"scope": scope, "start": f"{start:.6f}", "duration_ms": 0}
    verdict = traced(tmp_path, [other], Reply(CLIENT, 403))
    assert "logged nothing about the request" in verdict.missing


def test_the_end_of_a_connection_is_no_evidence_while_the_line_of_an_answer_may_come(tmp_path: Path) -> None:
    """The clock cannot distinguish two connections where one was opened and closed as the client began."""
    other = OF_GATEWAY | {"scope": "connection", "start": f"{BEGAN:.6f}", "duration_ms": 0, "upstream": ""}
    verdict = traced(tmp_path, [other], Reply(CLIENT, 403), later=[REFUSED])
    assert verdict.proxy == CART
    assert [hop.line.peer for hop in verdict.hops] == [OWN]


@pytest.mark.parametrize("late", [0.0, 0.2], ids=["accepted at once", "accepted after the client has gone"])
def test_a_connection_without_an_answer_is_the_first_of_those_that_had_the_clients_port(
    tmp_path: Path, late: float
) -> None:
    own = REFUSED | {"start": f"{BEGAN + 0.01 + late:.6f}"}
    later = OF_GATEWAY | {"scope": "connection", "start": f"{ENDED + 0.2:.6f}", "duration_ms": 0}
    for lines in ([own], [own, later], [later, own]):
        verdict = traced(tmp_path, lines, Reply(CLIENT, failure="no answer in time"))
        assert verdict.proxy == CART
        assert [hop.line.peer for hop in verdict.hops] == [OWN]


FIRST_HOP = OF_GATEWAY | {
    "start": f"{BEGAN + 0.01:.6f}",
    "duration_ms": 20,
    "peer": OWN,
    "upstream": SECOND,
    "upstream_client": SECOND_CLIENT,
}


def second_hop(start: float, duration_ms: int, peer: str) -> list[dict[str, Any]]:
    """What the second proxy logs about a connection of the first one that it refuses."""
    line = {"scope": "tcp", "client": SECOND_CLIENT, "server": SECOND, "start": f"{start:.6f}"}
    line |= {"peer": peer, "termination": "rbac_access_denied_matched_policy[none]"}
    return [line | {"log_type": "TcpUpstreamConnected"}, line | {"duration_ms": duration_ms}]


@pytest.mark.parametrize("answered", [False, True], ids=["no answer", "answered"])
def test_a_tcp_proxy_may_give_a_client_a_connection_that_it_opened_for_another_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    """Of connections opened at the same time, the client that came first gets the one that is ready first."""
    monkeypatch.setattr("meshlab.bench.verdicts.trace._WRITTEN_S", 0.1)
    own = second_hop(BEGAN + 0.005, 15, OWN)
    others = [
        *second_hop(BEGAN - 0.1, 50, GATEWAY),
        *second_hop(BEGAN + 0.001, 2, GATEWAY),
        *second_hop(ENDED + 0.1, 2, GATEWAY),
    ]
    reply = Reply(CLIENT, body=b"x") if answered else Reply(CLIENT, failure="closed")
    for lines in ([FIRST_HOP, *own, *others], [*others, *own, FIRST_HOP]):
        verdict = traced(tmp_path, lines, reply)
        assert [hop.workload for hop in verdict.hops] == [CART, STOCK]
        assert [hop.line.peer for hop in verdict.hops] == [OWN, OWN]


def test_a_connection_that_a_proxy_opened_for_the_client_comes_before_an_older_one_that_was_still_open(
    tmp_path: Path,
) -> None:
    """Where the port was given again in that time, the line of the client's own comes later."""
    own, older = second_hop(BEGAN + 0.012, 15, OWN), second_hop(BEGAN + 0.005, 6, GATEWAY)
    verdict = traced(tmp_path, [FIRST_HOP, *older], Reply(CLIENT, failure="closed"), later=own)
    assert [hop.line.peer for hop in verdict.hops] == [OWN, OWN]


def test_a_proxy_whose_policy_refuses_a_connection_refused_it_and_not_the_one_that_it_had_connected_to(
    tmp_path: Path,
) -> None:
    refused = FIRST_HOP | {
        "termination": "rbac_access_denied_matched_policy[ns[shop]-policy[closed]-rule[0]]"
    }
    unused = {
        "scope": "connection",
        "client": SECOND_CLIENT,
        "server": SECOND,
        "peer": GATEWAY,
        "duration_ms": 1,
    }
    unused |= {"start": f"{BEGAN + 0.012:.6f}"}
    verdict = traced(tmp_path, [refused, unused], Reply(CLIENT, failure="closed"))
    assert verdict.proxy == CART
    assert "shop/closed, rule 0" in verdict.reason


def test_what_an_application_received_before_on_the_same_connection_is_another_requests(
    tmp_path: Path,
) -> None:
    passed_on = OF_GATEWAY | {"start": f"{BEGAN + 0.001:.6f}", "duration_ms": 2, "peer": OWN}
    record = {
        "port": 3000,
        "peer": "127.0.0.1:50000",
        "mark": "",
        "app": "shop/cart",
        "method": "",
        "tls": None,
    }
    record |= {"target": "", "host": "", "headers": [], "body": "", "protocol": "TCP", "version": ""}
    records = [record | {"at": BEGAN + 0.002, "body": "own"}, record | {"at": BEGAN - 1, "body": "old"}]
    verdict = traced(tmp_path, [passed_on], Reply(CLIENT, body=b"x"), *records)
    assert verdict.received is not None
    assert verdict.received.body == "own"


def test_a_line_says_when_what_it_is_about_was_over() -> None:
    text = json.dumps({"scope": "tcp", "start": "1700000000.250000", "duration_ms": 12})
    assert parse_line(CART, text).end == pytest.approx(1_700_000_000.263)
    begun = json.dumps({"scope": "tcp", "start": "1700000000.250000", "log_type": "TcpUpstreamConnected"})
    assert parse_line(CART, begun).end == float("inf")
