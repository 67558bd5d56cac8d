"""Requests that a change cannot concern, so that they need not be sent again. What is not sure counts as concerned.

A rule of a policy that takes more requests changes nothing for a request that passed the policies before, and one that
takes fewer nothing for a request that they refused. Beyond that methods, hosts and the subjects of tokens are compared,
as written. A change of a route changes nothing for a request that a route before it takes.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from meshlab.mutate.edits import REMOVED
from meshlab.mutate.seen import PRINCIPALS
from meshlab.mutate.written import at, entries, mapping, text, texts_with_paths, values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from meshlab.manifest import Manifest
    from meshlab.mutate.edits import Path
    from meshlab.mutate.mutants import Mutant
    from meshlab.mutate.seen import Seen

__all__ = ["concerns"]

_RULES = ("spec", "rules")
_HTTP = ("spec", "http")
_WIDENED_FIELDS = tuple(
    (field,) for field in ("uri", "method", "authority", "scheme", "headers", "queryParams")
)
"""The fields of a match that mutants only make wider."""


def concerns(mutant: Mutant, beside: Iterable[Manifest] = ()) -> Callable[[Seen], bool]:
    """Return whether a request may end otherwise for a change, by what a changed proxy saw of it.

    Args:
        mutant: The change.
        beside: The objects of the mesh.
    """
    if mutant.kind == "AuthorizationPolicy":
        return cache(_of_policy(mutant))
    if mutant.kind == "VirtualService":
        return cache(_of_routes(mutant, beside))
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
    taken_before = _taken_before(mutant) if action == "ALLOW" and mutant.weakens else frozenset()

    def concerned(seen: Seen) -> bool:
        fits = _may_match(operations, seen) and _may_be_of(principals, seen)
        return fits and seen.denied in (None, mutant.weakens) and taken_before.isdisjoint(seen.token)

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
    return tuple(value for _, value in texts_with_paths(operation, field))


def _may_match(operations: tuple[_Operation, ...], seen: Seen) -> bool:
    if not seen.method or not operations:
        return True
    return any(
        _may_hold(methods, seen.method, _same_text)
        and (not seen.host or _may_hold(hosts, seen.host, _same_host))
        for methods, hosts in operations
    )


def _principals(rule: object) -> tuple[str, ...]:
    """Return whose tokens a rule takes; empty where it also takes others, or that is not sure."""
    sources = [mapping(entry, "source") for _, entry in entries(rule, "from")]
    named = [_all(source, PRINCIPALS) for source in sources]
    if not all(named) or len(named) != len(values(rule, "from")):
        return ()
    return tuple(value for found in named for value in found)


def _taken_before(mutant: Mutant) -> frozenset[tuple[str, str]]:
    """Return what tokens say that a field takes with and without a change of its values; empty where not sure.

    A field that is gone also takes what has no token, or none that was verified.
    """
    edits = mutant.made.edits or ()
    if len(edits) != 1 or edits[0].value is REMOVED:
        return frozenset()
    path, old = edits[0].path, mutant.manifest.body
    if path[6:7] == (PRINCIPALS,):
        key, taken = PRINCIPALS, _all(at(old, *path[:6]), PRINCIPALS)
    elif path[3:4] == ("when",) and path[5:6] == ("values",) and not values(old, *path[:5], "notValues"):
        key, taken = text(old, *path[:5], "key"), _all(at(old, *path[:5]), "values")
    else:
        return frozenset()
    return frozenset((key, value) for value in taken if "*" not in value)


def _may_be_of(principals: tuple[str, ...], seen: Seen) -> bool:
    if seen.principal is None or not principals:
        return True
    return any(_may_be_principal(pattern, seen.principal) for pattern in principals)


def _may_be_principal(pattern: str, principal: str) -> bool:
    if pattern.startswith("*"):
        return principal.endswith(pattern[1:])
    if pattern.endswith("*"):
        return principal.startswith(pattern[:-1])
    return pattern == principal


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


def _of_routes(mutant: Mutant, beside: Iterable[Manifest]) -> Callable[[Seen], bool]:
    bodies: list[Any] = [mutant.manifest.body, mutant.body]
    hosts = [host for body in bodies for _, host in texts_with_paths(body, "spec", "hosts")]
    if not hosts:
        return _anything  # a delegate
    unchanged = _unchanged_routes(mutant)
    if unchanged and any(_share_hosts(mutant.manifest, other) for other in beside):
        unchanged = frozenset()  # routes of one host are joined, and may have the same names

    def concerned(seen: Seen) -> bool:
        if seen.host and not any(_same_host(host, seen.host) for host in hosts):
            return False
        return seen.route not in unchanged

    return concerned


def _unchanged_routes(mutant: Mutant) -> frozenset[str]:
    """Return the names of routes that take with a change what they took without it; empty where that is not sure.

    They are those that are tried before what is changed. Where only a match is widened, its own route is one of them.
    """
    paths = [edit.path for edit in mutant.made.edits or ()]
    if not paths:
        return frozenset()
    first = min(map(_http_index, paths))
    rules = values(mutant.manifest.body, *_HTTP)
    names = [text(rule, "name") for rule in rules]
    if all(_only_widens(path, at(mutant.manifest.body, *path[:3])) for path in paths):
        first += 1
    return frozenset(name for name in names[:first] if name and names.count(name) == 1)


def _only_widens(path: Path, rule: object) -> bool:
    """Return whether a change makes a match take more, and leaves what its route does with a request."""
    if path[:2] != _HTTP or path[3:4] != ("match",) or path[5:6] not in _WIDENED_FIELDS:
        return False
    # What is written in place of the path depends on how it is matched.
    return not mapping(rule, "rewrite") and not mapping(rule, "redirect")


def _http_index(path: Path) -> int:
    """Return the number of the route that a path leads to; 0, before which there is none, for any other path."""
    index = path[2] if path[:2] == _HTTP and len(path) > 2 else 0
    return index if isinstance(index, int) else 0


def _share_hosts(manifest: Manifest, other: Manifest) -> bool:
    """Return whether another VirtualService may have a host of this one."""
    if other is manifest or other.kind != "VirtualService":
        return False
    hosts, others = (
        [host for _, host in texts_with_paths(one.body, "spec", "hosts")] for one in (manifest, other)
    )
    return not others or any(_same_host(a, b) or _same_host(b, a) for a in hosts for b in others)
