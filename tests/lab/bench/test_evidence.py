"""The bench's own access loggers, and reading what they write."""

from __future__ import annotations

import copy
import json
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from meshlab.bench.evidence.follow import LineFollower
from meshlab.bench.evidence.instrument import instrument
from meshlab.bench.evidence.line import parse_line
from meshlab.bench.verdicts.hop import Hop
from meshlab.istio import WorkloadRef

REF = WorkloadRef("shop", "cart")
LOG = Path("/run/cart.log")
EXT = "type.googleapis.com/envoy.extensions."
HCM = {"@type": f"{EXT}filters.network.http_connection_manager.v3.HttpConnectionManager"}
TCP = {"@type": f"{EXT}filters.network.tcp_proxy.v3.TcpProxy"}
RBAC = {"@type": f"{EXT}filters.network.rbac.v3.RBAC"}
OWN = {"name": "envoy.access_loggers.file", "typedConfig": {"path": "/dev/stdout"}}


def chain(*configs: dict[str, Any], spelling: str = "typedConfig") -> dict[str, Any]:
    return {"filters": [{"name": "x", spelling: copy.deepcopy(config)} for config in configs]}


BOOTSTRAP: dict[str, Any] = {
    "staticResources": {
        "listeners": [
            {"name": "one", "filterChains": [chain(RBAC, TCP), chain({**HCM, "accessLog": [OWN]})]},
            {"name": "two", "bindToPort": False, "defaultFilterChain": chain(HCM, spelling="typed_config")},
            {"name": "three", "filter_chains": [chain({**TCP, "access_log": [OWN]})]},
        ]
    }
}


def loggers(value: object) -> list[dict[str, Any]]:
    """Every logger of the bench in a configuration."""
    if isinstance(value, dict):
        own = [value] if value.get("name") == "meshlab.evidence" else []
        return own + [logger for inner in value.values() for logger in loggers(inner)]
    return [logger for inner in value for logger in loggers(inner)] if isinstance(value, list) else []


def test_every_listener_manager_and_tcp_proxy_gets_one_logger() -> None:
    found = [
        logger["typedConfig"]["logFormat"]["jsonFormat"] for logger in loggers(instrument(BOOTSTRAP, LOG))
    ]
    assert sorted((form["listener"], form["scope"]) for form in found) == [
        ("one", "connection"),
        ("one", "http"),
        ("one", "tcp"),
        ("three", "connection"),
        ("three", "tcp"),
        ("two", "connection"),
        ("two", "http"),
    ]


def test_the_given_configuration_is_not_changed_and_its_own_loggers_stay() -> None:
    before = copy.deepcopy(BOOTSTRAP)
    text = json.dumps(instrument(BOOTSTRAP, LOG))
    assert before == BOOTSTRAP
    assert text.count('"/dev/stdout"') == 2


def test_instrumenting_again_changes_nothing_but_the_file() -> None:
    once = instrument(BOOTSTRAP, LOG)
    assert instrument(once, LOG) == once
    assert {logger["typedConfig"]["path"] for logger in loggers(instrument(once, Path("/other")))} == {
        "/other"
    }


def test_client_addresses_are_accepted_where_they_are_asked_for_and_listeners_bind() -> None:
    assert instrument(BOOTSTRAP, LOG) == instrument(BOOTSTRAP, LOG, accept_client_addresses=False)
    one, two, three = instrument(BOOTSTRAP, LOG, accept_client_addresses=True)["staticResources"]["listeners"]
    assert "listenerFilters" not in two
    for listener in (one, three):
        (accepting,) = listener["listenerFilters"]
        assert accepting["typedConfig"]["allowRequestsWithoutProxyProtocol"] is True


def test_an_envoy_gets_no_log_field_that_it_does_not_know() -> None:
    field = "DOWNSTREAM_LOCAL_CLOSE_REASON"
    assert field in json.dumps(instrument(BOOTSTRAP, LOG, envoy=(1, 38)))
    assert field not in json.dumps(instrument(BOOTSTRAP, LOG, envoy=(1, 37)))


