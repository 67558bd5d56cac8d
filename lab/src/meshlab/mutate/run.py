"""Mutants against policy tests: the mesh changes as it runs, and the cases that touch the change are sent.

Nothing is restarted but what a change makes restart. The cases that found out a like change of another object come
first, so most mutants meet few cases. A mutant that leaves the configuration of every Envoy as it was meets none.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any, Literal

import yaml

from meshlab.bench.case import FromOutside, FromWorkload
from meshlab.bench.case_file.collect import collect
from meshlab.bench.declared import declared_manifests
from meshlab.bench.local_bench import LocalBench, LocalMesh
from meshlab.bench.protocol import BenchError, Setup
from meshlab.env_file import read_env_file
from meshlab.errors import LabError
from meshlab.inputs import Inputs, read_inputs
from meshlab.istio import Address, Placement, ProxyCompiler, SecretSocket, load_mesh
from meshlab.istio.read.mesh_config import read_mesh_settings
from meshlab.mutate.mesh_settings import MESH_CONFIG, as_object
from meshlab.mutate.mutants import Mutant, mutants_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from meshlab.bench.case import Case, CaseFile
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.istio import MeshSettings, WorkloadRef
    from meshlab.manifest import Manifest

    Configurations = Mapping[WorkloadRef, Mapping[str, Any]]

__all__ = ["MutationRun", "Result", "State", "likeness", "mutation_run", "without_outlier_detection"]

_STEPS = (0, 8, 24)
"""Where the cases are cut: few at first, since most mutants fail one of those that found out their like."""

State = Literal["killed", "refused", "same configuration", "survived"]


@dataclass(frozen=True)
class Result:
    """What became of a mutant.

    Attributes:
        mutant: The mutant.
        state: `killed` by a case; `refused` as a mesh that meshlab does not judge; `same configuration` where every
            Envoy is configured as without the change, so no request can tell; `survived` otherwise.
        killer: The case that failed; of a refused mesh the reason.
    """

    mutant: Mutant
    state: State
    killer: str = ""


class MutationRun:
    """A running mesh whose objects are changed one at a time.

    Args:
        manifests: The directory of a kustomization.
        cases: Case files, or directories of them. Those with other workloads or servers around them run apart.
        env_file: Values for `${NAME}` in the cases.
        mesh_config: A MeshConfig, which is changed like an object.

    Raises:
        LabError: A case fails before anything is changed.
    """

    def __init__(
        self, manifests: Path, cases: Sequence[Path], env_file: Path, mesh_config: Path | None = None
    ) -> None:
        self._bench = LocalBench()
        self._inputs = without_outlier_detection(read_inputs((str(manifests),)))
        self._mesh_config = as_object(yaml.safe_load(mesh_config.read_text())) if mesh_config else None
        self._killers: dict[str, Counter[str]] = defaultdict(Counter)
        try:
            self._groups = [
                _Group(self._bench, self._inputs, self._settings(self._mesh_config), setup, found)
                for setup, found in _by_setup(collect(list(cases), read_env_file(env_file)))
            ]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End everything."""
        self._bench.close()

    @property
    def failed_once(self) -> list[str]:
        """The cases that failed before anything was changed, and passed when they were sent again."""
        return [name for group in self._groups for name in group.failed_once]

    @property
    def objects(self) -> list[Mapping[str, Any]]:
        """The objects as they are without a change."""
        found = [manifest.body for manifest in self._inputs.manifests]
        return [*found, *([self._mesh_config] if self._mesh_config else [])]

    def mutants(self) -> list[Mutant]:
        """Return the mutants of all objects."""
        return [mutant for body in self.objects for mutant in mutants_of(body)]

    def run(self, mutants: Iterable[Mutant]) -> Iterator[Result]:
        """Yield what becomes of each mutant."""
        for mutant in mutants:
            yield self._result(mutant)

    def _result(self, mutant: Mutant) -> Result:
        settings = self._settings(mutant.body if mutant.kind == MESH_CONFIG else self._mesh_config)
        met = False
        for group in self._groups:
            try:
                changed = group.changed(mutant, settings)
                if not changed.proxies:
                    continue
                met = True
                if missing := group.unknown_servers(changed):
                    return Result(mutant, "killed", f"the case file: the mesh does not know {missing}")
                cases = self._ordered(mutant, group.touching(changed.proxies))
                failure = group.first_failure(changed, cases)
            except LabError as error:
                return Result(mutant, "refused", str(error))
            except BenchError as error:
                group.failures(self._settings(self._mesh_config))  # starts everything anew
                return Result(mutant, "killed", f"the run itself: {error}")
            if failure is not None:
                self._killers[likeness(mutant)][_role(failure.case.name)] += 1
                if failure.state == "not judged":
                    return Result(mutant, "refused", "; ".join(failure.reasons))
                return Result(mutant, "killed", failure.case.name)
        return Result(mutant, "survived" if met else "same configuration")

    def _ordered(self, mutant: Mutant, cases: Sequence[Case]) -> list[Case]:
        """Return the cases with those first that found out the like."""
        roles = self._killers[likeness(mutant)]
        words = _words(mutant)

        def rank(case: Case) -> tuple[int, int]:
            return (-roles[_role(case.name)], -sum(word in case.name for word in words))

        return sorted(cases, key=rank)

    def failures(self) -> list[str]:
        """Send every case through the mesh without a change, and return the names of those that fail."""
        settings = self._settings(self._mesh_config)
        return [name for group in self._groups for name in group.failures(settings)]

    @staticmethod
    def _settings(mesh_config: Mapping[str, Any] | None) -> MeshSettings | None:
        return read_mesh_settings(mesh_config["spec"]) if mesh_config else None


