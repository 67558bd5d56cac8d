"""What chance has a say in on a request's way: weights, percentages and several servers behind one cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshlab.bench.case import HttpRequest
from meshlab.bench.planning.destination import destination_of
from meshlab.bench.planning.reach import cluster_endpoints, clusters_named_by, virtual_hosts
from meshlab.bench.verdicts.configured import chain_of, listener_of, manager_of, marked_route
from meshlab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshlab.bench.case import Case
    from meshlab.bench.evidence.line import EvidenceLine
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["Odds", "host_of"]

_DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}


class Odds:
    """What chance has a say in on one mesh; what is equal for several requests is looked through once.

    Args:
        configurations: The configurations of the proxies. They do not change.
    """

    def __init__(self, configurations: Mapping[WorkloadRef, Json]) -> None:
        self._configurations = configurations
        self._known: dict[tuple[WorkloadRef, str, str, str, str | None], list[str]] = {}

    def of(self, lines: Sequence[EvidenceLine], host: str | None) -> str:
        """Return what chance has a say in, as a text to compare; empty where nothing is left to it.

        Args:
            lines: What each proxy logged about the request: the filter chains and routes that took it count, and no
                others.
            host: The Host in lower case, which counts for the first proxy where its route is not known; those behind
                it may get another.
        """
        found: list[str] = []
        for number, line in enumerate(lines):
            if line.proxy in self._configurations:
                found += self._parts(line, host if number == 0 else None)
        return "\n".join(sorted(found))

    def _parts(self, line: EvidenceLine, host: str | None) -> list[str]:
        key = (line.proxy, line.listener, line.chain, line.route_mark, host)
        if key not in self._known:
            chances = _chances(self._configurations[line.proxy], line, host)
            self._known[key] = [f"{line.proxy}: {text}" for text in chances]
        return self._known[key]


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


def _chances(configuration: Json, line: EvidenceLine, host: str | None) -> Iterator[str]:
    """Yield each part of a proxy's configuration by which chance decides about the request of a line."""
    clusters: set[str] = set()
    for part in _met(configuration, line):
        for mapping in _mappings(part, host):
            yield from _random_here(mapping)
            clusters |= set(clusters_named_by(mapping))
    for cluster in sorted(clusters):
        servers = sorted(cluster_endpoints(configuration, cluster))
        if len(servers) > 1:
            yield f"{cluster} has {', '.join(servers)}"


def _met(configuration: Json, line: EvidenceLine) -> list[Json]:
    """Return what took a request: the route with the filters around it, else the filter chain, else the listener."""
    listener = listener_of(configuration, line)
    if listener is None:
        return []
    chain = chain_of(configuration, line)
    if chain is None:
        return [listener]
    manager = manager_of(chain)
    found = marked_route(manager, line.route_mark) if manager else None
    if manager is None or found is None:
        return [chain]
    host, route = found
    around = {name: value for name, value in manager.items() if name != "routeConfig"}
    return [around, {name: value for name, value in host.items() if name != "routes"}, route]


def _mappings(part: Json, host: str | None) -> Iterator[Json]:
    """Yield every mapping of a part of a configuration that may count for a host."""
    waiting: list[Any] = [part]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            yield value
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
