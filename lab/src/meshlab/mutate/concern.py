"""Requests that a change cannot concern, so that they need not be sent again. What is not sure counts as concerned.

A rule of a policy that takes more requests changes nothing for a request that passed the policies before, and one that
takes fewer nothing for a request that they refused. Beyond that methods, hosts and the subjects of tokens are compared,
as written.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from meshlab.bench.case import HttpRequest
from meshlab.mutate.written import at, entries, mapping, text, texts, values

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.bench.case import Case
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
        principal: Issuer and subject of its token; empty for no token, `None` where that is not sure.
        denied: Whether a policy of this proxy refused it; without HTTP, whether the proxy refused it for any reason.
    """

    proxy: WorkloadRef
    method: str
    host: str
    principal: str | None
    denied: bool

    @classmethod
    def of(cls, hop: Hop, case: Case) -> Seen:
        """Return what the proxy of a hop saw of a case."""
        is_http = hop.line.scope == "http"
        host = hop.line.authority.rpartition(":")[0] or hop.line.authority
        return cls(
            hop.workload,
            hop.line.method if is_http else "",
            host.lower() if is_http else "",
            _principal(case) if is_http else None,
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
    rule = at(body, *path[:3])
    operations, principals = _operations(rule), _principals(rule)

    def concerned(seen: Seen) -> bool:
        fits = _may_match(operations, seen) and _may_be_of(principals, seen)
        return fits and seen.denied is mutant.weakens

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


def _principals(rule: object) -> tuple[str, ...]:
    """Return whose tokens a rule takes; empty where it also takes others, or that is not sure."""
    sources = [mapping(entry, "source") for _, entry in entries(rule, "from")]
    named = [_all(source, "requestPrincipals") for source in sources]
    if not all(named) or len(named) != len(values(rule, "from")):
        return ()
    return tuple(value for found in named for value in found)


def _may_be_of(principals: tuple[str, ...], seen: Seen) -> bool:
    if seen.principal is None or not principals:
        return True
    return any(_same_text(pattern, seen.principal) for pattern in principals)


def _principal(case: Case) -> str | None:
    request = case.request
    if not isinstance(request, HttpRequest):
        return None
    if not case.tokens:
        # A header or the query may hold a token that is written out.
        written = request.headers or "?" in request.url or "?" in (request.target or "")
        return None if written else ""
    if len(case.tokens) > 1:
        return None
    (token,) = case.tokens
    issuer, subject = token.claims.get("iss", token.issuer), token.claims.get("sub")
    is_sure = (
        token.literal is None and not token.flaw and isinstance(issuer, str) and isinstance(subject, str)
    )
    return f"{issuer}/{subject}" if is_sure else None


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
