"""Changes of what policies hang at: labels of workloads, or objects of the Gateway API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.mutate.edits import ANOTHER, removed, replaced
from meshlab.mutate.written import entries, mapping, several, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.mutate.edits import Body, Change, Path

__all__ = ["attachment", "labels"]


def attachment(body: Body, *, narrower_weakens: bool, wider_weakens: bool) -> Iterator[Change]:
    """Yield the changes of `selector`, `targetRef` and `targetRefs`.

    Args:
        body: The object.
        narrower_weakens: Whether something is let in where the policy reaches fewer workloads.
        wider_weakens: Whether something is let in where it reaches more.
    """
    yield from labels(
        body,
        ("spec", "selector"),
        ("matchLabels",),
        narrower_weakens=narrower_weakens,
        wider_weakens=wider_weakens,
    )
    if name := text(body, "spec", "targetRef", "name"):
        place: Path = ("spec", "targetRef", "name")
        yield replaced(place, f"{name}-{ANOTHER}", "reaches nothing", weakens=narrower_weakens)
    for place, target in entries(body, "spec", "targetRefs"):
        if several(body, "spec", "targetRefs"):
            yield removed(place, weakens=narrower_weakens)
        elif name := text(target, "name"):
            yield replaced((*place, "name"), f"{name}-{ANOTHER}", "reaches nothing", weakens=narrower_weakens)


def labels(
    body: Body, holder: Path, inner: Path, *, narrower_weakens: bool, wider_weakens: bool
) -> Iterator[Change]:
    """Yield the changes of a selector: `holder` is the whole of it, `inner` its labels."""
    found = mapping(body, *holder, *inner)
    for label, value in found.items():
        place: Path = (*holder, *inner, label)
        yield replaced(place, f"{value}-{ANOTHER}", "selects nothing", weakens=narrower_weakens)
        if len(found) > 1:
            yield removed(place, weakens=wider_weakens)
    if found:
        yield removed(holder, "every workload", weakens=wider_weakens)
