"""One run of the bridge: both meshes, the certificates between them, the load balancer and the function."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Self

from meshlab.bench.authorities import Authorities
from meshlab.bench.case import AppSpec, Certificate
from meshlab.bench.declared import declared_manifests
from meshlab.bench.issuers import Issuers
from meshlab.bench.relay import Relay
from meshlab.bench.running_mesh import RunningMesh
from meshlab.env_file import read_env_file
from meshlab.istio import Address, WorkloadRef, load_mesh
from meshlab.kustomize import build
from meshlab.lab.lambda_bridge.bridge_certificates import BridgeCertificates
from meshlab.lab.lambda_bridge.joined import PlacedMesh, joined
from meshlab.lab.lambda_bridge.secrets import WatchedSecrets
from meshlab.processes.ports import free_ports
from meshlab.processes.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from meshlab.bench.case import Case, CaseFile
    from meshlab.bench.verdicts.verdict import Outcome
    from meshlab.istio import Mesh
    from meshlab.lab.project import Project
    from meshlab.manifest import Manifest
    from meshlab.processes.envoy import Envoy

__all__ = ["AUTHORITIES", "EGRESS", "INGRESS", "BridgeRun", "bridge_directory", "bridge_values"]

_GKE, _EKS = "mesh", "eks"
_BALANCER_CA = "lambda-alb-ca"
_CLIENTS, _SERVERS, _ROOT = "bridge-clients", "bridge-servers", "bridge-root"
AUTHORITIES = (_EKS, _BALANCER_CA, _CLIENTS, _SERVERS)
"""Names of authorities for case files: that of the mesh in EKS, that of the load balancer, and the two intermediates of
the bridge. `mesh` is the authority of the mesh in GKE."""

EGRESS = WorkloadRef("istio-lambda-egress", "istio-lambda-egress")
INGRESS = WorkloadRef("istio-lambda-ingress", "istio-lambda-ingress")
"""The two gateways."""
_GATEWAY_PORT = 8443
_JOBS = 8


def bridge_directory(project: Project) -> Path:
    """Return the directory of the bridge's manifests."""
    return project.root / "infra/mesh/lambda-bridge"


def bridge_values(project: Project) -> Mapping[str, str]:
    """Return the values that both sides agree on.

    Raises:
        LabError: A line is not KEY=VALUE.
    """
    return read_env_file(bridge_directory(project) / "contract/bridge.env")


