"""`meshlab demo lambda-bridge`: who reaches the Lambda function through two meshes, and who is refused where."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.table import Table

from meshlab.bench.case_file.collect import collect
from meshlab.bench.report import outcome_texts
from meshlab.bench.selection import select
from meshlab.explain.explained_outcome import explain
from meshlab.explain.printed_explanation import print_explanation
from meshlab.lab.lambda_bridge.run import BridgeRun, bridge_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.lab.project import Project

__all__ = ["bridge_table", "run_lambda_bridge"]

_CASES = "infra/policy-tests/lambda-bridge/both"
_MOST_CHARACTERS = 200


def run_lambda_bridge(
    project: Project, console: Console, *, verbose: bool = False, to_explain: str = ""
) -> bool:
    """Run both meshes, the load balancer and the function, and show what becomes of each request.

    Args:
        project: The checkout to run.
        console: Where to show it.
        verbose: Whether to show every proxy on the way of each request.
        to_explain: Which requests to explain, as `-k` chooses cases; none where it is empty.

    Returns:
        Whether every request ended as the policy tests expect.

    Raises:
        LabError: A part did not start.
        CaseFileError: A case is wrong.
        SelectionError: `to_explain` cannot be read, or selects no case.
    """
    began_at = time.monotonic()
    files = collect([project.root / _CASES], bridge_values(project))
    cases = [case for file in files for case in file.cases]
    chosen = select(cases, to_explain, option="--explain") if to_explain else []
    with console.status("making certificates, starting both meshes, the load balancer and the function"):
        run = BridgeRun(project, files, condition_probes=bool(chosen))
    with run:
        ready_after_s = time.monotonic() - began_at
        outcomes = list(run.send())
        proxies = ", ".join(map(str, sorted(run.proxies)))
    console.print(f"ready after {ready_after_s:.2f} s: {proxies}", highlight=False)
    console.print(bridge_table(outcomes))
    for outcome in outcomes:
        for hop in outcome.verdict.hops if verbose and outcome.verdict else ():
            console.print(
                "  ".join((outcome.case.name, *outcome_texts.hop_lines(hop))), style="dim", highlight=False
            )
    for outcome in outcomes:
        if outcome.case in chosen:
            print_explanation(explain(outcome, run.meshes, run.under_test), console, verbose=verbose)
    failed = [outcome for outcome in outcomes if outcome.state != "passed"]
    for outcome in failed:
        reasons = "; ".join(outcome_texts.reasons(outcome))
        console.print(f"[red]broken:[/] {outcome.case.name}: {reasons}", highlight=False)
    seconds = time.monotonic() - began_at
    passed = len(outcomes) - len(failed)
    console.print(f"took {seconds:.1f} s in all; nothing is left running", highlight=False)
    console.print(f"demo: {passed} of {len(outcomes)} requests ended as expected", highlight=False)
    return not failed


def bridge_table(outcomes: Sequence[Outcome]) -> Table:
    """Return who got where, and why not."""
    table = Table(
        title="Who reaches the function", title_justify="left", title_style="bold", header_style="bold"
    )
    for column in ("request", "outcome", "by", "why"):
        table.add_column(column, overflow="fold")
    for outcome in outcomes:
        verdict = outcome.verdict
        by = str(verdict.app or verdict.proxy or "") if verdict else ""
        why = (
            verdict.reason or verdict.reply.failure if verdict else "; ".join(outcome_texts.reasons(outcome))
        )
        style = "" if outcome.state == "passed" else "red"
        cells = (
            outcome.case.name, outcome_texts.ending(verdict), by, outcome_texts.printable(why, _MOST_CHARACTERS),
        )  # fmt: skip
        table.add_row(*cells, style=style)
    return table
