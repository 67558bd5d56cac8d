"""The mesh, running: every proxy that `infra/mesh` describes as a real Envoy, and the workloads behind them."""

import ssl
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from meshlab.bench.cases import Case, Client, Target
from meshlab.bench.probe import Connector, client_tls
from meshlab.bench.tokens import SigningKey, Tokens
from meshlab.bench.verdict import PolicyRunner, Result
from meshlab.certificates import CertificateAuthority
from meshlab.errors import LabError
from meshlab.istio import (
    Address,
    Mesh,
    MeshSettings,
    Placement,
    SecretFiles,
    SecretSocket,
    Workload,
    WorkloadRef,
    compile_proxy,
    load_mesh,
    spiffe_id,
)
from meshlab.kustomize import build
from meshlab.lab.project import Project
from meshlab.processes.envoy import Envoy
from meshlab.processes.supervisor import Child, Supervisor

_TRUST_DOMAIN = "cluster.local"
_GATEWAY = WorkloadRef("istio-ingress", "istio-internal-gateway")
_USER_PROFILE = WorkloadRef("user-profile", "user-profile")
_FIRST_EXAMPLE_PORT = 21_001


def read_mesh(project: Project, jwks: str | None = None) -> Mesh:
    """Read the project's manifests.

    Args:
        project: Whose overlay to read.
        jwks: Public keys in place of the overlay's. Those belong to an environment whose private keys are elsewhere,
            so a run of the lab brings its own. Nothing else is ever replaced.

    Raises:
        ManifestError: A manifest holds something that the lab does not know.
    """
    manifests = build(_as_a_person_writes(project.overlay), files={project.jwks_file: jwks} if jwks else {})
    return load_mesh(manifests, MeshSettings(trust_domain=_TRUST_DOMAIN)).require_complete(without_notes=True)


def render_proxy(project: Project, workload: str) -> dict[str, Any]:
    """The configuration of one proxy, with example addresses and without any key.

    Args:
        project: Whose overlay to read.
        workload: `NAMESPACE/NAME` of its Deployment.

    Raises:
        LabError: There is no such workload, or it has no proxy.
        ManifestError: A manifest holds something that the lab does not know.
    """
    mesh = read_mesh(project)
    ports = count(_FIRST_EXAMPLE_PORT)
    try:
        ref = WorkloadRef.parse(workload)
        return compile_proxy(mesh, ref, Placement.plan(mesh, lambda: next(ports)), SecretSocket())
    except (LookupError, ValueError) as error:
        raise LabError(str(error)) from error


