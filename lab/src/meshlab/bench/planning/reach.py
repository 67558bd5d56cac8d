"""Which proxies a case can touch, found in the proxies' own configuration.

A sidecar knows every service of its mesh, so following all its clusters would start every proxy. What a request names
narrows it down: the destination's listeners, then the virtual hosts of its Host. Where that cannot be known, as after a
host is rewritten, everything counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.bench.case import FromOutside, FromWorkload, HttpRequest
from meshlab.bench.planning.destination import destination_of
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshlab.bench.case import Case
    from meshlab.bench.mesh_addresses import MeshUnderTest
    from meshlab.bench.verdicts.addresses import AddressIndex
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = [
    "TouchedProxies",
    "bound_addresses",
    "cluster_endpoints",
    "clusters_named_by",
    "route_clusters",
    "touched_proxies",
    "virtual_hosts",
]

_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
_CLUSTER_KEYS = ("cluster", "clusterName", "cluster_name")
_EVERY_CLUSTER = "*"
_REWRITING = ("hostRewrite", "host_rewrite", "autoHostRewrite", "auto_host_rewrite")


@dataclass(frozen=True)
class _Visit:
    """A proxy that a request arrives at.

    Attributes:
        workload: Whose proxy it is.
        listeners: Names of the listeners that may take the request.
        host: The Host in lower case; `None` where it is unknown.
        original: Where the connection's original destination is on this machine, to which the relay passes it on.
    """

    workload: WorkloadRef
    listeners: frozenset[str]
    host: str | None
    original: str = ""


def touched_proxies(
    mesh: MeshUnderTest, places: AddressIndex, cases: Iterable[Case]
) -> frozenset[WorkloadRef]:
    """Return the workloads whose proxies the cases can touch.

    Args:
        mesh: The mesh.
        places: What listens where.
        cases: The cases.

    Raises:
        LabError: A case's URL cannot be read.
    """
    touched = TouchedProxies(mesh, places)
    for case in cases:
        touched.follow(case)
    return frozenset(touched.found)


def cluster_endpoints(bootstrap: Json, name: str) -> frozenset[str]:
    """Return the addresses, `HOST:PORT`, of a cluster's endpoints.

    Args:
        bootstrap: The configuration of a proxy.
        name: The cluster's name.
    """
    clusters = bootstrap.get("staticResources", {}).get("clusters", [])
    return frozenset(
        address for cluster in clusters if cluster["name"] == name for address in _sockets(cluster)
    )


def bound_addresses(bootstrap: Json) -> frozenset[str]:
    """Return the addresses, `HOST:PORT`, that the listeners of a proxy have a socket at.

    Args:
        bootstrap: The configuration of the proxy.
    """
    listeners = bootstrap.get("staticResources", {}).get("listeners", [])
    return frozenset(_address(listener) for listener in listeners if listener.get("bindToPort", True))


def route_clusters(bootstrap: Json, listener: str, host: str | None) -> set[str]:
    """Return the names of the clusters that a listener may choose for a host, whether they exist or not.

    Args:
        bootstrap: The configuration of a proxy.
        listener: The listener's name.
        host: The host asked for; `None` for any.
    """
    listeners = bootstrap.get("staticResources", {}).get("listeners", [])
    found: set[str] = set()
    for config in (each for entry in listeners if entry.get("name") == listener for each in _filters(entry)):
        found |= _Choices(config).of(host)[0]
    return found


def virtual_hosts(routes: Json, host: str | None) -> list[Json]:
    """Return the virtual hosts of a route configuration that may take a host.

    Args:
        routes: The route configuration.
        host: The host in lower case; `None` for any.
    """
    return [
        virtual_host
        for virtual_host in routes.get("virtualHosts", [])
        if host is None or any(_matches(domain, host) for domain in virtual_host.get("domains", []))
    ]


def clusters_named_by(mapping: Json) -> Iterator[str]:
    """Yield the cluster names that one mapping of a configuration holds, without what stands deeper in it."""
    for key in _CLUSTER_KEYS:
        if isinstance(name := mapping.get(key), str):
            yield name
    if isinstance(entries := mapping.get("clusters"), list):
        yield from (entry["name"] for entry in entries if isinstance(entry, dict) and "name" in entry)


class TouchedProxies:
    """The proxies that cases can touch, found case by case; what is known of a mesh is kept from one to the next.

    Attributes:
        found: The workloads whose proxies the cases so far can touch.
    """

    def __init__(self, mesh: MeshUnderTest, places: AddressIndex) -> None:
        self.found: set[WorkloadRef] = set()
        self._mesh = mesh
        self._places = places
        self._seen: set[_Visit] = set()
        self._endpoints: dict[WorkloadRef, dict[str, list[str]]] = {}
        self._nexts: dict[_Visit, list[_Visit]] = {}
        self._choices: dict[tuple[WorkloadRef, str], list[_Choices]] = {}

    def follow(self, case: Case) -> None:
        """Add the proxies that a case can touch.

        Raises:
            LabError: The case's URL cannot be read.
        """
        self.found |= self._visited(case, self._seen)

    def of(self, case: Case) -> frozenset[WorkloadRef]:
        """Return the workloads whose proxies one case can touch.

        Raises:
            LabError: The case's URL cannot be read.
        """
        return frozenset(self._visited(case, set()))

    def _visited(self, case: Case, seen: set[_Visit]) -> set[WorkloadRef]:
        """Return the workloads that a case can touch by visits that were not seen yet, and add these visits."""
        found: set[WorkloadRef] = set()
        waiting = self._entry(case)
        while waiting:
            visit = waiting.pop()
            if visit in seen or visit.workload not in self._mesh.bootstraps:
                continue
            seen.add(visit)
            found.add(visit.workload)
            if visit not in self._nexts:
                self._nexts[visit] = self._next(visit)
            waiting += self._nexts[visit]
        return found

    def _entry(self, case: Case) -> list[_Visit]:
        sender, host = case.sender, _host(case)
        if isinstance(sender, FromOutside):
            return [_Visit(sender.gateway, self._bound(sender.gateway), host)]
        if not isinstance(sender, FromWorkload):
            return [_Visit(sender.to, self._bound(sender.to), host)]
        ref, to = sender.workload, destination_of(case.request)
        resolved = self._mesh.addresses.resolve(to.host, to.port, ref.namespace)
        if resolved is None:
            return []
        address = self._mesh.addresses.without_proxy(*resolved)
        if ref in self._mesh.addresses.outbound:
            return [_Visit(ref, self._outbound(ref, *resolved), host, str(address or ""))]
        place = self._places.at(str(address)) if address else None
        if place is None or place.kind != "proxy" or place.workload is None:
            return []
        return [_Visit(place.workload, self._bound(place.workload), host)]

    def _bound(self, ref: WorkloadRef, address: str = "") -> frozenset[str]:
        """Return the listeners that have a socket, or the one at an address."""
        return frozenset(
            listener["name"]
            for listener in self._listeners(ref)
            if (_address(listener) == address if address else listener.get("bindToPort", True))
        )

    def _outbound(self, ref: WorkloadRef, ip: str, port: int) -> frozenset[str]:
        entry = str(self._mesh.addresses.outbound[ref])
        wanted = {entry, f"{ip}:{port}", *(f"{host}:{port}" for host in _ANY_ADDRESS)}
        return frozenset(
            listener["name"] for listener in self._listeners(ref) if _address(listener) in wanted
        )

    def _next(self, visit: _Visit) -> list[_Visit]:
        clusters: set[str] = set()
        host = visit.host
        for listener in self._listeners(visit.workload):
            if listener["name"] in visit.listeners:
                for choices in self._choices_of(visit.workload, listener):
                    named, rewritten = choices.of(visit.host)
                    clusters |= named
                    host = None if rewritten else host
        found = []
        for endpoint in self._addresses(visit.workload, clusters):
            address = visit.original if endpoint == self._mesh.relay else endpoint
            place = self._places.at(address)
            if place and place.kind == "proxy" and place.workload:
                found.append(_Visit(place.workload, self._bound(place.workload, address), host))
        return found

    def _choices_of(self, ref: WorkloadRef, listener: Json) -> list[_Choices]:
        key = (ref, listener["name"])
        if key not in self._choices:
            self._choices[key] = [_Choices(config) for config in _filters(listener)]
        return self._choices[key]

    def _listeners(self, ref: WorkloadRef) -> list[Json]:
        bootstrap = self._mesh.bootstraps.get(ref, {})
        listeners: list[Json] = bootstrap.get("staticResources", {}).get("listeners", [])
        return listeners

    def _addresses(self, ref: WorkloadRef, clusters: set[str]) -> Iterator[str]:
        if ref not in self._endpoints:
            described = self._mesh.bootstraps[ref].get("staticResources", {}).get("clusters", [])
            self._endpoints[ref] = {cluster["name"]: list(_sockets(cluster)) for cluster in described}
        known = self._endpoints[ref]
        for name in known if _EVERY_CLUSTER in clusters else clusters:
            yield from known.get(name, ())


def _host(case: Case) -> str | None:
    request = case.request
    if not isinstance(request, HttpRequest):
        return None
    if request.target is not None and not request.target.startswith("/"):
        return None  # an absolute target names a host of its own
    written = [value for name, value in request.headers if name.lower() == "host"]
    return (written[0] if written else destination_of(request).host).lower()


def _filters(listener: Json) -> Iterator[Json]:
    chains = list(listener.get("filterChains", []))
    chains += [listener["defaultFilterChain"]] if "defaultFilterChain" in listener else []
    for chain in chains:
        for network_filter in chain.get("filters", []):
            yield network_filter.get("typedConfig", {})


class _Choices:
    """What a network filter may choose. Each part of its configuration is looked through once, for all hosts."""

    def __init__(self, config: Json) -> None:
        self._unknown = "rds" in config  # its routes stand elsewhere
        self._routes: Json = config.get("routeConfig") or {}
        self._rest = {name: value for name, value in config.items() if name != "routeConfig"}
        self._without_host: frozenset[str] | None = None
        self._by_host: dict[int, tuple[frozenset[str], bool]] = {}

    def of(self, host: str | None) -> tuple[frozenset[str], bool]:
        """Return the clusters that it may choose for a host, and whether it may change the host."""
        if self._unknown:
            return frozenset((_EVERY_CLUSTER,)), True
        if self._without_host is None:
            self._without_host = frozenset(_named(self._rest))
        found = [self._host_part(part) for part in virtual_hosts(self._routes, host)]
        clusters = self._without_host.union(*(named for named, _ in found))
        return clusters, any(rewrites for _, rewrites in found)

    def _host_part(self, virtual_host: Json) -> tuple[frozenset[str], bool]:
        if id(virtual_host) not in self._by_host:
            self._by_host[id(virtual_host)] = frozenset(_named(virtual_host)), _rewrites(virtual_host)
        return self._by_host[id(virtual_host)]


def _matches(domain: str, host: str) -> bool:
    domain, name = domain.lower(), host.partition(":")[0]
    if domain == "*" or domain.partition(":")[0] == name or domain == host:
        return True
    if domain.startswith("*"):
        return name.endswith(domain[1:].partition(":")[0])
    return domain.endswith("*") and host.startswith(domain[:-1])


def _mappings(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any value of a JSON document
    """Yield every mapping in a part of a configuration."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _named(value: Any) -> Iterator[str]:  # noqa: ANN401 - any value of a JSON document
    """Yield every cluster name in a part of a configuration."""
    for mapping in _mappings(value):
        yield from clusters_named_by(mapping)


def _rewrites(value: Any) -> bool:  # noqa: ANN401 - any value of a JSON document
    return any(key.startswith(_REWRITING) for mapping in _mappings(value) for key in mapping)


def _sockets(value: Any) -> Iterator[str]:  # noqa: ANN401 - any value of a JSON document
    return (_address({"address": mapping}) for mapping in _mappings(value) if "socketAddress" in mapping)


def _address(listener: Json) -> str:
    socket = listener.get("address", {}).get("socketAddress", {})
    return f"{socket.get('address', '')}:{socket.get('portValue', '')}"
