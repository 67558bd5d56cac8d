"""Counts of what a run has done so far."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from enrichment import dead_letter
from enrichment.redrive.dead_letters import CANNOT_BE_REDRIVEN, NEEDS_AN_ANSWER, DeadLetter, Verdict

_MAX_KINDS = 200
_MAX_TEXT = 64
_MAX_NAMED = 5
_OTHERS = "(others)"
_ASKED_FOR = (Verdict.REDRIVE, *CANNOT_BE_REDRIVEN, *NEEDS_AN_ANSWER)


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """What dead letters have in common.

    Args:
        reason: Why they are here.
        function: Name of the function that wrote them.
        stage: Where their events were stopped.
        version: Version of the code that decided.
    """

    reason: str
    function: str
    stage: str
    version: str


@dataclass(slots=True)
class Span:
    """Dead letters of one kind.

    Args:
        count: How many.
        oldest: When the first was dead-lettered.
        newest: When the last was.
    """

    count: int
    oldest: datetime
    newest: datetime


@dataclass(slots=True)
class Report:
    """What a run has done so far.

    Args:
        kinds: The dead letters that the run was about, redriven or not.
        redriven: Dead letters published and acknowledged, by reason.
        acknowledged: Dead letters that an earlier run had published, acknowledged now.
        left: Dead letters left as they are, by reason and why.
        failed: Dead letters whose events Pub/Sub refused, by reason.
        in_doubt: Message ids of the first events that may have been published, as the table has them.
    """

    kinds: dict[Kind, Span] = field(default_factory=dict)
    redriven: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    left: Counter[tuple[str, Verdict]] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    in_doubt: list[str] = field(default_factory=list)

    def add(self, found: DeadLetter, verdict: Verdict) -> None:
        """Count a dead letter that was found."""
        if verdict in _ASKED_FOR:
            self._add_to_kind(found)
        if verdict is not Verdict.REDRIVE:
            self.left[shown(found.reason), verdict] += 1
        if verdict is Verdict.IN_DOUBT and len(self.in_doubt) < _MAX_NAMED:
            self.in_doubt.append(shown(found.original_id))

    def count_left(self, *verdicts: Verdict) -> int:
        """Return how many dead letters were left for one of these reasons."""
        return sum(count for (_, verdict), count in self.left.items() if verdict in verdicts)

    @property
    def functions(self) -> list[str]:
        """Names of the functions that wrote what was found, without the empty one."""
        return sorted({kind.function for kind in self.kinds if kind.function})

    def _add_to_kind(self, found: DeadLetter) -> None:
        kind = Kind(
            shown(found.reason),
            shown(found.function),
            shown(found.attributes.get(dead_letter.STAGE, "")),
            shown(found.attributes.get(dead_letter.VERSION, "")),
        )
        if kind not in self.kinds and len(self.kinds) >= _MAX_KINDS:
            kind = Kind(_OTHERS, "", "", "")
        at = found.published_at
        span = self.kinds.setdefault(kind, Span(0, at, at))
        span.count += 1
        span.oldest, span.newest = min(span.oldest, at), max(span.newest, at)


def shown(text: str) -> str:
    """Return a text of a dead letter as one short line, because any publisher can have written it."""
    return "".join(char if char.isprintable() else "?" for char in text[:_MAX_TEXT])
