"""Proposals for a request without a route: a further match or host, or an object that makes the host known."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from meshlab.bench.case import HttpRequest, TlsRequest
from meshlab.bench.planning.destination import destination_of
from meshlab.bench.verdicts.request_hosts import spellings
from meshlab.explain.chosen_route import route_where, virtual_host_of, virtual_hosts
from meshlab.explain.connection_steps import servers_of
from meshlab.explain.edits import Edit
from meshlab.explain.explanation import ChangePart
from meshlab.explain.manifest_places import safe
from meshlab.explain.missed_parts import missed_parts
from meshlab.explain.policy_proposals import written_value
from meshlab.explain.proposal import Proposal
from meshlab.istio.read.fields import Where
from meshlab.istio.read.hosts import is_address, is_subset
from meshlab.manifest import to_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.explain.hop_context import HopContext

__all__ = ["known_host", "matching_route"]

_ALMOST = 0.85
"""How alike two names are when one is a slip for the other; 1 for the same."""
_UNUSABLE = re.compile(r"[^a-z0-9]+")


def matching_route(context: HopContext) -> Iterator[Proposal]:
    """Yield what could make a route take the request: of its host a further match, or else the host."""
    if context.manager is None or not isinstance(context.case.request, HttpRequest):
        return
    host = virtual_host_of(context, context.line.authority)
    if host and host.get("routes") and not str(host["name"]).startswith("blackhole:"):
        yield from _further_match(context, host)
    elif context.hop.direction == "gateway":
        yield from _further_host(context)


def known_host(context: HopContext) -> Iterator[Proposal]:
    """Yield the one smallest change for a host that a sidecar does not know.

    That is the import of the Sidecar which leaves the host out, or else the host of the mesh whose name is almost the
    same, which the caller may have meant, or else a ServiceEntry for the host.
    """
    request = context.case.request
    to = destination_of(request)
    authority = context.line.authority.rpartition(":")[0] if ":" in context.line.authority else ""
    host = (authority or context.line.authority or to.host).lower()
    if is_address(host) or host.startswith("[") or not host.isprintable():
        return
    named = [
        service
        for name in spellings(host, context.workload.ref.namespace)
        for service in context.mesh.registry.named(name)
    ]
    sidecar = context.mesh.visibility.sidecar_of(context.workload)
    if sidecar is not None:
        for index, listener in enumerate(sidecar.egress):
            for service in named[:1] if listener.port is None else ():
                hosts = sidecar.where.key("egress").item(index).key("hosts")
                imported = f"{service.namespace}/{service.hostname}"
                yield Proposal((Edit(hosts, "append", imported, "which the Sidecar leaves out"),))
                return
    if any(service.is_kubernetes for service in named):
        return
    if meant := _meant(context, host):
        yield meant
        return
    protocol = "HTTP" if isinstance(request, HttpRequest) else "TCP"
    if to.tls or isinstance(request, TlsRequest):
        protocol = "TLS"
    yield Proposal((_service_entry(context.workload.ref.namespace, host, to.port, protocol),))


def _meant(context: HopContext, host: str) -> Proposal | None:
    """Return the request for the known host that has almost the same name; `None` where none has."""
    request = context.case.request
    if not isinstance(request, HttpRequest) or any(name.lower() == "host" for name, _ in request.headers):
        return None
    known = {
        name
        for service in context.mesh.registry.services
        for name in (service.hostname, service.hostname.removesuffix(".svc.cluster.local"))
        if not name.startswith("*")
    }
    close = difflib.get_close_matches(host, known, n=1, cutoff=_ALMOST)
    if not close:
        return None
    url = urlsplit(request.url)
    port = f":{url.port}" if url.port else ""
    case = replace(
        context.case, request=replace(request, url=urlunsplit(url._replace(netloc=close[0] + port)))
    )
    return Proposal(
        (), case, (ChangePart("caller", f"the caller asks for {safe(close[0])}, a host of the mesh"),)
    )


def _further_match(context: HopContext, host: dict[str, Any]) -> Iterator[Proposal]:
    """Yield a further match of the route that comes closest, for exactly this path and method."""
    path = written_value(context, "paths", 0) or context.line.path.partition("?")[0]
    found: list[tuple[list[str], Where]] = []
    for route in host["routes"]:
        where = route_where(context, host, route)
        if "route" in route and where and where.keys[-2:-1] == ("match",):
            missed = list(missed_parts(context, route))
            if missed and all(each.startswith(("path", "method")) for each in missed):
                found.append((missed, where))
    for missed, where in sorted(found, key=lambda each: len(each[0]))[:1]:
        match: dict[str, object] = {"uri": {"exact": path}}
        if any(each.startswith("method") for each in missed):
            match["method"] = {"exact": context.line.method}
        yield Proposal((Edit(Where(where.manifest, where.keys[:-1]), "append", match),))


def _further_host(context: HopContext) -> Iterator[Proposal]:
    """Yield the host in the VirtualService whose routes would take the request, and in the server where it lacks it."""
    host = context.line.authority.partition(":")[0].lower()
    for known in virtual_hosts(context):
        for route in known.get("routes", []):
            where = route_where(context, known, route)
            if where is None or "route" not in route or where.manifest.kind != "VirtualService":
                continue
            if any(missed_parts(context, route)):
                continue
            edits = [Edit(Where(where.manifest, ("spec", "hosts")), "append", host)]
            servers = [merged.server for merged in servers_of(context)]
            if servers and not any(is_subset(host, each.name) for server in servers for each in server.hosts):
                scoped = f"{where.manifest.namespace}/{host}" if servers[0].hosts[0].namespace else host
                edits.append(Edit(servers[0].where.key("hosts"), "append", scoped))
            yield Proposal(tuple(edits))
            return


def _service_entry(namespace: str, host: str, port: int, protocol: str) -> Edit:
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": _UNUSABLE.sub("-", host).strip("-")[:60] or "host", "namespace": namespace},
        "spec": {
            "hosts": [host],
            "exportTo": ["."],
            "ports": [{"number": port, "name": protocol.lower(), "protocol": protocol}],
            "resolution": "DNS",
            "location": "MESH_EXTERNAL",
        },
    }
    return Edit(Where(to_manifest(body, "a new file")), "create", body)
