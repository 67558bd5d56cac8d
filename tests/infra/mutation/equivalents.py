"""Mutants that no request can tell from the original, each with its proof.

A proof that rests on the manifests is a check of them, so an equivalent that is none any more fails its test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.infra.mutation.mutants import Mutant

Objects = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Equivalent:
    """A kind of mutants that change nothing.

    Attributes:
        mutants: A pattern of `str(mutant)`, which must match from the beginning.
        proof: Why no request meets a difference.
        holds: Whether the manifests are as the proof says.
    """

    mutants: str
    proof: str
    holds: Callable[[Mutant, Objects], bool] = lambda _mutant, _objects: True

    def covers(self, mutant: Mutant, objects: Objects) -> bool:
        """Return whether a mutant is one of them."""
        return re.match(self.mutants, str(mutant)) is not None and self.holds(mutant, objects)


def alone_in_its_namespace(mutant: Mutant, objects: Objects) -> bool:
    """Return whether the manifests have one workload in the mutant's namespace."""
    found = [one for one in objects if one["kind"] == "Deployment" and _namespace(one) == mutant.namespace]
    return len(found) == 1


def audience_of_one_caller(mutant: Mutant, objects: Objects) -> bool:
    """Return whether the rule of the policy's issuer admits its audience alone, at the same proxy."""
    rule = _token_rule(mutant, objects)
    return rule is not None and rule["audiences"] == _audiences(mutant, objects)


def no_audience_holds_another(mutant: Mutant, objects: Objects) -> bool:
    """Return whether no audience of the issuer's rule begins or ends with another."""
    rule = _token_rule(mutant, objects)
    names = rule["audiences"] if rule else []
    return bool(names) and not any(
        one != other and (one.startswith(other) or one.endswith(other)) for one in names for other in names
    )


def no_issuer_ends_with_another(mutant: Mutant, objects: Objects) -> bool:
    """Return whether the issuers of the proxy's rules cannot be taken for each other by their ends."""
    issuers = [rule["issuer"] for rule in _rules(mutant, objects)]
    return not any(one != other and one.endswith(other) for one in issuers for other in issuers)


def keeps_routes_from_sidecars(mutant: Mutant, objects: Objects) -> bool:
    """Return whether a VirtualService names no mesh, and no namespace with a sidecar in it."""
    spec = _original(mutant, objects)["spec"]
    gateways, namespaces = spec["gateways"], spec["exportTo"]
    sidecars = {_namespace(one) for one in objects if one["kind"] == "Deployment" and not _is_gateway(one)}
    return "mesh" not in gateways and "*" not in namespaces and not sidecars & set(namespaces)


def host_of_one_service(mutant: Mutant, objects: Objects) -> bool:
    """Return whether no other VirtualService has the mutant's hosts."""
    spec = _original(mutant, objects)["spec"]
    others = [one for one in objects if one["kind"] == "VirtualService" and one["spec"] is not spec]
    return not any(set(one["spec"]["hosts"]) & set(spec["hosts"]) for one in others)


def serves_its_own_namespaces(mutant: Mutant, objects: Objects) -> bool:
    """Return whether every VirtualService that binds to a gateway is of a namespace that the gateway names."""
    hosts = [host for server in _original(mutant, objects)["spec"]["servers"] for host in server["hosts"]]
    name = f"{mutant.namespace}/{mutant.name}"
    return all(
        f"{_namespace(one)}/{host}" in hosts
        for one in objects
        if one["kind"] == "VirtualService" and name in one["spec"]["gateways"]
        for host in one["spec"]["hosts"]
    )


def _is_gateway(one: Mapping[str, Any]) -> bool:
    annotations = one["spec"]["template"]["metadata"].get("annotations", {})
    return str(annotations.get("inject.istio.io/templates")) == "gateway"


def _token_rule(mutant: Mutant, objects: Objects) -> Mapping[str, Any] | None:
    original = _original(mutant, objects)
    number = int(mutant.path.split(".")[2])
    (source,) = original["spec"]["rules"][number]["from"]
    (principal,) = source["source"]["requestPrincipals"]
    issuer = principal.rpartition("/")[0]
    return next((rule for rule in _rules(mutant, objects) if rule["issuer"] == issuer), None)


def _audiences(mutant: Mutant, objects: Objects) -> list[str]:
    rule = _original(mutant, objects)["spec"]["rules"][int(mutant.path.split(".")[2])]
    return [
        value
        for condition in rule["when"]
        if condition["key"] == "request.auth.audiences"
        for value in condition["values"]
    ]


def _rules(mutant: Mutant, objects: Objects) -> list[Mapping[str, Any]]:
    labels = _original(mutant, objects)["spec"]["selector"]
    return [
        rule
        for one in objects
        if one["kind"] == "RequestAuthentication" and _namespace(one) == mutant.namespace
        if one["spec"]["selector"] == labels
        for rule in one["spec"]["jwtRules"]
    ]


def _original(mutant: Mutant, objects: Objects) -> Mapping[str, Any]:
    return next(
        one
        for one in objects
        if (one["kind"], _namespace(one), one["metadata"]["name"])
        == (mutant.kind, mutant.namespace, mutant.name)
    )


def _namespace(one: Mapping[str, Any]) -> str:
    return str(one["metadata"].get("namespace", ""))
