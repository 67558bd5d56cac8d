"""One mesh, placed on this machine and run: addresses, keys, certificates, proxies and applications.

A run follows changed manifests: what did not change keeps its address, its keys and its process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Literal

from meshlab.bench.authorities import Authorities
from meshlab.bench.case import client_address
from meshlab.bench.issuers import Issuers
from meshlab.bench.mesh_addresses import MeshUnderTest
from meshlab.bench.protocol import BenchError
from meshlab.bench.relay import Relay
from meshlab.bench.run_addresses import PlacedAddresses
from meshlab.bench.run_secrets import RunSecrets
from meshlab.bench.running_mesh import RunningMesh
from meshlab.errors import LabError
from meshlab.istio import Address, Placement, ProxyCompiler
from meshlab.istio.model.address_conditions import address_conditions
from meshlab.istio.model.virtual_machines import machine_identities
from meshlab.processes.ports import free_ports, has_address
from meshlab.processes.supervisor import Supervisor
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from meshlab.bench.case import Case
    from meshlab.bench.mesh_addresses import Direction
    from meshlab.bench.protocol import Setup
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.istio import Mesh
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["MeshRun", "PlannedMesh", "audiences_of"]

_DEFAULT_JOBS = 8


@dataclass(frozen=True)
class PlannedMesh:
    """A mesh with its addresses on this machine, ready to be run.

    Attributes:
        mesh: The mesh, with the keys of the run's issuers.
        placement: Where everything listens.
        under_test: The same for the engine; configurations are compiled when they are first asked for.
    """

    mesh: Mesh
    placement: Placement
    under_test: MeshUnderTest


class MeshRun:
    """A mesh that cases are sent to, with everything around it. `close` ends it.

    Args:
        setup: What the cases need around them.
        authorities: Names of the authorities that gateways check clients' certificates with.
        condition_probes: Whether proxies record rules and conditions of policies one by one, for explanations.
    """

    def __init__(self, setup: Setup, authorities: Sequence[str], *, condition_probes: bool = False) -> None:
        self.setup = setup
        self.authority_names = tuple(dict.fromkeys((*setup.authorities, *authorities)))
        self._condition_probes = condition_probes
        self._under_test: MeshUnderTest | None = None
        self._ends = ExitStack()
        self._known: dict[object, Address] = {}
        self._ports = free_ports()
        self._running: RunningMesh | None = None
        self._placement: Placement | None = None
        self._relay: Relay | None = None
        try:
            self._supervisor = self._ends.enter_context(Supervisor())
            self._authorities = Authorities(self._supervisor.directory / "pki", self.authority_names)
            self._issuers = Issuers({})
        except BaseException:
            self.close()
            raise

    @property
    def running(self) -> frozenset[WorkloadRef]:
        """The workloads whose proxies run."""
        return self._running.running if self._running else frozenset()

    @property
    def under_test(self) -> MeshUnderTest:
        """The configurations and addresses of what runs.

        Raises:
            BenchError: Nothing runs yet.
        """
        if self._under_test is None:
            raise BenchError("the mesh is not running")
        return self._under_test

    @property
    def refused(self) -> Mapping[WorkloadRef, str]:
        """The workloads whose proxies refused their configuration, each with what was said."""
        return self._running.refused if self._running else {}

    def close(self) -> None:
        """End everything and delete what was written."""
        self._ends.close()

    def follow(self, mesh: Mesh, cases: Sequence[Case]) -> None:
        """Make what runs fit a mesh and the cases that will be sent.

        Raises:
            BenchError: Something did not start.
        """
        self.take(self.plan(mesh, cases), cases)

    def plan(self, mesh: Mesh, cases: Sequence[Case]) -> PlannedMesh:
        """Give a mesh its addresses on this machine; nothing that runs is changed.

        What is the same in two plans has one address in both, so that their configurations can be compared.

        Args:
            mesh: The mesh.
            cases: The cases that will be sent.

        Raises:
            BenchError: There is no address left.
        """
        try:
            return self._plan(mesh, cases)
        except (LabError, OSError) as error:
            raise BenchError(str(error)) from error

    def take(self, planned: PlannedMesh, cases: Sequence[Case], also: Iterable[WorkloadRef] = ()) -> None:
        """Make what runs fit a plan and the cases that will be sent.

        Args:
            planned: The plan, of this run.
            cases: The cases.
            also: Workloads whose proxies shall run, whether these cases touch them or not.

        Raises:
            BenchError: Something did not start.
        """
        try:
            self._take(planned, cases, also)
        except (LabError, OSError) as error:
            raise BenchError(str(error)) from error

    def run(self, cases: Sequence[Case], jobs: int) -> Iterator[Outcome]:
        """Send the cases and yield their outcomes.

        Args:
            cases: Cases that `follow` was called with.
            jobs: How many may be under way at once; 0 for a default.
        """
        if self._running is None:
            raise BenchError("the mesh is not running")
        yield from self._running.run(cases, jobs=jobs or _DEFAULT_JOBS)

    def _plan(self, mesh: Mesh, cases: Sequence[Case]) -> PlannedMesh:
        mesh = replace(mesh, issuer_keys=self._issuers.keys_of(audiences_of(mesh)))
        placement = Placement.plan(
            mesh, lambda: next(self._ports), known=self._known, clients=_client_addresses(cases)
        )
        if not all(map(has_address, placement.sources.values())):
            # Nothing can stand for a stated address then, so no policy that asks for one is judged.
            placement = replace(placement, sources={})
        if self._relay is None:
            self._relay = self._ends.enter_context(Relay(placement.relay, self._beyond_relay))
        under_test = MeshUnderTest(
            bootstraps=_Bootstraps(
                mesh, ProxyCompiler(mesh, placement, RunSecrets.of(mesh, self._authorities))
            ),
            addresses=PlacedAddresses(mesh, placement),
            identities={workload.ref: workload.identity(mesh.trust_domain) for workload in mesh.workloads},
            versions={
                workload.ref: workload.labels["version"]
                for workload in mesh.workloads
                if "version" in workload.labels
            },
            untrusted=_untrusted(mesh),
            relay=str(placement.relay),
            relayed=self._relay.onward,
            sources=placement.sources,
            stated=placement.stated,
            address_conditions=cache(lambda ref: tuple(address_conditions(mesh, mesh.workload(ref)))),
            machine_identities=machine_identities(mesh),
            wildcard_hosts=frozenset(
                service.hostname
                for service in mesh.registry.services
                if service.is_wildcard and not service.is_kubernetes
            ),
        )
        return PlannedMesh(mesh, placement, under_test)

    def _take(self, planned: PlannedMesh, cases: Sequence[Case], also: Iterable[WorkloadRef]) -> None:
        self._issuers.update(audiences_of(planned.mesh))
        self._placement, self._under_test = planned.placement, planned.under_test
        if self._running is None:
            self._running = RunningMesh(
                self._supervisor,
                planned.under_test,
                self._authorities,
                self._issuers,
                apps=self.setup.apps,
                authorizers=self.setup.authorizers,
                condition_probes=self._condition_probes,
            )
            self._ends.callback(self._running.close)
            self._running.start(cases, also)
        else:
            self._running.update(planned.under_test, cases, also)

    def _beyond_relay(self, ip: str, port: int) -> Address | None:
        return self._placement.without_proxy(ip, port) if self._placement else None


class _Bootstraps(Mapping["WorkloadRef", "Json"]):
    """Configurations of proxies, each compiled when it is first asked for."""

    def __init__(self, mesh: Mesh, compiler: ProxyCompiler) -> None:
        self._refs = dict.fromkeys(workload.ref for workload in mesh.workloads if workload.injected)
        self._compiler = compiler
        self._compiled: dict[WorkloadRef, Json] = {}

    def __getitem__(self, ref: WorkloadRef) -> Json:
        if ref not in self._refs:
            raise KeyError(ref)
        if ref not in self._compiled:
            self._compiled[ref] = self._compiler.compile(ref)
        return self._compiled[ref]

    def __contains__(self, ref: object) -> bool:
        return ref in self._refs

    def __iter__(self) -> Iterator[WorkloadRef]:
        return iter(self._refs)

    def __len__(self) -> int:
        return len(self._refs)


def _client_addresses(cases: Sequence[Case]) -> Iterator[str]:
    for case in cases:
        if (address := client_address(case.sender)) is not None:
            yield address


def audiences_of(mesh: Mesh) -> dict[str, tuple[str, ...]]:
    """Return the issuers of a mesh, each with the audiences that its rules name."""
    found: dict[str, dict[str, None]] = {}
    for policy in mesh.request_authentications:
        for rule in policy.rules:
            found.setdefault(rule.issuer, {}).update(dict.fromkeys(rule.audiences))
    return {issuer: tuple(audiences) for issuer, audiences in found.items()}


def _untrusted(mesh: Mesh) -> Callable[[WorkloadRef, Direction, str, int], list[str]]:
    workloads = {workload.ref: workload for workload in mesh.workloads}

    def reasons(ref: WorkloadRef, direction: Direction, host: str, port: int) -> list[str]:
        if ref not in workloads:
            return []
        side: Literal["inbound", "outbound"] = "inbound" if direction == "inbound" else "outbound"
        name = host.partition(":")[0] if host.count(":") == 1 else host
        return [str(problem) for problem in mesh.untrusted(workloads[ref], side, name or None, port)]

    return reasons
