"""What the demo of a story shows: who got where after each step, and why not at the end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from meshlab.bench.case import FromBypass, FromWorkload
from meshlab.bench.report.outcome_texts import ending, printable, reasons
from meshlab.bench.report.terminal import SafeConsole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.demo.story import StepRun, Story

__all__ = ["console", "refusals", "steps", "who_got_where", "who_refused"]

# Wide enough for the widest table; a pipe has no width of its own.
_PIPE_WIDTH = 150
_OWN_SIDECAR, _GATEWAY = "own sidecar", "gateway"
_SHORT = {_OWN_SIDECAR: "S", _GATEWAY: "G"}
_LEGEND = "S: refused by the sender's own sidecar, G: by the gateway"
_STYLES = {"passed": "", "failed": "red", "error": "red", "not judged": "yellow", "seen": "cyan"}


def console() -> SafeConsole:
    """Return a console for standard output, which honours NO_COLOR and pipes."""
    plain = SafeConsole(highlight=False)
    if plain.is_terminal or "COLUMNS" in os.environ:
        return plain
    return SafeConsole(width=_PIPE_WIDTH, highlight=False)


def steps(story: Story, runs: Sequence[StepRun]) -> Table:
    """Return the steps: what each adds, and whether its expectations were met."""
    table = _table(story.title, "step", "what it adds", "as expected")
    for number, done in enumerate(runs, 1):
        outcomes = done.run.outcomes
        passed = done.run.counts["passed"]
        style = "" if passed == len(outcomes) else "red"
        table.add_row(
            Text(f"{number} {done.step.name}"),
            Text(done.step.title),
            Text(f"{passed} of {len(outcomes)}", style),
        )
    return table


def who_got_where(runs: Sequence[StepRun]) -> Table:
    """Return a row for each request and a column for each step."""
    table = _table(
        f"Who got where ({_LEGEND})",
        "request",
        *(f"{number} {done.step.name}" for number, done in enumerate(runs, 1)),
    )
    found = [{outcome.case.name: outcome for outcome in done.run.outcomes} for done in runs]
    names = dict.fromkeys(name for outcomes in reversed(found) for name in outcomes)
    for name in names:
        cells = [_cell(outcomes[name]) if name in outcomes else Text("") for outcomes in found]
        table.add_row(Text(printable(name)), *cells)
    return table


def refusals(done: StepRun) -> Table:
    """Return a row for each request of a step that was refused: who refused it, and why."""
    table = _table(f"Why not, after step {done.step.name}", "request", "ending", "refused by", "why")
    for outcome in done.run.outcomes:
        verdict = outcome.verdict
        if verdict is not None and verdict.proxy is not None:
            table.add_row(
                Text(printable(outcome.case.name)),
                Text(ending(verdict)),
                Text(who_refused(outcome)),
                Text(printable(verdict.reason)),
            )
    return table


def who_refused(outcome: Outcome) -> str:
    """Return whose proxy gave the answer, as seen from the sender; empty where an application did."""
    verdict = outcome.verdict
    if verdict is None or verdict.proxy is None:
        return ""
    sender = outcome.case.sender
    if isinstance(sender, FromWorkload | FromBypass) and sender.workload == verdict.proxy:
        return _OWN_SIDECAR
    decisive = verdict.decisive
    if decisive is not None and decisive.direction == "gateway":
        return _GATEWAY
    return str(verdict.proxy)


def _cell(outcome: Outcome) -> Text:
    style = _STYLES[outcome.state]
    if outcome.verdict is None or outcome.state == "not judged":
        return Text(f"{outcome.state}: {reasons(outcome)[0]}", style)
    who = who_refused(outcome)
    text = f"{ending(outcome.verdict)}{f' {_SHORT.get(who, who)}' if who else ''}"
    return Text(f"{text}, not expected" if outcome.state == "failed" else text, style)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
