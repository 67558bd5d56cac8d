"""`meshlab test`: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from meshlab.bench.protocol import BenchError
from meshlab.errors import LabError
from meshlab.manifest import ManifestError

from tests.lab.bench.fakes import FakeBench, FakeMesh, answered, refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.conftest import Done

    Command = Callable[..., Done]

CASES = """\
defaults: {from: {workload: shop/cart}}
cases:
  - {name: one, request: 'http://orders.orders/', expect: 200 orders/orders}
  - {name: two, request: 'http://orders.orders/2', expect: 200 orders/orders}
"""
ONE_FAILS = FakeMesh({"one": refused(403)})
ONE_NOT_JUDGED = FakeMesh({"one": "mesh.yaml:7: EnvoyFilter a/b: not supported"})


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    file = tmp_path / "cases.yaml"
    file.write_text(CASES)
    return file


def test_a_run_that_passes_ends_with_zero_and_one_line(command: Command, cases: Path) -> None:
    done = command("test", "-f", "manifests", cases)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("2 passed in ")
    assert done.out.count("\n") == 1


def test_a_failed_case_ends_with_one(command: Command, cases: Path) -> None:
    done = command("test", "-f", "manifests", cases, mesh=ONE_FAILS)
    assert done.code == 1
    assert done.out.startswith("✗ one\n")
    assert "1 failed, 1 passed" in done.out
    assert done.out.endswith(f"why: meshlab explain -f manifests {cases} -k 'words of its name'\n")


def test_a_case_that_is_not_judged_ends_with_three_unless_it_is_allowed(
    command: Command, cases: Path
) -> None:
    done = command("test", "-f", "manifests", cases, mesh=ONE_NOT_JUDGED)
    assert done.code == 3
    assert "EnvoyFilter" in done.out
    done = command("test", "-f", "manifests", cases, "--allow-not-judged", mesh=ONE_NOT_JUDGED)
    assert done.code == 0
    assert "1 not judged, 1 passed" in done.out


def test_a_failed_case_counts_more_than_one_that_is_not_judged(command: Command, cases: Path) -> None:
    mesh = FakeMesh({"one": refused(403), "two": "mesh.yaml: EnvoyFilter"})
    assert command("test", "-f", "m", cases, "--allow-not-judged", mesh=mesh).code == 1
    assert command("test", "-f", "m", cases, mesh=mesh).code == 1


def test_a_bench_that_fails_ends_with_four(command: Command, cases: Path) -> None:
    done = command("test", "-f", "m", cases, mesh=FakeMesh(fails=BenchError("Envoy did not start: no port")))
    assert (done.code, done.out, done.err) == (4, "", "meshlab: Envoy did not start: no port\n")
    done = command("test", "-f", "m", cases, mesh=FakeMesh({"one": "error: a log is missing"}))
    assert done.code == 4
    assert "1 could not be run" in done.out


def test_a_case_that_could_not_be_run_is_not_allowed_with_those_that_are_not_judged(
    command: Command, cases: Path
) -> None:
    mesh = FakeMesh({"one": "error: Envoy refused its configuration", "two": "mesh.yaml: EnvoyFilter"})
    done = command("test", "-f", "m", cases, "--allow-not-judged", mesh=mesh)
    assert done.code == 4
    assert "1 could not be run, 1 not judged" in done.out


@pytest.mark.parametrize(
    "error", [LabError("absent: there is no such file."), ManifestError("mesh.yaml:1: bad")]
)
def test_wrong_manifests_end_with_two(command: Command, cases: Path, error: Exception) -> None:
    done = command("test", "-f", "m", cases, mesh=error)
    assert (done.code, done.out, done.err) == (2, "", f"meshlab: {error}\n")


def test_a_wrong_case_file_ends_with_two_and_all_its_problems(command: Command, cases: Path) -> None:
    cases.write_text(
        CASES.replace("name: one", "nam: one").replace(
            "2', expect: 200 orders/orders", "2', expect: 200 orders"
        )
    )
    done = command("test", "-f", "m", cases)
    assert (done.code, done.out) == (2, "")
    first, second, count = done.err.splitlines()
    assert first.startswith(f"{cases}:3: cases[0].nam: unknown word 'nam'")
    assert second.startswith(f"{cases}:4: cases[1].expect: '200 orders' is not a verdict")
    assert count == "meshlab: 2 problems"


def test_names_that_the_mesh_does_not_have_end_with_two(command: Command, cases: Path) -> None:
    cases.write_text(CASES.replace("shop/cart", "shop/crat"))
    done = command("test", "-f", "m", cases)
    assert done.code == 2
    assert "did you mean 'shop/cart'?" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["test"],
        ["test", "-f", "m"],
        ["test", "cases.yaml"],
        ["test", "-f", "m", "absent.yaml"],
        ["test", "-f", "m", "cases.yaml", "-j", "-1"],
        ["test", "-f", "m", "cases.yaml", "--nonsense"],
        ["nonsense"],
    ],
)
def test_wrong_usage_ends_with_two(command: Command, arguments: list[str]) -> None:
    done = command(*arguments)
    assert done.code == 2
    assert done.err != ""
    assert "Traceback" not in done.err


def test_the_inputs_reach_the_bench_as_they_are_written(command: Command, cases: Path) -> None:
    FakeBench.loaded.clear()
    command("test", "-f", "a", "-f", "-", "--namespace", "team", "--mesh-config", cases, cases)
    (sources,) = FakeBench.loaded
    assert (sources.paths, sources.namespace, sources.mesh_config) == (("a", "-"), "team", cases)


def test_words_choose_cases_and_the_rest_is_counted(command: Command, cases: Path) -> None:
    done = command("test", "-f", "m", cases, "-k", "not one")
    assert done.code == 0
    assert done.out.startswith("1 passed, 1 left out in ")
    assert command("test", "-f", "m", cases, "-k", "zebra").code == 2
    assert command("test", "-f", "m", cases, "-k", "one and").code == 2


def test_a_run_may_stop_at_the_first_failure(command: Command, cases: Path) -> None:
    done = command("test", "-f", "m", cases, "-x", mesh=FakeMesh({"two": refused(403)}))
    assert done.code == 1
    assert "1 failed, 1 left out" in done.out


def test_everything_is_shown_when_asked_for(command: Command, cases: Path) -> None:
    mesh = FakeMesh(notes=("v1beta1 is old",), refusals=("mesh.yaml:7: EnvoyFilter a/b",))
    done = command("test", "-f", "m", cases, "-v", mesh=mesh)
    for text in ("note: v1beta1 is old", "refused: mesh.yaml:7", "one", "two", "200 by the application"):
        assert text in done.out


def test_json_prints_one_document_and_nothing_else(command: Command, cases: Path) -> None:
    done = command("test", "-f", "m", cases, "--json", mesh=ONE_FAILS)
    document = json.loads(done.out)
    assert (done.code, done.err) == (1, "")
    assert document["exit_code"] == 1
    assert [case["state"] for case in document["cases"]] == ["failed", "passed"]


def test_json_prints_errors_too(command: Command, cases: Path) -> None:
    cases.write_text("cases: [{nam: x}]")
    done = command("test", "-f", "m", cases, "--json")
    document = json.loads(done.out)
    assert (done.code, document["exit_code"], done.err) == (2, 2, "")
    (problem,) = document["error"]["problems"]
    assert (problem["file"], problem["line"], problem["path"]) == (str(cases), 1, "cases[0].nam")
    done = command("test", "-f", "m", cases, "--json", mesh=BenchError("no Envoy"))
    assert json.loads(done.out)["exit_code"] == 2  # the case file comes first
    cases.write_text(CASES)
    done = command("test", "-f", "m", cases, "--json", mesh=BenchError("no Envoy"))
    assert json.loads(done.out)["error"] == {"message": "no Envoy", "problems": []}
    assert done.code == 4


def test_junit_is_written_beside_what_is_printed(command: Command, cases: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.xml"
    done = command("test", "-f", "m", cases, "--junit", file, mesh=ONE_FAILS)
    assert done.code == 1
    assert "✗ one" in done.out
    (suite,) = ET.parse(file).getroot()
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("2", "1")


def test_a_junit_file_that_cannot_be_written_is_said_in_one_sentence(
    command: Command, cases: Path, tmp_path: Path
) -> None:
    done = command("test", "-f", "m", cases, "--junit", tmp_path / "absent/out.xml")
    assert done.code == 2
    assert done.err.startswith(
        f"meshlab: {tmp_path}/absent/out.xml: the JUnit file cannot be written: No such file"
    )


def test_a_program_of_the_user_stands_in_for_an_application(command: Command, cases: Path) -> None:
    mesh = FakeMesh()
    done = command("test", "-f", "m", cases, "--app", "orders/orders=python 'my app.py' --x=1", mesh=mesh)
    assert done.code == 0
    ((setup, _, _),) = mesh.started
    (app,) = setup.apps
    assert (app.target, app.command) == ("orders/orders", ("python", "my app.py", "--x=1"))


@pytest.mark.parametrize(
    ("app", "problem"),
    [
        ("orders=python", "write NAMESPACE/NAME='COMMAND'"),
        ("orders/orders", "write NAMESPACE/NAME='COMMAND'"),
        ("orders/orders=", "the command is empty"),
        ("orders/orders='x", "cannot be split into words"),
        ("shop/none=x", "no workload shop/none"),
    ],
)
def test_an_application_that_cannot_be_is_refused(
    command: Command, cases: Path, app: str, problem: str
) -> None:
    done = command("test", "-f", "m", cases, "--app", app)
    assert done.code == 2
    assert problem in done.err


@pytest.mark.parametrize("option", ["--json"])
def test_watching_is_for_a_person(command: Command, cases: Path, option: str) -> None:
    assert command("test", "-f", "m", cases, "--watch", option).code == 2
    assert "standard input" in command("test", "-f", "-", cases, "--watch").err


def test_watching_runs_again_after_a_change_and_shows_what_it_changed(
    command: Command, cases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = FakeMesh({"two": refused(403)})
    looks: list[int] = []

    def wait() -> None:
        looks.append(1)
        if len(looks) == 1:
            return  # nothing has changed yet
        if len(looks) == 2:
            mesh.verdicts = {"one": answered(500)}
            touch(cases, CASES)
        elif len(looks) == 3:
            touch(cases, CASES.replace("name: two", "nam: two"))
        elif len(looks) == 4:
            touch(cases, CASES)
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr("meshlab.cli._watch.wait", wait)
    done = command("test", "-f", cases.parent, cases, "--watch", mesh=mesh)
    assert done.code == 130
    first, second, _, fourth = done.out.split("watching for changes; Ctrl-C ends\n")[:4]
    assert "✗ two" in first
    assert "1 failed, 1 passed" in first
    assert second.startswith("✗ one")
    assert "passed  two" in second
    assert "1 failed, 1 passed" in second
    assert "unknown word 'nam'" in done.err
    assert fourth.startswith("1 failed, 1 passed")


def touch(file: Path, text: str) -> None:
    """Save a file so that its time of change differs, whatever the clock's grain is."""
    before = file.stat().st_mtime_ns
    file.write_text(text)
    os.utime(file, ns=(before + 1_000_000, before + 1_000_000))


