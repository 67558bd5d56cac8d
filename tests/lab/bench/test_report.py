"""Reports of a run: what a person reads, what CI reads, what a program reads."""

from __future__ import annotations

import json
from io import StringIO
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.report import terminal
from meshlab.bench.report.json_report import run_as_json
from meshlab.bench.report.junit import run_as_junit
from meshlab.bench.report.outcome_texts import expected, printable
from meshlab.bench.report.outcome_texts import request as request_words
from meshlab.bench.report.progress import Progress
from meshlab.bench.session import Choice, run_cases
from rich.console import Console

from tests.lab.bench.fakes import CART, FakeMesh, answered, refused

if TYPE_CHECKING:
    from meshlab.bench.report.run import Run
    from meshlab.bench.verdicts.verdict import Verdict

TEXT = """\
callers: {internet: {outside: istio-ingress/gateway}, cart: {workload: shop/cart}}
defaults: {from: internet}
cases:
  - name: alice reads an order
    request: GET https://shop.example/orders/1
    expect: 200 orders/orders
  - name: a stranger is refused
    request: GET https://shop.example/orders/1
    expect: {status: 403, proxy: istio-ingress/gateway, policy: none, says: access denied}
  - {name: over an EnvoyFilter, request: 'http://a.example/', expect: 200}
matrix:
  - name: orders
    columns:
      read: GET https://shop.example/orders/1
      write: POST https://shop.example/orders
    rows: {internet: internet, cart: cart}
    expect:
      internet: [403 istio-ingress/gateway, '-']
      cart: [200 orders/orders, 403 orders/orders]
"""
FILE = parse_case_file(TEXT, "tests/orders.yaml")
FILTER = "mesh.yaml:7: EnvoyFilter shop/limits: spec.configPatches: is not supported"
GOOD: dict[str, Verdict | str] = {
    "a stranger is refused": refused(403),
    "orders: internet / read": refused(403),
    "orders: cart / write": refused(403, proxy=type(CART)("orders", "orders")),
}


def run_of(**verdicts: Verdict | str) -> Run:
    named = {name.replace("_", " "): verdict for name, verdict in verdicts.items()}
    return run_cases(FakeMesh({**GOOD, **named}, notes=("a note",), refusals=(FILTER,)), [FILE], Choice())


def shown(run: Run, *, width: int = 80, verbose: bool = False) -> str:
    out = StringIO()
    terminal.full(run, Console(file=out, width=width, highlight=False, markup=False), verbose=verbose)
    return out.getvalue()


BROKEN: dict[str, Verdict | str] = {"alice_reads_an_order": refused(403), "over_an_EnvoyFilter": FILTER}


def test_a_run_that_passes_is_one_line() -> None:
    assert shown(run_of()).startswith("6 passed in 0.")
    assert len(shown(run_of()).splitlines()) == 1


def test_failures_come_first_then_what_is_not_judged_then_the_counts() -> None:
    lines = shown(run_of(**BROKEN)).splitlines()
    assert lines[0] == "✗ alice reads an order"
    text = "\n".join(lines)
    assert text.index("✗ alice") < text.index("not judged, because") < text.index("1 failed")
    assert lines[-1].startswith("1 failed, 1 not judged, 4 passed in ")


def test_a_failure_says_what_was_expected_what_happened_who_answered_the_hops_and_where_the_case_stands() -> (
    None
):
    text = shown(run_of(**BROKEN), width=100)
    for line in (
        "  at        tests/orders.yaml:4",
        "  request   GET https://shop.example/orders/1",
        "  expected  200 by the application of orders/orders",
        "  got       403 by the proxy of istio-ingress/gateway: no ALLOW policy matched, saying 'RBAC: access",
        "  differs   status, app",
        "  hops      1. istio-ingress/gateway gateway 8443: 403 no ALLOW policy matched",
        "               listener 0.0.0.0_8443",
        "               route orders",
    ):
        assert line in text.splitlines()


def test_a_header_that_differs_is_shown_because_the_other_lines_do_not() -> None:
    text = TEXT.replace(
        "expect: 200 orders/orders\n", "expect: {status: 200, headers: {x-team: orders}}\n", 1
    )
    run = run_cases(FakeMesh(GOOD), [parse_case_file(text, "f.yaml")], Choice())
    assert "  differs   headers.x-team: expected 'orders', got no such header" in shown(run).splitlines()


def test_cases_that_are_not_judged_are_grouped_by_their_reason_and_say_where_they_stand() -> None:
    text = shown(run_of(over_an_EnvoyFilter=FILTER, a_stranger_is_refused=FILTER))
    assert text.count("EnvoyFilter shop/limits") == 1
    assert "over an EnvoyFilter  (tests/orders.yaml:10)" in text
    assert "a stranger is refused  (tests/orders.yaml:7)" in text