class BridgeRun:
    """The bridge, running. Use it as a context manager.

    Args:
        project: Whose manifests, function and certificates to run.
        case_files: What will be sent. Workloads that they declare belong to the mesh in GKE.
        balancer: What the load balancer shows to the gateway; by default a certificate with its own name.
        condition_probes: Whether proxies record rules and conditions of policies one by one, for explanations.

    Attributes:
        certificates: The certificates between the meshes.
        gateway_address: Where the ingress gateway of EKS listens.
        meshes: The mesh in GKE and that in EKS.
        under_test: The configurations of both.
    """

    def __init__(
        self,
        project: Project,
        case_files: Sequence[CaseFile],
        *,
        balancer: Certificate | None = None,
        condition_probes: bool = False,
    ) -> None:
        self.gateway_address = Address("", 0)
        self._project = project
        self._cases = [case for case_file in case_files for case in case_file.cases]
        self._condition_probes = condition_probes
        self._values = bridge_values(project)
        self._ends = ExitStack()
        try:
            self._supervisor = self._ends.enter_context(Supervisor())
            self.certificates = BridgeCertificates(
                project.root / "deploy/bridge-certificates",
                self._supervisor.directory / "bridge-certificates",
            )
            self.certificates.run("create")
            self._authorities = self._make_authorities(case_files)
            self._running = self._make_running(case_files, balancer or self._own_certificate)
        except BaseException:
            self._ends.close()
            raise

    def __enter__(self) -> Self:
        """Start the proxies that the cases can touch, and wait until all serve.

        Raises:
            LabError: A part did not start.
        """
        try:
            self._running.start(self._cases)
        except BaseException:
            self._ends.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything."""
        self._ends.close()

    @property
    def proxies(self) -> frozenset[WorkloadRef]:
        """The workloads whose proxies run."""
        return self._running.running

    def send(self, cases: Sequence[Case] | None = None) -> Iterator[Outcome]:
        """Send cases, all of them if none are given, and yield their outcomes in order."""
        return self._running.run(self._cases if cases is None else cases, jobs=_JOBS)

    def proxy(self, ref: WorkloadRef) -> Envoy:
        """Return the proxy of a workload.

        Raises:
            LookupError: It does not run.
        """
        return self._running.proxy(ref)

    def publish(self) -> None:
        """Give the running proxies the certificates as they are now, and wait until they have them.

        As when Secrets change in a cluster: connections that are open go on.

        Raises:
            LabError: A proxy did not take them.
        """
        for secrets in self._secrets:
            secrets.publish()
        for ref in self._running.running:
            wanted = frozenset(chain.from_iterable(secrets.versions(ref) for secrets in self._secrets))
            self._running.proxy(ref).wait_secrets(wanted)

    def _make_authorities(self, case_files: Sequence[CaseFile]) -> Authorities:
        known = {
            _CLIENTS: self.certificates.authority("gke"),
            _SERVERS: self.certificates.authority("eks"),
            _ROOT: self.certificates.root,
        }
        names = [name for case_file in case_files for name in case_file.authorities if name not in known]
        return Authorities(self._supervisor.directory / "pki", (_EKS, _BALANCER_CA, *names), known)

    @property
    def _own_certificate(self) -> Certificate:
        return Certificate(_BALANCER_CA, dns=(self._values["ALB_HOST"],))

    def _make_running(self, case_files: Sequence[CaseFile], balancer: Certificate) -> RunningMesh:
        ports = self._ports = free_ports()  # kept: their reservations end with the iterator
        declared = {ref: workload for each in case_files for ref, workload in each.workloads.items()}
        gke = load_mesh(
            [*self._manifests("gke"), *declared_manifests(declared)], inject_unknown_namespaces=True
        )
        eks = load_mesh(self._manifests("eks"))
        for mesh in (gke, eks):
            mesh.require_complete()
        (balancer_ca := self._supervisor.directory / "alb-ca").mkdir(mode=0o700)
        (balancer_ca / "ca.crt").write_bytes(self._authorities.certificate(_BALANCER_CA).read_bytes())
        credentials = {
            "lambda-bridge-client": self.certificates.secret("gke"),
            "lambda-bridge-server": self.certificates.secret("eks"),
            _BALANCER_CA: balancer_ca,
        }
        secrets_of = partial(self._watched, credentials)
        self._secrets = (secrets_of(gke, _GKE), secrets_of(eks, _EKS))
        second = PlacedMesh.place(eks, self._secrets[1], lambda: next(ports), {})
        self.gateway_address = second.placement.proxies[INGRESS, _GATEWAY_PORT]
        links = {(self._values["EKS_GATEWAY_ADDRESS"], 443): self.gateway_address}
        first = PlacedMesh.place(gke, self._secrets[0], lambda: next(ports), links)
        relay = self._ends.enter_context(Relay(first.placement.relay, first.placement.without_proxy))
        self.meshes = (gke, eks)
        self.under_test = replace(joined(first, second, _EKS), relayed=relay.onward)
        running = RunningMesh(
            self._supervisor,
            self.under_test,
            self._authorities,
            Issuers({}),
            apps=[self._balancer(balancer)],
            condition_probes=self._condition_probes,
        )
        self._ends.callback(running.close)
        return running

    def _watched(self, credentials: Mapping[str, Path], mesh: Mesh, authority: str) -> WatchedSecrets:
        identities = {workload.ref: workload.identity(mesh.trust_domain) for workload in mesh.workloads}
        directory = self._supervisor.directory / "secrets" / authority
        return WatchedSecrets(self._authorities, authority, identities, credentials, directory)

    def _manifests(self, side: str) -> list[Manifest]:
        return build(bridge_directory(self._project) / "overlays" / side)

    def _balancer(self, shown: Certificate) -> AppSpec:
        function = self._project.root / "function-aws"
        files = self._authorities.issue(shown.authority, uris=shown.uris, dns=shown.dns)
        command = (
            sys.executable, "-m", "meshlab.cloud.alb",
            "--function", str(function),
            "--function-arn", self._values["LAMBDA_FUNCTION_ARN"],
            "--policy", str(function / "resource-policy.json"),
            "--target-group", self._values["TARGET_GROUP_ARN"],
            "--account", self._values["AWS_ACCOUNT_ID"],
            "--host", self._values["BRIDGE_HOST"],
            "--health-check", "/",
            "--certificate", str(files.chain),
            "--key", str(files.key),
        )  # fmt: skip
        return AppSpec(self._values["ALB_HOST"], command=command)
