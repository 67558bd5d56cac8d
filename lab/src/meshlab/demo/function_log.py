"""The function's log, as far as it says what happened to each message."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LABELS = "logging.googleapis.com/labels"
_NOT_SETTLED = ("retry", "fault")


@dataclass(frozen=True)
class Problem:
    """A retry or a fault that the function reported.

    Attributes:
        outcome: `retry` or `fault`.
        stage: Where the event was stopped.
        reason: The stable code.
        message: The function's own sentence.
    """

    outcome: str
    stage: str
    reason: str
    message: str


@dataclass(frozen=True)
class FunctionLog:
    """What the log says.

    Attributes:
        event_ids: Message id to what the function takes for the event's name.
        dropped: Ids of the messages that the pipeline drops on purpose.
        problems: How often each retry or fault was reported, by its first sentence.
    """

    event_ids: Mapping[str, str]
    dropped: frozenset[str]
    problems: Mapping[Problem, int]


def read_log(file: Path) -> FunctionLog:
    """Read the log of a function that may still be running."""
    event_ids: dict[str, str] = {}
    dropped: set[str] = set()
    problems: Counter[tuple[str, str, str]] = Counter()
    sentences: dict[tuple[str, str, str], str] = {}
    for line in _lines(file):
        labels = line.get(_LABELS)
        message_id = line.get("message_id")
        if not isinstance(labels, dict) or not isinstance(message_id, str):
            continue
        if isinstance(event_id := line.get("event_id"), str):
            event_ids[message_id] = event_id
        outcome = str(labels.get("outcome", ""))
        if outcome == "dropped":
            dropped.add(message_id)
        if outcome in _NOT_SETTLED:
            kind = (outcome, str(labels.get("stage", "")), str(labels.get("reason", "")))
            problems[kind] += 1
            sentences.setdefault(kind, str(line.get("message", "")))
    return FunctionLog(
        event_ids,
        frozenset(dropped),
        {Problem(*kind, sentences[kind]): count for kind, count in problems.most_common()},
    )


def _lines(file: Path) -> list[dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        try:
            document = json.loads(line)
        except ValueError:  # what the framework prints, or a line that is being written
            continue
        if isinstance(document, dict):
            found.append(document)
    return found
