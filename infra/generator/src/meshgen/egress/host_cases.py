"""Cases of a team's own requests to one host: what is allowed, and each near miss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshgen.egress.gateway import INTERNAL_HEADERS
from meshgen.egress.paths import near_misses, sample
from meshgen.egress.probe import UNKNOWN_HOST, Case, case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshgen.egress.probe import Probe

__all__ = ["originated", "passed_through"]

_OTHER_METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "HEAD")
_OTHER_PORT = 8080
_TLS_PORT = 443
# Istio's own proxies write these two; the application does it here, so that the case does not rest on them.
_WRITTEN_BY_ISTIO = {"x-envoy-peer-metadata": "near-miss", "x-envoy-peer-metadata-id": "near-miss"}


def originated(probe: Probe) -> Iterator[Case]:
    """Yield the cases of a host that the gateway originates TLS for."""
    host, (method, path) = probe.host, probe.allowed
    unknown = {"status": 502, "proxy": probe.client}
    url = f"http://{host}{path}"
    yield from _allowed(probe)
    yield case(
        f"{host}: nothing that the proxies know of the workload leaves",
        {"method": method, "url": url, "headers": _WRITTEN_BY_ISTIO},
        {**probe.answered, "received": {"headers": dict.fromkeys(INTERNAL_HEADERS)}},
    )
    yield case(
        f"{host}: the port in the Host header changes nothing",
        {"method": method, "url": url, "headers": {"host": f"{host}:80"}},
        probe.answered,
    )
    yield case(
        f"{host}: no WebSocket, whose tunnel no policy reads",
        {"method": "GET", "url": url, "headers": {"connection": "Upgrade", "upgrade": "websocket"}},
        probe.refused_by_policy,
    )
    yield from _requests_not_allowed(probe)
    yield case(
        f"{host}: another host by the Host header",
        {"method": method, "url": url, "headers": {"host": UNKNOWN_HOST}},
        unknown,
    )
    yield case(f"{host}: a host below it", f"{method} http://near-miss.{host}{path}", unknown)
    yield case(
        f"{host}: another port",
        f"{method} http://{host}:{_OTHER_PORT}{path}",
        {"refused": True, "proxy": probe.client},
    )
    yield case(
        f"{host}: TLS of the application itself",
        {"tls": f"{host}:{probe.access.port}"},
        {"refused": True, "proxy": probe.client},
    )


def passed_through(probe: Probe) -> Iterator[Case]:
    """Yield the cases of a host that applications speak TLS to."""
    host, port = probe.host, probe.access.port
    refused = {"refused": True, "proxy": probe.client}
    tls = {"tls": f"{host}:{port}"}
    written = "" if port == _TLS_PORT else f":{port}"
    yield case(
        f"{host}: TLS is passed through, and the host's own certificate arrives",
        tls,
        {**probe.answered, "certificate": host},
    )
    yield case(
        f"{host}: the host sees the application's TLS",
        f"GET https://{host}{written}/",
        {"status": 200, "app": host, "received": {"sni": host}},
    )
    yield case(f"{host}: plain HTTP", f"GET http://{host}/", {"status": 502, "proxy": probe.client})
    yield case(f"{host}: another port", {"tls": f"{host}:{port + 1}"}, refused)
    parent = host.partition(".")[2]
    if "." in parent:
        beside = f"{UNKNOWN_HOST.partition('.')[0]}.{parent}"
        yield case(f"{host}: a host beside it", {"tls": f"{beside}:{port}"}, refused)
    yield case(f"{host}: another server name", {**tls, "sni": UNKNOWN_HOST}, refused)
    yield case(f"{host}: no server name", {**tls, "sni": ""}, refused)


def _allowed(probe: Probe) -> Iterator[Case]:
    for requests in probe.access.requests:
        for method in requests.methods:
            for pattern in requests.paths:
                path = sample(pattern)
                seen = {"method": method, "path": path, "host": probe.host, "sni": probe.host}
                yield case(
                    f"{probe.host}: {method} {pattern} is allowed, and leaves as TLS",
                    probe.http(method, path),
                    {**probe.answered, "received": seen},
                )


def _requests_not_allowed(probe: Probe) -> Iterator[Case]:
    """Yield each method and path that no entry allows together."""
    missed: dict[tuple[str, str], str] = {}
    methods = dict.fromkeys(method for requests in probe.access.requests for method in requests.methods)
    for requests in probe.access.requests:
        for pattern in requests.paths:
            path = sample(pattern)
            others = [other for other in _OTHER_METHODS if not probe.allows(other, path)]
            # All of them on one path; on the others one, and those that another entry allows.
            chosen = others if pattern == requests.paths[0] else others[:1]
            for other in (*chosen, *(name for name in methods if name in others)):
                missed.setdefault((other, path), "another method")
            for near in near_misses(pattern, requests.paths):
                missed.setdefault((requests.methods[0], near), "another path")
    for (method, path), what in missed.items():
        if not probe.allows(method, path):
            yield case(
                f"{probe.host}: {method} {path} ({what})", probe.http(method, path), probe.refused_by_policy
            )
    yield from _other_spellings(probe)
    method, path = probe.allowed
    if not probe.allows(method, "/near-miss"):
        target = f"{path.rstrip('/')}/../" + "../" * path.count("/") + "near-miss"
        yield case(
            f"{probe.host}: a path that leaves by dots",
            {"method": method, "url": f"http://{probe.host}/", "target": target},
            probe.refused_by_policy,
        )


def _other_spellings(probe: Probe) -> Iterator[Case]:
    """Yield spellings of an allowed path: dot segments are resolved first, and slashes are compared as they are."""
    host, (method, path) = probe.host, probe.allowed
    head, _, tail = path.rpartition("/")
    request = {"method": method, "url": f"http://{host}/"}
    yield case(
        f"{host}: a path with a dot segment is the path without it",
        {**request, "target": f"{head}/./{tail}"},
        {**probe.answered, "received": {"path": path}},
    )
    for what, target in (
        ("a doubled slash", f"{head}//{tail}"),
        ("an escaped slash", f"{head or '/'}%2f{tail}"),
    ):
        if not probe.allows(method, target):
            yield case(
                f"{host}: {what} is another path", {**request, "target": target}, probe.refused_by_policy
            )
