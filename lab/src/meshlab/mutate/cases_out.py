"""The missing cases of a run as one case file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case_file.scalar import scalar
from meshlab.visible_text import one_line

if TYPE_CHECKING:
    from meshlab.mutate.mutated import Mutated
    from meshlab.mutate.results import Result

__all__ = ["missing_cases"]

_HEADER = """\
# Requests that no case asks for, each with its verdict of today. A comment says which line of the manifests could be
# lost without a case that fails. Is the verdict what you want? Then keep the case; else mend the manifests.
"""


def missing_cases(mutated: Mutated) -> str:
    """Return the case file; empty where no case is missing. One request that shows several mutants stands once."""
    shown: dict[str, list[Result]] = {}
    for result in mutated.having("survived"):
        if result.missing:
            shown.setdefault(result.missing.text, []).append(result)
    if not shown:
        return ""
    needs = dict.fromkeys(
        result.missing.needs for found in shown.values() for result in found if result.missing
    )
    parts = [_HEADER, *needs, "cases:\n"]
    names: dict[str, int] = {}
    for text, results in shown.items():
        parts += (f"  # {_about(result)}\n" for result in results)
        parts.append(_named(text, results[0], names))
    return "".join(parts)


def _about(result: Result) -> str:
    mutant = result.mutant
    place = f"{mutant.manifest.source}:{mutant.line}" if mutant.line else mutant.manifest.source
    return one_line(f"{place}: {mutant}: {result.effect}")


def _named(text: str, result: Result, names: dict[str, int]) -> str:
    """Return a case with a name that no other of the file has."""
    if result.missing is None:
        return text
    name = result.missing.case.name
    names[name] = names.get(name, 0) + 1
    if names[name] == 1:
        return text
    return text.replace(f"- name: {scalar(name)}", f"- name: {scalar(f'{name} ({names[name]})')}", 1)
