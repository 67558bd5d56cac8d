"""One weaker line in infra/mesh breaks an expectation of the policy tests, which says what was lost."""

from __future__ import annotations

from collections.abc import Callable
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
    from tests.conftest import Edit, Edited

BreakPromises = Callable[..., set[str]]


@pytest.fixture
def broken_promises(edited: Edited) -> BreakPromises:
    """Change a copy of infra/, one line at a time, and return the names of the expectations that then break."""

    def change(*edits: Edit) -> set[str]:
        project = edited(*edits)
        cases = collect([project.policy_tests / "user-profile.yaml"], project.contract())
        bench = LocalBench()
        try:
            run = run_cases(bench.load(Sources((str(project.overlay),))), cases, Choice())
        finally:
            bench.close()
        return {outcome.case.name for outcome in run.outcomes if outcome.state != "passed"}

    return change


@pytest.mark.parametrize("line", WEAKER, ids=lambda line: line.name)
def test_a_weaker_line_breaks_the_case_that_it_kept(broken_promises: BreakPromises, line: OneLine) -> None:
    assert line.broken <= broken_promises(*line.edits)


@pytest.mark.parametrize(
    "file", [f"{GATEWAY}/request-authentication.yaml", f"{WORKLOAD}/request-authentication.yaml"]
)
def test_removing_audiences_alone_stops_the_build_and_names_the_field(
    broken_promises: BreakPromises, file: str
) -> None:
    with pytest.raises(ManifestError, match=r"spec\.jwtRules\.0\.audiences\.0"):
        broken_promises((file, AUDIENCES, ""))


@pytest.mark.parametrize("line", AUDIENCES_REMOVED, ids=lambda line: line.name)
def test_removing_audiences_and_what_fills_them_in_is_noticed_although_the_policies_ask_for_them_too(
    broken_promises: BreakPromises, line: OneLine
) -> None:
    assert line.broken <= broken_promises(*line.edits)


def test_dropping_the_workloads_request_authentication_locks_every_caller_out(
    broken_promises: BreakPromises,
) -> None:
    assert broken_promises(*TOKENS_REMOVED.edits) >= TOKENS_REMOVED.broken
