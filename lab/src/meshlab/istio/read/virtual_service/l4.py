"""Rules for connections: `tls` chooses by the name that the client asks for, `tcp` by address and port alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.hosts import domain_problem, is_address, is_subset
from meshlab.istio.read.virtual_service.destination import DESTINATION_FIELDS, Destination, read_destination
from meshlab.istio.read.virtual_service.protobuf_values import (
    gateway_names,
    integer,
    port,
    source_labels,
    subnets,
)
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Fields, Where

__all__ = ["L4Destination", "L4Match", "TcpRoute", "TlsRoute", "read_tcp_route", "read_tls_route"]

_MATCH_FIELDS = ("destinationSubnets", "port", "sourceLabels", "gateways", "sourceNamespace")


@dataclass(frozen=True)
class L4Match:
    """One alternative of a rule; everything in it must hold. Only matches of `tls` have `sni_hosts`."""

    sni_hosts: tuple[str, ...] = ()
    destination_subnets: tuple[str, ...] = ()
    port: int | None = None
    source_labels: Mapping[str, str] | None = None
    gateways: tuple[str, ...] = ()
    source_namespace: str = ""


@dataclass(frozen=True)
class L4Destination:
    """A share of the connections of a rule."""

    destination: Destination
    weight: int


@dataclass(frozen=True)
class TlsRoute:
    """One rule of `tls`."""

    matches: tuple[L4Match, ...]
    destinations: tuple[L4Destination, ...]


@dataclass(frozen=True)
class TcpRoute:
    """One rule of `tcp`; no match takes every connection.

    Attributes:
        matches: The alternatives.
        destinations: Where the connections go.
        source_subnets: Places of `sourceSubnet`, which Istio has and does not implement.
    """

    matches: tuple[L4Match, ...]
    destinations: tuple[L4Destination, ...]
    source_subnets: tuple[Where, ...] = ()


def read_tls_route(route: Fields, namespace: str, hosts: tuple[str, ...], *, at_mesh: bool) -> TlsRoute:
    """Read a rule of `tls` (`validation.go#validateTLSRoute`).

    Args:
        route: The rule.
        namespace: The namespace of the VirtualService.
        hosts: The hosts of the VirtualService, as written.
        at_mesh: Whether the VirtualService is for sidecars, too.

    Raises:
        ManifestError: Something that Istio's validation refuses.
    """
    matches = []
    for entry in route.items("match", (*_MATCH_FIELDS, "sniHosts")):
        names = entry.strings("sniHosts")
        if not names:
            raise entry.where.key("sniHosts").error("missing; name the hosts that clients ask for.")
        for index, name in enumerate(names):
            _check_sni(name, hosts, entry.where.key("sniHosts").item(index), at_mesh=at_mesh)
        matches.append(_match(entry, namespace, names))
    if not matches:
        raise route.where.key("match").error("missing; a rule of tls needs sniHosts.")
    return TlsRoute(tuple(matches), _destinations(route, namespace))


def read_tcp_route(route: Fields, namespace: str) -> TcpRoute:
    """Read a rule of `tcp` (`validation.go#validateTCPRoute`).

    Raises:
        ManifestError: Something that Istio's validation refuses.
    """
    matches = route.items("match", (*_MATCH_FIELDS, "sourceSubnet"))
    return TcpRoute(
        tuple(_match(entry, namespace, ()) for entry in matches),
        _destinations(route, namespace),
        tuple(entry.where.key("sourceSubnet") for entry in matches if entry.string("sourceSubnet")),
    )


def _check_sni(name: str, hosts: tuple[str, ...], where: Where, *, at_mesh: bool) -> None:
    # The clusters' own server names, as AUTO_PASSTHROUGH gateways see them: outbound_.80_._.host.
    generated = not at_mesh and name.startswith("outbound_")
    if not generated and (problem := domain_problem(name)):
        raise where.error(problem)
    if is_address(name):
        return
    if not any(is_subset(name, host) for host in hosts):
        raise where.error(f"{name!r} lies in none of the hosts {', '.join(hosts)}; Istio refuses it.")


def _match(entry: Fields, namespace: str, sni_hosts: tuple[str, ...]) -> L4Match:
    return L4Match(
        sni_hosts=sni_hosts,
        destination_subnets=subnets(entry),
        port=port(entry, "port"),
        source_labels=source_labels(entry) or None,
        gateways=gateway_names(entry, namespace),
        source_namespace=entry.string("sourceNamespace"),
    )


def _destinations(route: Fields, namespace: str) -> tuple[L4Destination, ...]:
    found = []
    for entry in route.items("route", ("destination", "weight")):
        weight = integer(entry, "weight", signed=True) or 0
        if weight < 0:
            raise entry.where.key("weight").error("cannot be negative.")
        if entry.raw("destination") is None:
            raise entry.where.key("destination").error("missing; name a service.")
        destination = read_destination(entry.mapping("destination", DESTINATION_FIELDS), namespace)
        found.append(L4Destination(destination, weight))
    if not found:
        raise route.where.key("route").error("missing; name a destination.")
    if len(found) > 1 and not any(entry.weight for entry in found):
        raise route.where.key("route").error("the weights add up to 0; no destination would ever be chosen.")
    return tuple(found)