def test_a_case_that_could_not_be_run_says_why() -> None:
    text = shown(run_of(alice_reads_an_order="error: no port is free"))
    assert "  error     error: no port is free" in text
    assert "1 could not be run, 5 passed" in text


def test_cases_that_could_not_be_run_for_one_reason_are_shown_together() -> None:
    why = "error: the proxy of orders/orders does not run: Envoy refused its configuration"
    text = shown(run_of(over_an_EnvoyFilter=why, a_stranger_is_refused=why))
    assert text.count("does not run") == 1
    assert "could not be run:" in text.splitlines()
    assert "over an EnvoyFilter  (tests/orders.yaml:10)" in text
    assert "2 could not be run, 4 passed" in text


def test_everything_is_shown_when_asked_for() -> None:
    text = shown(run_of(), verbose=True)
    assert "note: a note" in text
    assert f"refused: {FILTER}"[:70] in text
    assert "orders: cart / write" in text
    assert "✓ 200" in text


def test_a_matrix_is_a_table_of_verdicts_and_is_shown_when_a_cell_of_it_failed() -> None:
    broken = {"orders: cart / read": refused(403), **GOOD}
    run = run_cases(FakeMesh(broken), [FILE], Choice())
    rows = [line.split("  ") for line in shown(run).splitlines()]
    cells = [[part.strip() for part in row if part.strip()] for row in rows]
    assert ["read", "write"] in cells
    assert ["internet", "✓ 403", "-"] in cells
    assert ["cart", "✗ 403, not 200", "✓ 403"] in cells
    assert "internet" not in shown(run_of())


def test_columns_that_do_not_fit_go_below_each_other() -> None:
    columns = {f"a request of number {number}": f"GET https://a.example/{number}" for number in range(8)}
    text = json.dumps(
        {
            "matrix": [
                {"name": "wide", "columns": columns, "rows": {"r": {"from": {"workload": "shop/cart"}}},
                 "expect": {"r": ["404"] * 8}}
            ]
        }
    )  # fmt: skip
    case_file = parse_case_file(text, "wide.yaml")
    out = shown(run_cases(FakeMesh(), [case_file], Choice()), width=80)
    table = out[out.index("\nwide") :]
    assert max(map(len, table.splitlines())) <= 80
    for name in columns:
        assert name in table
    assert table.count("✗ 200, not 404") == 8


@pytest.mark.parametrize("width", [40, 60, 80, 132])
def test_no_line_is_longer_than_the_terminal_is_wide(width: int) -> None:
    text = shown(run_of(**BROKEN), width=width, verbose=True)
    assert max(map(len, text.splitlines())) <= width
    assert all(line == line.rstrip() for line in text.splitlines())


def test_what_a_response_holds_does_not_command_the_terminal() -> None:
    evil = answered(500, body=b"\x1b[2J\x1b]0;title\x07 word\r\nnext")
    text = shown(run_of(alice_reads_an_order=evil))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert printable("a\x1b[2Jb\nc") == "a�[2Jb c"


def test_a_token_in_a_url_is_not_shown() -> None:
    token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.c2ln"
    for name, value in (("access_token", "opaque"), ("jwt", token)):
        case = f"cases: [{{name: a, from: {{workload: a/b}}, request: 'GET http://a/?{name}={value}', expect: 200}}]"
        (found,) = parse_case_file(case, "cases.yaml").cases
        assert request_words(found) == f"GET http://a/?{name}=<token>"


def test_colours_go_to_a_terminal_only_and_not_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    def painted() -> str:
        out = StringIO()
        monkeypatch.setattr(out, "isatty", lambda: True, raising=False)
        terminal.full(run_of(**BROKEN), terminal.console(out))
        return out.getvalue()

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in painted()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in painted()


def test_progress_is_one_line_on_a_terminal_and_none_of_a_short_run_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def shown_on(stream: StringIO, *, shown: bool = True) -> list[str]:
        with Progress(stream, shown=shown) as bar:
            run_cases(
                FakeMesh({**GOOD, **{name.replace("_", " "): found for name, found in BROKEN.items()}}),
                [FILE],
                Choice(),
                began=bar.began,
                happened=bar.happened,
            )
        return stream.getvalue().split("\r\x1b[K")

    assert shown_on(StringIO()) == [""]
    terminal_stream = StringIO()
    monkeypatch.setattr(terminal_stream, "isatty", lambda: True, raising=False)
    lines = shown_on(terminal_stream)
    assert lines[1:4] == ["starting the mesh", "starting the proxies that 6 cases touch", "1 of 6 cases"]
    assert lines[-2:] == ["6 of 6 cases, 1 failed", ""]
    monkeypatch.setenv("TERM", "dumb")
    assert shown_on(terminal_stream)[1:] == lines[1:]  # nothing new: a terminal that cannot move its cursor
    quiet = StringIO()
    monkeypatch.setattr(quiet, "isatty", lambda: True, raising=False)
    assert shown_on(quiet, shown=False) == [""]


