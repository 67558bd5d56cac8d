"""Requests that a change cannot concern, so that they need not be sent again. What is not sure counts as concerned.

A rule of a policy that takes more requests changes nothing for a request that passed the policies before, and one that
takes fewer nothing for a request that they refused. Beyond that only methods and hosts are compared, as written.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from meshlab.mutate.written import at, entries, mapping, text, texts, values

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.bench.verdicts.hop import Hop
    from meshlab.istio.read.names import WorkloadRef
    from meshlab.mutate.mutants import Mutant

__all__ = ["Seen", "concerns"]

_RULES = ("spec", "rules")


@dataclass(frozen=True)
class Seen:
    """What one proxy saw of a request on the mesh without a change.

    Attributes:
        proxy: The workload whose proxy it is.
        method: The method; empty where it saw no HTTP.
        host: The Host without its port, in lower case; empty where it saw no HTTP.
        denied: Whether a policy of this proxy refused it; without HTTP, whether the proxy refused it for any reason.
    """

    proxy: WorkloadRef
    method: str
    host: str
    denied: bool

    @classmethod
    def of(cls, hop: Hop) -> Seen:
        """Return what the proxy of a hop saw."""
        is_http = hop.line.scope == "http"
        host = hop.line.authority.rpartition(":")[0] or hop.line.authority
        return cls(
            hop.workload,
            hop.line.method if is_http else "",
            host.lower() if is_http else "",
            denied=hop.policy is not None if is_http else not hop.passed_on,
        )


def concerns(mutant: Mutant) -> Callable[[Seen], bool]:
    """Return whether a request may end otherwise for a change, by what a changed proxy saw of it."""
    if mutant.kind == "AuthorizationPolicy":
        return cache(_of_policy(mutant))
    if mutant.kind == "VirtualService":
        return cache(_of_routes(mutant))
    return _anything


def _anything(_seen: Seen) -> bool:
    return True


def _of_policy(mutant: Mutant) -> Callable[[Seen], bool]:
    path, old, new = mutant.made.path, mutant.manifest.body, mutant.body
    action = text(old, "spec", "action") or "ALLOW"
    if path[:2] != _RULES or len(path) < 3 or action not in ("ALLOW", "DENY"):
        return _anything
    # What turns over is taken by the wider form of the rule, and not by the narrower one.
    body = new if mutant.weakens is (action == "ALLOW") else old
    operations = _operations(at(body, *path[:3]))

    def concerned(seen: Seen) -> bool:
        return seen.denied is mutant.weakens and _may_match(operations, seen)

    return concerned


_Operation = tuple[tuple[str, ...], tuple[str, ...]]
"""The methods and the hosts that one operation asks for; empty for any."""


def _operations(rule: object) -> tuple[_Operation, ...]:
    """Return what a rule asks of methods and hosts; empty where it asks nothing, or that is not sure."""
    found = [mapping(entry, "operation") for _, entry in entries(rule, "to")]
    if len(found) != len(values(rule, "to")):
        return ()
    return tuple((_all(each, "methods"), _all(each, "hosts")) for each in found)


def _all(operation: object, field: str) -> tuple[str, ...]:
    return tuple(value for _, value in texts(operation, field))


def _may_match(operations: tuple[_Operation, ...], seen: Seen) -> bool:
    if not seen.method or not operations:
        return True
    return any(
        _may_hold(methods, seen.method, _same_text) and _may_hold(hosts, seen.host, _same_host)
        for methods, hosts in operations
    )


def _may_hold(patterns: tuple[str, ...], found: str, same: Callable[[str, str], bool]) -> bool:
    return not patterns or any(same(pattern, found) for pattern in patterns)


def _same_text(pattern: str, found: str) -> bool:
    return "*" in pattern or pattern == found


def _same_host(pattern: str, found: str) -> bool:
    """Return whether a pattern may stand for a host; short names may stand for long ones."""
    bare = pattern.lower().rpartition(":")[0] or pattern.lower()
    if "*" in bare:
        return bare.strip("*") in found
    return bare == found or bare.startswith(f"{found}.") or found.startswith(f"{bare}.")


def _of_routes(mutant: Mutant) -> Callable[[Seen], bool]:
    bodies: list[Any] = [mutant.manifest.body, mutant.body]
    hosts = [host for body in bodies for _, host in texts(body, "spec", "hosts")]
    if not hosts:
        return _anything  # a delegate

    def concerned(seen: Seen) -> bool:
        return not seen.host or any(_same_host(host, seen.host) for host in hosts)

    return concerned
