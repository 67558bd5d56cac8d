"""Mutants against policy tests: the mesh changes as it runs, and the cases that touch the change are sent.

Nothing is restarted but what a change makes restart. The cases that found out a like change of another object come
first, so most mutants meet few cases.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from meshlab.bench.case import FromOutside
from meshlab.bench.case_file.collect import collect
from meshlab.bench.declared import declared_manifests
from meshlab.bench.local_bench import LocalBench, LocalMesh
from meshlab.bench.protocol import BenchError, Setup
from meshlab.env_file import read_env_file
from meshlab.inputs import Inputs, read_inputs

from tests.infra.mutation.mutants import Mutant, mutants_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from meshlab.bench.case import Case, CaseFile
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.manifest import Manifest

_STEPS = (0, 8, 24)
"""Where the cases are cut: few at first, since most mutants fail one of those that found out their like."""


@dataclass(frozen=True)
class Result:
    """What became of a mutant.

    Attributes:
        mutant: The mutant.
        killer: The case that failed, or the reason for which the mesh was refused; empty for a survivor.
    """

    mutant: Mutant
    killer: str


class MutationRun:
    """A running mesh whose objects are changed one at a time.

    Args:
        manifests: The directory of a kustomization.
        cases: Case files, or directories of them.
        env_file: Values for `${NAME}` in the cases.

    Raises:
        AssertionError: A case fails before anything is changed.
    """

    def __init__(self, manifests: Path, cases: Sequence[Path], env_file: Path) -> None:
        self._bench = LocalBench()
        self._files = collect(list(cases), read_env_file(env_file))
        setup = _one_setup(self._files)
        # What the case files declare is read with the manifests, once for each mutant and not twice.
        read = read_inputs((str(manifests),))
        declared = declared_manifests(setup.workloads)
        self._inputs = replace(read, manifests=(*read.manifests, *declared))
        self._setup = replace(setup, workloads={})
        self._killers: dict[str, Counter[str]] = defaultdict(Counter)
        self._touching: dict[str, list[Case]] = defaultdict(list)
        self._all = [case for file in self._files for case in file.cases]
        self._from_addresses = [
            case
            for case in self._all
            if isinstance(case.sender, FromOutside) and case.sender.address is not None
        ]
        self._measure()

    def close(self) -> None:
        """End everything."""
        self._bench.close()

    @property
    def objects(self) -> list[Mapping[str, Any]]:
        """The objects as they are without a change."""
        return [manifest.body for manifest in self._inputs.manifests]

    def mutants(self) -> Iterator[Mutant]:
        """Yield the mutants of all objects."""
        for manifest in self._inputs.manifests:
            yield from mutants_of(manifest.body)

    def run(self, mutants: Iterable[Mutant]) -> Iterator[Result]:
        """Yield what becomes of each mutant, and leave the mesh as it was."""
        for mutant in mutants:
            yield Result(mutant, self._killer(mutant))

    def _measure(self) -> None:
        """Send every case once, and note which workloads it touches."""
        mesh = LocalMesh(self._bench, self._inputs, None)
        failed = []
        with self._bench.running(mesh, self._setup, self._all, 0) as engine:
            for outcome in engine.run(self._all):
                if outcome.state != "passed":
                    failed.append(outcome.case.name)
                for namespace in _namespaces(outcome):
                    self._touching[namespace].append(outcome.case)
        assert failed == []

    def _killer(self, mutant: Mutant) -> str:
        mesh = LocalMesh(self._bench, _changed(self._inputs, mutant), None)
        cases = self._ordered(mutant)
        try:
            # All proxies that a case can touch have run since the first run: no case has to be followed again.
            with self._bench.running(mesh, self._setup, self._from_addresses, 0) as engine:
                for begin, end in pairwise((*_STEPS, len(cases))):
                    for outcome in engine.run(cases[begin:end]):
                        if outcome.state != "passed":
                            return self._note(mutant, outcome.case.name)
        except BenchError as error:
            return f"refused: {error}"
        return ""

    def _note(self, mutant: Mutant, name: str) -> str:
        self._killers[_likeness(mutant)][_role(name)] += 1
        return name

    def _ordered(self, mutant: Mutant) -> list[Case]:
        """Return the cases that touch the object, with those first that found out the like."""
        touching = self._touching.get(mutant.namespace) or self._all
        if mutant.kind in ("Gateway", "VirtualService", "PeerAuthentication"):
            touching = self._all
        roles = self._killers[_likeness(mutant)]
        words = _words(mutant)

        def rank(case: Case) -> tuple[int, int]:
            return (-roles[_role(case.name)], -sum(word in case.name for word in words))

        return sorted(touching, key=rank)


@contextmanager
def mutation_run(manifests: Path, cases: Sequence[Path], env_file: Path) -> Iterator[MutationRun]:
    """Run a mesh for mutants, and end it."""
    run = MutationRun(manifests, cases, env_file)
    try:
        yield run
    finally:
        run.close()


def _one_setup(files: Sequence[CaseFile]) -> Setup:
    setups = [Setup(file.workloads, file.apps, file.authorizers, file.authorities) for file in files]
    assert all(setup == setups[0] for setup in setups), (
        "the case files declare different workloads or authorities"
    )
    return setups[0]


def _changed(inputs: Inputs, mutant: Mutant) -> Inputs:
    found: list[Manifest] = []
    for manifest in inputs.manifests:
        if (manifest.kind, manifest.namespace, manifest.name) != (mutant.kind, mutant.namespace, mutant.name):
            found.append(manifest)
        elif mutant.body is not None:
            found.append(replace(manifest, body=mutant.body))
    return replace(inputs, manifests=tuple(found))


def _namespaces(outcome: Outcome) -> set[str]:
    hops = outcome.verdict.hops if outcome.verdict else ()
    return {hop.workload.namespace for hop in hops}


def _likeness(mutant: Mutant) -> str:
    """Return what a mutant has in common with those of other objects."""
    change = mutant.change if mutant.path.endswith("methods") else re.sub(r"[^*{} ]+", "x", mutant.change)
    return f"{mutant.kind} {re.sub('[0-9]+', 'N', mutant.path)} {change}"


_HINTS = {
    "hosts": ("Host",),
    "paths": ("segment", "word", "slash"),
    "notPaths": ("dot segment", "%2e%2e;"),
    "principals": ("neighbour", "identity like"),
    "requestPrincipals": ("subject",),
    "request.auth.audiences": ("audience",),
    "request.headers[upgrade]": ("WebSocket",),
    "audiences": ("audience",),
    "fromParams": ("query",),
    "fromHeaders": ("query",),
    "fromCookies": ("cookie",),
    "remove": ("without the headers",),
    "regex": ("parameter",),
    "queryParams": ("query",),
}
"""Words of cases that are about a field."""


def _words(mutant: Mutant) -> list[str]:
    """Return words by which cases about a mutant may be known: of its object, its field and its change."""
    fields = [*mutant.path.split("."), *mutant.change.split()]
    hints = [word for field in fields for word in _HINTS.get(field, ())]
    changed = [
        word for word in mutant.change.split() if len(word) > 2 and word not in ("removed", "for", "added")
    ]
    return [*mutant.name.split("-"), *hints, *hints, *hints, *changed]


def _role(name: str) -> str:
    """Return what a case has in common with those of other callers and services."""
    return name.partition(": ")[2] or name
