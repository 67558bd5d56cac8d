"""Changes of a PeerAuthentication: every mode, and what it hangs at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.mutate.edits import gone, removed, replaced
from meshlab.mutate.operators.policy_attachment import attachment
from meshlab.mutate.written import mapping, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.mutate.edits import Body, Change, Path

__all__ = ["peer_authentication"]

_WEAK = ("PERMISSIVE", "DISABLE")
_STRICT = "STRICT"


def peer_authentication(body: Body) -> Iterator[Change]:
    """Yield the changes of a PeerAuthentication."""
    yield gone()
    yield from attachment(body, narrower_weakens=True, wider_weakens=True)
    yield from _modes(body, ("spec", "mtls", "mode"))
    if text(body, "spec", "mtls", "mode") and mapping(body, "spec", "selector"):
        yield removed(("spec", "mtls"), "inherited", weakens=True)
    for port in mapping(body, "spec", "portLevelMtls"):
        place: Path = ("spec", "portLevelMtls", port)
        yield removed(place, weakens=True)
        yield from _modes(body, (*place, "mode"))


def _modes(body: Body, place: Path) -> Iterator[Change]:
    mode = text(body, *place)
    for weak in _WEAK:
        if mode != weak:
            yield replaced(place, weak, weak, weakens=True)
    if mode in _WEAK:
        yield replaced(place, _STRICT, _STRICT, weakens=False)
