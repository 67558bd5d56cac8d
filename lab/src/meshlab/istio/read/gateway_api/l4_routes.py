"""TLSRoute and TCPRoute: which connections of a gateway or of the mesh go where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.gateway_api.references import BACKEND_FIELDS, BackendRef, read_backend
from meshlab.istio.read.gateway_api.route import Route, check_rule_names, read_route_fields, route_spec
from meshlab.istio.read.gateway_api.schema_values import entries, optional_name
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Fields, Where
    from meshlab.manifest import Manifest

__all__ = ["L4Rule", "TcpRoute", "TlsRoute", "read_tcp_route", "read_tls_route"]

_MOST_HOSTNAMES = 1024
_MOST_BACKENDS = 16


@dataclass(frozen=True)
class L4Rule:
    """A rule: the backends among which connections are shared out."""

    backends: tuple[BackendRef, ...]
    where: Where


@dataclass(frozen=True)
class TlsRoute(Route):
    """A TLSRoute as read."""

    rules: tuple[L4Rule, ...]


@dataclass(frozen=True)
class TcpRoute(Route):
    """A TCPRoute as read; it has no host names, because a TCP connection asks for no host."""

    rules: tuple[L4Rule, ...]


def read_tls_route(manifest: Manifest) -> TlsRoute:
    """Read a TLSRoute.

    Raises:
        ManifestError: An unknown field, or what the schema refuses.
    """
    spec = route_spec(manifest)
    found = TlsRoute(**read_route_fields(manifest, spec), rules=_rules(spec, manifest))
    if not found.hostnames and manifest.version != "v1alpha2":
        raise spec.where.key("hostnames").error("missing; name the servers that clients ask for.")
    if len(found.hostnames) > _MOST_HOSTNAMES:
        raise spec.where.key("hostnames").error(f"the schema allows {_MOST_HOSTNAMES}.")
    return found


def read_tcp_route(manifest: Manifest) -> TcpRoute:
    """Read a TCPRoute.

    Raises:
        ManifestError: An unknown field, or what the schema refuses.
    """
    spec = route_spec(manifest, ("parentRefs", "rules"))
    return TcpRoute(**read_route_fields(manifest, spec), rules=_rules(spec, manifest))


def _rules(spec: Fields, manifest: Manifest) -> tuple[L4Rule, ...]:
    most = 16 if manifest.version == "v1alpha2" else 1
    found = entries(spec, "rules", ("name", "backendRefs"), most=most)
    if not found:
        raise spec.where.key("rules").error("missing; a route needs a rule.")
    check_rule_names((optional_name(rule, "name"), rule.where) for rule in found)
    return tuple(_rule(rule, manifest.namespace) for rule in found)


def _rule(rule: Fields, namespace: str) -> L4Rule:
    backends = entries(rule, "backendRefs", BACKEND_FIELDS, most=_MOST_BACKENDS)
    if not backends:
        raise rule.where.key("backendRefs").error("missing; name a backend.")
    return L4Rule(tuple(read_backend(entry, namespace) for entry in backends), rule.where)
