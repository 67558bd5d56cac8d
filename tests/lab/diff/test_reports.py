"""A comparison on a terminal and as JSON."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from meshlab.bench.report.terminal import console
from meshlab.diff.report.as_json import result_as_json
from meshlab.diff.report.terminal import print_result

from tests.lab.diff.results import ALLOWED, REFUSED, finding, result

if TYPE_CHECKING:
    from meshlab.diff.result import Result

HOSTILE = "\x1b[31mred\x1b[0m\u202e\x07"


def printed(found: Result, *, verbose: bool = False) -> str:
    out = io.StringIO()
    print_result(found, console(out), verbose=verbose)
    return out.getvalue()


def document(result: Result, exit_code: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result_as_json(result, exit_code))
    return found


def test_kinds_are_printed_the_gravest_first_with_caller_request_and_both_effects() -> None:
    text = printed(result(finding(), finding(ALLOWED, REFUSED)))
    assert text.index("now allowed: 1") < text.index("now refused: 1")
    for part in (
        "outside edge/door",
        "GET cart.example/",
        "403 by the proxy of",
        "200 by the application of",
        "[1] AuthorizationPolicy shop/readers  mesh.yaml:4",
        'spec.rules[0].to[0].operation.methods[1]: absent, now "POST"',
    ):
        assert part in text
    assert text.endswith("1 now allowed, 1 now refused; 10 requests compared\n")


def test_nothing_that_changed_is_one_line() -> None:
    assert printed(result()) == "no verdict changed; 10 requests compared\n"
    same = printed(result(is_same=True))
    assert same.startswith("no verdict changed: every proxy is configured alike")


def test_many_requests_are_cut_unless_all_are_asked_for() -> None:
    many = result(*(finding(asks=f"GET cart.example/{number}") for number in range(100)))
    assert "and 70 more; -v shows all" in printed(many)
    assert "cart.example/99" in printed(many, verbose=True)


def test_what_is_not_known_is_printed_by_reason_with_every_name() -> None:
    text = printed(result(unknown=2))
    assert text.count("EnvoyFilter a/b") == 1
    assert "unknown 0" in text
    assert "unknown 1" in text
    assert text.endswith("no verdict changed; 10 requests compared, 2 not judged\n")


def test_what_was_not_asked_is_printed_on_request() -> None:
    assert "UDP" not in printed(result())
    assert "UDP is not asked." in printed(result(), verbose=True)


def test_no_control_character_of_a_manifest_reaches_the_terminal() -> None:
    hostile = result(finding(asks=HOSTILE, name=HOSTILE), notes=(HOSTILE,), unknown=1)
    text = printed(hostile, verbose=True)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\x07" not in text


def test_the_document_has_the_documented_keys() -> None:
    found = document(result(finding(), unknown=1), 1)
    assert (found["version"], found["exit_code"]) == (1, 1)
    assert found["counts"] == {
        "compared": 10,
        "sent_again": 4,
        "not_judged": 1,
        "failed": 0,
        "nowhere": 0,
        "by_chance": 0,
        "kinds": {"now allowed": 1},
    }
    (difference,) = found["differences"]
    assert difference["kind"] == "now allowed"
    assert difference["old"]["policy"] == "none"
    assert difference["new"]["mtls"][-1]["receiver"] == "shop/cart"
    assert difference["because"] == [0]
    (changed,) = found["objects"]
    assert (changed["what"], changed["old_place"], changed["new_place"]) == (
        "changed",
        "main:mesh.yaml:1",
        "mesh.yaml:1",
    )
    assert found["not_known"][0]["new"]["unknown"] == ["mesh.yaml:7: EnvoyFilter a/b: not supported"]
