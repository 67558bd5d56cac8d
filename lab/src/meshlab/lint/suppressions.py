"""Comments that suppress findings: `# meshlab: ignore=ML306 the audience is checked by the gateway`.

A comment counts for findings of its own line and of the line below it. It names one or more codes, with commas, and a
reason of at least three words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshlab.manifest import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

__all__ = ["Suppressions"]

_COMMENT = re.compile(r"#\s*meshlab:\s*ignore\b(?P<rest>.*)$")
_REST = re.compile(r"\s*=\s*(?P<codes>[A-Z]{2}\d{3}(?:\s*,\s*[A-Z]{2}\d{3})*)(?P<reason>\s.*|)$")
_MIN_WORDS = 3


@dataclass
class _File:
    """The comments of one file.

    Attributes:
        by_line: Line to codes and reasons.
        malformed: Line to what is wrong with a comment there.
    """

    by_line: dict[int, dict[str, str]] = field(default_factory=dict)
    malformed: dict[int, str] = field(default_factory=dict)


class Suppressions:
    """The comments of all files that findings are in.

    Args:
        read: Returns the text of a file; `None` where it cannot be read.
    """

    def __init__(self, read: Callable[[str], str | None]) -> None:
        self._read = read
        self._files: dict[str, _File] = {}

    def reason(self, problem: Problem) -> str:
        """Return the reason that suppresses a problem; empty where there is none."""
        if not problem.code:
            return ""
        known = self._file(problem.source).by_line
        for line in (problem.line, problem.line - 1):
            if reason := known.get(line, {}).get(problem.code):
                return reason
        return ""

    def problems(self, codes: Collection[str]) -> Iterator[Problem]:
        """Yield what is wrong with the comments that were met.

        Args:
            codes: The codes that exist.
        """
        for source, file in self._files.items():
            for line, text in file.malformed.items():
                yield Problem(source, line, "", "", text, "ML003")
            for line, known in file.by_line.items():
                for code in known:
                    if code not in codes:
                        yield Problem(source, line, "", "", f"there is no rule {code}.", "ML003")

    def _file(self, source: str) -> _File:
        if source not in self._files:
            text = self._read(source)
            self._files[source] = _parse(text) if text is not None else _File()
        return self._files[source]


def _parse(text: str) -> _File:
    found = _File()
    for number, line in enumerate(text.splitlines(), start=1):
        comment = _COMMENT.search(line)
        if comment is None:
            continue
        rest = _REST.match(comment["rest"])
        if rest is None:
            found.malformed[number] = "write `# meshlab: ignore=CODE reason`, with commas between codes."
        elif len(rest["reason"].split()) < _MIN_WORDS:
            found.malformed[number] = (
                "the comment gives no reason; write at least three words after the codes."
            )
        else:
            codes = re.split(r"\s*,\s*", rest["codes"])
            found.by_line[number] = dict.fromkeys(codes, rest["reason"].strip())
    return found
