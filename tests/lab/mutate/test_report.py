"""Reports of mutants: what a person reads, and the file of missing cases."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.bench.case import (
    AppSpec,
    Case,
    CasePlace,
    Certificate,
    DeclaredWorkload,
    Expectation,
    FromWorkload,
    HttpRequest,
)
from meshlab.bench.case_file import parse_case_file
from meshlab.bench.protocol import Setup
from meshlab.bench.report.terminal import console
from meshlab.istio import WorkloadRef
from meshlab.mutate.cases_out import missing_cases
from meshlab.mutate.chosen_mutants import Chosen
from meshlab.mutate.missing import MissingCase
from meshlab.mutate.mutated import Mutated
from meshlab.mutate.progress import MutationProgress
from meshlab.mutate.report import print_mutated, summary
from meshlab.mutate.results import Result

from tests.lab.mutate.shop import shop

if TYPE_CHECKING:
    from meshlab.mutate.mutants import Mutant

STRANGER, CART = WorkloadRef("stranger", "stranger"), WorkloadRef("shop", "cart")
MUTANTS = [mutant for mutant in shop().mutants() if mutant.kind == "AuthorizationPolicy"]
CASE = Case(
    "a stranger",
    FromWorkload(STRANGER),
    HttpRequest("http://cart.shop/"),
    Expectation(status=403, proxy=CART),
    CasePlace("missing-cases.yaml", 1),
)
MISSING = MissingCase(CASE, "now allowed", Setup(workloads={STRANGER: DeclaredWorkload()}))


def survivor(mutant: Mutant, missing: MissingCase = MISSING) -> Result:
    return Result(mutant, "survived", missing=missing, effect=missing.effect)


def mutated(*results: Result, chosen: Chosen | None = None) -> Mutated:
    return Mutated(results, chosen or Chosen(tuple(MUTANTS)), 3, 0.5)


def printed(found: Mutated, *, verbose: bool = False) -> str:
    stream = io.StringIO()
    print_mutated(found, console(stream), verbose=verbose)
    return stream.getvalue()


def test_survivors_stand_below_their_object_each_with_its_line_and_case() -> None:
    text = printed(mutated(survivor(MUTANTS[0]), survivor(MUTANTS[1])))
    assert text.count("AuthorizationPolicy shop/cart") == 1
    assert f"{MUTANTS[1].line}  {MUTANTS[1].field}: {MUTANTS[1].change}  (now allowed)" in text
    assert "workloads: {stranger/stranger:" in text
    assert "expect: 403 shop/cart" in text


def test_survivors_of_one_field_have_one_case_unless_all_are_asked_for() -> None:
    by_field: dict[str, list[Mutant]] = {}
    for mutant in MUTANTS:
        by_field.setdefault(mutant.field, []).append(mutant)
    of_one_field = max(by_field.values(), key=len)
    assert len(of_one_field) > 1
    found = mutated(*map(survivor, of_one_field))
    text, whole = printed(found), printed(found, verbose=True)
    assert [text.count(mutant.change) for mutant in of_one_field] == [1] * len(of_one_field)
    assert text.count("expect: 403 shop/cart") == 1
    assert "left out: -v shows all, --cases-out FILE writes them" in text
    assert whole.count("expect: 403 shop/cart") == len(of_one_field)
    assert "left out: -v" not in whole


def test_what_was_caught_is_shown_on_request() -> None:
    found = mutated(Result(MUTANTS[0], "caught", "open"), Result(MUTANTS[1], "equivalent"))
    assert "by open" not in printed(found)
    assert "equivalent: no request of the battery ends otherwise" in printed(found)
    assert "(by open)" in printed(found, verbose=True)


def test_the_summary_counts_states_speed_and_what_was_not_asked() -> None:
    found = mutated(
        survivor(MUTANTS[0]),
        Result(MUTANTS[1], "caught", "open"),
        chosen=Chosen(tuple(MUTANTS), only_break=2, sampled_out=7),
    )
    assert summary(found) == (
        "2 mutants: 1 survived, 1 caught; 4 a second; 2 that can let nothing more in were left out (--all asks them);"
        " 7 were not drawn (--seed 14)"
    )


def test_words_of_manifests_cannot_move_the_cursor() -> None:
    hostile = replace(MUTANTS[0].manifest, name="x\x1b[2Jy", source="m\x1b]0;\x07.yaml")
    result = Result(replace(MUTANTS[0], manifest=hostile), "not judged", reason="a\x1b[31m\nb")
    text = printed(mutated(result), verbose=True)
    assert "\x1b" not in text
    assert "\x07" not in text


def test_missing_cases_are_a_case_file_with_each_request_once_and_each_name_once() -> None:
    other = MissingCase(
        replace(CASE, request=HttpRequest("http://cart.shop/b")), "now allowed", MISSING.setup
    )
    (text,) = missing_cases(mutated(survivor(MUTANTS[0]), survivor(MUTANTS[1]), survivor(MUTANTS[2], other)))
    file = parse_case_file(text, "missing.yaml")
    assert [case.name for case in file.cases] == ["a stranger", "a stranger (2)"]
    assert set(file.workloads) == {STRANGER}
    assert f"# {MUTANTS[1].manifest.source}:{MUTANTS[1].line}: {MUTANTS[1]}: now allowed" in text


def test_cases_with_another_server_around_them_stand_in_a_file_of_their_own() -> None:
    server = AppSpec("api.example", certificate=Certificate("internet", dns=("impostor.example",)))
    other = MissingCase(CASE, "now allowed", replace(MISSING.setup, apps=(server,)))
    texts = missing_cases(mutated(survivor(MUTANTS[0], other), survivor(MUTANTS[1])))
    files = [parse_case_file(text, "missing.yaml") for text in texts]
    assert [file.apps for file in files] == [(), (server,)]
    assert [[case.name for case in file.cases] for file in files] == [["a stranger"], ["a stranger"]]


def test_a_comment_of_a_hostile_name_stays_one_line() -> None:
    hostile = replace(MUTANTS[0].manifest, name="x\ncases: []")
    (text,) = missing_cases(mutated(survivor(replace(MUTANTS[0], manifest=hostile))))
    assert len(parse_case_file(text, "missing.yaml").cases) == 1


def test_without_survivors_there_is_no_file() -> None:
    assert missing_cases(mutated(Result(MUTANTS[0], "caught", "open"))) == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_says_how_many_and_how_fast() -> None:
    times = iter([0.0, 0.0, 2.0, 2.0])
    stream = Terminal()
    with MutationProgress(stream, now=lambda: next(times)) as bar:
        bar.began(4)
        bar.happened(Result(MUTANTS[0], "caught", "open"))
        bar.happened(survivor(MUTANTS[1]))
    assert "1 of 4 mutants, 1 caught, 0.5 a second, about 6 s left" in stream.getvalue()
    assert "2 of 4 mutants, 1 caught, 1 survived, 1 a second, about 2 s left" in stream.getvalue()


def test_a_pipe_gets_a_plain_line_of_progress_every_ten_seconds() -> None:
    times = iter([0.0, 0.0, 0.0, 9.9, 9.9, 10.0, 10.0, 12.0, 12.0])
    stream = io.StringIO()
    with MutationProgress(stream, now=lambda: next(times)) as bar:
        bar.began(8)
        for _ in range(3):
            bar.happened(Result(MUTANTS[0], "caught", "open"))
    assert stream.getvalue() == "2 of 8 mutants, 2 caught, 0.2 a second, about 30 s left\n"