def test_a_line_is_read_with_what_it_holds_and_nothing_else() -> None:
    text = json.dumps({"scope": "http", "status": 403, "flags": None, "sni": "-", "client": "127.0.0.1:5"})
    line = parse_line(REF, text)
    assert (line.status, line.flags, line.sni, line.client) == (403, "", "", "127.0.0.1:5")
    for wrong in ("", "no JSON", "[]", "{}"):
        with pytest.raises(ValueError, match=r"Expecting value|another logger"):
            parse_line(REF, wrong)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"details": "rbac_access_denied_matched_policy[none]"}, "no ALLOW policy matched"),
        (
            {"termination": "rbac_access_denied_matched_policy[ns[a]-policy[b]-rule[3]]"},
            "denied by AuthorizationPolicy a/b, rule 3",
        ),
        ({"details": "jwt_authn_access_denied{Jwt_is_expired}"}, "token refused: Jwt is expired"),
        ({"details": "route_not_found", "flags": "NR"}, "no route or filter chain matches; route_not_found"),
        ({"flags": "XX"}, "response flag XX"),
        ({"details": "direct_response"}, "direct_response"),
        (
            {"details": "direct_response", "route": "block_all"},
            "no Service or ServiceEntry that the proxy sees has this host (block_all)",
        ),
        ({"details": "via_upstream"}, ""),
        (
            {"flags": "UF,URX", "upstream_failure": "delayed_connect_error:_Connection_refused"},
            "the connection to the upstream failed: connection refused",
        ),
        (
            {"flags": "UF", "upstream_failure": "immediate connect error: Network is unreachable"},
            "the connection to the upstream failed: network is unreachable",
        ),
    ],
)
def test_what_a_proxy_decided_is_said_in_words(fields: dict[str, str], words: str) -> None:
    line = parse_line(REF, json.dumps({"scope": "http", **fields}))
    assert Hop(REF, "inbound", 8080, line).reason == words


def follower() -> LineFollower[str]:
    def parse(label: str, text: str) -> str:
        if text == "broken":
            raise ValueError(text)
        return f"{label}:{text}"

    return LineFollower(parse, lambda line: (line.partition(":")[2][:1],))


def test_lines_are_found_by_their_key_once_they_are_complete(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a old\n")
    lines = follower()
    lines.follow("one", path)
    with path.open("a") as log:
        log.write("a1\nbroken\nb1\na")
        log.flush()
        assert lines.wait(lambda: lines.lines("b"), 0) == ["one:b1"]
        assert lines.lines("a") == ["one:a1"]
        log.write("2\n")
        log.flush()
        assert lines.wait(lambda: lines.lines("a")[1:], 0) == ["one:a2"]
    lines.drop(lambda line: line.endswith("1"))
    assert lines.lines("a") == ["one:a2"]
    lines.close()


def later_lines(lines: LineFollower[str], number: int) -> list[str] | None:
    return lines.lines("a")[number:] or None


def test_a_line_that_was_kept_is_not_asked_about_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = follower()
    lines.follow("one", path)
    asked: list[str] = []

    def unneeded(line: str) -> bool:
        asked.append(line)
        return False

    for number, text in enumerate(("a1\n", "a2\n")):
        with path.open("a") as log:
            log.write(text)
        assert lines.wait(partial(later_lines, lines, number), 10)
        lines.drop(unneeded)
    # Its key is looked through once more when another line comes under it, and no other key is.
    assert asked == ["one:a1", "one:a1", "one:a2"]
    lines.drop(unneeded)
    assert len(asked) == 3
    assert lines.lines("a") == ["one:a1", "one:a2"]
    lines.close()


def test_waiting_ends_with_what_is_found_or_with_the_time(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = follower()
    lines.follow("one", path)
    assert lines.wait(lambda: lines.lines("a") or None, 0) is None
    writer = threading.Timer(0, lambda: path.write_text("a1\n"))
    writer.start()
    assert lines.wait(lambda: lines.lines("a") or None, 10) == ["one:a1"]
    writer.join()
    lines.close()
