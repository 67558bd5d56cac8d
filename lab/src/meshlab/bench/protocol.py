"""Interface between the command line and the bench: read manifests, compile proxies, run cases.

The command line knows nothing else of the engine, so that its tests need no Envoy.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from meshlab.bench.case import AppSpec, Authorizer, Case, DeclaredWorkload
    from meshlab.bench.survey import Survey
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.istio import Mesh
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["Bench", "BenchError", "Engine", "LoadedMesh", "MeshNames", "Setup", "Sources"]


class BenchError(Exception):
    """The bench itself failed: Envoy did not start, a port was taken. The message says what, why and what to do."""


@dataclass(frozen=True)
class Sources:
    """The manifests that a command was given.

    Attributes:
        paths: Files, directories and kustomization directories, as written; `-` for standard input.
        namespace: The namespace of objects that have none.
        mesh_config: A file with a MeshConfig, `None` for the manifests' own or Istio's defaults.
    """

    paths: tuple[str, ...]
    namespace: str = "default"
    mesh_config: Path | None = None


@dataclass(frozen=True)
class MeshNames:
    """The names that a mesh gives to what a case file refers to.

    Attributes:
        workloads: Workloads that are no gateways, as `NAMESPACE/NAME`.
        gateways: Gateway workloads, as `NAMESPACE/NAME`.
        issuers: Issuers of RequestAuthentications.
        hosts: External hosts of ServiceEntries.
        authorities: Certificate authorities that gateways check their clients with.
        without_ports: The workloads whose pods list no port.
        authorizers: Extension providers with an external authorizer.
        aliases: ExternalName Services, by `NAMESPACE/NAME` and by full name, to the host that each stands for.
    """

    workloads: frozenset[str] = frozenset()
    gateways: frozenset[str] = frozenset()
    issuers: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    authorities: frozenset[str] = frozenset()
    without_ports: frozenset[str] = frozenset()
    authorizers: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)

    def either(self, other: MeshNames) -> MeshNames:
        """Return the names that one of two meshes has."""
        silent = (self.without_ports - other.served) | (other.without_ports - self.served)
        return MeshNames(
            workloads=self.workloads | other.workloads,
            gateways=self.gateways | other.gateways,
            issuers=self.issuers | other.issuers,
            hosts=self.hosts | other.hosts,
            authorities=self.authorities | other.authorities,
            without_ports=silent,
            authorizers=self.authorizers | other.authorizers,
            aliases={**other.aliases, **self.aliases},
        )

    @property
    def served(self) -> frozenset[str]:
        """The workloads whose pods list a port."""
        return self.workloads - self.without_ports


@dataclass(frozen=True)
class Setup:
    """What cases need around them; cases with one setup share one run of the mesh.

    Attributes:
        workloads: Workloads that the case file declares.
        apps: What answers in place of applications.
        authorizers: Scripts of external authorizers.
        authorities: Names of certificate authorities beside the mesh's own.
        addresses: The stated IP addresses of pods.
    """

    workloads: Mapping[WorkloadRef, DeclaredWorkload] = field(default_factory=dict)
    apps: tuple[AppSpec, ...] = ()
    authorizers: tuple[Authorizer, ...] = ()
    authorities: tuple[str, ...] = ()
    addresses: Mapping[WorkloadRef, str] = field(default_factory=dict)


class Engine(Protocol):
    """The proxies and applications, running."""

    def run(self, cases: Sequence[Case]) -> Iterator[Outcome]:
        """Send the cases and yield each outcome as soon as it is known, in any order.

        The caller may stop early and close the iterator.

        Raises:
            BenchError: The bench itself failed.
        """
        ...

    def chances(self, outcome: Outcome) -> str:
        """Return what chance had a say in on a request's way, as a text to compare; empty where it had none."""
        ...


class LoadedMesh(Protocol):
    """Manifests, read and joined; nothing is started."""

    @property
    def names(self) -> MeshNames:
        """The names that case files may use."""
        ...

    @property
    def mesh(self) -> Mesh:
        """The mesh that the manifests describe."""
        ...

    @property
    def by_weight(self) -> Sequence[LoadedMesh]:
        """The mesh once for each destination that a route chooses by weight, to which it then leads alone."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What was passed over or is old, one sentence each."""
        ...

    @property
    def refusals(self) -> Sequence[str]:
        """Everything in the manifests that the compiler does not know: file, line, object, field and what to do."""
        ...

    @property
    def files(self) -> Sequence[Path]:
        """The files that were read, for `--watch`."""
        ...

    @property
    def proxies(self) -> Sequence[WorkloadRef]:
        """The workloads that have a proxy, sorted."""
        ...

    def render(self, proxy: WorkloadRef) -> Mapping[str, Any]:
        """Return the Envoy configuration of one proxy, with example addresses and without any key."""
        ...

    def survey(self) -> Survey:
        """Return what `meshlab init` writes its first cases from."""
        ...

    def start(self, setup: Setup, cases: Sequence[Case], *, jobs: int) -> AbstractContextManager[Engine]:
        """Start what these cases can touch, and end it with the context.

        Args:
            setup: What the cases need around them.
            cases: The cases that will be run.
            jobs: How many cases may be under way at once; 0 for the engine's own choice.

        Raises:
            BenchError: Something did not start.
        """
        ...


class Bench(Protocol):
    """The way from manifests to a mesh. It lives as long as the command, so it may keep processes for `--watch`."""

    def load(self, sources: Sources) -> LoadedMesh:
        """Read the manifests.

        Raises:
            ManifestError: An input cannot be read at all.
            LabError: A path does not exist or holds no manifest.
        """
        ...

    def close(self) -> None:
        """End everything that is kept running."""
        ...
