"""TLSRoute and TCPRoute: which connections of a gateway or of the mesh go where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshlab.istio.read.gateway_api.http_route import NO_DEFAULT_GATEWAYS, check_rule_names
from meshlab.istio.read.gateway_api.references import (
    BACKEND_FIELDS,
    BackendRef,
    ParentRef,
    read_backend,
    read_parents,
)
from meshlab.istio.read.gateway_api.values import (
    checked_spec,
    entries,
    hostnames,
    optional_name,
    unimplemented,
)

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
class TlsRoute:
    """A TLSRoute as read; `hostnames` are server names that clients ask for, none stands for all."""

    namespace: str
    name: str
    parents: tuple[ParentRef, ...]
    hostnames: tuple[str, ...]
    rules: tuple[L4Rule, ...]
    not_implemented: tuple[tuple[Where, str], ...]
    where: Where


@dataclass(frozen=True)
class TcpRoute:
    """A TCPRoute as read."""

    namespace: str
    name: str
    parents: tuple[ParentRef, ...]
    rules: tuple[L4Rule, ...]
    not_implemented: tuple[tuple[Where, str], ...]
    where: Where

    @property
    def hostnames(self) -> tuple[str, ...]:
        """None: a TCP connection asks for no host."""
        return ()


def read_tls_route(manifest: Manifest) -> TlsRoute:
    """Read a TLSRoute.

    Raises:
        ManifestError: An unknown field, or what the schema refuses.
    """
    spec = checked_spec(manifest, ("parentRefs", "hostnames", "rules"), passed_over=NO_DEFAULT_GATEWAYS)
    names = hostnames(spec)
    if not names and manifest.version != "v1alpha2":
        raise spec.where.key("hostnames").error("missing; name the servers that clients ask for.")
    if len(names) > _MOST_HOSTNAMES:
        raise spec.where.key("hostnames").error(f"the schema allows {_MOST_HOSTNAMES}.")
    return TlsRoute(
        namespace=manifest.namespace,
        name=manifest.name,
        parents=read_parents(spec, manifest.namespace),
        hostnames=names,
        rules=_rules(spec, manifest),
        not_implemented=unimplemented(spec, NO_DEFAULT_GATEWAYS),
        where=spec.where,
    )


def read_tcp_route(manifest: Manifest) -> TcpRoute:
    """Read a TCPRoute.

    Raises:
        ManifestError: An unknown field, or what the schema refuses.
    """
    spec = checked_spec(manifest, ("parentRefs", "rules"), passed_over=NO_DEFAULT_GATEWAYS)
    return TcpRoute(
        namespace=manifest.namespace,
        name=manifest.name,
        parents=read_parents(spec, manifest.namespace),
        rules=_rules(spec, manifest),
        not_implemented=unimplemented(spec, NO_DEFAULT_GATEWAYS),
        where=spec.where,
    )


def _rules(spec: Fields, manifest: Manifest) -> tuple[L4Rule, ...]:
    most = 16 if manifest.version == "v1alpha2" else 1
    found = entries(spec, "rules", ("name", "backendRefs"), most=most)
    if not found:
        raise spec.where.key("rules").error("missing; a route needs a rule.")
    check_rule_names([(optional_name(rule, "name"), rule.where) for rule in found])
    return tuple(_rule(rule, manifest.namespace) for rule in found)


def _rule(rule: Fields, namespace: str) -> L4Rule:
    backends = entries(rule, "backendRefs", BACKEND_FIELDS, most=_MOST_BACKENDS)
    if not backends:
        raise rule.where.key("backendRefs").error("missing; name a backend.")
    return L4Rule(tuple(read_backend(entry, namespace) for entry in backends), rule.where)
