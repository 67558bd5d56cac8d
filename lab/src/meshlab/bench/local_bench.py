"""The bench behind the command line: manifests are read and compiled here, and run as real Envoys."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

from meshlab.bench.asked_ports import with_asked_ports
from meshlab.bench.declared import declared_manifests
from meshlab.bench.mesh_run import MeshRun
from meshlab.bench.mesh_survey import survey_of
from meshlab.bench.protocol import MeshNames
from meshlab.bench.run_secrets import client_authorities
from meshlab.bench.settings_file import read_settings_file
from meshlab.bench.verdicts.chance import Odds, host_of
from meshlab.bench.weighted_routes import each_destination
from meshlab.errors import LabError
from meshlab.inputs import read_inputs
from meshlab.istio import Placement, SecretSocket, compile_proxy, load_mesh
from meshlab.istio.model.trust import Refusal, Scope
from meshlab.istio.read.object_kinds import GATEWAY_API, REMOVED_GROUPS, WITHOUT_TRAFFIC

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from meshlab.bench.case import Case, DeclaredWorkload
    from meshlab.bench.mesh_addresses import MeshUnderTest
    from meshlab.bench.protocol import Engine, Setup, Sources
    from meshlab.bench.survey import Survey
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.inputs import Inputs
    from meshlab.istio import Mesh, MeshSettings
    from meshlab.istio.read.workload_ref import WorkloadRef
    from meshlab.manifest import Manifest

__all__ = ["LocalBench", "LocalEngine", "LocalMesh", "names_of"]

_FIRST_EXAMPLE_PORT = 21_001


class LocalBench:
    """Reads meshes, and keeps what runs between two runs of a watch.

    Args:
        condition_probes: Whether proxies record rules and conditions of policies one by one, for explanations. It
            multiplies their filters.
    """

    def __init__(self, *, condition_probes: bool = False) -> None:
        self._condition_probes = condition_probes
        self._runs: list[MeshRun] = []

    def load(self, sources: Sources) -> LocalMesh:
        """Read the manifests.

        Raises:
            ManifestError: An input cannot be read at all.
            LabError: A path does not exist or holds no manifest.
        """
        inputs = read_inputs(sources.paths, namespace=sources.namespace, stdin=sys.stdin)
        settings = read_settings_file(sources.mesh_config) if sources.mesh_config else None
        return LocalMesh(self, inputs, settings)

    @contextmanager
    def running(
        self, loaded: LocalMesh, setup: Setup, cases: Sequence[Case], jobs: int
    ) -> Iterator[LocalEngine]:
        """Run a mesh for cases. What runs is kept for the next run with the same setup.

        Raises:
            BenchError: Something did not start.
        """
        mesh = loaded.set_up(setup, cases)
        run = self._run_for(setup, client_authorities(mesh))
        try:
            run.follow(mesh, cases)
        except BaseException:
            self._runs.remove(run)
            run.close()
            raise
        yield LocalEngine(run, mesh, jobs)

    def close(self) -> None:
        """End everything that is kept running."""
        while self._runs:
            self._runs.pop().close()

    def _run_for(self, setup: Setup, authorities: Sequence[str]) -> MeshRun:
        for run in self._runs:
            if run.setup == setup and set(authorities) <= set(run.authority_names):
                return run
        run = MeshRun(setup, authorities, condition_probes=self._condition_probes)
        self._runs.append(run)
        return run


class LocalEngine:
    """A mesh that runs.

    Attributes:
        mesh: What the manifests and the case file describe together.
    """

    def __init__(self, run: MeshRun, mesh: Mesh, jobs: int) -> None:
        self.mesh = mesh
        self._run = run
        self._jobs = jobs

    @property
    def under_test(self) -> MeshUnderTest:
        """The configurations and addresses of what runs."""
        return self._run.under_test

    def run(self, cases: Sequence[Case]) -> Iterator[Outcome]:
        """Send the cases and yield their outcomes."""
        return self._run.run(cases, self._jobs)

    def chances(self, outcome: Outcome) -> str:
        """Return what chance had a say in on a request's way, as a text to compare; empty where it had none."""
        lines = [hop.line for hop in outcome.verdict.hops] if outcome.verdict else []
        return self._odds.of(lines, host_of(outcome.case))

    @cached_property
    def _odds(self) -> Odds:
        return Odds(self.under_test.bootstraps)


