"""What an environment must not say: ranges, groups and namespaces that would be wider than they read."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from meshcontract.ranges import range_problem, unusable

from meshgen.sources import is_reserved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshgen.sources import Description

__all__ = ["NAMESPACE", "environment_problems"]

NAMESPACE = "{namespace}"
"""What stands for a team's namespace in the name of its group."""

_WIDEST_API_SERVER = 24
# GKE's own range for Services, which looks like a public one.
_GKE_SERVICES = IPv4Network("34.118.224.0/20")
_EVERYONE = frozenset({"allUsers", "allAuthenticatedUsers"})
_ALL_GROUPS = "gke-security-groups@"


def environment_problems(
    description: Description, teams: Iterable[str], owners: Mapping[str, str]
) -> Iterator[str]:
    """Yield what is wrong with an environment.

    Args:
        description: Its description, which its schema allows.
        teams: The teams' namespaces.
        owners: What each namespace of the mesh belongs to, in words.
    """
    yield from _ranges(description)
    yield from _dns_service(description)
    yield from _groups(description, teams)
    yield from _namespaces(description, owners)


def _ranges(description: Description) -> Iterator[str]:
    for number, text in enumerate(description.value["controlPlane"].get("apiServer", ())):
        if problem := range_problem(text, _WIDEST_API_SERVER, "the range of one control plane"):
            place = ("controlPlane", "apiServer", number)
            yield description.problem(f"controlPlane.apiServer.{number}: {problem}", *place)


def _dns_service(description: Description) -> Iterator[str]:
    text = description.value["dns"].get("serviceAddress")
    if text is None:
        return
    try:
        address = IPv4Address(text)
    except ValueError as error:
        yield description.problem(f"dns.serviceAddress: {text} is none: {error}.", "dns", "serviceAddress")
        return
    if unusable(address) or (address.is_global and address not in _GKE_SERVICES):
        problem = f"{text} is no address of a Service; a resolver outside of the cluster would be a way out."
        yield description.problem(f"dns.serviceAddress: {problem}", "dns", "serviceAddress")


def _groups(description: Description, teams: Iterable[str]) -> Iterator[str]:
    administrators, pattern = description.value["administrators"], description.value["teamGroup"]
    if problem := _group_problem(administrators):
        yield description.problem(f"administrators: {problem}", "administrators")
    if problem := _group_problem(pattern.replace(NAMESPACE, "x")):
        yield description.problem(f"teamGroup: {problem.replace(':x', f':{NAMESPACE}')}", "teamGroup")
        return
    for namespace in teams:
        group = pattern.replace(NAMESPACE, namespace)
        if problem := _group_problem(group):
            yield description.problem(f"teamGroup: {problem}", "teamGroup")
        elif group == administrators:
            problem = f"with the namespace {namespace} this is {group}, the administrators' group; rename one of them."
            yield description.problem(f"teamGroup: {problem}", "teamGroup")


def _group_problem(group: str) -> str:
    """Return why no role may be bound to a group; empty for nothing."""
    if group.startswith("system:"):
        return f"{group} is a group of Kubernetes itself; name a group of your own."
    if group in _EVERYONE:
        return f"{group} is everyone; name a group of your own."
    if group.startswith(_ALL_GROUPS):
        return f"{group} holds all groups of GKE; name one of them."
    if re.search(r"[\s*{}]", group):
        return f"{group} is no name of one group: it has a space, a wildcard or braces."
    return ""


def _namespaces(description: Description, owners: Mapping[str, str]) -> Iterator[str]:
    for number, namespace in enumerate(description.value.get("namespaces", ())):
        place = ("namespaces", number)
        if namespace in owners:
            problem = f"{namespace} is that of {owners[namespace]}, which is known already; remove it."
        elif is_reserved(namespace) and (namespace == "istio-system" or not namespace.startswith("istio-")):
            problem = f"{namespace} is one of Kubernetes, GKE or Istio's control plane; remove it."
        else:
            continue
        yield description.problem(f"namespaces.{number}: {problem}", *place)
