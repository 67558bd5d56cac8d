"""Planning cases: where to connect, as which client, with what on the wire."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from meshlab.bench.authorities import MESH
from meshlab.bench.case import FromBypass, FromForeignMesh, FromOutside, FromWorkload, HttpRequest
from meshlab.bench.client.connect import Connector, ProxyHeader
from meshlab.bench.client.send import send_bytes, send_http
from meshlab.bench.planning.client_tls import application_tls, mesh_tls
from meshlab.bench.planning.destination import destination_of
from meshlab.bench.planning.http_request import wire_request
from meshlab.bench.planning.reach import bound_addresses
from meshlab.errors import LabError
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.bench.authorities import Authorities
    from meshlab.bench.case import Case, Sender, TcpRequest, TlsRequest
    from meshlab.bench.client.reply import Reply
    from meshlab.bench.client.wire_request import WireRequest
    from meshlab.bench.issuers import Issuers
    from meshlab.bench.mesh_addresses import MeshUnderTest
    from meshlab.bench.planning.destination import Destination
    from meshlab.istio.envoy.placement import Address
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["Planner", "Sending"]


@dataclass(frozen=True)
class Sending:
    """One request, ready to be sent.

    Attributes:
        connector: How to connect.
        request: An HTTP request, or the bytes of a TCP connection.
        mark: The mark in the request's header; empty for bytes.
    """

    connector: Connector
    request: WireRequest | bytes
    mark: str

    def send(self, timeout_s: float) -> Reply:
        """Send it and return what came back.

        Args:
            timeout_s: The limit for all of it, in seconds.

        Raises:
            ValueError: The request cannot be written.
        """
        if isinstance(self.request, bytes):
            return send_bytes(self.connector, self.request, timeout_s)
        return send_http(self.connector, self.request, timeout_s)


class Planner:
    """Plans how cases are sent to one mesh.

    Args:
        mesh: The mesh.
        authorities: Sign the certificates of clients.
        issuers: Sign the tokens.
    """

    def __init__(self, mesh: MeshUnderTest, authorities: Authorities, issuers: Issuers) -> None:
        self._mesh = mesh
        self._addresses = mesh.addresses
        self._authorities = authorities
        self._issuers = issuers

    def plan(self, case: Case, mark: str) -> Sending:
        """Plan one case.

        Args:
            case: The case.
            mark: A text that no other request carries.

        Raises:
            LabError: The mesh does not have what the case names.
        """
        try:
            connector = self._connector(case)
            request = case.request
            if isinstance(request, HttpRequest):
                return Sending(connector, wire_request(request, case.tokens, self._issuers, mark), mark)
            return Sending(connector, request.send.encode(), "")
        except (LookupError, ValueError) as error:
            raise LabError(str(error.args[0] if error.args else error)) from error

    def _connector(self, case: Case) -> Connector:
        sender, request = case.sender, case.request
        to = destination_of(request)
        self._check_known(sender)
        match sender:
            case FromOutside():
                return self._from_outside(sender, request, to)
            case FromWorkload():
                return self._from_workload(sender.workload, request, to)
            case FromBypass():
                return self._from_bypass(sender, request, to)
            case FromForeignMesh():
                address = self._inbound(sender.to, sender.port)
                certificate = self._authorities.issue(sender.authority, uris=(sender.identity,))
                tls = mesh_tls(request, to, trusted=None, certificate=certificate)
                return Connector(address, tls=tls, source=self._mesh.sources.get(sender.address or ""))

    def _check_known(self, sender: Sender) -> None:
        match sender:
            case FromOutside():
                named: tuple[WorkloadRef | None, ...] = (sender.gateway,)
            case FromBypass():
                named = (sender.workload, sender.to)
            case FromWorkload():
                named = (sender.workload,)
            case FromForeignMesh():
                named = (sender.to,)
        for ref in named:
            if ref is not None and ref not in self._mesh.identities:
                known = ", ".join(map(str, sorted(self._mesh.identities))) or "none"
                raise LabError(f"there is no workload {ref}; the mesh has {known}")

    def _from_outside(
        self, sender: FromOutside, request: HttpRequest | TcpRequest | TlsRequest, to: Destination
    ) -> Connector:
        gateway = sender.gateway
        target = self._addresses.target_port(gateway, to.port)
        if target is None:
            raise LabError(
                f"no Service of the gateway {gateway} has port {to.port}; add it or change the URL"
            )
        address = self._addresses.ports.get((gateway, target))
        if address is None or not self._is_bound(gateway, address):
            raise LabError(f"the gateway {gateway} has no listener for port {to.port} (targetPort {target})")
        header, source = None, None
        if sender.address is not None:
            source = self._mesh.sources.get(sender.address)
            # Policies on ports are translated to where the gateway listens.
            own = _of_family(self._addresses.pod_ips[gateway], sender.address)
            header = ProxyHeader(sender.address, own, address.port)
        shown = sender.certificate
        certificate = (
            self._authorities.issue(shown.authority, uris=shown.uris, dns=shown.dns) if shown else None
        )
        if not to.tls:
            return Connector(address, header, source=source)
        trusted = self._authorities.bundle
        tls = application_tls(request, to, trusted=trusted, certificate=certificate)
        return Connector(address, header, tls, source)

    def _from_workload(
        self, ref: WorkloadRef, request: HttpRequest | TcpRequest | TlsRequest, to: Destination
    ) -> Connector:
        resolved = self._addresses.resolve(to.host, to.port, ref.namespace)
        if resolved is None:
            raise LabError(f"{to.host} does not resolve for {ref}: no Service or ServiceEntry has that name")
        ip, port = resolved
        tls = application_tls(request, to, trusted=self._authorities.bundle) if to.tls else None
        if ref in self._addresses.outbound:
            header = ProxyHeader(self._addresses.pod_ips[ref], ip, port)
            return Connector(self._addresses.outbound[ref], header, tls)
        address = self._addresses.without_proxy(ip, port)
        if address is None:
            raise LabError(
                f"nothing of the mesh listens on {ip}:{port}, where {ref} would connect without a sidecar"
            )
        return Connector(address, tls=tls, source=self._mesh.source_of(ref))

    def _from_bypass(
        self, sender: FromBypass, request: HttpRequest | TcpRequest | TlsRequest, to: Destination
    ) -> Connector:
        address = self._inbound(sender.to, sender.port)
        stated = self._mesh.sources.get(sender.address or "")
        source = self._mesh.source_of(sender.workload) if sender.workload else stated
        match sender.mode:
            case "plaintext":
                return Connector(address, source=source)
            case "tls":
                return Connector(address, tls=application_tls(request, to, trusted=None), source=source)
            case "mtls":
                if sender.workload is None:
                    raise LabError("mtls needs a workload whose certificate is shown; name one in `bypass`")
                identity = self._mesh.identities[sender.workload]
                certificate = self._authorities.issue(MESH, uris=(identity,))
                root = self._authorities.certificate(MESH)
                tls = mesh_tls(request, to, trusted=root, certificate=certificate)
                return Connector(address, tls=tls, source=source)

    def _is_bound(self, gateway: WorkloadRef, address: Address) -> bool:
        """Return whether a gateway has a listener at its address: a server for TCP without a route has none."""
        bootstrap = self._mesh.bootstraps.get(gateway)
        return bootstrap is None or str(address) in bound_addresses(bootstrap)

    def _inbound(self, ref: WorkloadRef, port: int | None) -> Address:
        listeners = {number: at for (to, number), at in self._addresses.apps.items() if to == ref}
        # A sidecar takes what is sent to its pod; a pod without one is its application.
        listeners |= {number: at for (to, number), at in self._addresses.ports.items() if to == ref}
        if port is None and len(listeners) == 1:
            return next(iter(listeners.values()))
        if port is not None and port in listeners:
            return listeners[port]
        known = ", ".join(map(str, sorted(listeners))) or "none"
        if port is None:
            raise LabError(f"write the `port` of {ref} that the client connects to; the pod has: {known}")
        raise LabError(f"nothing of {ref} listens on port {port}; the pod has: {known}")


def _of_family(own: str, other: str) -> str:
    """Return an address of the family of another one, as a PROXY header needs: its own, or one that says nothing."""
    version = ipaddress.ip_address(other).version
    if ipaddress.ip_address(own).version == version:
        return own
    return _ANY_IPV4 if version == 4 else _ANY_IPV6


# Of the ranges for documentation (RFC 5737, RFC 3849). A condition on the pod's own address is decided beforehand.
_ANY_IPV4, _ANY_IPV6 = "192.0.2.1", "2001:db8::1"
