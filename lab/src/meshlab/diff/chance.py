"""What chance has a say in on a request's way: weights, percentages and several servers behind one cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshlab.bench.case import HttpRequest
from meshlab.bench.planning.destination import destination_of
from meshlab.bench.planning.reach import cluster_endpoints, route_clusters, virtual_hosts
from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.bench.case import Case
    from meshlab.diff.effect import Effect
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["host_of", "odds"]

_DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}


def odds(configurations: Mapping[WorkloadRef, Json], effect: Effect, host: str | None) -> str:
    """Return what chance has a say in, as a text to compare; empty where nothing is left to it.

    Args:
        configurations: The configurations of the proxies.
        effect: What became of the request: the listeners that took it count, and no others.
        host: The Host in lower case, which counts for the first proxy; those behind it may get another.
    """
    found: list[str] = []
    for number, (ref, listener) in enumerate(effect.listeners):
        if ref in configurations:
            parts = _chances(configurations[ref], listener, host if number == 0 else None)
            found += (f"{ref}: {text}" for text in parts)
    return "\n".join(sorted(found))


def host_of(case: Case) -> str | None:
    """Return the Host of a request in lower case, `None` where it has none or writes it in another place."""
    request = case.request
    if not isinstance(request, HttpRequest) or (
        request.target is not None and not request.target.startswith("/")
    ):
        return None
    written = [value for name, value in request.headers if name.lower() == "host"]
    try:
        return (written[0] if written else destination_of(request).host).lower()
    except LabError:
        return None


def _chances(configuration: Json, listener: str, host: str | None) -> Iterator[str]:
    """Yield each part of a proxy's configuration by which chance decides about requests that a listener takes."""
    listeners = configuration.get("staticResources", {}).get("listeners", [])
    for described in listeners:
        if described.get("name") == listener:
            yield from _random_parts(described, host)
    for cluster in sorted(route_clusters(configuration, listener, host)):
        servers = sorted(cluster_endpoints(configuration, cluster))
        if len(servers) > 1:
            yield f"{cluster} has {', '.join(servers)}"


def _random_parts(part: Json, host: str | None) -> Iterator[str]:
    """Yield each list of weights and each percentage that leaves more than one outcome for a host."""
    waiting: list[Any] = [part]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            yield from _random_here(value)
            waiting += (inner for name, inner in value.items() if name != "virtualHosts")
            if "virtualHosts" in value:
                waiting += virtual_hosts(value, host)


def _random_here(value: Json) -> Iterator[str]:
    """Yield what one mapping leaves to chance, without what stands in it."""
    if "weightedClusters" in value:
        clusters = value["weightedClusters"].get("clusters", [])
        weights = {str(entry.get("name")): entry.get("weight", 0) for entry in clusters}
        if sum(weight > 0 for weight in weights.values()) > 1:
            yield json.dumps(weights, sort_keys=True)
    if "numerator" in value:
        denominator = value.get("denominator", "HUNDRED")
        if 0 < value["numerator"] < _DENOMINATORS.get(denominator, 100):
            yield f"{value['numerator']} of {denominator}"