def test_a_pipe_gets_a_plain_line_of_progress_every_ten_seconds() -> None:
    time_s = 0.0
    stream = StringIO()
    with Progress(stream, what="requests", now=lambda: time_s) as bar:
        bar.began(400)
        for _ in range(30):
            time_s += 1
            bar.step()
    assert stream.getvalue().splitlines() == [
        "10 of 400 requests, about 6 min left",
        "20 of 400 requests, about 6 min left",
        "30 of 400 requests, about 6 min left",
    ]


def test_a_pipe_gets_a_width_of_its_own_and_columns_sets_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal.console(StringIO()).width == 100
    monkeypatch.setenv("COLUMNS", "72")
    assert terminal.console(StringIO()).width == 72


def test_a_terminal_without_unicode_gets_plain_marks() -> None:
    class Ascii(StringIO):
        encoding = "ascii"

    out = Ascii()
    terminal.full(run_of(**BROKEN), Console(file=out, width=80), verbose=True)
    assert "x alice reads an order" in out.getvalue()
    assert "✗" not in out.getvalue()


def test_changes_show_only_what_became_different() -> None:
    before, after = run_of(**BROKEN), run_of(a_stranger_is_refused=answered(200))
    out = StringIO()
    terminal.changes(before, after, Console(file=out, width=80))
    lines = out.getvalue().splitlines()
    assert "✗ a stranger is refused" in lines
    assert "passed  alice reads an order" in lines
    assert "passed  over an EnvoyFilter" in lines
    assert not any("cart / read" in line for line in lines)
    assert lines[-1].startswith("1 failed, 5 passed")


def test_changes_name_cases_that_are_gone_and_cases_that_are_new() -> None:
    fewer = parse_case_file(TEXT.replace("name: over an EnvoyFilter", "name: renamed"), "tests/orders.yaml")
    out = StringIO()
    after = run_cases(FakeMesh(GOOD), [fewer], Choice())
    terminal.changes(run_of(), after, Console(file=out, width=80))
    assert "gone  over an EnvoyFilter" in out.getvalue()
    assert "passed  renamed" in out.getvalue()


SUITE = {"name", "tests", "failures", "errors", "skipped", "time"}
CASE = {"classname", "name", "time"}


def junit(run: Run, **options: bool) -> ET.Element:
    """The report, checked against what Jenkins' schema (junit-10.xsd) asks of these elements."""
    root = ET.fromstring(run_as_junit(run, **options))
    assert (root.tag, set(root.attrib)) == ("testsuites", {"name"})
    for suite in root:
        assert (suite.tag, set(suite.attrib)) == ("testsuite", SUITE)
        for case in suite:
            assert (case.tag, set(case.attrib)) == ("testcase", CASE)
            assert float(case.attrib["time"]) >= 0
            assert len(case) <= 1
            for found in case:
                assert found.tag in ("failure", "error", "skipped")
                assert set(found.attrib) <= {"message", "type"}
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[attribute]) == len(suite.findall(f"testcase/{tag}"))
        assert int(suite.attrib["tests"]) == len(suite)
    return root


