"""Destinations of a rule, and the services that get copies of its requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.hosts import is_label
from meshlab.istio.read.virtual_service.headers import Headers, read_headers
from meshlab.istio.read.virtual_service.protobuf_values import full_host, integer, percentage, port
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Fields, Where

__all__ = [
    "DESTINATION_FIELDS",
    "Destination",
    "HttpDestination",
    "Mirror",
    "read_destination",
    "read_mirrors",
    "read_weighted_destinations",
]

DESTINATION_FIELDS = ("host", "port", "subset")


@dataclass(frozen=True)
class Destination:
    """A service; `port` is the service's port, `None` where it is left to Istio's rule, `subset` may be empty."""

    host: str
    port: int | None
    subset: str
    where: Where


@dataclass(frozen=True)
class HttpDestination:
    """A share of the requests of a rule."""

    destination: Destination
    weight: int
    headers: Headers | None


@dataclass(frozen=True)
class Mirror:
    """A service that gets copies of a share of the requests; `percentage` is `None` for all of them."""

    destination: Destination
    percentage: float | None


def read_destination(destination: Fields, namespace: str) -> Destination:
    """Read a destination (`validation.go#validateDestination`).

    Raises:
        ManifestError: No host, or no subset or port that Istio takes.
    """
    where = destination.where
    subset = destination.string("subset")
    if subset and not is_label(subset):
        raise where.key("subset").error(f"{subset!r} cannot be the name of a subset.")
    number = None
    if destination.raw("port") is not None:
        selector = destination.mapping("port", ("number",))
        number = port(selector, "number")
        if number is None:
            raise selector.where.key("number").error("missing; write the number of a port of the service.")
    host = full_host(destination.required("host"), namespace, where.key("host"))
    return Destination(host, number, subset, where)


def read_weighted_destinations(rule: Fields, namespace: str) -> tuple[HttpDestination, ...]:
    """Read `route`, empty where it is absent.

    Raises:
        ManifestError: A destination that Istio refuses, or several of which none has a weight.
    """
    found = []
    for entry in rule.items("route", ("destination", "weight", "headers")):
        weight = integer(entry, "weight", signed=True) or 0
        if weight < 0:
            raise entry.where.key("weight").error("cannot be negative.")
        if entry.raw("destination") is None:
            raise entry.where.key("destination").error("missing; name a service.")
        destination = entry.mapping("destination", DESTINATION_FIELDS)
        found.append(HttpDestination(read_destination(destination, namespace), weight, read_headers(entry)))
    if len(found) > 1 and not any(entry.weight for entry in found):
        raise rule.where.key("route").error("the weights add up to 0; no destination would ever be chosen.")
    return tuple(found)


def read_mirrors(rule: Fields, namespace: str) -> tuple[Mirror, ...]:
    """Read `mirrors`, empty where it is absent.

    Raises:
        ManifestError: A destination or a percentage that Istio refuses.
    """
    found = []
    for entry in rule.items("mirrors", ("destination", "percentage")):
        if entry.raw("destination") is None:
            raise entry.where.key("destination").error("missing; name a service.")
        destination = read_destination(entry.mapping("destination", DESTINATION_FIELDS), namespace)
        found.append(Mirror(destination, percentage(entry, "percentage")))
    return tuple(found)