def test_the_bench_is_closed_however_a_run_ends(command: Command, cases: Path) -> None:
    before = FakeBench.closed
    command("test", "-f", "m", cases)
    command("test", "-f", "m", cases, mesh=BenchError("no Envoy"))
    command("test", "-f", "m", cases, mesh=RuntimeError("a bug"))
    assert FakeBench.closed == before + 3


@pytest.mark.parametrize(
    ("error", "late"),
    [
        (TimeoutError("timed out"), "a part of the bench"),
        (subprocess.TimeoutExpired(["/usr/bin/some-tool", "a secret"], 30), "some-tool, which had 30 s,"),
    ],
    ids=["socket", "program"],
)
def test_what_does_not_answer_in_time_is_named_without_its_arguments(
    command: Command, cases: Path, error: Exception, late: str
) -> None:
    done = command("test", "-f", "m", cases, mesh=error)
    assert (done.code, done.err) == (
        4,
        (
            f"meshlab: {late} did not answer in time. The machine may be too busy: try again. "
            "Set MESHLAB_TRACEBACK=1 to see where\n"
        ),
    )


def test_what_was_not_foreseen_is_one_line_and_a_way_to_the_traceback(
    command: Command, cases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = command("test", "-f", "m", cases, mesh=RuntimeError("a\nbug"))
    assert done.code == 4
    assert done.err == (
        "meshlab: internal error: RuntimeError: a bug. Set MESHLAB_TRACEBACK=1 to see where, and please report it\n"
    )
    monkeypatch.setenv("MESHLAB_TRACEBACK", "1")
    done = command("test", "-f", "m", cases, mesh=RuntimeError("a bug"))
    assert done.code == 4
    assert "Traceback (most recent call last)" in done.err


def test_what_the_system_refuses_is_one_line(command: Command, cases: Path) -> None:
    done = command("test", "-f", "m", cases, mesh=OSError(28, "No space left on device", "/tmp/x"))
    assert done.code == 4
    assert done.err.startswith(
        "meshlab: the system refused an operation: /tmp/x: No space left on device. Set MESHLAB_"
    )
    assert done.err.count("\n") == 1


def test_an_interrupt_ends_with_130_and_no_traceback(command: Command, cases: Path) -> None:
    done = command("test", "-f", "m", cases, mesh=FakeMesh(fails=KeyboardInterrupt()))
    assert (done.code, done.err) == (130, "")
