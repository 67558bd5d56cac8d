"""The missing cases of a run as case files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.bench.case_file.write_expect import case_lines
from meshlab.bench.protocol import Setup
from meshlab.mutate.missing import setup_text
from meshlab.visible_text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshlab.bench.case import DeclaredWorkload
    from meshlab.istio.read.workload_ref import WorkloadRef
    from meshlab.mutate.mutated import Mutated
    from meshlab.mutate.results import Result

__all__ = ["missing_cases"]

_HEADER = """\
# Requests that no case asks for, each with its verdict of today. A comment says which line of the manifests could be
# lost without a case that fails. Is the verdict what you want? Then keep the case; else mend the manifests.
"""


def missing_cases(mutated: Mutated) -> list[str]:
    """Return the case files, most often one; none where no case is missing.

    Cases with other servers around them stand in a file of their own, since a host has one server in a file. One
    request that shows several mutants stands once.
    """
    files: dict[str, dict[str, list[Result]]] = {}
    for result in mutated.having("survived"):
        if result.missing:
            shown = files.setdefault(setup_text(Setup(apps=result.missing.setup.apps)), {})
            shown.setdefault(result.missing.text, []).append(result)
    return [_case_file(apps, files[apps]) for apps in sorted(files, key=len)]


def _case_file(apps: str, shown: Mapping[str, Sequence[Result]]) -> str:
    setups = [result.missing.setup for found in shown.values() for result in found if result.missing]
    parts = [_HEADER, apps, setup_text(_joined(setups)), "cases:\n"]
    names: dict[str, int] = {}
    for text, results in shown.items():
        parts += (f"  # {_about(result)}\n" for result in results)
        parts.append(_named(text, results[0], names))
    return "".join(parts)


def _joined(setups: Iterable[Setup]) -> Setup:
    workloads: dict[WorkloadRef, DeclaredWorkload] = {}
    authorities: dict[str, None] = {}
    addresses: dict[WorkloadRef, str] = {}
    for setup in setups:
        workloads |= setup.workloads
        authorities |= dict.fromkeys(setup.authorities)
        addresses |= setup.addresses
    return Setup(workloads=workloads, authorities=tuple(authorities), addresses=addresses)


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
    return case_lines(replace(result.missing.case, name=f"{name} ({names[name]})"))