class LocalMesh:
    """A mesh as read from manifests."""

    def __init__(self, bench: LocalBench, inputs: Inputs, settings: MeshSettings | None) -> None:
        self._bench = bench
        self._inputs = inputs
        self._settings = settings
        self._mesh = self._read({})

    def with_workloads(self, declared: Mapping[WorkloadRef, DeclaredWorkload]) -> Mesh:
        """Return the mesh with the workloads that a case file declares."""
        return self._read(declared) if declared else self._mesh

    def set_up(self, setup: Setup, cases: Iterable[Case]) -> Mesh:
        """Return the mesh with what a case file states of workloads and addresses, and the ports that cases ask for."""
        mesh = with_asked_ports(self.with_workloads(setup.workloads), cases)
        return replace(mesh, stated_addresses={**mesh.stated_addresses, **setup.addresses})

    def with_inputs(self, inputs: Inputs) -> LocalMesh:
        """Return another mesh of the same bench, with other manifests and the same settings."""
        return LocalMesh(self._bench, inputs, self._settings)

    def _read(self, declared: Mapping[WorkloadRef, DeclaredWorkload]) -> Mesh:
        manifests = [*self._inputs.manifests, *declared_manifests(declared)]
        mesh = load_mesh(manifests, self._settings, inject_unknown_namespaces=True)
        unreadable = tuple(Refusal((problem,), (Scope(),)) for problem in self._inputs.unreadable)
        return replace(mesh, refusals=(*unreadable, *mesh.refusals))

    @property
    def mesh(self) -> Mesh:
        """The mesh that the manifests describe."""
        return self._mesh

    @property
    def by_weight(self) -> Sequence[LocalMesh]:
        """The mesh once for each destination that a route chooses by weight, to which it then leads alone."""
        found = each_destination(self._inputs.manifests)
        return [self.with_inputs(replace(self._inputs, manifests=manifests)) for manifests in found]

    @property
    def inputs(self) -> Inputs:
        """The manifests and the files that they stand in."""
        return self._inputs

    @property
    def names(self) -> MeshNames:
        """The names that case files may use."""
        return names_of(self._mesh)

    @property
    def notes(self) -> Sequence[str]:
        """What was passed over or is old, one sentence each."""
        passed_over = [f"{found.file}: passed over: {found.reason}" for found in self._inputs.passed_over]
        kinds = _unknown_kinds(self._mesh.passed_over)
        return [*passed_over, *kinds, *map(str, self._mesh.notes), *self._mesh.not_enforced]

    @property
    def refusals(self) -> Sequence[str]:
        """Everything in the manifests that the compiler does not know."""
        found = [problem for refusal in self._mesh.refusals for problem in refusal.problems]
        return list(map(str, found))

    @property
    def files(self) -> Sequence[Path]:
        """The files that were read."""
        return self._inputs.files

    @property
    def proxies(self) -> Sequence[WorkloadRef]:
        """The workloads that have a proxy, sorted."""
        return sorted(workload.ref for workload in self._mesh.workloads if workload.injected)

    def render(self, proxy: WorkloadRef) -> Mapping[str, Any]:
        """Return the Envoy configuration of one proxy.

        Raises:
            LabError: There is no such workload, or it has no proxy.
        """
        try:
            return compile_proxy(self._mesh, proxy, self._example_placement, SecretSocket())
        except LookupError as error:
            raise LabError(str(error)) from None

    def survey(self) -> Survey:
        """Return what `meshlab init` writes its first cases from."""
        return survey_of(self._mesh)

    def start(self, setup: Setup, cases: Sequence[Case], *, jobs: int) -> AbstractContextManager[Engine]:
        """Start what these cases can touch.

        Raises:
            BenchError: Something did not start.
        """
        return self._bench.running(self, setup, cases, jobs)

    @cached_property
    def _example_placement(self) -> Placement:
        ports = count(_FIRST_EXAMPLE_PORT)
        return Placement.plan(self._mesh, lambda: next(ports))


def names_of(mesh: Mesh) -> MeshNames:
    """Return the names of a mesh that case files may use."""
    return MeshNames(
        workloads=frozenset(str(found.ref) for found in mesh.workloads if not found.is_gateway),
        gateways=frozenset(str(found.ref) for found in mesh.workloads if found.is_gateway),
        issuers=frozenset(rule.issuer for found in mesh.request_authentications for rule in found.rules),
        hosts=frozenset(_external_names(mesh)),
        authorities=frozenset(client_authorities(mesh)),
        without_ports=frozenset(
            str(found.ref) for found in mesh.workloads if not found.is_gateway and not found.ports
        ),
        authorizers=frozenset(mesh.usable_authorizers),
        aliases={
            name: service.external_name
            for service in mesh.services
            if service.external_name
            for name in (f"{service.namespace}/{service.name}", service.hostname)
        },
    )


def _external_names(mesh: Mesh) -> Iterator[str]:
    """Yield the hosts of ServiceEntries, and the names of the servers behind them."""
    for entry in mesh.service_entries:
        yield from entry.hosts
        yield from (endpoint.address for endpoint in entry.endpoints if endpoint.address)


def _unknown_kinds(passed_over: Sequence[Manifest]) -> Iterator[str]:
    """Yield a sentence for each kind that is passed over because the bench does not know it."""
    found: dict[tuple[str, str], list[Manifest]] = {}
    for manifest in passed_over:
        kind = (manifest.group, manifest.kind)
        if kind not in WITHOUT_TRAFFIC and manifest.group != GATEWAY_API:
            found.setdefault(kind, []).append(manifest)
    for (group, name), objects in sorted(found.items()):
        first = objects[0]
        more = f" and {len(objects) - 1} more" if len(objects) > 1 else ""
        why = (
            "Istio removed this group"
            if group in REMOVED_GROUPS
            else "the bench takes the kind for no part of the mesh"
        )
        yield f"{first}{more}: passed over: {why} ({group or 'core'}/{name})."
