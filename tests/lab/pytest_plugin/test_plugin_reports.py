"""The pytest plugin: when the mesh runs, and what pytest says of each case. No Envoy runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.protocol import BenchError
from meshlab.errors import LabError
from meshlab.manifest import ManifestError
from meshlab.pytest_plugin import nodes

from tests.lab.bench.fakes import FakeBench, outcome_of, refused
from tests.lab.pytest_plugin.conftest import CASES

if TYPE_CHECKING:
    from tests.lab.bench.fakes import FakeMesh
    from tests.lab.pytest_plugin.conftest import Run

pytest_plugins = ["pytester"]

BOTH = ("--meshlab", "policy", "--meshlab-manifests", "manifests")
ONE = ("--meshlab", "policy/cases.yaml", "--meshlab-manifests", "manifests")


def started(mesh: FakeMesh) -> list[list[str]]:
    return [cases for _, cases, _ in mesh.started]


def test_each_case_is_a_test(run: Run, mesh: FakeMesh) -> None:
    done = run(*BOTH, "-v")
    done.assert_outcomes(passed=4)
    assert done.ret == 0
    done.stdout.fnmatch_lines(
        ["meshlab: 2 case files, manifests: manifests", "policy/cases.yaml::one PASSED*"]
    )
    assert mesh.running == 0


def test_one_start_of_the_mesh_serves_all_chosen_cases(run: Run, mesh: FakeMesh) -> None:
    run(*BOTH)
    assert started(mesh) == [["one", "two", "three", "four"]]
    assert (len(FakeBench.loaded), FakeBench.closed, mesh.running) == (1, 1, 0)


def test_only_chosen_cases_are_run_and_only_what_they_need_is_started(run: Run, mesh: FakeMesh) -> None:
    run(*BOTH, "-k", "two or three").assert_outcomes(passed=2, deselected=2)
    assert started(mesh) == [["two", "three"]]
    mesh.started.clear()
    run(*BOTH, "-m", "not meshlab")
    assert started(mesh) == []


def test_files_with_another_setup_get_a_mesh_of_their_own(
    run: Run, mesh: FakeMesh, pytester: pytest.Pytester
) -> None:
    (pytester.path / "policy/more.yaml").write_text(f"apps: {{orders/orders: {{status: 201}}}}\n{CASES}")
    run(*BOTH).assert_outcomes(passed=4)
    assert started(mesh) == [["one", "two"], ["one", "two"]]


def test_the_reason_is_the_first_line_of_what_a_process_of_xdist_sends() -> None:
    (case, *_) = parse_case_file(CASES, "cases.yaml").cases
    first, *rest = str(nodes._Failure(outcome_of(case, refused(403)))).splitlines()
    assert first.startswith("status: expected 200, got 403 by the proxy of")
    assert any("request" in line for line in rest)


def test_a_failure_shows_what_meshlab_test_shows_and_no_traceback(run: Run, mesh: FakeMesh) -> None:
    mesh.verdicts = {"one": refused(403)}
    done = run(*ONE)
    done.assert_outcomes(passed=1, failed=1)
    assert done.ret == 1
    done.stdout.fnmatch_lines(
        [
            "*____ one ____*",
            "  at        policy/cases.yaml:3",
            "  request   GET http://orders.orders/",
            "  expected  200 by the application of orders/orders",
            "  got       403 by the proxy of istio-ingress/gateway: no ALLOW policy matched, *",
            "  differs   status, app",
            "  hops      1. istio-ingress/gateway gateway 8443: 403 no ALLOW policy matched",
            "               listener 0.0.0.0_8443",
            "*short test summary info*",
            "FAILED policy/cases.yaml::one - status: expected 200, got 403 by the proxy*",
        ],
        consecutive=False,
    )
    printed = done.stdout.str()
    assert "Traceback" not in printed
    assert ".py:" not in printed


def test_only_failed_cases_run_again(run: Run, mesh: FakeMesh) -> None:
    mesh.verdicts = {"two": refused(403)}
    run(*BOTH).assert_outcomes(passed=3, failed=1)
    run(*BOTH, "--lf").assert_outcomes(failed=1)
    assert started(mesh)[-1] == ["two"]


def test_the_mesh_ends_with_a_run_that_stops_at_the_first_failure(run: Run, mesh: FakeMesh) -> None:
    mesh.verdicts = {"one": refused(403)}
    run(*BOTH, "-x").assert_outcomes(failed=1)
    assert (mesh.running, FakeBench.closed) == (0, 1)


def test_a_case_that_is_not_judged_fails_with_its_reason(run: Run, mesh: FakeMesh) -> None:
    mesh.verdicts = {"one": "mesh.yaml:7: EnvoyFilter a/b: not supported"}
    done = run(*ONE)
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(
        [
            "  reason    mesh.yaml:7: EnvoyFilter a/b: not supported",
            "FAILED policy/cases.yaml::one - mesh.yaml:7: EnvoyFilter a/b: not supported",
        ]
    )


@pytest.mark.parametrize("setting", [False, True])
def test_a_case_that_is_not_judged_is_skipped_by_name_where_that_is_allowed(
    run: Run, mesh: FakeMesh, pytester: pytest.Pytester, setting: bool
) -> None:
    mesh.verdicts = {"one": "mesh.yaml:7: EnvoyFilter a/b: not supported"}
    if setting:
        pytester.makeini("[pytest]\nmeshlab_allow_not_judged = true\n")
    done = run(*ONE, "-rs", *([] if setting else ["--meshlab-allow-not-judged"]))
    done.assert_outcomes(passed=1, skipped=1)
    done.stdout.fnmatch_lines(
        ["SKIPPED [[]1] policy/cases.yaml:3: one: not judged: mesh.yaml:7: EnvoyFilter a/b: not supported"]
    )


def test_a_case_that_could_not_be_run_fails_whatever_is_allowed(run: Run, mesh: FakeMesh) -> None:
    mesh.verdicts = {"one": "error: Envoy refused its configuration"}
    done = run(*ONE, "--meshlab-allow-not-judged")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["  error     error: Envoy refused its configuration"])


def test_every_wrong_case_file_is_an_error_of_the_collection_with_all_its_problems(
    run: Run, mesh: FakeMesh, pytester: pytest.Pytester
) -> None:
    wrong = CASES.replace("name: one", "nam: one").replace(
        "2', expect: 200 orders/orders", "2', expect: 200 orders"
    )
    (pytester.path / "policy/cases.yaml").write_text(wrong)
    (pytester.path / "policy/more.yaml").write_text(CASES.replace("shop/cart", "shop/crat"))
    done = run(*BOTH)
    done.assert_outcomes(errors=2)
    assert done.ret == pytest.ExitCode.INTERRUPTED
    done.stdout.fnmatch_lines(
        [
            "*ERROR collecting policy/cases.yaml*",
            "policy/cases.yaml:3: cases[[]0].nam: unknown word 'nam'*",
            "policy/cases.yaml:4: cases[[]1].expect: '200 orders' is not a verdict*",
            "*ERROR collecting policy/more.yaml*",
            "policy/more.yaml:1: defaults.from.workload: no workload shop/crat; did you mean 'shop/cart'?*",
        ]
    )
    assert "Traceback" not in done.stdout.str()
    assert started(mesh) == []


@pytest.mark.parametrize(
    "error", [LabError("absent: no such file."), ManifestError("mesh.yaml:1: bad\nmesh.yaml:2: bad")]
)
def test_wrong_manifests_are_shown_once(run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def load(_sources: object) -> FakeMesh:
        raise error

    monkeypatch.setattr(FakeBench, "load_mesh", staticmethod(load))
    done = run(*BOTH)
    done.assert_outcomes(errors=2)
    lines = done.outlines
    assert [line for line in str(error).splitlines() if lines.count(line) != 1] == []
    assert "policy/more.yaml: the manifests cannot be read; the error of policy/cases.yaml says why" in lines
    assert FakeBench.closed == 1


def test_a_bench_that_fails_is_shown_once_and_not_started_again(run: Run, mesh: FakeMesh) -> None:
    mesh.fails = BenchError("Envoy did not start: no port")
    done = run(*ONE)
    done.assert_outcomes(failed=2)
    assert done.outlines.count("Envoy did not start: no port") == 1
    assert "the mesh did not start; the error of the case 'one' says why" in done.outlines
    assert "Traceback" not in done.stdout.str()


def test_an_internal_error_has_its_traceback(run: Run, mesh: FakeMesh) -> None:
    mesh.fails = ZeroDivisionError("a defect")
    done = run(*ONE)
    done.assert_outcomes(failed=2)
    done.stdout.fnmatch_lines(["E*ZeroDivisionError: a defect"])


def test_nothing_of_a_response_reaches_the_terminal_raw(run: Run, mesh: FakeMesh) -> None:
    mesh.verdicts = {"one": refused(403, body=b"\x1b[31mred\x07")}
    printed = run(*ONE).stdout.str()
    assert "\N{REPLACEMENT CHARACTER}[31mred" in printed
    assert "\x1b" not in printed
    assert "\x07" not in printed


def test_colours_are_those_of_pytest(run: Run, mesh: FakeMesh) -> None:
    mesh.verdicts = {"one": refused(403)}
    assert "\x1b[2m  at      \x1b[0m" in run(*ONE, "--color=yes").stdout.str()
    assert "\x1b" not in run(*ONE, "--color=no").stdout.str()


def test_junit_xml_has_the_message_and_the_whole_text(
    run: Run, mesh: FakeMesh, pytester: pytest.Pytester
) -> None:
    mesh.verdicts = {"one": refused(403)}
    run(*ONE, "--junitxml", "out.xml")
    (failure,) = ET.parse(pytester.path / "out.xml").iter("failure")
    assert failure.attrib["message"].startswith("status: expected 200, got 403 by the proxy")
    assert "  expected  200 by the application of orders/orders" in (failure.text or "")


def test_a_case_that_is_asked_for_again_is_sent_again(
    run: Run, mesh: FakeMesh, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest(
        """
        def pytest_runtest_protocol(item, nextitem):
            from _pytest.runner import runtestprotocol
            for _ in range(2):
                item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
                runtestprotocol(item, nextitem=nextitem)
            return True
        """
    )
    run(*ONE).assert_outcomes(passed=4)
    assert started(mesh) == [["one", "two"]]
