"""`meshlab explain` as a command: cases, one request of the command line, JSON, and what is wrong with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case import FromBypass, FromWorkload, HttpRequest, TcpRequest
from meshlab.bench.case_file import CaseFileError
from meshlab.bench.case_file.read_question import read_question

from tests.lab.explain.town import MESH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.conftest import Done

CASES = """
cases:
- name: the way inside
  from: {workload: shop/web}
  request: GET http://ledger.bank/
  expect: 404  # what is expected is not compared
- {name: another, from: {workload: shop/cart}, request: GET http://ledger.bank/, expect: 200}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "mesh.yaml").write_text(MESH)
    (folder / "cases.yaml").write_text(CASES)
    return folder


@pytest.fixture
def explain(
    folder: Path, real_command: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Done]:
    """Run `meshlab explain` on the mesh in this process."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *arguments: real_command("explain", "-f", "mesh.yaml", *arguments)


def test_cases_of_a_file_are_explained_whatever_they_expect(folder: Path) -> None:
    # A process of its own, as users run it.
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "meshlab", "explain", "-f", "mesh.yaml", "cases.yaml", "--no-changes"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "meshlab:" in done.stderr) == (0, False)
    assert "the way inside (cases.yaml:3)" in done.stdout
    assert "├── allowed: 200 by the application of bank/ledger" in done.stdout
    assert "├── refused: 403 by the proxy of bank/ledger" in done.stdout
    assert "what would let it in" not in done.stdout
    assert "\x1b" not in done.stdout


def test_a_document_has_the_chosen_case_alone(explain: Callable[..., Done]) -> None:
    done = explain("cases.yaml", "-k", "another", "--no-changes", "--json")
    assert done.code == 0
    document = json.loads(done.out)
    (found,) = document["explanations"]
    assert (document["version"], found["name"], found["decision"]["allowed"]) == (1, "another", False)
    assert [hop["workload"] for hop in found["hops"]] == ["shop/cart", "bank/ledger"]
    policies = next(step for step in found["hops"][1]["steps"] if step["name"] == "policies")
    condition = policies["policies"][0]["rules"][0]["conditions"][0]
    assert (condition["holds"], condition["place"]["file"]) == (True, "mesh.yaml")
    assert condition["place"]["line"] > 0


def test_conditions_that_fail_stand_once_in_a_document(explain: Callable[..., Done]) -> None:
    done = explain(
        "--from",
        "workload: shop/cart",
        "--request",
        "{tcp: 'db.bank:6379'}",
        "--json",
        "--no-changes",
    )
    assert done.code == 0
    (found,) = json.loads(done.out)["explanations"]
    policies = next(step for step in found["hops"][-1]["steps"] if step["name"] == "policies")
    rule = policies["policies"][0]["rules"][0]
    assert [rule["conditions"][index]["attribute"] for index in rule["failing"]] == ["principals"]


def test_one_request_of_the_command_line_is_explained(explain: Callable[..., Done]) -> None:
    done = explain("--from", "workload: shop/cart", "--request", "GET http://ledger.bank/")
    assert done.code == 0
    assert "add to spec.rules[0].from[0].source.notPrincipals" in done.out
    assert "with it the request gets in" in done.out
    assert "requests, each sent to the mesh with and without the change" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name case files, or one request with --from and --request"),
        (("--from", "workload: shop/cart"), "--from and --request belong together"),
        (
            ("cases.yaml", "--from", "workload: a/b", "--request", "GET http://a/"),
            "name case files, or one request",
        ),
        (
            ("--from", "workload: shop/crt", "--request", "GET http://a/"),
            "no workload shop/crt; did you mean shop/cart",
        ),
        (
            ("--from", "shop/cart", "--request", "GET http://a/"),
            "'shop/cart' does not say what kind of caller it is; did you mean 'workload: shop/cart'",
        ),
        (("--from", "bank", "--request", "GET http://a/"), "'workload: bank/"),
        (
            ("--from", "workload: shop/cart", "--request", "GET http://a/", "--token", "alice"),
            "'alice' is the name of a token, and only case files name them; write {issuer: URL",
        ),
        (("--from", "[", "--request", "GET http://a/"), "--from:1"),
        (
            ("cases.yaml", "-k", "nothing at all"),
            "selects none of the 2 cases; use words of their names, such as those of '",
        ),
    ],
)
def test_wrong_input_ends_with_its_reason(
    explain: Callable[..., Done], arguments: tuple[str, ...], message: str
) -> None:
    done = explain(*arguments)
    assert done.code == 2
    assert message in done.err
    assert "declare" not in done.err.lower()
    assert done.out == ""


def test_a_request_in_the_words_of_case_files() -> None:
    (case,) = read_question(
        "workload:shop/cart", "GET http://ledger.bank/", "{issuer: a, claims: {sub: b}}"
    ).cases
    assert isinstance(case.sender, FromWorkload)
    assert case.request == HttpRequest("http://ledger.bank/")
    assert (case.tokens[0].issuer, case.tokens[0].claims, case.expect) == ("a", {"sub": "b"}, None)
    (case,) = read_question("{bypass: none, to: bank/db}", "{tcp: 'db.bank:6379'}").cases
    assert isinstance(case.sender, FromBypass)
    assert isinstance(case.request, TcpRequest)


@pytest.mark.parametrize(
    ("sender", "request_", "token"),
    [
        ("outsid: edge/door", "GET http://a/", "none"),
        ("workload: shop/cart", "GET", "none"),
        ("workload: shop/cart", "{method: GET}", "none"),
        ("workload: shop/cart", "GET http://a/", "{flaw: none such}"),
        ("workload: shop/cart", "GET http://a/", "alice"),
        ("!!python/object:os.system x", "GET http://a/", "none"),
        ("&a [*a]", "GET http://a/", "none"),
        ("", "", ""),
        ("\x00", "\x1b[2J", "none"),
        ("[" * 3000, "GET http://a/", "none"),
    ],
)
def test_a_hostile_or_wrong_request_is_refused_with_its_option(
    sender: str, request_: str, token: str
) -> None:
    with pytest.raises(CaseFileError) as error:
        read_question(sender, request_, token)
    assert all(problem.place.file in ("--from", "--request", "--token") for problem in error.value.problems)
    assert error.value.problems
