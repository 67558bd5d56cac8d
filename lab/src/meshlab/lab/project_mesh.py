"""Running gateway and user-profile of the project: both proxies as real Envoys, and the application.

Other services of the manifests are known to the gateway and not started; the policy tests run all of them.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshlab.bench.authorities import GATEWAYS, MESH, Authorities
from meshlab.bench.run_secrets import RunSecrets
from meshlab.bench.signing_keys import SigningKey
from meshlab.errors import LabError
from meshlab.istio import Address, Mesh, Placement, ProxyCompiler, Workload, WorkloadRef, load_mesh
from meshlab.kustomize import build
from meshlab.lab.lookup_service import arguments_for
from meshlab.processes.envoy import Envoy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from meshlab.lab.pipeline import Lookup
    from meshlab.lab.project import Project
    from meshlab.processes.supervisor import Child, Supervisor

__all__ = ["ProjectMesh", "read_mesh"]

_APPLICATION = WorkloadRef("user-profile", "user-profile")
"""The workload that the lab has a program for."""


def read_mesh(project: Project, jwks: str | None = None, fetched: Mapping[str, str] | None = None) -> Mesh:
    """Read the project's manifests.

    Args:
        project: Whose overlay to read.
        jwks: The function's public keys in place of the overlay's. Those belong to an environment whose private keys
            are elsewhere, so a run of the lab brings its own. Nothing else is ever replaced.
        fetched: Issuer to its public keys, in place of inline ones and of those behind its `jwksUri`. Without them no
            token of an issuer with a `jwksUri` is accepted.

    Raises:
        ManifestError: A manifest holds something that is not known, or a mistake.
    """
    manifests = build(
        project.overlay, files={project.jwks_file: jwks} if jwks and not project.is_keyless else {}
    )
    mesh = load_mesh(manifests).require_complete(without_notes=True)
    return replace(mesh, issuer_keys=dict(fetched or {}))


class ProjectMesh:
    """The gateway of a project, the user-profile service and its proxy as child processes.

    Args:
        supervisor: Starts and ends them.
        project: Whose manifests to run: one gateway, and the workload user-profile.
        ports: Where they may listen on 127.0.0.1.
        profiles: The JSON file that the application answers from at `/profile/{user_id}`.
        served: Further lookups that it answers, and for each the JSON file with the answers.
        app: A service of the user that runs already, in place of the application.
        fetched: Issuer to its public keys, in place of inline ones and of those behind its `jwksUri`.

    Attributes:
        key: The signing key that the mesh trusts in this run.
        not_enforced: What the manifests ask for and only a cluster can do, one sentence each.

    Raises:
        ManifestError: A manifest holds something that is not known.
        LabError: The manifests have more than one gateway, or no workload user-profile with a sidecar.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        project: Project,
        ports: Iterator[int],
        profiles: Path,
        *,
        served: Sequence[tuple[Lookup, Path]] = (),
        app: Address | None = None,
        fetched: Mapping[str, str] | None = None,
    ) -> None:
        self.key = SigningKey.generate()
        self._supervisor = supervisor
        self._ports = ports  # kept: their reservations end with the iterator
        self._project = project
        self._jwks = self.key.jwks
        self._fetched = dict(fetched or {})
        self._mesh = read_mesh(project, self._jwks, self._fetched)
        self.not_enforced = self._mesh.not_enforced
        self._gateway = _gateway_of(self._mesh)
        self._application = _application_of(self._mesh)
        self._placement = Placement.plan(self._mesh, lambda: next(ports))
        self._arguments = ["--profiles", str(profiles), *arguments_for(served)]
        self._has_own_app = app is None
        if app is not None:
            apps = {
                key: app if key[0] == self._application.ref else at
                for key, at in self._placement.apps.items()
            }
            self._placement = replace(self._placement, apps=apps)
        self._running_apps: list[Child] = []
        self._authorities = Authorities(supervisor.directory / "pki")
        compiler = self._compiler()
        self._proxies = {
            workload.ref: self._proxy(workload.ref, compiler)
            for workload in (self._application, self._gateway)
        }

    @property
    def gateway(self) -> Envoy:
        """The gateway's proxy."""
        return self._proxies[self._gateway.ref]

    @property
    def sidecar(self) -> Envoy:
        """The proxy beside the application."""
        return self._proxies[self._application.ref]

    @property
    def sidecar_address(self) -> Address:
        """Where the sidecar takes requests for the application."""
        return self._placement.proxies[self._application.ref, self._application.ports[0].number]

    @property
    def apps(self) -> list[Child]:
        """The applications behind the sidecars, once started."""
        return self._running_apps

    @property
    def gateway_url(self) -> str:
        """Scheme, address and port of the gateway, as the function's GKE_GATEWAY_URL."""
        (port,) = self._gateway.ports
        return f"{port.protocol}://{self._placement.proxies[self._gateway.ref, port.number]}"

    @property
    def gateway_ca(self) -> Path:
        """PEM file of the private authority that signed the gateway's certificate."""
        return self._authorities.certificate(GATEWAYS)

    @property
    def mesh_ca(self) -> Path:
        """PEM file of the authority that signs the identities of the mesh."""
        return self._authorities.certificate(MESH)

    @property
    def gateway_identity(self) -> Path:
        """Directory with the certificate and key by which the gateway is known in the mesh."""
        identity = self._gateway.identity(self._mesh.trust_domain)
        return self._authorities.issue(MESH, uris=(identity,)).directory

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where each part listens, by the name of its child process."""
        proxies = {
            _proxy_name(ref): str(address)
            for (ref, _), address in self._placement.proxies.items()
            if ref in self._proxies
        }
        return proxies | {ref.name: str(address) for (ref, _), address in self._app_addresses}

    def start(self) -> list[Child]:
        """Start everything without waiting; return the children in the order of their start."""
        if self._has_own_app:
            self._running_apps = [
                self._start_app(ref.name, address) for (ref, _), address in self._app_addresses
            ]
        return [*self._running_apps, *(proxy.start() for proxy in self._proxies.values())]

    def wait_ready(self) -> None:
        """Wait until all of it serves.

        Raises:
            LabError: A part ended or did not get ready.
        """
        for app in self._running_apps:
            app.listening_port()
        for proxy in self._proxies.values():
            proxy.wait_ready()

    def publish_keys(self, jwks: str) -> None:
        """Make the running proxies trust these keys and no others, and wait until they do.

        As `kubectl apply` with another file in `keys/` does in a cluster, only that here the wait ends when the change
        is everywhere: no connection is left that is checked by the keys of before. Calls under way are not disturbed.

        Args:
            jwks: The public keys (RFC 7517), in place of the overlay's.

        Raises:
            ManifestError: It is no set of public keys; the proxies go on with those they have.
            LabError: A proxy ended or refused them.
        """
        self._change(self._project, jwks, self._fetched)

    def publish_fetched_keys(self, issuer: str, jwks: str) -> None:
        """Make the running proxies trust the keys that stand behind an issuer's `jwksUri`, and wait until they do.

        Args:
            issuer: The issuer, as the manifests write it.
            jwks: Its public keys (RFC 7517).

        Raises:
            LabError: A proxy ended or refused them.
        """
        self._change(self._project, self._jwks, {**self._fetched, issuer: jwks})

    def apply(self, project: Project) -> None:
        """Make the running proxies follow other manifests, and wait until they do, as `publish_keys` does.

        The public keys stay those of this run.

        Args:
            project: Whose manifests to follow from now on.

        Raises:
            ManifestError: A manifest holds something that is not known; the proxies go on as they were.
            ValueError: More changed than listeners hold, such as a workload: that takes a restart.
            LabError: A proxy ended or refused the change.
        """
        self._change(project, self._jwks, self._fetched)

    @property
    def requests_served(self) -> int:
        """How many requests the sidecar has passed on to the application since it was started.

        It is Envoy's own count, so what a policy refused on the way is not in it.
        """
        return self.sidecar.counter(r"cluster\.inbound\|.*\.upstream_rq_total")

    @property
    def _app_addresses(self) -> list[tuple[tuple[WorkloadRef, int], Address]]:
        return [found for found in self._placement.apps.items() if found[0][0] == self._application.ref]

    def _change(self, project: Project, jwks: str, fetched: Mapping[str, str]) -> None:
        self._mesh = read_mesh(project, jwks, fetched)
        self._project, self._jwks, self._fetched = project, jwks, dict(fetched)
        compiler = self._compiler()
        for ref, proxy in self._proxies.items():
            proxy.update(compiler.compile(ref))
        for proxy in self._proxies.values():
            proxy.wait_updated()

    def _compiler(self) -> ProxyCompiler:
        # The lab's programs do not send through the sidecar, so it needs no outbound side.
        placement = replace(self._placement, outbound={})
        return ProxyCompiler(self._mesh, placement, RunSecrets.of(self._mesh, self._authorities))

    def _start_app(self, name: str, address: Address) -> Child:
        command: list[Any] = [
            sys.executable, "-m", "meshlab.lab.lookup_service",
            *self._arguments,
            "--port", str(address.port),
        ]  # fmt: skip
        return self._supervisor.spawn(name, command)

    def _proxy(self, ref: WorkloadRef, compiler: ProxyCompiler) -> Envoy:
        return Envoy(self._supervisor, _proxy_name(ref), compiler.compile(ref), self._placement.admin[ref])


def _gateway_of(mesh: Mesh) -> Workload:
    found = [workload for workload in mesh.workloads if workload.is_gateway]
    if len(found) != 1:
        names = ", ".join(str(workload.ref) for workload in found) or "none"
        raise LabError(
            f"the lab runs a mesh with one gateway, and these manifests have {names}; use meshlab test"
        )
    return found[0]


def _application_of(mesh: Mesh) -> Workload:
    sidecars = [workload for workload in mesh.workloads if workload.proxy == "sidecar"]
    for workload in sidecars:
        if workload.ref == _APPLICATION:
            return workload
    names = ", ".join(str(workload.ref) for workload in sidecars) or "none"
    raise LabError(
        f"the lab runs the workload {_APPLICATION}, and these manifests have {names}; use meshlab test for others"
    )


def _proxy_name(ref: WorkloadRef) -> str:
    return f"envoy-{ref.name}"
