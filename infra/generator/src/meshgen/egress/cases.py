"""Policy tests of a team: what is allowed, and each near miss, with who must refuse it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshgen.egress.gateway import INTERNAL_HEADERS, host_access
from meshgen.egress.paths import matches, near_misses, sample
from meshgen.egress.workloads import GOOGLE_APIS_HOST, METADATA_ADDRESS, METADATA_HOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshgen.egress.gateway import Gateway
    from meshgen.egress.teams import Access, Team
    from meshgen.generated import Object

__all__ = ["team_cases", "upstream_cases"]

_CLIENT = "egress-client"
_CLIENT_PORT = "18080"
_OUTSIDER = f"outsiders/{_CLIENT}"
_OTHER_DOMAIN = "other.example"
_STRANGER = "stranger"
_DEFAULT_ACCOUNT = "default"
_UNNAMED_ACCOUNT = "unnamed"
_UNKNOWN_HOST = "near-miss.example"
_UNKNOWN_ADDRESS = "203.0.113.9:5432"  # RFC 5737: no host of the internet has it
_OTHER_METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "HEAD")
_NO_POLICY = "none"

Case = dict[str, Any]


def team_cases(gateway: Gateway, team: Team, teams: Sequence[Team]) -> Object:
    """Return the case file of one team.

    Args:
        gateway: The gateway.
        team: The team.
        teams: All teams.
    """
    writer = _Writer(gateway, team)
    cases = [*writer.own_pods(), *writer.outside_the_registry()]
    for access in team.hosts:
        cases += writer.originated(access) if access.tls == "originate" else writer.passed_through(access)
        cases += [case for other in _neighbours(team, teams) for case in writer.other_team(access, other)]
    cases += writer.google()
    return {
        "workloads": _workloads(teams),
        "authorities": [_STRANGER],
        "callers": {
            "team": {"workload": f"{team.namespace}/{_CLIENT}"},
            "outsider": {"workload": _OUTSIDER},
        },
        "defaults": {"from": "team"},
        "cases": cases,
    }


def upstream_cases(gateway: Gateway, teams: Sequence[Team]) -> dict[str, Object]:
    """Return, by name, the case files with hosts whose certificates must be refused."""
    hosts = {host: access for host, access in host_access(teams).items() if access.tls == "originate"}
    if not hosts:
        return {}
    shown = {
        "upstreams-of-an-unknown-authority": {"authority": _STRANGER},
        "upstreams-of-another-name": {"authority": "internet", "dns": [_UNKNOWN_HOST]},
    }
    return {
        name: {
            "workloads": _workloads(teams),
            "authorities": [_STRANGER],
            "apps": {host: {"certificate": certificate} for host in hosts},
            "cases": [
                {
                    "name": f"{team.namespace} to {access.host}: the gateway refuses the host's certificate",
                    "from": {"workload": f"{team.namespace}/{_CLIENT}"},
                    "request": _http(
                        access, access.requests[0].methods[0], sample(access.requests[0].paths[0])
                    ),
                    "expect": {
                        "status": 503,
                        "proxy": gateway.workload,
                        "says": "certificate verify failed",
                    },
                }
                for team in teams
                for access in team.hosts
                if access.tls == "originate"
            ],
        }
        for name, certificate in shown.items()
    }


def _workloads(teams: Sequence[Team]) -> Object:
    """The clients of all teams: files with the same workloads share one run of the mesh."""
    clients = {
        f"{team.namespace}/{_CLIENT}": {"serviceAccount": _account(team), "ports": {_CLIENT_PORT: "http"}}
        for team in teams
    }
    strict = {
        f"{team.namespace}/{_CLIENT}-{_UNNAMED_ACCOUNT}": {"serviceAccount": _UNNAMED_ACCOUNT}
        for team in teams
        if any(access.service_accounts for access in team.hosts)
    }
    return {**clients, **strict, _OUTSIDER: {"serviceAccount": _CLIENT, "ports": {_CLIENT_PORT: "http"}}}


def _account(team: Team) -> str:
    """A service account that may reach every host of the team, where there is one."""
    named = [set(access.service_accounts) for access in team.hosts if access.service_accounts]
    shared = set.intersection(*named) if named else {_DEFAULT_ACCOUNT}
    return min(shared) if shared else min(min(names) for names in named)


def _neighbours(team: Team, teams: Sequence[Team]) -> list[Team]:
    """The team after this one: near misses between every two teams would grow with their square."""
    index = teams.index(team)
    following = teams[(index + 1) % len(teams)]
    return [following] if following is not team else []


def _http(access: Access, method: str, path: str) -> str:
    return f"{method} http://{access.host}{path}"


class _Writer:
    def __init__(self, gateway: Gateway, team: Team) -> None:
        self._gateway = gateway
        self._team = team
        self._client = f"{team.namespace}/{_CLIENT}"

    def own_pods(self) -> Iterator[Case]:
        """What the mesh does for the team's own pods before anything is said about them."""
        for what, mode, expect in (
            ("plaintext to a pod of the team", "plaintext", {"refused": True}),
            ("a workload of no team, at a pod of the team", "mtls", {"status": 403, "policy": _NO_POLICY}),
        ):
            yield {
                "name": what,
                "from": {"bypass": _OUTSIDER, "to": self._client, "mode": mode},
                "request": f"GET http://{_CLIENT}.{self._team.namespace}/",
                "expect": {**expect, "proxy": self._client},
            }

    def outside_the_registry(self) -> Iterator[Case]:
        """What no team may reach."""
        namespace, _, name = _OUTSIDER.partition("/")
        yield {
            "name": "a service of another namespace, which the team's sidecars do not know",
            "request": f"GET http://{name}.{namespace}:{_CLIENT_PORT}/",
            "expect": {"status": 502, "proxy": self._client},
        }
        yield {
            "name": "a host that is not registered",
            "request": f"GET http://{_UNKNOWN_HOST}/",
            "expect": {"status": 502, "proxy": self._client},
        }
        yield {
            "name": "a host that is not registered, over TLS",
            "request": {"tls": f"{_UNKNOWN_HOST}:443"},
            "expect": {"refused": True, "proxy": self._client},
        }
        yield {
            "name": "an address that is not registered, over TCP",
            "request": {"tcp": _UNKNOWN_ADDRESS},
            "expect": {"refused": True, "proxy": self._client},
        }

    def originated(self, access: Access) -> Iterator[Case]:
        """Cases of a host that the gateway originates TLS for."""
        host, client = access.host, self._client
        if not self._may_use(access):
            return
        method, path = access.requests[0].methods[0], sample(access.requests[0].paths[0])
        plain = _http(access, method, path)
        for requests in access.requests:
            for allowed in requests.methods:
                for pattern in requests.paths:
                    there = sample(pattern)
                    yield {
                        "name": f"{host}: {allowed} {pattern} is allowed, and leaves as TLS",
                        "request": _http(access, allowed, there),
                        "expect": {
                            "status": 200,
                            "app": host,
                            "received": {"method": allowed, "path": there, "host": host, "sni": host},
                        },
                    }
        yield {
            "name": f"{host}: nothing that the proxies know of the workload leaves",
            "request": plain,
            "expect": {
                "status": 200,
                "app": host,
                "received": {"headers": dict.fromkeys(INTERNAL_HEADERS)},
            },
        }
        yield {
            "name": f"{host}: the port in the Host header changes nothing",
            "request": {"method": method, "url": f"http://{host}{path}", "headers": {"host": f"{host}:80"}},
            "expect": {"status": 200, "app": host},
        }
        yield {
            "name": f"{host}: no WebSocket, whose tunnel no policy reads",
            "request": {
                "method": "GET",
                "url": f"http://{host}{path}",
                "headers": {"connection": "Upgrade", "upgrade": "websocket"},
            },
            "expect": self._refused_by_policy(access),
        }
        yield from self._requests_not_allowed(access)
        yield {
            "name": f"{host}: another host by the Host header",
            "request": {"method": method, "url": f"http://{host}{path}", "headers": {"host": _UNKNOWN_HOST}},
            "expect": {"status": 502, "proxy": client},
        }
        yield {
            "name": f"{host}: a host below it",
            "request": f"{method} http://near-miss.{host}{path}",
            "expect": {"status": 502, "proxy": client},
        }
        yield {
            "name": f"{host}: another port",
            "request": f"{method} http://{host}:8080{path}",
            "expect": {"refused": True, "proxy": client},
        }
        yield {
            "name": f"{host}: TLS of the application itself",
            "request": {"tls": f"{host}:{access.port}"},
            "expect": {"refused": True, "proxy": client},
        }
        yield from self._at_the_gateway(access, plain, {"status": 200, "app": host})

    def passed_through(self, access: Access) -> Iterator[Case]:
        """Cases of a host that applications speak TLS to."""
        host, port, client = access.host, access.port, self._client
        if not self._may_use(access):
            return
        tls = {"tls": f"{host}:{port}"}
        yield {
            "name": f"{host}: TLS is passed through, and the host's own certificate arrives",
            "request": tls,
            "expect": {"answered": True, "app": host, "certificate": host},
        }
        yield {
            "name": f"{host}: the host sees the application's TLS",
            "request": f"GET https://{host}{_written(port)}/",
            "expect": {"status": 200, "app": host, "received": {"sni": host}},
        }
        yield {
            "name": f"{host}: plain HTTP",
            "request": f"GET http://{host}/",
            "expect": {"status": 502, "proxy": client},
        }
        yield {
            "name": f"{host}: another port",
            "request": {"tls": f"{host}:{port + 1}"},
            "expect": {"refused": True, "proxy": client},
        }
        yield {
            "name": f"{host}: another server name",
            "request": {**tls, "sni": _UNKNOWN_HOST},
            "expect": {"refused": True, "proxy": client},
        }
        yield {
            "name": f"{host}: no server name",
            "request": {**tls, "sni": ""},
            "expect": {"refused": True, "proxy": client},
        }
        yield from self._at_the_gateway(access, tls, {"answered": True, "app": host})

    def other_team(self, access: Access, other: Team) -> Iterator[Case]:
        """A team that may not reach the host: refused by its own sidecar, and by the gateway when it goes around it."""
        if other.access(access.host) or not access.host:
            return
        client = f"{other.namespace}/{_CLIENT}"
        if access.tls == "originate":
            requests = access.requests[0]
            request: Any = _http(access, requests.methods[0], sample(requests.paths[0]))
            ending: Case = {"status": 502}
        else:
            request, ending = {"tls": f"{access.host}:{access.port}"}, {"refused": True}
        yield {
            "name": f"{access.host}: {other.namespace} is refused by its own sidecar",
            "from": {"workload": client},
            "request": request,
            "expect": {**ending, "proxy": client},
        }
        yield {
            "name": f"{access.host}: {other.namespace} is refused by the gateway",
            "from": self._bypass(access, client, "mtls"),
            "request": self._to_gateway(access, request),
            "expect": self._refused_by_policy(access),
        }

    def google(self) -> Iterator[Case]:
        """Google's APIs and the metadata server."""
        client = self._client
        api: Case = {"request": {"tls": "storage.googleapis.com:443"}}
        metadata: Case = {"request": f"GET http://{METADATA_HOST}/computeMetadata/v1/"}
        by_address: Case = {"request": f"GET http://{METADATA_ADDRESS}/computeMetadata/v1/"}
        if not self._team.google_apis:
            refused = {"refused": True, "proxy": client}
            unknown = {"status": 502, "proxy": client}
            yield {"name": "Google's APIs: not for this team", **api, "expect": refused}
            yield {"name": "the metadata server: not for this team", **metadata, "expect": unknown}
            yield {
                "name": "the metadata server's address: not for this team",
                **by_address,
                "expect": unknown,
            }
            return
        reached = {"answered": True, "app": GOOGLE_APIS_HOST, "certificate": "storage.googleapis.com"}
        answered = {"status": 200, "app": METADATA_HOST}
        yield {"name": "Google's APIs are reached by their private addresses", **api, "expect": reached}
        yield {"name": "the metadata server", **metadata, "expect": answered}
        yield {"name": "the metadata server by its address", **by_address, "expect": answered}
        yield {
            "name": "Google's APIs in plaintext",
            "request": "GET http://storage.googleapis.com/",
            "expect": {"status": 502, "proxy": client},
        }

    def _may_use(self, access: Access) -> bool:
        return not access.service_accounts or _account(self._team) in access.service_accounts

    def _requests_not_allowed(self, access: Access) -> Iterator[Case]:
        """Each method and path that no entry allows together."""
        refused = self._refused_by_policy(access)
        seen: set[tuple[str, str]] = set()

        def missed(method: str, path: str, what: str) -> Iterator[Case]:
            if self._allowed(access, method, path) or (method, path) in seen:
                return
            seen.add((method, path))
            shown = refused if method != "HEAD" else {"status": 403, "proxy": self._gateway.workload}
            yield {
                "name": f"{access.host}: {method} {path} ({what})",
                "request": _http(access, method, path),
                "expect": shown,
            }

        methods = dict.fromkeys(method for requests in access.requests for method in requests.methods)
        for requests in access.requests:
            for pattern in requests.paths:
                path = sample(pattern)
                others = [other for other in _OTHER_METHODS if not self._allowed(access, other, path)]
                for other in dict.fromkeys([*others[:1], *(name for name in methods if name in others)]):
                    yield from missed(other, path, "another method")
                for near in near_misses(pattern, requests.paths):
                    yield from missed(requests.methods[0], near, "another path")
        method, path = access.requests[0].methods[0], sample(access.requests[0].paths[0])
        if not self._allowed(access, method, "/near-miss"):
            yield {
                "name": f"{access.host}: a path that leaves by dots",
                "request": {
                    "method": method,
                    "url": f"http://{access.host}/",
                    "target": f"{path.rstrip('/')}/../" + "../" * path.count("/") + "near-miss",
                },
                "expect": refused,
            }

    def _allowed(self, access: Access, method: str, path: str) -> bool:
        return any(
            method in requests.methods and any(matches(pattern, path) for pattern in requests.paths)
            for requests in access.requests
        )

    def _at_the_gateway(self, access: Access, request: Any, allowed: Case) -> Iterator[Case]:  # noqa: ANN401 - words of a case
        """What the gateway does with clients that go around their sidecar."""
        host, there = access.host, self._to_gateway(access, request)
        namespace = self._team.namespace
        refused = {"refused": True, "proxy": self._gateway.workload}
        by_policy = self._refused_by_policy(access)
        account = _account(self._team)

        def foreign(domain: str, authority: str) -> Case:
            identity = f"spiffe://{domain}/ns/{namespace}/sa/{account}"
            to = {"to": self._gateway.workload, "port": self._gateway.port(access).target}
            return {"mesh": identity, "authority": authority, **to}

        senders: list[tuple[str, Any, Any, Case]] = [
            (
                "around the sidecar, the same is allowed",
                self._bypass(access, self._client, "mtls"),
                there,
                allowed,
            ),
            (
                "plaintext to the gateway",
                self._bypass(access, self._client, "plaintext"),
                _plain(there),
                refused,
            ),
            (
                "TLS without a certificate to the gateway",
                self._bypass(access, self._client, "tls"),
                there,
                refused,
            ),
            (
                "a workload of no team, at the gateway",
                self._bypass(access, _OUTSIDER, "mtls"),
                there,
                by_policy,
            ),
            ("the team's name in another trust domain", foreign(_OTHER_DOMAIN, "mesh"), there, by_policy),
            (
                "the team's identity, signed by a stranger",
                foreign("cluster.local", _STRANGER),
                there,
                refused,
            ),
        ]
        if access.service_accounts:
            other = f"{namespace}/{_CLIENT}-{_UNNAMED_ACCOUNT}"
            senders.append(("another service account", self._bypass(access, other, "mtls"), there, by_policy))
        for what, sender, sent, expect in senders:
            yield {"name": f"{host}: {what}", "from": sender, "request": sent, "expect": expect}
        own = {"status": 502} if access.tls == "originate" else {"refused": True}
        yield {
            "name": f"{host}: a workload of no team, by its own sidecar",
            "from": "outsider",
            "request": request,
            "expect": {**own, "proxy": _OUTSIDER},
        }
        if access.tls == "originate":
            yield {
                "name": f"{host}: a workload of no team, by its own sidecar over TLS",
                "from": "outsider",
                "request": {"tls": f"{host}:{access.port}"},
                "expect": {"refused": True, "proxy": _OUTSIDER},
            }
            method, _, url = request.partition(" ")
            yield {
                "name": f"{host}: another host, at the gateway",
                "from": self._bypass(access, self._client, "mtls"),
                "request": {
                    "method": method,
                    "url": url.replace("http:", "https:"),
                    "headers": {"host": _UNKNOWN_HOST},
                },
                "expect": by_policy,
            }
        yield {
            "name": f"{host}: another server name at the gateway",
            "from": self._bypass(access, self._client, "mtls"),
            "request": {"tls": f"{_UNKNOWN_HOST}:443"},
            "expect": refused,
        }

    def _bypass(self, access: Access, client: str, mode: str) -> Case:
        to = {"to": self._gateway.workload, "port": self._gateway.port(access).target}
        return {"bypass": client, **to, "mode": mode}

    def _to_gateway(self, access: Access, request: Any) -> Any:  # noqa: ANN401 - words of a case
        """The same request on a connection to the gateway, whose TLS has the host as server name."""
        return request.replace("http://", "https://") if access.tls == "originate" else request

    def _refused_by_policy(self, access: Access) -> Case:
        ending: Case = {"status": 403} if access.tls == "originate" else {"refused": True}
        return {**ending, "proxy": self._gateway.workload, "policy": _NO_POLICY}


def _written(port: int) -> str:
    return "" if port == 443 else f":{port}"


def _plain(request: Any) -> Any:  # noqa: ANN401 - words of a case
    """A request without TLS of its own."""
    return request.replace("https://", "http://") if isinstance(request, str) else {"tcp": request["tls"]}