class RunningMesh:
    """The proxies and applications of a project as child processes.

    Args:
        supervisor: Starts and ends them.
        project: Whose manifests to run.
        ports: Where they may listen on 127.0.0.1.
        profiles: The JSON file that the user-profile service answers from.

    Attributes:
        key: The signing key that the mesh trusts in this run.
        not_enforced: What the manifests ask for and only a cluster can do, one sentence each.
    """

    def __init__(
        self, supervisor: Supervisor, project: Project, ports: Iterator[int], profiles: Path
    ) -> None:
        self.key = SigningKey.generate()
        self._supervisor = supervisor
        self._ports = ports  # kept: their reservations end with the iterator
        self._project = project
        self._jwks = self.key.jwks
        self._contract = project.contract()
        self._mesh = read_mesh(project, self._jwks)
        self.not_enforced = self._mesh.not_enforced
        self._placement = Placement.plan(self._mesh, lambda: next(ports))
        # The stand-in for each workload's application, as a module that takes --port, with its arguments.
        self._apps = {_USER_PROFILE: ["meshlab.lab.user_profile", "--profiles", str(profiles)]}
        self._running_apps: list[Child] = []
        self._pki = supervisor.directory / "pki"
        self._secrets = self._issue_certificates()
        self._proxies = {
            workload.ref: self._proxy(workload) for workload in self._mesh.workloads if workload.injected
        }

    @property
    def gateway(self) -> Envoy:
        """The internal gateway."""
        return self._proxies[_GATEWAY]

    @property
    def sidecar(self) -> Envoy:
        """The proxy beside user-profile."""
        return self._proxies[_USER_PROFILE]

    @property
    def apps(self) -> list[Child]:
        """The applications behind the sidecars, once started."""
        return self._running_apps

    @property
    def gateway_url(self) -> str:
        """Scheme, address and port of the gateway, as the function's GKE_GATEWAY_URL."""
        (port,) = self._mesh.workload(_GATEWAY).ports
        return f"{port.protocol}://{self._placement.proxies[_GATEWAY, port.number]}"

    @property
    def gateway_ca(self) -> Path:
        """PEM file of the private authority that signed the gateway's certificate."""
        return self._pki / "gateway-ca.pem"

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where each part listens, by the name of its child process."""
        proxies = {_proxy_name(ref): str(address) for (ref, _), address in self._placement.proxies.items()}
        return proxies | {ref.name: str(address) for (ref, _), address in self._placement.apps.items()}

    def start(self) -> list[Child]:
        """Start everything without waiting; returns the children in the order of their start."""
        self._running_apps = [self._start_app(ref, app) for (ref, _), app in self._placement.apps.items()]
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

        As `kubectl apply` with another `jwks.json` does in a cluster, only that here the wait ends when the change is
        everywhere: no connection is left that is checked by the keys of before. Calls under way are not disturbed.

        Args:
            jwks: The public keys (RFC 7517), in place of the overlay's.

        Raises:
            ManifestError: It is no set of public keys; the proxies go on with those they have.
            LabError: A proxy ended or refused them.
        """
        self._change(self._project, jwks)

    def apply(self, project: Project) -> None:
        """Make the running proxies follow other manifests, and wait until they do, as `publish_keys` does.

        The public keys stay those of this run.

        Args:
            project: Whose manifests to follow from now on.

        Raises:
            ManifestError: A manifest holds something that the lab does not know; the proxies go on as they were.
            ValueError: More changed than listeners hold, such as a workload: that takes a restart.
            LabError: A proxy ended or refused the change.
        """
        self._change(project, self._jwks)

    @property
    def requests_served(self) -> int:
        """How many requests the sidecar has passed on to user-profile since it was started.

        It is Envoy's own count, so what a policy refused on the way is not in it.
        """
        return self.sidecar.counter(r"cluster\.inbound\|.*\.upstream_rq_total")

    def run_policy_test(self, case: Case) -> Result:
        """Send one request of a policy test and return its fate."""
        return self._policy_runner.run(case)

    @cached_property
    def _policy_runner(self) -> PolicyRunner:
        return PolicyRunner(
            {"gateway": self.gateway, "sidecar": self.sidecar},
            self._connector,
            Tokens(self.key, self._contract),
            self._contract["GKE_GATEWAY_HOST"],
        )

    def _connector(self, to: Target, client: Client) -> Connector:
        if to == "gateway":
            scheme, _, address = self.gateway_url.partition("://")
            tls = ssl.create_default_context(cafile=str(self.gateway_ca)) if scheme == "https" else None
            return Connector(_address(address), tls, self._contract["GKE_GATEWAY_HOST"])
        sidecar = self._placement.proxies[_USER_PROFILE, self._mesh.workload(_USER_PROFILE).ports[0].number]
        if client == "plaintext":
            return Connector(sidecar)
        identity = None if client == "none" else self._pki / "clients" / client
        return Connector(sidecar, client_tls(self._pki / "mesh-ca.pem", identity))

    def _change(self, project: Project, jwks: str) -> None:
        self._mesh = read_mesh(project, jwks)
        self._project, self._jwks = project, jwks
        for ref, proxy in self._proxies.items():
            proxy.update(self._compile(ref))
        for proxy in self._proxies.values():
            proxy.wait_updated()

    def _start_app(self, ref: WorkloadRef, address: Address) -> Child:
        if ref not in self._apps:
            raise LabError(f"the lab has no application to stand in for the workload {ref}")
        command = [sys.executable, "-m", *self._apps[ref], "--port", str(address.port)]
        return self._supervisor.spawn(ref.name, command)

    def _proxy(self, workload: Workload) -> Envoy:
        admin = self._placement.admin[workload.ref]
        return Envoy(self._supervisor, _proxy_name(workload.ref), self._compile(workload.ref), admin)

    def _compile(self, ref: WorkloadRef) -> dict[str, Any]:
        return compile_proxy(self._mesh, ref, self._placement, self._secrets)

    def _issue_certificates(self) -> SecretFiles:
        """Make three authorities, and everything that this run's proxies and probes show to each other."""
        mesh, private, stranger = (
            CertificateAuthority.create(f"meshlab {name}") for name in ("mesh", "gateway", "stranger")
        )
        self._pki.mkdir(mode=0o700)
        (self._pki / "mesh-ca.pem").write_bytes(mesh.pem)
        self.gateway_ca.write_bytes(private.pem)
        workloads = {
            workload.ref: self._write_identity(
                mesh, workload.identity(_TRUST_DOMAIN), "workloads", str(workload.ref)
            )
            for workload in self._mesh.workloads
        }
        gateway_identity = self._mesh.workload(_GATEWAY).identity(_TRUST_DOMAIN)
        neighbour_identity = spiffe_id(_TRUST_DOMAIN, "neighbour", "neighbour")
        self._write_identity(mesh, gateway_identity, "clients", "gateway")
        self._write_identity(mesh, neighbour_identity, "clients", "neighbour")
        self._write_identity(stranger, gateway_identity, "clients", "stranger")
        credentials = {
            (credential.namespace, credential.name): private.issue(dns_names=credential.hosts).write(
                self._pki / "credentials" / credential.name, chain="tls.crt", key="tls.key"
            )
            for credential in self._mesh.credentials
        }
        return SecretFiles(workloads=workloads, credentials=credentials)

    def _write_identity(self, authority: CertificateAuthority, identity: str, kind: str, name: str) -> Path:
        return authority.issue(uris=[identity]).write(
            self._pki / kind / name, chain="cert-chain.pem", key="key.pem", root="root-cert.pem"
        )


def _as_a_person_writes(path: Path) -> Path:
    """The path from the working directory, where it lies below: messages name files by it."""
    here = Path.cwd()
    return path.resolve().relative_to(here) if path.resolve().is_relative_to(here) else path


def _proxy_name(ref: WorkloadRef) -> str:
    return f"envoy-{ref.name}"


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host, int(port))
