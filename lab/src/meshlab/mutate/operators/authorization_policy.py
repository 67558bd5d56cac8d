"""Changes of an AuthorizationPolicy: every rule, field, value and condition, and what it hangs at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshlab.mutate.edits import gone, removed, replaced
from meshlab.mutate.operators.policy_attachment import attachment
from meshlab.mutate.operators.wider import any_value, narrower, wider
from meshlab.mutate.written import at, entries, mapping, several, text, texts_with_paths, values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.mutate.edits import Body, Change, Path

__all__ = ["authorization_policy"]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def authorization_policy(body: Body) -> Iterator[Change]:
    """Yield the changes of an AuthorizationPolicy.

    A condition of an ALLOW rule keeps requests out, and one of a DENY or CUSTOM rule lets them by: what widens the one
    narrows the other. AUDIT decides nothing.
    """
    action = text(body, "spec", "action") or "ALLOW"
    if action == "AUDIT":
        return
    allows = action == "ALLOW"
    yield gone()
    # A workload that the last ALLOW policy leaves is open, and one that gets its first lets in what its rules say.
    yield from attachment(body, narrower_weakens=True, wider_weakens=allows)
    if allows and at(body, "spec", "rules") in (None, []):
        yield replaced(("spec", "rules"), [{}], "every request", weakens=True)
        return
    for place, rule in entries(body, "spec", "rules"):
        if allows or several(body, "spec", "rules"):
            yield removed(place, weakens=not allows)
        yield from _rule(body, place, rule, allows=allows)


def _rule(body: Body, here: Path, rule: Mapping[str, Any], *, allows: bool) -> Iterator[Change]:
    for part in ("from", "to", "when"):
        if part in rule:
            yield removed((*here, part), weakens=allows)
    for part, inner in (("from", "source"), ("to", "operation")):
        for place, _ in entries(body, *here, part):
            yield from _fields(body, (*place, inner), allows=allows)
            if several(body, *here, part):
                yield removed(place, weakens=not allows)
    for place, condition in entries(body, *here, "when"):
        key = text(condition, "key")
        yield removed(place, f"{key} removed", weakens=allows)
        for name, negative in (("values", False), ("notValues", True)):
            yield from _values(body, (*place, name), key, allows=allows, negative=negative)
            if negative and name in condition and "values" in condition:
                yield removed((*place, name), weakens=allows)


def _fields(body: Body, place: Path, *, allows: bool) -> Iterator[Change]:
    found = mapping(body, *place)
    for name in found:
        if len(found) > 1:
            yield removed((*place, name), weakens=allows)
        negative = name.startswith("not")
        field = name[3:4].lower() + name[4:] if negative else name
        yield from _values(body, (*place, name), field, allows=allows, negative=negative)


def _values(body: Body, place: Path, name: str, *, allows: bool, negative: bool) -> Iterator[Change]:
    """Yield the changes of a list of values; `name` is the field or the key of a condition that they are for."""
    opens = allows is not negative  # whether more values let more in
    for here, value in texts_with_paths(body, *place):
        if several(body, *place):
            yield removed(here, f"{value} removed", weakens=not opens)
        # Of what shall not match, only the way that lets more in is worth a request.
        for other in wider(name, value) if opens or not negative else ():
            yield replaced(here, other, f"{value} becomes {other}", weakens=opens)
        for other in () if opens else narrower(name, value):
            yield replaced(here, other, f"{value} becomes {other}", weakens=True)
    if negative:
        return
    known = list(values(body, *place))
    if name == "methods":
        for method in _METHODS:
            if known and method not in known:
                yield replaced(place, [*known, method], f"{method} added", weakens=allows)
    elif known and (widest := any_value(name)) and widest not in known:
        yield replaced(place, [*known, widest], "any value", weakens=allows)
