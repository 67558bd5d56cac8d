"""One weaker line in infra/mesh breaks an expectation of the policy tests, which says what was lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from meshlab.bench.case_file.collect import collect
from meshlab.bench.local_bench import LocalBench
from meshlab.bench.protocol import Sources
from meshlab.bench.session import Choice, run_cases
from meshlab.manifest import ManifestError

from tests.infra.one_line_changes import (
    AUDIENCES,
    AUDIENCES_REMOVED,
    GATEWAY,
    TOKENS_REMOVED,
    WEAKER,
    WORKLOAD,
    OneLine,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Edit, Edited

BreakExpectations = Callable[..., set[str]]


@pytest.fixture(scope="module")
def bench() -> Iterator[LocalBench]:
    """One bench for all tests of this module: proxies of one mesh become those of the next."""
    with closing(LocalBench()) as bench:
        yield bench


@pytest.fixture
def broken_expectations(edited: Edited, bench: LocalBench) -> BreakExpectations:
    """Change a copy of infra/, one line at a time, and return the names of the expectations that then break."""

    def change(*edits: Edit) -> set[str]:
        project = edited(*edits)
        cases = collect([project.policy_tests / "user-profile.yaml"], project.contract())
        run = run_cases(bench.load(Sources((str(project.overlay),))), cases, Choice())
        return {outcome.case.name for outcome in run.outcomes if outcome.state != "passed"}

    return change


@pytest.mark.parametrize("line", WEAKER, ids=lambda line: line.name)
def test_a_weaker_line_breaks_the_case_that_it_kept(
    broken_expectations: BreakExpectations, line: OneLine
) -> None:
    assert line.broken <= broken_expectations(*line.edits)


@pytest.mark.parametrize(
    "file", [f"{GATEWAY}/request-authentication.yaml", f"{WORKLOAD}/request-authentication.yaml"]
)
def test_removing_audiences_alone_stops_the_build_and_names_the_field(
    broken_expectations: BreakExpectations, file: str
) -> None:
    with pytest.raises(ManifestError, match=r"spec\.jwtRules\.0\.audiences\.0"):
        broken_expectations((file, AUDIENCES, ""))


@pytest.mark.parametrize("line", AUDIENCES_REMOVED, ids=lambda line: line.name)
def test_removing_audiences_and_what_fills_them_in_is_noticed_although_the_policies_ask_for_them_too(
    broken_expectations: BreakExpectations, line: OneLine
) -> None:
    assert line.broken <= broken_expectations(*line.edits)


def test_dropping_the_workloads_request_authentication_locks_every_caller_out(
    broken_expectations: BreakExpectations,
) -> None:
    assert broken_expectations(*TOKENS_REMOVED.edits) >= TOKENS_REMOVED.broken


def test_without_a_change_nothing_breaks_after_all_of_these(broken_expectations: BreakExpectations) -> None:
    """Nothing that one mesh left in the proxies broke a case of the next."""
    assert broken_expectations() == set()