@dataclass(frozen=True)
class _Changed:
    """A mesh with one change: what to run, and the proxies whose configuration is another one."""

    mesh: LocalMesh
    proxies: frozenset[WorkloadRef]


class _Group:
    """Cases with one setup, and the mesh that they run on."""

    def __init__(
        self,
        bench: LocalBench,
        inputs: Inputs,
        settings: MeshSettings | None,
        setup: Setup,
        cases: Sequence[Case],
    ) -> None:
        self._bench = bench
        # What the case files declare is read with the manifests, once for each mutant and not twice.
        self._inputs = replace(inputs, manifests=(*inputs.manifests, *declared_manifests(setup.workloads)))
        self._setup = replace(setup, workloads={})
        self._cases = cases
        self._from_addresses = [
            case for case in cases if isinstance(case.sender, FromOutside) and case.sender.address is not None
        ]
        self._addresses: dict[object, Address] = {}
        self._ports = count(1)
        self._original = self._configurations(self._inputs, settings)
        self._proxies_of: dict[str, frozenset[WorkloadRef]] = {}
        self.failed_once: tuple[str, ...] = ()
        if failed := self.failures(settings):
            # Once in many runs, on a machine with much else to do, one of 1,500 requests ended otherwise. What is wrong
            # with the mesh is so the second time as well; what was not is kept, for the next one to be explained.
            self.failed_once = tuple(failed)
            failed = self.failures(settings)
        if failed:
            raise LabError("these cases fail before anything is changed:\n" + "\n".join(failed))

    def failures(self, settings: MeshSettings | None) -> list[str]:
        """Send every case without a change, note which proxies it meets, and return what fails."""
        mesh = LocalMesh(self._bench, self._inputs, settings)
        failed = []
        with self._bench.running(mesh, self._setup, self._cases, 0) as engine:
            for outcome in engine.run(self._cases):
                if outcome.state != "passed":
                    failed.append(f"{outcome.case.name}: {outcome}")
                self._proxies_of[_key(outcome.case)] = _proxies(outcome)
        return failed

    def changed(self, mutant: Mutant, settings: MeshSettings | None) -> _Changed:
        """Return the mesh with a change."""
        inputs = _changed(self._inputs, mutant)
        now = self._configurations(inputs, settings)
        refs = self._original.keys() | now.keys()
        others = frozenset(ref for ref in refs if self._original.get(ref) != now.get(ref))
        return _Changed(LocalMesh(self._bench, inputs, settings), others)

    def touching(self, proxies: frozenset[WorkloadRef]) -> list[Case]:
        """Return the cases whose requests meet one of these proxies; another case cannot tell the difference."""
        return [case for case in self._cases if self._proxies_of[_key(case)] & proxies]

    def unknown_servers(self, changed: _Changed) -> str:
        """Return what the case files put a server behind and a changed mesh does not name; empty for nothing."""
        names = changed.mesh.names
        known = names.hosts | names.workloads | names.gateways
        return ", ".join(app.target for app in self._setup.apps if app.target not in known)

    def first_failure(self, changed: _Changed, cases: Sequence[Case]) -> Outcome | None:
        """Send cases until one fails; `None` where all pass. One that is not judged counts where none fails."""
        doubtful = None
        # All proxies that a case can touch have run since the first run: no case has to be followed again.
        with self._bench.running(changed.mesh, self._setup, self._from_addresses, 0) as engine:
            for begin, end in pairwise((*_STEPS, len(cases))):
                for outcome in engine.run(cases[begin:end]):
                    if outcome.state == "not judged":
                        doubtful = doubtful or outcome
                    elif outcome.state != "passed":
                        return outcome
        return doubtful

    def _configurations(self, inputs: Inputs, settings: MeshSettings | None) -> Configurations:
        """Return the configuration of every Envoy. What is the same in two meshes has one address in both."""
        mesh = load_mesh(inputs.manifests, settings, inject_unknown_namespaces=True)
        placement = Placement.plan(mesh, lambda: next(self._ports), known=self._addresses)
        compiler = ProxyCompiler(mesh, placement, SecretSocket())
        return {
            workload.ref: compiler.compile(workload.ref) for workload in mesh.workloads if workload.injected
        }


