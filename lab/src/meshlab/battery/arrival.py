"""How requests arrive at a proxy: what every stage of a way has to know of those before it."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from meshlab.battery.token_rules import Forwarding
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.battery.request_values import Peer

__all__ = ["Arrival"]


@dataclass(frozen=True)
class Arrival:
    """How requests arrive at a proxy.

    Attributes:
        http: Whether requests are judged, rather than connections.
        peer: Who connects, where that is always the same proxy; `None` for the client itself.
        forwarded: Which tokens come here.
        swept: Whether each condition is missed once here.
        depth: How many proxies are before this one.
    """

    http: bool
    peer: Peer | None = None
    forwarded: Forwarding = field(default_factory=Forwarding)
    swept: bool = True
    depth: int = field(default=0, compare=False)
