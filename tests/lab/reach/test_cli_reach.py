"""`meshlab reach`: the matrix, its JSON, its options and its exit codes; no Envoy runs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from meshlab.battery.derive import derive
from meshlab.bench.case import HttpRequest
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.client.reply import Reply
from meshlab.bench.verdicts.compare_expected import compare
from meshlab.istio import load_mesh
from meshlab.istio.read.workload_ref import WorkloadRef
from meshlab.manifest import parse_manifests

from tests.lab.battery.meshes import ISSUER, ROUTE, mesh, policy, tokens
from tests.lab.bench.fakes import FakeMesh, answered, refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meshlab.battery.battery import Question
    from meshlab.bench.verdicts.verdict import Verdict

    from tests.lab.conftest import Done

    Command = Callable[..., Done]

CART, DOOR = WorkloadRef("shop", "cart"), WorkloadRef("edge", "door")
MESH = mesh(ROUTE, tokens("shop"), policy({"from": [{"source": {"requestPrincipals": [f"{ISSUER}/alice"]}}]}))
BATTERY = derive([MESH])


def fake(decide: Callable[[Question], Verdict | str]) -> FakeMesh:
    """A mesh that answers each question of the battery as it is decided here."""
    return FakeMesh({question.case.name: decide(question) for question in BATTERY.questions}, mesh=MESH)


def as_alice(question: Question) -> Verdict | str:
    if not isinstance(question.case.request, HttpRequest):
        return refused(None, CART)
    good = "token with sub alice" in question.caller and "(" not in question.caller
    return answered(200, "shop/cart") if good and question.target == "shop/cart" else refused(403, CART)


def test_the_summary_names_who_gets_in_and_the_matrix_how_each_request_ended(command: Command) -> None:
    done = command("reach", "-f", "mesh.yaml", mesh=fake(as_alice))
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"{len(BATTERY.questions)} requests for 5 targets"
    summary = next(line for line in lines if line.startswith("shop/cart"))
    assert " callers" in summary
    assert "stranger.example  reached by 0 of 2 callers" in lines
    assert any("✓ outside edge/door, token with sub alice" in line for line in lines)
    assert any("✓ 200" in line for line in lines)
    assert any("✗ 403" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_callers_that_are_treated_alike_are_one_row(command: Command) -> None:
    done = command("reach", "-f", "mesh.yaml", "--to", "shop/cart", mesh=fake(as_alice))
    assert "more callers)" in done.out
    every = command("reach", "-f", "mesh.yaml", "--to", "shop/cart", "-v", mesh=fake(as_alice))
    assert "more callers)" not in every.out
    assert every.out.count("alice") > done.out.count("alice")


def test_an_answer_of_a_proxy_is_not_taken_for_one_of_the_application(command: Command) -> None:
    done = command("reach", "-f", "mesh.yaml", "--json", mesh=fake(lambda _: refused(404, DOOR)))
    found = json.loads(done.out)
    assert all(target["reached_by"] == [] for target in found["targets"])
    question = found["targets"][0]["questions"][0]
    assert (question["access"], question["word"], question["by"]) == ("refused", "404", "edge/door")
    own = command("reach", "-f", "mesh.yaml", "--json", mesh=fake(lambda _: answered(404, "shop/cart")))
    (cart,) = [target for target in json.loads(own.out)["targets"] if target["target"] == "shop/cart"]
    assert {question["access"] for question in cart["questions"]} == {"allowed"}


def test_an_answer_of_another_application_is_marked_and_counts_for_no_reach(command: Command) -> None:
    other = fake(lambda _: answered(200, "shop/basket"))
    done = command("reach", "-f", "mesh.yaml", "--to", "shop/cart", mesh=other)
    assert "shop/cart  reached by 0 of" in done.out
    assert "was answered by shop/basket" in " ".join(done.out.split())
    assert "✓ 200*" in done.out


def test_the_document_has_every_question_and_stable_keys(command: Command) -> None:
    found = json.loads(command("reach", "-f", "mesh.yaml", "--json", mesh=fake(as_alice)).out)
    assert set(found) == {"version", "exit_code", "targets", "not_covered", "refusals", "notes"}
    assert (found["version"], found["exit_code"]) == (1, 0)
    questions = [question for target in found["targets"] for question in target["questions"]]
    assert {question["name"] for question in questions} == {
        question.case.name for question in BATTERY.questions
    }
    assert set(questions[0]) == {
        "name", "block", "caller", "also", "request", "access", "word", "by", "elsewhere", "policy", "reason"
    }  # fmt: skip
    for target in found["targets"]:
        titles = {block["title"] for block in target["blocks"]}
        assert {question["block"] for question in target["questions"]} == titles


def test_to_and_from_send_only_what_they_are_about(command: Command) -> None:
    running = fake(as_alice)
    command("reach", "-f", "mesh.yaml", "--to", "shop/cart", "--from", "outside:edge/door", mesh=running)
    ((_, sent, _),) = running.started
    wanted = [
        question.case.name
        for question in BATTERY.questions
        if question.target == "shop/cart" and question.caller.startswith("outside edge/door")
    ]
    assert sent == wanted
    assert 0 < len(wanted) < len(BATTERY.questions)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("--to", "shop/nothing"),
            "--to 'shop/nothing': there is no workload and no host of that name; there are",
        ),
        (("--from", "nowhere"), "--from 'nowhere': there is no caller of that name; there are"),
        (
            ("--to", "stranger.example", "--from", "outside"),
            "--from outside sends nothing to stranger.example",
        ),
    ],
)
def test_a_name_that_is_not_there_is_reported_with_those_that_are(
    command: Command, options: tuple[str, ...], words: str
) -> None:
    done = command("reach", "-f", "mesh.yaml", *options, mesh=fake(as_alice))
    assert done.code == 2
    assert words in " ".join(done.err.split())


def test_what_was_not_judged_or_run_is_shown_and_has_its_exit_code(command: Command) -> None:
    doubtful = fake(lambda _: "an EnvoyFilter is not understood")
    done = command("reach", "-f", "mesh.yaml", mesh=doubtful)
    assert done.code == 3
    assert "not judged: an EnvoyFilter is not understood" in " ".join(done.out.split())
    assert command("reach", "-f", "mesh.yaml", "--allow-not-judged", mesh=doubtful).code == 0
    broken = fake(lambda _: "error: no Envoy")
    done = command("reach", "-f", "mesh.yaml", "--allow-not-judged", mesh=broken)
    assert done.code == 4
    assert "could not be run: error: no Envoy" in " ".join(done.out.split())
    found = json.loads(command("reach", "-f", "mesh.yaml", "--json", mesh=doubtful).out)
    assert found["exit_code"] == 3
    assert found["targets"][0]["unknown"]
    assert found["targets"][0]["reached_by"] == []


def test_the_requests_can_be_kept_as_a_case_file(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "reach.yaml"
    done = command("reach", "-f", "mesh.yaml", "--cases", file, mesh=fake(as_alice))
    assert done.code == 0
    assert f"wrote the cases to {file}" in " ".join(done.err.split())
    read = parse_case_file(file.read_text(), str(file))
    assert [case.name for case in read.cases] == [question.case.name for question in BATTERY.questions]
    expected = {case.name: case.expect for case in read.cases}
    for question in BATTERY.questions:
        found = expected[question.case.name]
        assert found is not None
        assert found.proxy == (None if found.app else CART)


def test_bytes_that_a_proxy_answers_are_a_refusal_that_a_case_file_can_ask_for(
    command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "reach.yaml"
    # As where a client of TCP meets a server for HTTP, which answers 400.
    malformed = replace(
        refused(None, DOOR), reply=Reply("127.0.0.1:1", None, body=b"HTTP/1.1 400 Bad Request")
    )
    done = command("reach", "-f", "mesh.yaml", "--cases", file, mesh=fake(lambda _: malformed))
    assert "✗ refused" in done.out
    assert "answered" not in done.out.partition("✓ an application")[0]
    for case in parse_case_file(file.read_text(), str(file)).cases:
        assert case.expect is not None
        assert compare(case.expect, malformed) == []


def test_a_case_file_leaves_out_what_was_not_judged_and_says_so(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "reach.yaml"
    first = BATTERY.questions[0].case.name
    running = fake(lambda question: "unclear" if question.case.name == first else as_alice(question))
    assert command("reach", "-f", "mesh.yaml", "--cases", file, mesh=running).code == 3
    text = file.read_text()
    assert "not judged, not run, decided by chance or not to be written down: 1 requests." in text
    assert first not in {case.name for case in parse_case_file(text, str(file)).cases}


def test_a_file_that_cannot_be_written_is_an_error_of_the_input(command: Command, tmp_path: Path) -> None:
    done = command("reach", "-f", "mesh.yaml", "--cases", tmp_path / "no" / "file.yaml", mesh=fake(as_alice))
    assert done.code == 2
    assert "cannot be written" in " ".join(done.err.split())


def test_a_mesh_with_no_words_at_all_still_asks_at_a_stranger(command: Command) -> None:
    empty = load_mesh(parse_manifests("{apiVersion: v1, kind: Namespace, metadata: {name: a}}", "a.yaml"))
    done = command("reach", "-f", "mesh.yaml", mesh=FakeMesh(mesh=empty))
    assert done.code == 0
    assert "stranger/stranger" in done.out


def test_nothing_in_a_name_reaches_the_terminal_raw(command: Command) -> None:
    hostile = mesh(
        ROUTE, tokens("shop"), policy({"from": [{"source": {"requestPrincipals": [f"{ISSUER}/\x1b[31m"]}}]})
    )
    done = command("reach", "-f", "mesh.yaml", "-v", mesh=FakeMesh(mesh=hostile))
    assert "\x1b" not in done.out
    assert "\x1b" not in command("reach", "-f", "mesh.yaml", "--json", mesh=FakeMesh(mesh=hostile)).out
