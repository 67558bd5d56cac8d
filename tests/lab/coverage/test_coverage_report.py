"""Coverage of the cases as people and programs read it, and the exit code that it ends the command with."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case_coverage.coverage import Count, Coverage, Missed
from meshlab.bench.case_coverage.items import Item, ItemPlace
from meshlab.bench.case_coverage.report import print_coverage
from meshlab.bench.report.json_report import run_as_json
from meshlab.bench.report.run import Run
from meshlab.bench.report.terminal import SafeConsole
from meshlab.cli._exit import Exit, exit_code

from tests.lab.bench.fakes import FakeMesh

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meshlab.bench.case_coverage.items import Kind

    from tests.lab.conftest import Done

    Command = Callable[..., Done]


def item(kind: Kind, name: str, line: int, path: str, text: str = "") -> Item:
    place = ItemPlace("mesh.yaml", line, name, path)
    return Item(kind, place, ItemPlace("mesh.yaml", line - 3, name, ""), text)


POLICY, SERVICE = "AuthorizationPolicy shop/readers", "VirtualService shop/cart"
RULE = item("rule", POLICY, 14, "spec.rules[0]", "ALLOW")
CONDITION = item("condition", POLICY, 14, "spec.rules[0].to[0].operation.methods", "GET")
ROUTE = item("route", SERVICE, 24, "spec.http[0]")
ITEMS = (RULE, CONDITION, ROUTE)
ALL = Coverage(ITEMS, ())
PART = Coverage(ITEMS, (Missed(CONDITION, "no case misses the rule because of this condition alone"),))


def printed(coverage: Coverage, width: int = 120) -> str:
    stream = io.StringIO()
    on = SafeConsole(file=stream, width=width, markup=False, highlight=False, emoji=False)
    print_coverage(coverage, on)
    return stream.getvalue()


def test_the_table_names_each_object_and_what_is_missed_has_its_place_and_reason() -> None:
    lines = [" ".join(line.split()) for line in printed(PART).splitlines()]
    assert lines == [
        "",
        "coverage of the cases",
        "object at rules conditions routes servers",
        "AuthorizationPolicy shop/readers mesh.yaml:11 1/1 0/1",
        "VirtualService shop/cart mesh.yaml:21 1/1",
        "all 1/1 100 % 0/1 0 % 1/1 100 %",
        "",
        "no case exercises:",
        "mesh.yaml:14 condition of AuthorizationPolicy shop/readers: spec.rules[0].to[0].operation.methods: GET",
        "no case misses the rule because of this condition alone",
        "coverage 66.6 %: 2 of 3",
    ]


def test_a_narrow_table_has_the_place_below_the_object_and_breaks_no_word() -> None:
    lines = printed(Coverage(ITEMS, ()), width=80).splitlines()
    assert max(map(len, lines)) <= 80
    (at,) = (index for index, line in enumerate(lines) if line.startswith("  mesh.yaml:11"))
    assert lines[at - 1].startswith(POLICY)


def test_nothing_is_listed_where_nothing_is_missed() -> None:
    text = printed(ALL)
    assert "no case exercises" not in text
    assert text.endswith("coverage 100 %: 3 of 3\n")


def test_a_mesh_without_anything_to_exercise_says_so() -> None:
    assert "the manifests have no rule, route or server" in printed(Coverage((), ()))


def test_nothing_of_a_manifest_reaches_the_terminal_raw() -> None:
    hostile = item("condition", "AuthorizationPolicy a/b\x1b[2J", 9, "spec.rules[0]", "\x1b]0;title\x07")
    text = printed(Coverage((hostile,), (Missed(hostile, "no case"),)))
    assert "\N{REPLACEMENT CHARACTER}]0;title" in text
    assert not {"\x1b", "\x07"} & set(text)


@pytest.mark.parametrize(
    ("exercised", "total", "percent"),
    [(0, 0, 100.0), (0, 3, 0.0), (2, 3, 66.6), (1999, 2000, 99.9), (3, 3, 100.0)],
)
def test_a_percentage_is_never_rounded_up(exercised: int, total: int, percent: float) -> None:
    assert Count(exercised, total).percent == percent


def test_the_json_document_has_the_coverage_where_it_was_asked_for() -> None:
    assert "coverage" not in json.loads(run_as_json(Run((), ()), 0))
    found = json.loads(run_as_json(Run((), (), coverage=PART), 0))["coverage"]
    assert found["kinds"]["condition"] == {"exercised": 0, "total": 1, "percent": 0.0}
    assert (found["exercised"], found["total"], found["percent"]) == (2, 3, 66.6)
    assert found["objects"] == [
        {
            "object": POLICY,
            "file": "mesh.yaml",
            "line": 11,
            "rule": {"exercised": 1, "total": 1},
            "condition": {"exercised": 0, "total": 1},
        },
        {"object": SERVICE, "file": "mesh.yaml", "line": 21, "route": {"exercised": 1, "total": 1}},
    ]
    assert found["missed"] == [
        {
            "kind": "condition",
            "object": POLICY,
            "file": "mesh.yaml",
            "line": 14,
            "path": "spec.rules[0].to[0].operation.methods",
            "text": "GET",
            "reason": "no case misses the rule because of this condition alone",
        }
    ]


@pytest.mark.parametrize(
    ("coverage", "least", "code"),
    [
        (PART, None, Exit.OK),
        (PART, 66.6, Exit.OK),
        (PART, 66.7, Exit.FAILED),
        (PART, 100.0, Exit.FAILED),
        (ALL, 100.0, Exit.OK),
        (Coverage((), ()), 100.0, Exit.OK),
    ],
)
def test_a_coverage_below_the_least_one_fails_the_run(
    coverage: Coverage, least: float | None, code: Exit
) -> None:
    assert exit_code(Run((), (), coverage=coverage), coverage_min=least) is code


def test_coverage_is_not_for_a_watch(command: Command, tmp_path: Path) -> None:
    (tmp_path / "cases.yaml").write_text("cases: []\n")
    for option in (["--coverage"], ["--coverage-min", "90"]):
        done = command("test", "-f", "m", tmp_path / "cases.yaml", "--watch", *option, mesh=FakeMesh())
        assert done.code == 2
        assert (
            done.err == "meshlab: --watch shows what a change does to the cases; use it without --coverage\n"
        )


def test_a_percentage_is_one(command: Command) -> None:
    assert command("test", "-f", "m", "cases.yaml", "--coverage-min", "101").code == 2
