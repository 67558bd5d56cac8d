"""One of the two meshes that are compared: its proxies' configurations, and what of it a request can meet.

Nothing runs here. Addresses are invented, and what is the same in two meshes has one address in both, so that their
configurations can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import replace
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING

from meshlab.bench.case import FromBypass, FromForeignMesh, FromOutside, FromWorkload, HttpRequest
from meshlab.bench.mesh_addresses import MeshUnderTest
from meshlab.bench.planning.destination import destination_of
from meshlab.bench.planning.reach import TouchedProxies
from meshlab.bench.run_addresses import PlacedAddresses
from meshlab.bench.verdicts.addresses import AddressIndex
from meshlab.bench.verdicts.chance import Odds
from meshlab.errors import LabError
from meshlab.istio import Address, Placement, ProxyCompiler, SecretSocket
from meshlab.istio.read.pods import TEMPLATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.bench.case import Case
    from meshlab.bench.local_bench import LocalMesh
    from meshlab.bench.protocol import Setup
    from meshlab.diff.effect import Effect
    from meshlab.istio import Mesh
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.workload_ref import WorkloadRef
    from meshlab.manifest import Manifest

__all__ = ["Addresses", "Side"]

_FIRST_PORT = 1
_WORKLOADS = frozenset(kind for _, kind in TEMPLATES)


class Addresses:
    """Addresses by what they are for, the same in every mesh that uses them."""

    def __init__(self) -> None:
        self.known: MutableMapping[object, Address] = {}
        self._ports = count(_FIRST_PORT)

    def placement(self, mesh: Mesh) -> Placement:
        """Return where everything of a mesh would be."""
        return Placement.plan(mesh, lambda: next(self._ports), known=self.known)


class Side:
    """A mesh that is compared with others.

    Args:
        loaded: The mesh as read.
        setup: What the questions need around them.
        addresses: The addresses that all sides share.
        cases: The cases that may be sent.
    """

    def __init__(
        self, loaded: LocalMesh, setup: Setup, addresses: Addresses, cases: Sequence[Case] = ()
    ) -> None:
        self.loaded = loaded
        self._setup = setup
        self._cases = cases
        self.mesh = loaded.set_up(setup, cases)
        self._addresses = addresses
        self._workloads = {workload.ref: workload for workload in self.mesh.workloads}
        self._texts: dict[WorkloadRef, str] = {}
        self._foreseen: dict[object, frozenset[WorkloadRef]] = {}

    def with_manifests(self, manifests: Sequence[Manifest]) -> Side:
        """Return a side with other manifests, and the same around them."""
        inputs = replace(self.loaded.inputs, manifests=tuple(manifests))
        return Side(self.loaded.with_inputs(inputs), self._setup, self._addresses, self._cases)

    @property
    def proxies(self) -> frozenset[WorkloadRef]:
        """The workloads that have a proxy."""
        return frozenset(ref for ref, workload in self._workloads.items() if workload.injected)

    @property
    def workloads(self) -> frozenset[WorkloadRef]:
        """All workloads."""
        return frozenset(self._workloads)

    @property
    def configurations(self) -> Mapping[WorkloadRef, Json]:
        """The configurations of the proxies, each compiled when it is first asked for."""
        return self._under_test.bootstraps

    def text(self, ref: WorkloadRef) -> str:
        """Return all that decides about requests at a workload, as a text to compare; empty where it is not there.

        Args:
            ref: A workload, with or without a proxy.
        """
        if ref not in self._texts:
            workload = self._workloads.get(ref)
            self._texts[ref] = (
                ""
                if workload is None
                else json.dumps(
                    {
                        "configuration": self.configurations.get(ref),
                        "identity": workload.identity(self.mesh.trust_domain),
                        "ports": sorted(port.number for port in workload.ports),
                        "targets": sorted(workload.port_targets.items()),
                    },
                    sort_keys=True,
                )
            )
        return self._texts[ref]

    def differs_from(self, other: Side) -> bool:
        """Return whether a request could distinguish the two meshes, as far as their configurations say."""
        if self.refused != other.refused or self._unaided_names != other._unaided_names:
            return True
        refs = self.workloads | other.workloads
        return any(self.text(ref) != other.text(ref) for ref in sorted(refs))

    @cached_property
    def refused(self) -> frozenset[tuple[str, ...]]:
        """What is refused of the manifests, without the lines that it stands on, and the objects that it stands in."""
        found = [problem for refusal in self.mesh.refusals for problem in refusal.problems]
        problems = {(problem.subject, problem.path, problem.text) for problem in found}
        subjects = {problem.subject for problem in found}
        bodies = {
            (manifest.subject, json.dumps(manifest.body, sort_keys=True, default=str))
            for manifest in self.loaded.inputs.manifests
            if manifest.subject in subjects
        }
        # Two files that cannot be read are never known to be the same.
        unread = {("unreadable", str(id(self)))} if self.loaded.inputs.unreadable else set()
        return frozenset({*problems, *bodies, *unread})

    def missing(self, case: Case) -> str:
        """Return which workload that a case names is not there, in words; empty where all are."""
        lacking = list(map(str, self._lacking(case)))
        return f"there is no workload {' and no workload '.join(lacking)}" if lacking else ""

    def not_read(self, case: Case) -> str:
        """Return why a workload that a case names was refused, so that it is there and not known; empty for none."""
        lacking = set(map(str, self._lacking(case)))
        for refusal in self.mesh.refusals:
            for problem in refusal.problems:
                kind, _, name = problem.subject.partition(" ")
                if name in lacking and kind in _WORKLOADS:
                    return str(problem)
        return ""

    def _lacking(self, case: Case) -> list[WorkloadRef]:
        match case.sender:
            case FromOutside(gateway=gateway):
                named: tuple[WorkloadRef | None, ...] = (gateway,)
            case FromWorkload(workload=workload):
                named = (workload,)
            case FromBypass(workload=bypassing, to=to):
                named = (bypassing, to)
            case FromForeignMesh(to=to):
                named = (to,)
        return [ref for ref in named if ref is not None and ref not in self._workloads]

    def resolved(self, case: Case) -> object:
        """Return what the sender's own name resolution says about a case's host; `None` where it asks none."""
        if not isinstance(case.sender, FromWorkload):
            return None
        try:
            to = destination_of(case.request)
        except LabError:
            return None
        resolved = self._under_test.addresses.resolve(to.host, to.port, case.sender.workload.namespace)
        if resolved is None or case.sender.workload in self.proxies:
            return resolved
        return resolved, self._under_test.addresses.without_proxy(*resolved)

    def odds(self, effect: Effect, host: str | None) -> str:
        """Return what chance has a say in for a request, as a text to compare; empty where nothing is left to it.

        Args:
            effect: What became of it here.
            host: The Host in lower case; `None` for any.
        """
        return self._odds.of(effect.lines, host)

    def foreseen(self, case: Case) -> frozenset[WorkloadRef]:
        """Return the workloads whose proxies a case can meet, as far as the configurations say; hardly ever too few."""
        try:
            key = (case.sender, _hosts(case))
            if key not in self._foreseen:
                self._foreseen[key] = self._touched.of(case)
            return self._foreseen[key]
        except (LabError, LookupError, ValueError):
            return frozenset()  # what is wrong with a case is said when it is sent

    @cached_property
    def _unaided_names(self) -> frozenset[tuple[str, str, int]]:
        """Names and ports that pods without a proxy can resolve; empty where all have one."""
        if self.proxies == self.workloads:
            return frozenset()
        services = self.mesh.registry.services
        return frozenset(
            (each.hostname, each.address, port.number) for each in services for port in each.ports
        )

    @cached_property
    def _placement(self) -> Placement:
        return self._addresses.placement(self.mesh)

    @cached_property
    def _under_test(self) -> MeshUnderTest:
        return MeshUnderTest(
            bootstraps=_Configurations(
                self.proxies, ProxyCompiler(self.mesh, self._placement, SecretSocket())
            ),
            addresses=PlacedAddresses(self.mesh, self._placement),
            identities={},
            relay=str(self._placement.relay),
        )

    @cached_property
    def _odds(self) -> Odds:
        return Odds(self.configurations)

    @cached_property
    def _touched(self) -> TouchedProxies:
        return TouchedProxies(self._under_test, self._places)

    @cached_property
    def _places(self) -> AddressIndex:
        return AddressIndex(self._under_test.addresses)


class _Configurations(Mapping["WorkloadRef", "Json"]):
    """Configurations of proxies, each compiled when it is first asked for."""

    def __init__(self, proxies: frozenset[WorkloadRef], compiler: ProxyCompiler) -> None:
        self._proxies = proxies
        self._compiler = compiler
        self._compiled: dict[WorkloadRef, Json] = {}

    def __getitem__(self, ref: WorkloadRef) -> Json:
        if ref not in self._proxies:
            raise KeyError(ref)
        if ref not in self._compiled:
            self._compiled[ref] = self._compiler.compile(ref)
        return self._compiled[ref]

    def __contains__(self, ref: object) -> bool:
        return ref in self._proxies

    def __iter__(self) -> Iterator[WorkloadRef]:
        return iter(self._proxies)

    def __len__(self) -> int:
        return len(self._proxies)


def _hosts(case: Case) -> object:
    """Return all of a request that decides which proxies it can meet."""
    request, to = case.request, destination_of(case.request)
    if not isinstance(request, HttpRequest):
        return type(request), to
    written = tuple(value for name, value in request.headers if name.lower() == "host")
    is_absolute = request.target is not None and not request.target.startswith("/")
    return type(request), to, written, is_absolute