@contextmanager
def mutation_run(
    manifests: Path, cases: Sequence[Path], env_file: Path, mesh_config: Path | None = None
) -> Iterator[MutationRun]:
    """Run a mesh for mutants, and end it."""
    run = MutationRun(manifests, cases, env_file, mesh_config)
    try:
        yield run
    finally:
        run.close()


def likeness(mutant: Mutant) -> str:
    """Return what a mutant has in common with those of other objects."""
    change = mutant.change if mutant.path.endswith("methods") else re.sub(r"[^*{} ]+", "x", mutant.change)
    return f"{mutant.kind} {re.sub('[0-9]+', 'N', mutant.path)} {change}"


def _by_setup(files: Sequence[CaseFile]) -> list[tuple[Setup, list[Case]]]:
    """Return the cases that run in one mesh, by its setup; the largest first, which kills most."""
    found: list[tuple[Setup, list[Case]]] = []
    for file in files:
        setup = Setup(file.workloads, file.apps, file.authorizers, file.authorities, file.addresses)
        cases = next((cases for known, cases in found if known == setup), None)
        if cases is None:
            found.append((setup, cases := []))
        cases += file.cases
    return sorted(found, key=lambda group: -len(group[1]))


def without_outlier_detection(inputs: Inputs) -> Inputs:
    """Return the manifests without what outlives a mutant: a server that one mutant makes fail stays ejected."""
    return replace(
        inputs,
        manifests=tuple(
            replace(manifest, body=_pruned(manifest.body)) if manifest.kind == "DestinationRule" else manifest
            for manifest in inputs.manifests
        ),
    )


def _pruned(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: _pruned(inner) for key, inner in value.items() if key != "outlierDetection"}
    return [_pruned(inner) for inner in value] if isinstance(value, list) else value


def _changed(inputs: Inputs, mutant: Mutant) -> Inputs:
    found: list[Manifest] = []
    for manifest in inputs.manifests:
        if (manifest.kind, manifest.namespace, manifest.name) != (mutant.kind, mutant.namespace, mutant.name):
            found.append(manifest)
        elif mutant.body is not None:
            found.append(replace(manifest, body=mutant.body))
    return replace(inputs, manifests=tuple(found))


def _proxies(outcome: Outcome) -> frozenset[WorkloadRef]:
    """Return the proxies that a case met, and the one that it began at."""
    sender = outcome.case.sender
    if isinstance(sender, FromOutside):
        entry = sender.gateway
    else:
        entry = sender.workload if isinstance(sender, FromWorkload) else sender.to
    hops = outcome.verdict.hops if outcome.verdict else ()
    return frozenset((entry, *(hop.workload for hop in hops)))


def _key(case: Case) -> str:
    return f"{case.place} {case.name}"


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
