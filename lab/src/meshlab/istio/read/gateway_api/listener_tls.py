"""TLS of a listener, and what a Gateway asks of its clients' certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.gateway_api.references import MAX_PORT, Kind, ObjectRef, read_object_ref
from meshlab.istio.read.gateway_api.schema_values import entries, whole_number
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Fields

__all__ = ["FrontendValidation", "ListenerTls", "read_frontend", "read_listener_tls"]

_REF_FIELDS = ("group", "kind", "name", "namespace")
_OPTIONS = (
    "gateway.istio.io/tls-terminate-mode",
    "gateway.istio.io/tls-cipher-suites",
    "gateway.istio.io/listener-protocol",
)
_SECRET = Kind("", "Secret")


@dataclass(frozen=True)
class ListenerTls:
    """TLS of a listener.

    Attributes:
        passes_through: Whether the gateway leaves the TLS of its clients alone.
        certificates: The Secrets with its certificates.
        options: Options of Istio's.
    """

    passes_through: bool
    certificates: tuple[ObjectRef, ...]
    options: Mapping[str, str]


@dataclass(frozen=True)
class FrontendValidation:
    """What clients must show.

    Attributes:
        authorities: ConfigMaps or Secrets with the CA.
        optional: Whether clients without a certificate, or with one of another CA, are let in.
    """

    authorities: tuple[ObjectRef, ...]
    optional: bool


def read_listener_tls(listener: Fields, namespace: str) -> ListenerTls | None:
    """Read `tls` of a listener, `None` where it is absent.

    Raises:
        ManifestError: Something that the schema refuses, or an option of Istio's that is not known.
    """
    if listener.raw("tls") is None:
        return None
    tls = listener.mapping("tls", ("mode", "certificateRefs", "options"))
    mode = tls.choice("mode", ("Terminate", "Passthrough"), "Terminate")
    options = tls.string_map("options")
    for key in options:
        # Options of other implementations have no meaning to Istio.
        if key.partition("/")[0].endswith("istio.io") and key not in _OPTIONS:
            tls.where.key("options", key).report(f"is not known; Istio has {', '.join(_OPTIONS)}.")
    certificates = tuple(
        read_object_ref(entry, namespace, _SECRET) for entry in entries(tls, "certificateRefs", _REF_FIELDS)
    )
    if mode == "Terminate" and not certificates and not options:
        raise tls.where.key("certificateRefs").error("missing; mode Terminate needs a certificate.")
    return ListenerTls(mode == "Passthrough", certificates, options)


def read_frontend(
    spec: Fields, namespace: str
) -> tuple[FrontendValidation | None, Mapping[int, FrontendValidation | None]]:
    """Read `tls.frontend` of a Gateway: the validation for all ports, and that for single ports.

    Raises:
        ManifestError: Something that the schema refuses.
    """
    tls = spec.mapping("tls", ("frontend", "backend"))
    unused = dict.fromkeys(
        _REF_FIELDS, "Istio does not use the certificate; backends get none of the gateway"
    )
    tls.mapping("backend", ("clientCertificateRef",)).mapping("clientCertificateRef", (), passed_over=unused)
    if tls.raw("frontend") is None:
        return None, {}
    frontend = tls.mapping("frontend", ("default", "perPort"))
    if frontend.raw("default") is None:
        raise frontend.where.key("default").error("missing; write {} for no validation.")
    by_port: dict[int, FrontendValidation | None] = {}
    for entry in entries(frontend, "perPort", ("port", "tls")):
        port = whole_number(entry, "port", 1, MAX_PORT)
        if port is None or port in by_port:
            raise entry.where.key("port").error("must be a port, and stand here once.")
        by_port[port] = _validation(entry, "tls", namespace)
    return _validation(frontend, "default", namespace), by_port


def _validation(fields: Fields, name: str, namespace: str) -> FrontendValidation | None:
    config = fields.mapping(name, ("validation",))
    if config.raw("validation") is None:
        return None
    validation = config.mapping("validation", ("caCertificateRefs", "mode"))
    authorities = tuple(
        read_object_ref(entry, namespace, None)
        for entry in entries(validation, "caCertificateRefs", _REF_FIELDS, most=16)
    )
    if not authorities:
        raise validation.where.key("caCertificateRefs").error("missing; name the CA of the clients.")
    modes = ("AllowValidOnly", "AllowInsecureFallback")
    return FrontendValidation(authorities, validation.choice("mode", modes, modes[0]) == modes[1])
