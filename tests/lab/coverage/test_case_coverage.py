"""Coverage of the cases on real Envoys: what a case exercises, and what is missed without it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case_coverage.recorder import CoverageRecorder
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.session import setup_of

from tests.lab.coverage.covered_mesh import CASES, MANIFESTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshlab.bench.case_coverage.coverage import Coverage

    Cover = Callable[..., Coverage]

ALONE = "no case misses the rule because of this condition alone"
NOT_TAKEN = "no case takes it"


@pytest.fixture(scope="module")
def cover(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cover]:
    """The coverage of the cases with these names, of all but those after `-`, or of all. They ran once."""
    file = tmp_path_factory.mktemp("mesh") / "mesh.yaml"
    file.write_text(MANIFESTS)
    case_file = parse_case_file(CASES, "cases.yaml")
    with closing(LocalBench(condition_probes=True)) as bench:
        mesh = bench.load(Sources((str(file),)))
        with mesh.start(setup_of(case_file), case_file.cases, jobs=0) as engine:
            outcomes = {outcome.case.name: outcome for outcome in engine.run(case_file.cases)}
            assert [outcome for outcome in outcomes.values() if outcome.state != "passed"] == []

        def covered(*names: str, without: tuple[str, ...] = ()) -> Coverage:
            assert {*names, *without} <= set(outcomes)
            recorder = CoverageRecorder()
            recorder.started(engine)
            for name in names or outcomes:
                if name not in without:
                    recorder.happened(outcomes[name])
            return recorder.coverage(mesh.mesh)

        yield covered


def missed(coverage: Coverage) -> dict[tuple[str, str], str]:
    """The reasons by object and path."""
    return {(each.item.place.object, each.item.place.path): each.reason for each in coverage.missed}


PORT_NO_SERVICE_HAS = {("VirtualService shop/database", "spec.tcp[0]"): NOT_TAKEN}
CALLERS = "AuthorizationPolicy shop/callers"
METHODS = "spec.rules[0].to[0].operation.methods"


def test_all_cases_exercise_everything_but_a_route_for_a_port_that_no_service_has(cover: Cover) -> None:
    coverage = cover()
    assert missed(coverage) == PORT_NO_SERVICE_HAS
    assert {kind: (count.exercised, count.total) for kind, count in coverage.kinds.items()} == {
        "rule": (5, 5),
        "condition": (8, 8),
        "route": (8, 9),
        "server": (3, 3),
    }


@pytest.mark.parametrize(
    ("without", "lost"),
    [
        (("a stranger",), {(CALLERS, f"spec.rules[0].from[{i}].source.principals"): ALONE for i in (0, 1)}),
        (("another method",), {(CALLERS, METHODS): ALONE}),
        (
            ("a path that must not be",),
            {(CALLERS, "spec.rules[0].to[0].operation.notPaths"): ALONE},
        ),
        (("without the header",), {(CALLERS, "spec.rules[0].when[0].values"): ALONE}),
        (
            ("a closed path",),
            {
                ("AuthorizationPolicy shop/closed", "spec.rules[0]"): "no case matches it",
                (
                    "AuthorizationPolicy shop/closed",
                    "spec.rules[0].to[0].operation.paths",
                ): "no case matches the rule",
            },
        ),
        (
            ("a write", "a delegate by POST"),
            {
                ("AuthorizationPolicy shop/tried", "spec.rules[0]"): "no case matches it",
                (
                    "AuthorizationPolicy shop/tried",
                    "spec.rules[0].to[0].operation.methods",
                ): "no case matches the rule",
            },
        ),
        (
            ("the database for a stranger",),
            {
                (
                    "AuthorizationPolicy shop/database",
                    "spec.rules[0].from[0].source.principals",
                ): ALONE
            },
        ),
        (("an exact path",), {
            ("VirtualService shop/shop", "spec.http[0].match[0]"): NOT_TAKEN,
            ("Gateway edge/public", "spec.servers[0]"): "no case comes through it",
        }),
        (("a prefix", "the other server"), {
            ("VirtualService shop/shop", "spec.http[0].match[1]"): NOT_TAKEN,
            ("Gateway edge/public", "spec.servers[2]"): "no case comes through it",
        }),
        (("the other server",), {("Gateway edge/public", "spec.servers[2]"): "no case comes through it"}),
        (
            ("a delegate", "a delegate by POST"),
            {("VirtualService shop/parts", "spec.http[0]"): NOT_TAKEN},
        ),
        (("a redirection",), {("VirtualService shop/shop", "spec.http[2]"): NOT_TAKEN}),
        (("a fault",), {("VirtualService shop/inside", "spec.http[0]"): NOT_TAKEN}),
        (("a name of the wiki",), {("VirtualService shop/wiki", "spec.tls[0]"): NOT_TAKEN}),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_without_a_case_what_it_alone_exercises_is_missed(
    cover: Cover, without: tuple[str, ...], lost: dict[tuple[str, str], str]
) -> None:
    assert missed(cover(without=without)) == PORT_NO_SERVICE_HAS | lost


def test_a_route_of_tcp_is_taken_by_a_connection(cover: Cover) -> None:
    database = "VirtualService shop/database", "spec.tcp[1]"
    assert database not in missed(cover("the database"))
    assert missed(cover("a read"))[database] == NOT_TAKEN


def test_a_policy_that_no_case_reaches_is_missed_for_that_reason(cover: Cover) -> None:
    found = missed(cover("a name of the wiki"))
    reasons = {reason for (name, _), reason in found.items() if name.startswith("AuthorizationPolicy")}
    assert reasons == {"no case gets to this policy at a proxy that it is for"}


def test_a_policy_that_allows_nothing_is_exercised_where_no_rule_lets_a_request_in(cover: Cover) -> None:
    nothing = "AuthorizationPolicy shop/nothing", "spec"
    assert missed(cover("a read"))[nothing] == "no case is refused because no rule lets it in"
    # Refused by a DENY rule, and with a match of an ALLOW rule: it needs no default.
    assert nothing in missed(cover("a closed path"))
    assert nothing not in missed(cover("without the header"))


def test_an_allow_rule_has_no_say_where_a_deny_rule_refuses(cover: Cover) -> None:
    found = missed(cover("a closed path"))
    assert found[CALLERS, "spec.rules[0]"] == "no case matches it"
    assert ("AuthorizationPolicy shop/closed", "spec.rules[0]") not in found


def test_every_place_has_its_file_and_line(cover: Cover) -> None:
    lines = MANIFESTS.splitlines()
    for item in cover().items:
        assert item.place.file.endswith("mesh.yaml")
        assert lines[item.owner.line - 1].startswith("apiVersion:")
    (condition,) = [item for item in cover().items if item.place.path.endswith("notPaths")]
    assert "notPaths: [/secret]" in lines[condition.place.line - 1]
    assert condition.text == "/secret"
