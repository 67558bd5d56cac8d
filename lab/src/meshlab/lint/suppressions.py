"""Comments that suppress findings: `# meshlab: ignore=ML306 the audience is checked by the gateway`.

A comment behind a value counts for its own line. A comment on a line of its own counts for the next line that holds
anything else. It names one or more codes, with commas, and a reason of at least three words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshlab.manifest import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

__all__ = ["Suppressions"]

_COMMENT = re.compile(r"(?:^|\s)#\s*meshlab:\s*ignore\b(?P<rest>.*)$")
_REST = re.compile(r"\s*=\s*(?P<codes>[A-Z]{2}\d{3}(?:\s*,\s*[A-Z]{2}\d{3})*)(?P<reason>\s.*|)$")
_MIN_WORDS = 3


@dataclass
class _Comment:
    """A comment with codes.

    Attributes:
        line: Where it stands.
        code: One of its codes.
        reason: Its reason.
        used: Whether it suppressed something.
    """

    line: int
    code: str
    reason: str
    used: bool = False


@dataclass
class _File:
    """The comments of one file.

    Attributes:
        by_line: The line that they count for to the comments.
        malformed: Line to what is wrong with a comment there.
    """

    by_line: dict[int, list[_Comment]] = field(default_factory=dict)
    malformed: dict[int, str] = field(default_factory=dict)


class Suppressions:
    """The comments of files.

    Args:
        read: Returns the text of a file; `None` where it cannot be read.
    """

    def __init__(self, read: Callable[[str], str | None]) -> None:
        self._read = read
        self._files: dict[str, _File] = {}

    def reason(self, problem: Problem) -> str:
        """Return the reason that suppresses a problem; empty where there is none."""
        for comment in self._file(problem.source).by_line.get(problem.line, ()):
            if comment.code == problem.code:
                comment.used = True
                return comment.reason
        return ""

    def problems(self, sources: Collection[str], codes: Collection[str]) -> Iterator[Problem]:
        """Yield what is wrong with the comments, after all findings have been asked for.

        Args:
            sources: The files.
            codes: The codes that exist.
        """
        for source in dict.fromkeys((*sources, *self._files)):
            file = self._file(source)
            for line, text in file.malformed.items():
                yield Problem(source, line, "", "", text, "ML003")
            for comments in file.by_line.values():
                for comment in comments:
                    if comment.code not in codes:
                        text = f"there is no rule {comment.code}."
                    elif not comment.used:
                        text = f"{comment.code} finds nothing here; remove the code."
                    else:
                        continue
                    yield Problem(source, comment.line, "", "", text, "ML003")

    def _file(self, source: str) -> _File:
        if source not in self._files:
            text = self._read(source)
            self._files[source] = _parse(text) if text is not None else _File()
        return self._files[source]


def _parse(text: str) -> _File:
    found = _File()
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        comment = _COMMENT.search(line)
        if comment is None:
            continue
        rest = _REST.match(comment["rest"].rstrip())
        if rest is None:
            found.malformed[number] = "write `# meshlab: ignore=CODE reason`, with commas between codes."
        elif len(rest["reason"].split()) < _MIN_WORDS:
            found.malformed[number] = (
                "the comment gives no reason; write at least three words after the codes."
            )
        else:
            target = number if line[: comment.start()].strip() else _next(lines, number)
            for code in re.split(r"\s*,\s*", rest["codes"]):
                known = found.by_line.setdefault(target, [])
                known.append(_Comment(number, code, rest["reason"].strip()))
    return found


def _next(lines: Sequence[str], number: int) -> int:
    """Return the number of the next line that holds more than a comment."""
    for index in range(number, len(lines)):
        text = lines[index].strip()
        if text and not text.startswith("#"):
            return index + 1
    return number
