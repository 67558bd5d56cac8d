"""One run: which cases are chosen, what is started for them, and in which order outcomes come out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case import AppSpec
from meshlab.bench.case_file import CaseFileError, parse_case_file
from meshlab.bench.case_file.collect import collect
from meshlab.bench.protocol import BenchError, MeshNames
from meshlab.bench.selection import SelectionError, select, selector
from meshlab.bench.session import Choice, run_cases, with_apps
from meshlab.errors import LabError

from tests.lab.bench.fakes import FakeMesh, refused

if TYPE_CHECKING:
    from pathlib import Path

    from meshlab.bench.case import CaseFile


def file_of(*names: str, path: str = "cases.yaml", more: str = "") -> CaseFile:
    cases = "".join(
        f"  - {{name: {name}, from: {{workload: shop/cart}}, request: 'http://a/', expect: 200}}\n"
        for name in names
    )
    return parse_case_file(f"{more}cases:\n{cases}", path)


def test_outcomes_have_the_order_of_the_cases_whatever_the_engines_order_is() -> None:
    run = run_cases(FakeMesh(), [file_of("c", "a"), file_of("b", path="other.yaml")], Choice())
    assert [outcome.case.name for outcome in run.outcomes] == ["c", "a", "b"]


def test_files_that_need_the_same_around_them_share_one_start() -> None:
    mesh = FakeMesh()
    special = file_of("d", path="special.yaml", more="authorities: [partner]\n")
    run_cases(mesh, [file_of("a"), special, file_of("b", path="other.yaml")], Choice(jobs=3))
    assert [(names, jobs) for _, names, jobs in mesh.started] == [(["a", "b"], 3), (["d"], 3)]
    assert mesh.started[1][0].authorities == ("partner",)


def test_only_what_chosen_cases_need_is_started() -> None:
    mesh = FakeMesh()
    run = run_cases(
        mesh, [file_of("one", "two"), file_of("three", path="other.yaml")], Choice("two or three")
    )
    assert [names for _, names, _ in mesh.started] == [["two", "three"]]
    assert run.left_out == 1


def test_a_run_may_stop_at_the_first_failure_and_ends_what_it_started() -> None:
    mesh = FakeMesh({"b": refused(403)})
    run = run_cases(mesh, [file_of("a", "b", "c")], Choice(stop_at_first=True))
    # The fake runs from the last case to the first.
    assert [outcome.case.name for outcome in run.outcomes] == ["b", "c"]
    assert run.left_out == 1
    assert mesh.running == 0


def test_progress_is_reported_before_the_first_case_and_with_every_outcome() -> None:
    reported: list[object] = []
    run_cases(
        FakeMesh(),
        [file_of("a", "b")],
        Choice(),
        began=reported.append,
        happened=lambda found: reported.append(found.case.name),
    )
    assert reported == [2, "b", "a"]


def test_names_that_the_mesh_does_not_have_are_reported_for_all_files_before_anything_starts() -> None:
    mesh = FakeMesh()
    wrong = [
        parse_case_file(
            f"cases: [{{name: x, from: {{workload: {name}}}, request: 'http://a/', expect: 200}}]",
            f"{name[0]}.yaml",
        )
        for name in ("a/a", "b/b")
    ]
    with pytest.raises(CaseFileError, match=r"(?s)a\.yaml:1.*no workload a/a.*b\.yaml:1.*no workload b/b"):
        run_cases(mesh, wrong, Choice())
    assert mesh.started == []


def test_an_application_of_the_command_line_replaces_that_of_the_file() -> None:
    written = file_of("a", more="apps: {orders/orders: {status: 201}, shop/cart: {status: 202}}\n")
    found = with_apps(written, [AppSpec("orders/orders", command=("python", "app.py"))])
    assert {app.target: app.command for app in found.apps} == {
        "orders/orders": ("python", "app.py"),
        "shop/cart": (),
    }


def test_an_application_of_the_command_line_must_be_in_the_mesh() -> None:
    with pytest.raises(CaseFileError, match="--app:1: a/b: no workload a/b"):
        run_cases(FakeMesh(), [with_apps(file_of("a"), [AppSpec("a/b", command=("x",))])], Choice())


def test_a_bench_that_fails_is_no_verdict() -> None:
    with pytest.raises(BenchError, match="Envoy"):
        run_cases(FakeMesh(fails=BenchError("Envoy did not start")), [file_of("a")], Choice())


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("alice", True),
        ("ALICE", True),
        ("bob", False),
        ("alice and read", True),
        ("alice and write", False),
        ("bob or read", True),
        ("not bob", True),
        ("not alice", False),
        ("not bob and not write", True),
        ("not (alice or bob)", False),
        ("(bob or alice) and read", True),
        ("bob or alice and write", False),
        ("alice reads", True),
        ("reads alice", False),
        ("orders.yaml", True),
        ("not not alice", True),
    ],
)
def test_words_of_names_are_joined_by_and_or_and_not(expression: str, selected: bool) -> None:
    assert selector(expression)("tests/orders.yaml alice reads an order") is selected


@pytest.mark.parametrize(
    "expression", ["", "  ", "and", "alice and", "not", "(alice", "alice)", "alice or or b", "()"]
)
def test_an_expression_that_cannot_be_read_is_refused(expression: str) -> None:
    with pytest.raises(SelectionError, match="-k"):
        selector(expression)


def test_a_message_about_an_expression_names_the_option_that_it_was_written_with() -> None:
    with pytest.raises(SelectionError, match=r"^--explain 'no such' selects none of the 0 cases"):
        select([], "no such", option="--explain")
    with pytest.raises(SelectionError, match=r"^--explain 'and': "):
        select([], "and", option="--explain")


def test_an_expression_that_selects_nothing_is_refused() -> None:
    with pytest.raises(SelectionError, match="selects none of the 1 cases"):
        run_cases(FakeMesh(), [file_of("a")], Choice("zebra"))


CASE = "cases: [{name: x, from: {workload: a/b}, request: 'http://a/', expect: 200}]\n"
OBJECT = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n"


def test_a_directory_is_searched_for_case_files_and_objects_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/b.yml").write_text(CASE)
    (tmp_path / "a.yaml").write_text(CASE)
    (tmp_path / "mesh.yaml").write_text(f"{OBJECT}---\n{OBJECT}")
    (tmp_path / "notes.txt").write_text("no YAML")
    assert [file.path.name for file in collect([tmp_path])] == ["a.yaml", "b.yml"]
    assert len(collect([tmp_path, tmp_path / "a.yaml"])) == 2


def test_a_file_of_a_directory_that_is_neither_is_refused_not_lost(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CASE)
    (tmp_path / "b.yaml").write_text(CASE.replace("cases:", "casez:"))
    (tmp_path / "c.yaml").write_text(f"{OBJECT}---\n{CASE}")
    with pytest.raises(CaseFileError, match=r"(?s)b\.yaml:1.*did you mean 'cases'.*c\.yaml:6"):
        collect([tmp_path])


def test_the_problems_of_all_files_are_shown_together(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("cases: []")
    with pytest.raises(CaseFileError) as caught:
        collect([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    assert len(caught.value.problems) == 2


def test_a_path_that_is_not_there_and_a_directory_without_cases_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no such file or directory"):
        collect([tmp_path / "absent"])
    (tmp_path / "mesh.yaml").write_text(OBJECT)
    with pytest.raises(LabError, match="no case file is in this directory"):
        collect([tmp_path])


def test_a_workload_that_is_missing_points_at_what_was_refused_of_the_manifests() -> None:
    mesh = FakeMesh(names=MeshNames(), refusals=("bad.yaml:7: not YAML.",))
    with pytest.raises(CaseFileError) as caught:
        run_cases(mesh, [file_of("a")], Choice())
    assert "It may be in what was refused of the manifests: bad.yaml:7: not YAML" in str(caught.value)
    assert "?." not in str(caught.value)
