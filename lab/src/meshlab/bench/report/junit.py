"""A run as JUnit XML, as Jenkins, GitLab and most other CI systems read it."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from meshlab.bench.report.outcome_texts import expected, hop_lines, observed, place, reasons, request
from meshlab.visible_text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.bench.report.run import Run
    from meshlab.bench.verdicts.verdict import Outcome

__all__ = ["run_as_junit"]


def run_as_junit(run: Run, *, allow_not_judged: bool = False) -> str:
    """Return a run as JUnit XML: one test suite for each case file.

    Texts are visible ones, whose characters XML 1.0 (section 2.2) allows.

    Args:
        run: The run.
        allow_not_judged: Whether cases that are not judged count as skipped; they are errors otherwise.
    """
    root = ET.Element("testsuites", {"name": "meshlab"})
    for case_file in run.case_files:
        outcomes = run.of(case_file)
        if outcomes:
            root.append(_suite(str(case_file.path), outcomes, allow_not_judged=allow_not_judged))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(file: str, outcomes: Sequence[Outcome], *, allow_not_judged: bool) -> ET.Element:
    cases = [_case(file, outcome, allow_not_judged=allow_not_judged) for outcome in outcomes]
    suite = ET.Element(
        "testsuite",
        {
            "name": visible(file),
            "tests": str(len(cases)),
            "failures": str(sum(case.find("failure") is not None for case in cases)),
            "errors": str(sum(case.find("error") is not None for case in cases)),
            "skipped": str(sum(case.find("skipped") is not None for case in cases)),
            "time": _seconds(sum(outcome.duration_s for outcome in outcomes)),
        },
    )
    suite.extend(cases)
    return suite


def _case(file: str, outcome: Outcome, *, allow_not_judged: bool) -> ET.Element:
    path = PurePath(file)
    element = ET.Element(
        "testcase",
        {
            "classname": visible(".".join([*path.parent.parts, path.stem]).lstrip("./")),
            "name": visible(outcome.case.name),
            "time": _seconds(outcome.duration_s),
        },
    )
    if outcome.state in ("passed", "seen"):
        return element
    kind = {"failed": "failure", "error": "error", "not judged": "skipped" if allow_not_judged else "error"}
    found = ET.SubElement(element, kind[outcome.state], {"message": visible("; ".join(reasons(outcome)))})
    if kind[outcome.state] != "skipped":
        found.set("type", outcome.state)
    found.text = visible("\n".join(_details(outcome)))
    return element


def _details(outcome: Outcome) -> list[str]:
    lines = [
        place(outcome.case),
        f"request: {request(outcome.case)}",
        f"expected: {expected(outcome.case.expect)}",
        f"got: {observed(outcome.verdict)}",
        *reasons(outcome),
    ]
    for number, hop in enumerate(outcome.verdict.hops if outcome.verdict else (), start=1):
        first, *more = hop_lines(hop)
        lines += [f"hop {number}: {first}", *(f"  {line}" for line in more)]
    return lines


def _seconds(value: float) -> str:
    return f"{value:.3f}"
