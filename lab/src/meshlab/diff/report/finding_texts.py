"""What a comparison found, in words that all reports share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case import FromBypass, FromForeignMesh
from meshlab.bench.report.outcome_texts import request
from meshlab.diff.effect import Kind

if TYPE_CHECKING:
    from meshlab.diff.compare_meshes import Difference
    from meshlab.diff.result import Finding, Result

__all__ = ["asked", "before_and_now", "not_known_because", "summary"]

_DECIDING = (Kind.NOW_ALLOWED, Kind.NOW_REFUSED)


def summary(result: Result) -> str:
    """Return what was found in one line, such as `2 now allowed, 1 now refused; 310 requests compared`."""
    if result.is_same:
        return "no verdict changed: every proxy is configured alike on both sides, so nothing was started"
    parts = [f"{count} {kind}" for kind, count in result.counts.items()]
    found = ", ".join(parts) or "no verdict changed"
    text = f"{found}; {_count(result.compared, 'request')} compared"
    for count, what in ((len(result.failed), "could not be run"), (len(result.not_judged), "not judged")):
        text += f", {count} {what}" if count else ""
    return text


def asked(difference: Difference) -> tuple[str, str]:
    """Return who asked, and what: the request itself where the class of requests does not name it."""
    question = difference.question
    what = question.request_class or request(question.case)
    if isinstance(question.case.sender, FromBypass | FromForeignMesh):
        what = f"{what} to {question.target}"
    return question.caller, what


def before_and_now(finding: Finding) -> tuple[str, str]:
    """Return what became of a request before, and what becomes of it now."""
    difference = finding.difference
    before, now = difference.old.summary, difference.new.summary
    change = difference.change
    if change and change.details and change.kind not in _DECIDING:
        now = f"{now}: {'; '.join(change.details)}" if difference.new.allowed else now
    return before, f"{now} ({difference.chance})" if difference.chance else now


def not_known_because(difference: Difference) -> str:
    """Return why it is not known what changed about a request."""
    old, new = difference.old, difference.new
    if old.unknown and new.unknown:
        return f"on both sides: {old.unknown[0]}"
    return f"before: {old.unknown[0]}" if old.unknown else f"now: {new.unknown[0]}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
