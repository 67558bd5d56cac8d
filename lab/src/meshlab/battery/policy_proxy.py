"""The proxy that rules of policies are read for."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshlab.battery.request_values import Peer, Token
    from meshlab.istio.read.request_authentication import JwtRule

__all__ = ["PolicyProxy"]


@dataclass(frozen=True)
class PolicyProxy:
    """The proxy that a rule is for.

    Attributes:
        port: The pod's port.
        http: Whether requests are judged, rather than connections.
        trust_domains: The mesh's trust domain, then its aliases.
        token_rules: The rules that verify tokens here.
        forwarded: Whether a token that an earlier proxy verified comes here.
        token_way: What decides about that, as a text.
        peer: Who connects, where that is always the same proxy; `None` for the client itself.
        unread: Receives what is not asked about.
    """

    port: int
    http: bool
    trust_domains: tuple[str, ...]
    token_rules: tuple[JwtRule, ...] = ()
    forwarded: Callable[[Token], bool] = field(default=lambda _: True, compare=False)
    token_way: str = ""
    peer: Peer | None = None
    unread: dict[str, None] = field(default_factory=dict, compare=False)