def test_junit_has_a_suite_for_each_file_and_a_case_for_each_case() -> None:
    (suite,) = junit(run_of(**BROKEN))
    assert suite.attrib["name"] == "tests/orders.yaml"
    by_name = {case.attrib["name"]: case for case in suite}
    assert by_name["alice reads an order"].attrib["classname"] == "tests.orders"
    failure = by_name["alice reads an order"].find("failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("status: expected 200, got 403")
    assert "tests/orders.yaml:4" in (failure.text or "")
    assert len(by_name["orders: cart / write"]) == 0


def test_junit_counts_what_is_not_judged_as_an_error_unless_it_is_allowed() -> None:
    (suite,) = junit(run_of(**BROKEN))
    assert (suite.attrib["errors"], suite.attrib["skipped"]) == ("1", "0")
    (suite,) = junit(run_of(**BROKEN), allow_not_judged=True)
    assert (suite.attrib["errors"], suite.attrib["skipped"]) == ("0", "1")


def test_junit_is_xml_whatever_a_response_holds() -> None:
    evil = answered(500, body=b"\x00\x1b<&>\xff\xef\xbf\xbf")
    junit(run_of(alice_reads_an_order=evil))
    junit(run_of(alice_reads_an_order="error: \x00\ud800\ufffe <&>"))


def test_json_has_stable_keys() -> None:
    document = json.loads(run_as_json(run_of(**BROKEN), 1))
    assert set(document) == {"version", "exit_code", "counts", "duration_s", "cases", "refusals", "notes"}
    assert document["counts"] == {
        "passed": 4, "failed": 1, "error": 0, "not_judged": 1, "seen": 0, "left_out": 0,
    }  # fmt: skip
    by_name = {case["name"]: case for case in document["cases"]}
    failed = by_name["alice reads an order"]
    assert set(failed) == {
        "name", "file", "line", "state", "from", "request", "tokens", "expected", "got", "mismatches", "reasons",
        "hops", "duration_s",
    }  # fmt: skip
    assert (failed["file"], failed["line"], failed["state"]) == ("tests/orders.yaml", 4, "failed")
    assert failed["expected"] == {"status": 200, "app": "orders/orders"}
    assert failed["got"] == {
        "status": 403, "proxy": "istio-ingress/gateway", "policy": "none", "reason": "no ALLOW policy matched",
        "body": "RBAC: access denied",
    }  # fmt: skip
    assert failed["mismatches"][0]["part"] == "status"
    assert failed["hops"][0]["listener"] == "0.0.0.0_8443"
    assert by_name["over an EnvoyFilter"] | {"duration_s": 0} == {
        "name": "over an EnvoyFilter", "file": "tests/orders.yaml", "line": 10, "state": "not_judged",
        "from": {"outside": "istio-ingress/gateway"}, "request": "GET http://a.example/", "tokens": [],
        "expected": {"status": 200}, "got": None, "mismatches": [], "reasons": [FILTER], "hops": [], "duration_s": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "sender",
    [
        {"outside": "istio-ingress/gateway", "address": "203.0.113.9"},
        {"workload": "shop/cart"},
        {"bypass": "shop/cart", "to": "orders/orders", "port": 8080, "mode": "mtls"},
        {"bypass": "none", "to": "orders/orders", "mode": "plaintext"},
        {"mesh": "spiffe://other/ns/a/sa/b", "authority": "internet", "to": "orders/orders"},
    ],
)
def test_json_names_the_sender_as_a_case_file_does(sender: dict[str, object]) -> None:
    text = f"cases: [{{name: a, from: {json.dumps(sender)}, request: 'http://a.example/', expect: 200}}]"
    run = run_cases(FakeMesh(), [parse_case_file(text, "f.yaml")], Choice())
    assert json.loads(run_as_json(run, 0))["cases"][0]["from"] == sender


def test_json_says_how_a_token_is_made_and_never_the_token() -> None:
    text = """\
defaults: {from: {workload: shop/cart}}
cases:
  - name: a
    token: [{issuer: https://idp.example, claims: {sub: alice}, flaw: expired}, {literal: s3cret, in: cookie}]
    request: http://a.example/
    expect: 200
"""
    document = run_as_json(run_cases(FakeMesh(), [parse_case_file(text, "f.yaml")], Choice()), 0)
    assert json.loads(document)["cases"][0]["tokens"] == [
        {"issuer": "https://idp.example", "claims": {"sub": "alice"}, "flaw": "expired", "in": "header"},
        {"literal": True, "in": "cookie"},
    ]
    assert "s3cret" not in document


def test_json_keeps_a_rule_with_the_index_zero() -> None:
    text = TEXT.replace("policy: none, says", "policy: a/b, rule: 0, says")
    run = run_cases(FakeMesh(GOOD), [parse_case_file(text, "f.yaml")], Choice())
    by_name = {case["name"]: case for case in json.loads(run_as_json(run, 1))["cases"]}
    assert by_name["a stranger is refused"]["expected"]["rule"] == 0


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ("404", "404"),
        ("200 orders/orders", "200 by the application of orders/orders"),
        ("refused shop/cart", "refused by the proxy of shop/cart"),
        ("{status: 403, policy: a/b, rule: 2}", "403, because of policy a/b, rule 2"),
        ("{status: 200, subset: v2, headers: {x-a: b, x-c: null}}", "200, subset v2, with x-a: b, no x-c"),
    ],
)
def test_an_expectation_is_said_in_words(expect: str, words: str) -> None:
    text = f"cases: [{{name: x, from: {{workload: a/b}}, request: 'http://a/', expect: {expect}}}]"
    assert expected(parse_case_file(text, "f").cases[0].expect) == words
