"""All rules on all objects: findings in the order of files, less those that a comment suppresses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.lint.facts import Facts
from meshlab.lint.rule import Finding, Severity
from meshlab.lint.rules import BAD_SUPPRESSION, BY_CODE, NOT_READ, RULES
from meshlab.lint.suppressions import Suppressions
from meshlab.lint.unread import Unread
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from meshlab.inputs import Inputs
    from meshlab.istio.model.mesh import Mesh
    from meshlab.manifest import Problem

__all__ = ["Linted", "lint"]


@dataclass(frozen=True)
class Linted:
    """What was found.

    Attributes:
        objects: How many objects were looked at.
        findings: Every finding, suppressed ones too, by file and line.
    """

    objects: int
    findings: tuple[Finding, ...]

    @property
    def counted(self) -> tuple[Finding, ...]:
        """The findings that no comment suppresses."""
        return tuple(finding for finding in self.findings if not finding.suppressed)

    @property
    def suppressed(self) -> tuple[Finding, ...]:
        """The findings that a comment suppresses."""
        return tuple(finding for finding in self.findings if finding.suppressed)

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings that count and are as grave as that, or graver."""
        return tuple(each for each in self.counted if each.rule.severity.rank <= severity.rank)


def lint(inputs: Inputs, mesh: Mesh, read: Callable[[str], str | None]) -> Linted:
    """Look for mistakes.

    Args:
        inputs: The objects as written.
        mesh: What they describe together.
        read: Returns the text of a file, for comments; `None` where it cannot be read.
    """
    suppressions = Suppressions(read)
    found = [
        Finding(BY_CODE[problem.code], problem, suppressions.reason(problem))
        for problem in dict.fromkeys(_problems(inputs, mesh))
    ]
    sources = dict.fromkeys(manifest.source for manifest in inputs.manifests)
    found += [Finding(BAD_SUPPRESSION, problem) for problem in suppressions.problems(sources, BY_CODE)]
    ordered = sorted(found, key=lambda each: (each.problem.source, each.problem.line, each.rule.code))
    return Linted(len(inputs.manifests), tuple(ordered))


def _problems(inputs: Inputs, mesh: Mesh) -> Iterator[Problem]:
    refused: Sequence[Problem] = [
        *inputs.unreadable,
        *(problem for refusal in mesh.refusals if not refusal.is_right for problem in refusal.problems),
    ]
    for problem in refused:
        yield _with_code(problem, NOT_READ.code)
    unread = Unread(tuple(refused), inputs.manifests, mesh.root_namespace)
    yield from (each for each in _findings(inputs, mesh) if not unread.may_explain(each))


def _findings(inputs: Inputs, mesh: Mesh) -> Iterator[Problem]:
    for note in mesh.notes:
        yield note if note.code else _with_code(note, NOT_READ.code)
    facts = Facts(inputs.manifests, mesh)
    for rule in RULES:
        if rule.check is not None:
            yield from rule.check(facts)


def _with_code(problem: Problem, code: str) -> Problem:
    return replace(problem, code=code)
