"""What callers and services must agree on: who calls which route, whose keys, which paths."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from meshgen.contract import REFERENCE
from meshgen.ingress.model import ONE_SEGMENT
from meshgen.sources import is_reserved

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshgen.ingress.model import Caller, Ingress, Route, Service

__all__ = ["problems_between"]


def problems_between(ingress: Ingress, contract: Mapping[str, str]) -> list[str]:
    """Return a sentence with file and line for everything on which descriptions disagree.

    Args:
        ingress: The callers and services.
        contract: The values of `infra/contract.env`, since two descriptions may write one value in two ways.
    """
    disagreements = [*_calls(ingress), *_called(ingress)]
    return [
        *disagreements,
        *(() if disagreements else _same_names(ingress)),
        *_issuers(ingress.callers, contract),
        *_same_callers(ingress.callers, contract),
        *_same_paths(ingress.services, contract),
        *_same_workloads(ingress.services),
        *_reserved_namespaces(ingress.services),
    ]


def _calls(ingress: Ingress) -> Iterator[str]:
    services = {service.name: service for service in ingress.services}
    for caller in ingress.callers:
        for name, routes in caller.calls.items():
            place = ("calls", name)
            if name not in services:
                known = ", ".join(services) or "none"
                yield caller.source.problem(f"there is no service {name}; known are {known}.", *place)
                continue
            service = services[name]
            if caller.name not in service.callers:
                problem = (
                    f"calls {name}, but {service.source.file} does not name {caller.name} among its callers."
                )
                yield caller.source.problem(problem, *place)
            for number, route in enumerate(routes):
                if route not in service.routes:
                    problem = f"{name} has no route {route}; known are {', '.join(service.routes)}."
                    yield caller.source.problem(problem, *place, number)


def _called(ingress: Ingress) -> Iterator[str]:
    callers = {caller.name: caller for caller in ingress.callers}
    for service in ingress.services:
        for number, name in enumerate(service.callers):
            place = ("callers", number)
            if name not in callers:
                known = ", ".join(callers) or "none"
                yield service.source.problem(f"there is no caller {name}; known are {known}.", *place)
            elif service.name not in callers[name].calls:
                problem = f"names {name}, but {callers[name].source.file} does not call {service.name}."
                yield service.source.problem(problem, *place)


def _issuers(callers: tuple[Caller, ...], contract: Mapping[str, str]) -> Iterator[str]:
    """Refuse an issuer of two spellings or two sets of keys: both proxies check its tokens by one rule."""
    for first, second in combinations(callers, 2):
        if _value(first.issuer, contract) != _value(second.issuer, contract):
            continue
        if first.issuer != second.issuer:
            problem = f"is the issuer of {first.source.file}, which writes {first.issuer}; write the same."
            yield second.source.problem(problem, "issuer")
        if (first.jwks, first.jwks_uri) != (second.jwks, second.jwks_uri):
            problem = (
                f"{first.source.file} names other keys for the same issuer; an issuer has one set of keys."
            )
            yield second.source.problem(problem, "keys")


def _same_callers(callers: tuple[Caller, ...], contract: Mapping[str, str]) -> Iterator[str]:
    for first, second in combinations(callers, 2):
        if _identity(first, contract) == _identity(second, contract):
            problem = (
                f"has the issuer, audience and claims of {first.source.file}: no proxy can distinguish the two; "
                "give each caller a subject of its own."
            )
            yield second.source.problem(problem, "subject")


def _identity(caller: Caller, contract: Mapping[str, str]) -> tuple[object, ...]:
    claims = {name: _value(text, contract) for name, text in caller.claims.items()}
    return (_value(caller.principal, contract), _value(caller.audience, contract), claims)


def _same_paths(services: tuple[Service, ...], contract: Mapping[str, str]) -> Iterator[str]:
    routes = [(service, route) for service in services for route in service.routes.values()]
    for (one, first), (other, second) in combinations(routes, 2):
        if _value(one.host, contract) != _value(other.host, contract):
            continue
        for number, path in enumerate(second.paths):
            if set(first.methods) & set(second.methods) and (taken := _overlap(path, first)):
                problem = f"{path} meets {taken} of the route {first.name} in {one.source.file}; a path has one route."
                yield other.source.problem(problem, "routes", second.name, "paths", number)


def _overlap(path: str, route: Route) -> str:
    """Return the path of a route that a request to another path may meet; empty where there is none."""
    return next((taken for taken in route.paths if _may_be_equal(path, taken)), "")


def _may_be_equal(one: str, other: str) -> bool:
    parts = list(zip(one.split("/"), other.split("/"), strict=False))
    same_length = one.count("/") == other.count("/")
    return same_length and all(a == b or ONE_SEGMENT in (a, b) for a, b in parts)


def _same_workloads(services: tuple[Service, ...]) -> Iterator[str]:
    """Refuse two services that one pod may match: selectors meet unless they give one label two values."""
    for first, second in combinations(services, 2):
        apart = any(second.labels.get(key, value) != value for key, value in first.labels.items())
        if first.namespace == second.namespace and not apart:
            problem = (
                f"a pod may have these and those of {first.source.file}, and then the policies of both would open it; "
                "give one label different values."
            )
            yield second.source.problem(problem, "labels")


def _reserved_namespaces(services: tuple[Service, ...]) -> Iterator[str]:
    for service in services:
        if is_reserved(service.namespace):
            problem = f"{service.namespace} is no service's namespace: its policies reach gateways or the whole mesh."
            yield service.source.problem(problem, "namespace")


def _same_names(ingress: Ingress) -> Iterator[str]:
    """Two policies of one name would be one object: `a-b` called by `c`, and `a` called by `b-c`."""
    seen: dict[tuple[str, str], Service] = {}
    for call in ingress.calls():
        name = f"{call.service.name}-{call.caller.name}"
        other = seen.setdefault((call.service.namespace, name), call.service)
        if other != call.service:
            problem = (
                f"the policy {name} would have the name of one of {other.source.file}; rename the service."
            )
            yield call.service.source.problem(problem, "callers")


def _value(text: str, contract: Mapping[str, str]) -> str:
    return REFERENCE.sub(lambda match: contract.get(match[1], match[0]), text)
