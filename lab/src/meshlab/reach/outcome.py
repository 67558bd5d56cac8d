"""What became of one request of a battery: whether an application answered, and which proxy refused it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from meshlab.battery.answering_host import answering_host
from meshlab.bench.report.outcome_texts import ending, reasons
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.battery.battery import Question
    from meshlab.bench.verdicts.verdict import Outcome

__all__ = ["Access", "Answer", "answer_of"]

Access = Literal["allowed", "refused", "not judged", "error"]
"""`allowed` where an application or a host outside answered, with whatever status. A proxy that answers itself, with
404 or a redirection, has not let the request in. A server that ends the connection without an answer has refused it,
too."""


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Attributes:
        question: The question.
        access: Whether the request got in.
        word: How it ended: the status, `refused` or `answered`.
        by: Who answered or refused: a workload or a host; empty where that is not known. Of a refusal it is the
            workload of the proxy, or the server that ended the connection.
        policy: `NAMESPACE/NAME` of the policy that refused it; `none` where no ALLOW rule matched; empty for another
            reason.
        reason: Why it was refused, or could not be judged or run, in words.
        varies: Whether weights or chance decide how it ends. It is `allowed` where one destination lets it in.
    """

    question: Question
    access: Access
    word: str
    by: str = ""
    policy: str = ""
    reason: str = ""
    varies: bool = False

    @property
    def elsewhere(self) -> bool:
        """Whether another application answered than the one that the request is for."""
        expected = (self.question.target, *self.question.answerers)
        return self.access == "allowed" and self.by not in expected


def answer_of(question: Question, outcome: Outcome) -> Answer:
    """Return the answer that an outcome is."""
    verdict = outcome.verdict
    if outcome.state == "not judged":
        return Answer(question, "not judged", "not judged", reason="; ".join(reasons(outcome)))
    if outcome.state == "error" or verdict is None:
        return Answer(question, "error", "error", reason="; ".join(reasons(outcome)))
    word = ending(verdict)
    if verdict.app and verdict.reply.answered:
        return Answer(question, "allowed", word, answering_host(verdict.app, question.case))
    policy = verdict.decisive.policy if verdict.decisive else None
    return Answer(
        question,
        "refused",
        word,
        str(verdict.proxy or verdict.app or ""),
        policy.name if policy else "",
        verdict.reason or verdict.reply.failure,
    )
