"""Case files and cases as pytest's collectors and items."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple, cast

import pytest

from meshlab.bench.protocol import BenchError
from meshlab.bench.report.outcome_texts import reasons
from meshlab.bench.report.terminal import SafeConsole, block, print_on
from meshlab.errors import LabError
from meshlab.manifest import ManifestError
from meshlab.pytest_plugin.asked import shown
from meshlab.visible_text import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from _pytest._code.code import TerminalRepr
    from _pytest._io import TerminalWriter

    from meshlab.bench.case import Case
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.pytest_plugin.mesh_session import MeshSession

__all__ = ["MARK", "CaseFileCollector", "CaseItem"]

MARK = "meshlab"
_PLAIN_WIDTH = 100
_SEPARATOR = "::"


class CaseFileCollector(pytest.File):
    """A case file. Its children are its cases, those of matrices included.

    Attributes:
        mesh: Reads it, and runs its cases.
        allow_not_judged: Whether cases that are not judged are skipped.
    """

    mesh: MeshSession
    allow_not_judged: bool

    def collect(self) -> Iterator[CaseItem]:
        """Read the file and yield its cases.

        Raises:
            CollectError: The file or the manifests are wrong; the message has every problem.
        """
        try:
            cases = self.mesh.read(shown(self.path)).cases
        except (LabError, ManifestError) as error:
            raise self.CollectError(visible(str(error))) from error
        for name, case in zip(_names(cases), cases, strict=True):
            item: CaseItem = CaseItem.from_parent(self, name=name)
            item.case, item.mesh, item.allow_not_judged = case, self.mesh, self.allow_not_judged
            item.add_marker(MARK)
            yield item


class CaseItem(pytest.Item):
    """One case as a test.

    Attributes:
        case: The case.
        mesh: Runs it.
        allow_not_judged: Whether it is skipped where it is not judged.
    """

    case: Case
    mesh: MeshSession
    allow_not_judged: bool

    def runtest(self) -> None:
        """Run the case, or take its outcome where it has run already."""
        outcome = self.mesh.outcome_of(self.case)
        if outcome.state == "not judged" and self.allow_not_judged:
            pytest.skip(f"{self.name}: not judged: {'; '.join(reasons(outcome))}")
        if outcome.state not in ("passed", "seen"):
            raise _CaseFailedError(outcome)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: str | None = None
    ) -> str | TerminalRepr:
        """Return what `meshlab test` prints of a case that has not passed; a traceback only of an internal error."""
        error = excinfo.value
        if isinstance(error, _CaseFailedError):
            return cast("TerminalRepr", _Failure(error.outcome))
        if isinstance(error, BenchError | LabError):
            return visible(str(error))
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where the case stands; the line is counted from 0."""
        return self.path, self.case.place.line - 1, self.name


class _CaseFailedError(Exception):
    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.case.name)
        self.outcome = outcome


class _Crash(NamedTuple):
    """What pytest shows in the line of its summary, and in JUnit XML."""

    message: str


class _Failure:
    """A case that has not passed, as pytest prints it.

    It has what pytest asks of its own `TerminalRepr`, whose module is not public.
    """

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self.reprcrash = _Crash("; ".join(reasons(outcome)))

    def toterminal(self, out: TerminalWriter) -> None:
        """Print it, in colours where pytest has them."""
        out.write(self._text(out.fullwidth, colour=out.hasmarkup))

    def __str__(self) -> str:
        """Return it for reports and for the parent of a process of pytest-xdist, which sums it up by its first line."""
        return f"{self.reprcrash.message}\n{self._text(_PLAIN_WIDTH, colour=False)}"

    def _text(self, width: int, *, colour: bool) -> str:
        stream = io.StringIO()
        on = SafeConsole(
            file=stream,
            width=width,
            force_terminal=colour,
            no_color=not colour,
            markup=False,
            highlight=False,
            emoji=False,
        )
        print_on(on, block(self._outcome, on, named=False))
        return stream.getvalue()


def _names(cases: Sequence[Case]) -> list[str]:
    """Return the names of items: visible, each once, without what separates the parts of a node id."""
    names: dict[str, None] = {}
    for case in cases:
        name = plain = one_line(case.name).replace(_SEPARATOR, ": :")
        number = 1
        while name in names:
            number += 1
            name = f"{plain} ({number})"
        names[name] = None
    return list(names)
