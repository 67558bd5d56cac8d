"""A battery as a case file, with the verdicts of today."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.bench.case_file.write_case import case_file_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshlab.battery.battery import Battery
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.reach.outcome import Answer

__all__ = ["cases_text", "expected_again"]

_HEADER = """\
# Who reached what on the day this file was written, by `meshlab reach --cases`. Each case is a request that a condition
# of the manifests decides about. Read them: a verdict here is today's, not yet what you want.
"""


def cases_text(battery: Battery, outcomes: Iterable[Outcome], answers: Sequence[Answer]) -> str:
    """Return the text of a case file. It counts the requests that cannot be cases."""
    by_name = {outcome.case.name: outcome for outcome in outcomes}
    judged = [
        answer
        for answer in answers
        # A case file would take `${NAME}` for a variable. What ends by chance has no one expectation.
        if answer.access in ("allowed", "refused")
        and not answer.varies
        and "${" not in repr(answer.question.case)
    ]
    left_out = len(answers) - len(judged)
    header = _HEADER
    if left_out:
        why = "not judged, not run, decided by chance or not to be written down"
        header += f"# Not here, because {why}: {left_out} requests.\n"
    cases = [
        (answer.question.case, expected_again(answer, by_name[answer.question.case.name]))
        for answer in judged
    ]
    return header + case_file_text(battery.setup, cases)


def expected_again(answer: Answer, outcome: Outcome) -> dict[str, Any]:
    """Return what a request must meet to end as it did, in the words of `expect`."""
    verdict = outcome.verdict
    found: dict[str, Any] = {}
    if answer.word == "refused":
        found["refused"] = True
    elif answer.word == "answered":
        found["answered"] = True
    else:
        found["status"] = int(answer.word)
    if verdict is None:
        return found
    if verdict.app and verdict.reply.answered:
        others = answer.question.answerers
        found["app"] = sorted({verdict.app, answer.question.target, *others}) if others else verdict.app
    elif verdict.proxy:
        found["proxy"] = str(verdict.proxy)
        if answer.policy:
            found["policy"] = answer.policy
    return found
