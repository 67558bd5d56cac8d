"""TLS of listeners: certificates, CAs of clients, and whether a Gateway may use them.

Follows `pilot/pkg/config/kube/gateway/conversion.go#buildTLS`. Whether a Secret exists is not checked: manifests
seldom hold their Secrets, and the bench makes what they would hold.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from meshlab.istio.model.credentials import BUILT_IN
from meshlab.istio.model.gateway_api.objects import grants_allow, note
from meshlab.istio.read.gateway_api import ListenerSet
from meshlab.istio.read.gateway_api.references import Kind
from meshlab.istio.read.gateway_api.schema_values import GATEWAY_API
from meshlab.istio.read.server_tls import ServerTls, known_ciphers

if TYPE_CHECKING:
    from meshlab.istio.model.gateway_api.objects import GatewayApi, ListenerHolder
    from meshlab.istio.read.fields import Where
    from meshlab.istio.read.gateway_api import KubernetesGateway
    from meshlab.istio.read.gateway_api.listener import Listener
    from meshlab.istio.read.gateway_api.listener_tls import FrontendValidation
    from meshlab.istio.read.gateway_api.references import ObjectRef
    from meshlab.istio.read.server_tls import TlsMode
    from meshlab.manifest import Problem

__all__ = ["GATEWAY", "LISTENER_SET", "CertificateError", "kind_of", "server_tls"]

GATEWAY, LISTENER_SET = Kind(GATEWAY_API, "Gateway"), Kind(GATEWAY_API, "ListenerSet")
_SECRET, _CONFIG_MAP = Kind("", "Secret"), Kind("", "ConfigMap")
_MODE = "gateway.istio.io/tls-terminate-mode"
_CIPHERS = "gateway.istio.io/tls-cipher-suites"
_PROTOCOL = "gateway.istio.io/listener-protocol"
_NETWORK, _NETWORK_PORT = "topology.istio.io/network", "networking.istio.io/gatewayPort"
_CROSS_NETWORK_PORT = "15443"
_MOST_CERTIFICATES = 2
_CA_SUFFIX = "-cacert"


class CertificateError(Exception):
    """A listener is not served.

    Attributes:
        note: Where and why.
    """

    def __init__(self, where: Where, text: str) -> None:
        self.note = note(where, f"{text} Istio does not serve the listener.")
        super().__init__(str(self.note))


def kind_of(holder: ListenerHolder) -> Kind:
    """Return the kind of the object that has a listener."""
    return LISTENER_SET if isinstance(holder, ListenerSet) else GATEWAY


def server_tls(
    owner: KubernetesGateway,
    holder: ListenerHolder,
    listener: Listener,
    api: GatewayApi,
    notes: list[Problem],
) -> ServerTls | None:
    """Return the TLS of a listener's server, `None` where it has none.

    Args:
        owner: The Gateway.
        holder: The object that has the listener: the Gateway, or a ListenerSet.
        listener: The listener.
        api: All objects.
        notes: Receives what Istio leaves out.

    Raises:
        CertificateError: A certificate or a CA cannot be used.
    """
    tls = listener.tls
    if tls is None:
        return None
    ciphers = _ciphers(listener, notes)
    if tls.passes_through:
        return ServerTls(
            "AUTO_PASSTHROUGH" if _is_cross_network(holder, listener) else "PASSTHROUGH", ciphers=ciphers
        )
    asked = tls.options.get(_MODE, "")
    if asked == "ISTIO_MUTUAL":
        return ServerTls("ISTIO_MUTUAL")
    if asked == "ISTIO_SIMPLE":
        return ServerTls("SIMPLE", credentials=(BUILT_IN,))
    modes: dict[str, TlsMode] = {"MUTUAL": "MUTUAL", "OPTIONAL_MUTUAL": "OPTIONAL_MUTUAL"}
    credentials = _credentials(holder, listener, api, notes)
    frontend = owner.frontend_by_port.get(listener.port, owner.frontend)
    if frontend is None:
        return ServerTls(modes.get(asked, "SIMPLE"), credentials=credentials, ciphers=ciphers)
    # A client that shows nothing, or what no CA stands behind, is let in by AllowInsecureFallback alone.
    mode = modes.get(asked, "OPTIONAL_MUTUAL" if frontend.optional else "MUTUAL")
    return ServerTls(
        mode,
        credentials=credentials,
        ca_credential=_authority(holder, frontend, api),
        skip_verify=frontend.optional and asked not in modes,
        ciphers=ciphers,
    )


def _credentials(
    holder: ListenerHolder, listener: Listener, api: GatewayApi, notes: list[Problem]
) -> tuple[str, ...]:
    tls = listener.tls
    written = tls.certificates if tls else ()
    where = listener.where.key("tls", "certificateRefs")
    if len(written) > _MOST_CERTIFICATES:
        raise CertificateError(where, f"Istio takes {_MOST_CERTIFICATES} certificates at most.")
    found, problems = [], []
    for ref in written:
        if not grants_allow(api.grants, kind_of(holder), holder.namespace, ref):
            text = f"no ReferenceGrant in {ref.namespace} lets {kind_of(holder).name}s of {holder.namespace} use it."
            problems.append((ref.where, text))
        elif ref.kind != _SECRET:
            problems.append((ref.where, f"{ref.kind} is no Secret."))
        else:
            found.append(f"kubernetes-gateway://{ref.namespace}/{ref.name}")
    if not found and problems:
        raise CertificateError(*problems[0])
    if not found:
        raise CertificateError(where, "there is no certificate.")
    notes += [note(place, f"{text} Istio leaves it out.") for place, text in problems]
    return tuple(found)


def _authority(holder: ListenerHolder, frontend: FrontendValidation, api: GatewayApi) -> str:
    if len(frontend.authorities) > 1:
        raise CertificateError(frontend.authorities[1].where, "Istio takes one CA.")
    (ref,) = frontend.authorities
    # Istio looks for the grant under the name by which it asks for the CA, not under the name of the object.
    if not grants_allow(
        api.grants, kind_of(holder), holder.namespace, replace(ref, name=ref.name + _CA_SUFFIX)
    ):
        text = (
            f"no ReferenceGrant in {ref.namespace} lets {kind_of(holder).name}s of {holder.namespace} use it."
        )
        raise CertificateError(ref.where, text)
    return f"{_scheme(ref)}://{ref.namespace}/{ref.name}{_CA_SUFFIX}"


def _scheme(ref: ObjectRef) -> str:
    if ref.kind == _SECRET:
        return "kubernetes-gateway"
    if ref.kind == _CONFIG_MAP:
        return "configmap"
    raise CertificateError(ref.where, f"{ref.kind} is neither ConfigMap nor Secret.")


def _ciphers(listener: Listener, notes: list[Problem]) -> tuple[str, ...]:
    options = listener.tls.options if listener.tls else {}
    written = [cipher.strip() for cipher in options.get(_CIPHERS, "").split(",") if cipher.strip()]
    kept = known_ciphers(written)
    for cipher in written:
        if cipher not in kept:
            where = listener.where.key("tls", "options", _CIPHERS)
            notes.append(note(where, f"{cipher!r} is no cipher suite; Istio drops it."))
    return kept


def _is_cross_network(holder: ListenerHolder, listener: Listener) -> bool:
    """Return whether other networks of the mesh come in here (`kube/conversion.go#IsAutoPassthrough`)."""
    if listener.tls and listener.tls.options.get(_PROTOCOL) == "auto-passthrough":
        return True
    port = holder.labels.get(_NETWORK_PORT, _CROSS_NETWORK_PORT)
    return _NETWORK in holder.labels and str(listener.port) == port
