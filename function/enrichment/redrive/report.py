"""What a run has done so far, counted."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from enrichment import dead_letter
from enrichment.redrive.dead_letters import DeadLetter, Verdict

_MAX_KINDS = 200
_MAX_TEXT = 64
_MANY = "(others)"
_HOPELESS = (Verdict.NO_MESSAGE, Verdict.INCOMPLETE)


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """What letters have in common.

    Args:
        reason: Why they are here.
        stage: Where they were stopped.
        version: What code said so.
    """

    reason: str
    stage: str
    version: str


@dataclass(slots=True)
class Span:
    """Letters of one kind.

    Args:
        letters: How many.
        oldest: When the first was dead-lettered.
        newest: When the last was.
    """

    letters: int
    oldest: datetime
    newest: datetime


@dataclass(slots=True)
class Report:
    """What a run has done so far.

    Args:
        kinds: The letters that the run was about, redriven or not.
        redriven: Letters published and acknowledged, by reason.
        left: Letters left as they are, by reason and why.
        failed: Letters that Pub/Sub refused to take back as events, by reason.
    """

    kinds: dict[Kind, Span] = field(default_factory=dict)
    redriven: Counter[str] = field(default_factory=Counter)
    left: Counter[tuple[str, Verdict]] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def add(self, letter: DeadLetter, verdict: Verdict) -> None:
        """Counts a letter that was found."""
        if verdict is Verdict.REDRIVE or verdict in _HOPELESS:
            self._add_to_kind(letter)
        if verdict is not Verdict.REDRIVE:
            self.left[shown(letter.reason), verdict] += 1

    @property
    def hopeless(self) -> int:
        """How many letters were asked for and can never be redriven."""
        return sum(letters for (_, verdict), letters in self.left.items() if verdict in _HOPELESS)

    def _add_to_kind(self, letter: DeadLetter) -> None:
        kind = Kind(
            shown(letter.reason),
            shown(letter.attributes.get(dead_letter.STAGE, "")),
            shown(letter.attributes.get(dead_letter.VERSION, "")),
        )
        if kind not in self.kinds and len(self.kinds) >= _MAX_KINDS:
            kind = Kind(_MANY, "", "")
        at = letter.published_at
        span = self.kinds.setdefault(kind, Span(0, at, at))
        span.letters += 1
        span.oldest, span.newest = min(span.oldest, at), max(span.newest, at)


def shown(text: str) -> str:
    """A text from a letter as it may be shown: one short line. Anybody who may publish there can have written it."""
    return "".join(char if char.isprintable() else "?" for char in text[:_MAX_TEXT])
