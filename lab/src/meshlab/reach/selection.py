"""Selection of the questions to one target or of one caller."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.bench.case import FromBypass, FromOutside, FromWorkload
from meshlab.bench.close_names import known_names
from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.battery.battery import Battery, Question

__all__ = ["selected"]

_OUTSIDE = "outside"


def selected(battery: Battery, *, to: str = "", sender: str = "") -> Battery:
    """Return the part of a battery that is about a target and a caller.

    Args:
        battery: The battery.
        to: `NAMESPACE/NAME` of a workload, or a host; empty for all.
        sender: `NAMESPACE/NAME` of a workload, `outside` or `outside:NAMESPACE/GATEWAY`; empty for all.

    Raises:
        LabError: There is no such target or caller, or nothing that this caller sends to this target.
    """
    questions = battery.questions
    if to:
        _check("--to", "no workload and no host", to, (question.target for question in questions))
        questions = tuple(question for question in questions if question.target == to)
    if sender:
        _check(
            "--from",
            "no caller",
            sender,
            (name for question in battery.questions for name in _senders(question)),
        )
        questions = tuple(question for question in questions if sender in _senders(question))
    if battery.questions and not questions:
        raise LabError(f"--from {sender} sends nothing to {to}; leave one of the options out")
    return replace(battery, questions=questions)


def _senders(question: Question) -> tuple[str, ...]:
    """Return the names under which a caller can be chosen."""
    match question.case.sender:
        case FromOutside(gateway=gateway):
            return _OUTSIDE, f"{_OUTSIDE}:{gateway}"
        case FromWorkload(workload=workload):
            return (str(workload), *question.alike)
        case FromBypass(workload=workload) if workload is not None:
            return (str(workload),)
    return ()


def _check(option: str, what: str, wanted: str, names: Iterable[str]) -> None:
    known = set(names)
    if wanted not in known:
        raise LabError(f"{option} {wanted!r}: there is {what} of that name; {known_names(wanted, known)}")
