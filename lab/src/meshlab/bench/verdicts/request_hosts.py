"""Names that a request can be known by, for finding the refused objects that could change it.

Objects name a host in full. A client may use a short name, and a route may lead a host to another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.planning.reach import route_clusters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.bench.evidence.line import EvidenceLine
    from meshlab.istio.envoy.config import Json

__all__ = ["hosts_of", "spellings"]

_DOMAIN = "svc.cluster.local"
_NO_CLUSTER = "NC"


def spellings(host: str, namespace: str) -> Iterator[str]:
    """Yield a host as written, and the full names that it may be short for.

    Args:
        host: A host, perhaps with a port.
        namespace: The namespace of the workload that uses it.
    """
    name = host.partition(":")[0].rstrip(".").lower() if host.count(":") < 2 else host
    yield name
    if name and ":" not in name:
        yield f"{name}.{namespace}.{_DOMAIN}"
        yield f"{name}.{_DOMAIN}"
        yield f"{name}.cluster.local"


def hosts_of(line: EvidenceLine, host: str, namespace: str, bootstrap: Json) -> Iterator[str]:
    """Yield the hosts that a proxy's decision about a request depends on.

    Args:
        line: What the proxy logged.
        host: The host asked for.
        namespace: The namespace of the proxy's workload.
        bootstrap: The proxy's configuration.
    """
    yield from spellings(host, namespace)
    clusters = {line.cluster}
    if _NO_CLUSTER in line.flags.split(","):
        # The proxy does not say which cluster it missed.
        clusters = route_clusters(bootstrap, line.listener, host)
    yield from filter(None, map(_host_of, clusters))


def _host_of(cluster: str) -> str:
    """Return the host in Istio's name of a cluster, `outbound|PORT|SUBSET|HOST`; empty where it has none."""
    for separator in ("|", "_."):
        parts = cluster.split(separator, 3)
        if len(parts) == 4 and parts[0] == "outbound":
            return parts[3]
    return ""
