"""Policy tests: what each caller may do at each service, and each near miss refused, at both proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshgen.generated import objects_file
from meshgen.ingress.model import GATEWAY, Call
from meshgen.ingress.near_misses import (
    Miss,
    allowed_requests,
    other_callers,
    other_hosts,
    other_requests,
    other_tokens,
    request,
)
from meshgen.ingress.routes import REMOVED_HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from meshgen.generated import GeneratedFile
    from meshgen.ingress.model import Caller, Ingress, Service

__all__ = ["case_files"]

_DENIED = "RBAC: access denied"
_AS_GATEWAY = "as the gateway"
_AS_NEIGHBOUR = "as a neighbour"
_NEIGHBOUR = "neighbour/neighbour"
_NOTE = (
    "What each caller may do, and each near miss refused, at the gateway and at the workload's own proxy.\n"
    "docs/policy-testing.md explains the format."
)

Case = dict[str, Any]


def case_files(
    directory: Path, services: Iterable[Service], ingress: Ingress, root: Path
) -> Iterator[GeneratedFile]:
    """Yield one case file for each of some services.

    Args:
        directory: Where they belong.
        services: The services.
        ingress: All callers and services.
        root: The project's top directory.
    """
    for service in services:
        path = directory / f"{service.name}.yaml"
        source = f"infra/mesh/callers and {service.source.file.relative_to(root)}"
        yield objects_file(path, source, [_case_file(ingress, service)], _NOTE, compact=True)


def _case_file(ingress: Ingress, service: Service) -> dict[str, Any]:
    workload = f"{service.namespace}/{service.name}"
    calls = [call for call in ingress.calls() if call.service == service]
    cases = [case for call in calls for case in _cases(ingress, call)]
    cases += [case for caller in _strangers(ingress, calls) for case in _no_call(caller, calls)]
    cases += [case for call in calls for case in _neighbour(call)]
    cases += _past_the_gateway(calls[0])
    gateway = f"{GATEWAY.namespace}/{GATEWAY.workload}"
    return {
        "workloads": {_NEIGHBOUR: {"serviceAccount": "neighbour", "ports": {8080: "http"}}},
        "authorities": ["stranger"],
        "callers": {
            "outside": {"outside": gateway},
            "# past the gateway, straight to the workload's own proxy": None,
            _AS_GATEWAY: {"bypass": gateway, "to": workload, "mode": "mtls"},
            _AS_NEIGHBOUR: {"bypass": _NEIGHBOUR, "to": workload, "mode": "mtls"},
        },
        "tokens": {
            caller.name: {
                "issuer": caller.issuer,
                "claims": {"sub": caller.subject, "aud": caller.audience, **caller.claims},
            }
            for caller in ingress.callers
        },
        "cases": cases,
    }


def _strangers(ingress: Ingress, calls: list[Call]) -> list[Caller]:
    known = [call.caller for call in calls]
    return [caller for caller in ingress.callers if caller not in known]


def _cases(ingress: Ingress, call: Call) -> Iterator[Case]:
    for method, path in allowed_requests(call):
        sent = request(call.service, method, path)
        on_port = {**sent, "headers": {"host": f"{call.service.host}:{GATEWAY.port}"}}
        yield from _allowed(call, f"{method} {path}", sent)
        yield from _allowed(call, f"{method} {path} with the gateway's port in the Host header", on_port)
    for miss in (
        *other_requests(call),
        *other_hosts(call),
        *other_tokens(call),
        *other_callers(ingress, call),
    ):
        yield from _refused(call, miss)
    if not call.service.websocket:
        yield from _refused(call, _websocket(call))
    for method, path in allowed_requests(call):
        yield from _at_gateway_alone(call, method, path)


def _allowed(call: Call, what: str, sent: dict[str, Any]) -> Iterator[Case]:
    answer = f"200 {call.service.namespace}/{call.service.name}"
    for sender, place in _places(call.service):
        yield {
            "name": f"{_title(call)}: {what}, {place}",
            "from": sender,
            "token": call.caller.name,
            "request": sent,
            "expect": answer,
        }


def _refused(call: Call, miss: Miss) -> Iterator[Case]:
    for sender, place in _places(call.service):
        proxy = _proxy(call.service, sender)
        behind = None if sender == "outside" else miss.status_behind
        expect: dict[str, Any] = {"status": behind or miss.status, "proxy": proxy}
        if miss.says:
            expect["says"] = miss.says
        yield {
            "name": f"{_title(call)}: {miss.what}, {place}",
            "from": sender,
            "token": call.caller.name if miss.token is None else miss.token,
            "request": miss.request,
            "expect": expect,
        }


def _at_gateway_alone(call: Call, method: str, path: str) -> Iterator[Case]:
    """Yield what the gateway takes out of a request or answers itself."""
    removed = [name for name in REMOVED_HEADERS if name not in call.service.keep_headers]
    proxy = _proxy(call.service, "outside")
    common = {"from": "outside", "token": call.caller.name}
    title = f"{_title(call)}: {method} {path}"
    yield {
        "name": f"{title}, without the headers that hold a token or change the request",
        **common,
        "request": {**request(call.service, method, path), "headers": dict.fromkeys(removed, "sent")},
        "expect": {
            "status": 200,
            "app": f"{call.service.namespace}/{call.service.name}",
            "received": {"method": method, "headers": dict.fromkeys(("authorization", *removed))},
        },
    }
    yield {
        "name": f"{title}, with a token in the query beside the one in the header",
        **common,
        "request": request(call.service, method, f"{path}?access_token=copy"),
        "expect": {"status": 400, "proxy": proxy},
    }
    if "{*}" in _template(call, method, path):
        yield {
            "name": f"{title}, with a parameter inside a segment",
            **common,
            "request": request(call.service, method, path.replace("x-1", "x-1;admin=true")),
            "expect": {"status": 404, "proxy": proxy},
        }


def _template(call: Call, method: str, path: str) -> str:
    return next(
        template
        for route in call.routes
        if method in route.methods
        for template in route.paths
        if template.replace("{*}", "x-1") == path
    )


def _websocket(call: Call) -> Miss:
    method, path = next(allowed_requests(call))
    headers = {"upgrade": "websocket", "connection": "Upgrade"}
    return Miss("an upgrade to WebSocket", {**request(call.service, method, path), "headers": headers})


def _no_call(caller: Caller, calls: list[Call]) -> Iterator[Case]:
    """Yield that a caller of other services is refused on every route of this one."""
    service = calls[0].service
    issuers = {call.caller.issuer for call in calls}
    for route in service.routes.values():
        method, path = route.methods[0], route.paths[0].replace("{*}", "x-1")
        for sender, place in _places(service):
            unknown = sender == _AS_GATEWAY and caller.issuer not in issuers
            yield {
                "name": f"{service.name}, {caller.name} of other services: {method} {path}, {place}",
                "from": sender,
                "token": caller.name,
                "request": request(service, method, path),
                "expect": {"status": 401 if unknown else 403, "proxy": _proxy(service, sender)},
            }


def _neighbour(call: Call) -> Iterator[Case]:
    """Yield that the caller's token opens nothing to identities other than the gateway's."""
    workload = f"{call.service.namespace}/{call.service.name}"
    domain, _, path = GATEWAY.principal.partition("/")
    account = GATEWAY.principal.rpartition("/")[2]
    identities = {
        "its account's name with something behind": f"{GATEWAY.principal}-canary",
        "its account's name in another namespace": f"{domain}/ns/other/sa/{account}",
        "its whole name behind another": f"{domain}/ns/other/sa/{domain}/{path}",
    }
    senders: dict[str, Any] = {"a neighbour in the mesh": _AS_NEIGHBOUR}
    for what, identity in identities.items():
        sender = {"mesh": f"spiffe://{identity}", "authority": "mesh", "to": workload}
        senders[f"an identity like the gateway's: {what}"] = sender
    for what, sender in senders.items():
        yield {
            "name": f"{_title(call)}: {what}, at {call.service.name}",
            "from": sender,
            "token": call.caller.name,
            "request": request(call.service, *next(allowed_requests(call))),
            "expect": {"status": 403, "proxy": workload, "says": _DENIED},
        }


def _past_the_gateway(call: Call) -> Iterator[Case]:
    """Yield what the workload's own proxy refuses although the token is good."""
    service = call.service
    workload = f"{service.namespace}/{service.name}"
    method, path = next(allowed_requests(call))
    common = {"token": call.caller.name, "request": request(service, method, path)}
    name = f"{service.name}, past the gateway"
    gateway_id = f"spiffe://{GATEWAY.principal}"
    other_id = gateway_id.replace("cluster.local", "other.example")
    senders: dict[str, Any] = {
        "plaintext": {"bypass": _NEIGHBOUR, "to": workload, "mode": "plaintext"},
        "TLS without a certificate": {"bypass": _NEIGHBOUR, "to": workload, "mode": "tls"},
        "the gateway's identity of an unknown authority": {
            "mesh": gateway_id,
            "authority": "stranger",
            "to": workload,
        },
        "the gateway's identity of another trust domain": {
            "mesh": other_id,
            "authority": "mesh",
            "to": workload,
        },
    }
    for what, sender in senders.items():
        yield {"name": f"{name}: {what}", "from": sender, **common, "expect": f"refused {workload}"}


def _places(service: Service) -> tuple[tuple[str, str], ...]:
    return (("outside", "at the gateway"), (_AS_GATEWAY, f"at {service.name}"))


def _proxy(service: Service, sender: str) -> str:
    if sender == "outside":
        return f"{GATEWAY.namespace}/{GATEWAY.workload}"
    return f"{service.namespace}/{service.name}"


def _title(call: Call) -> str:
    return f"{call.service.name}, {call.caller.name}"
