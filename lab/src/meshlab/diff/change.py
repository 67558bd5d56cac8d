"""Kinds of change between two effects of one request."""

from __future__ import annotations

import re
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from meshlab.diff.own_values import CLIENT_CERTIFICATE
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.diff.effect import Arrival, Effect
    from meshlab.diff.own_values import Headers

__all__ = ["Change", "Kind", "change_of"]

_SERVER = re.compile(r"\bBy=[^;,]*;?")
"""The identity of the server in an element of x-forwarded-client-cert."""


class Kind(StrEnum):
    """What changed about a request, the gravest first."""

    NOW_ALLOWED = "now allowed"
    NOW_REFUSED = "now refused"
    ANOTHER_WORKLOAD = "answered by another workload"
    WITHOUT_MTLS = "now without mTLS"
    WITH_MTLS = "now with mTLS"
    REFUSED_DIFFERENTLY = "refused differently"
    REACHES_DIFFERENTLY = "reaches the application differently"
    ANSWERED_DIFFERENTLY = "answered differently"


@dataclass(frozen=True)
class Change:
    """How two effects of one request differ.

    Attributes:
        kind: What changed, the gravest of all that did.
        kinds: Everything that changed, the gravest first.
        details: The parts that changed, one sentence each, such as `the header x-user: absent, now 'alice'`.
    """

    kind: Kind
    kinds: tuple[Kind, ...]
    details: tuple[str, ...] = ()


def change_of(old: Effect, new: Effect) -> Change | None:
    """Return how two effects of one request differ; `None` where they do not, or where one is not known.

    Args:
        old: What became of it before.
        new: What becomes of it now.
    """
    if old.unknown or new.unknown:
        return None
    if old.allowed != new.allowed:
        kind = Kind.NOW_ALLOWED if new.allowed else Kind.NOW_REFUSED
        return Change(kind, (kind,))
    if not new.allowed:
        return _refused_change(old, new)
    found: list[tuple[Kind, str]] = []
    if old.answerer != new.answerer:
        text = f"answered by {old.answerer or 'a host'}, now by {new.answerer or 'a host'}"
        found.append((Kind.ANOTHER_WORKLOAD, text))
    found += (peers := list(_mtls_changes(old, new)))
    before, now = _without_implied(old, new, peers_differ=bool(peers))
    found += ((Kind.REACHES_DIFFERENTLY, text) for text in _arrival_changes(before, now))
    found += ((Kind.ANSWERED_DIFFERENTLY, text) for text in _answer_changes(old, new))
    if not found:
        return None
    kinds = tuple(kind for kind in Kind if any(kind is other for other, _ in found))
    return Change(
        kinds[0], kinds, tuple(text for _, text in sorted(found, key=lambda each: kinds.index(each[0])))
    )


def _refused_change(old: Effect, new: Effect) -> Change | None:
    """Return the change of a request that is refused by both; another policy or reason is none."""
    if old.absent or new.absent:
        return None  # what is not there is refused, too
    details = []
    if old.status != new.status:
        details.append(f"{old.ending}, now {new.ending}")
    if old.answerer != new.answerer:
        details.append(f"by the proxy of {old.answerer or 'none'}, now by that of {new.answerer or 'none'}")
    details += _header_changes("the response header", old.returned, new.returned)
    if old.body != new.body:
        details.append("the proxy's own response has another body")
    kind = Kind.REFUSED_DIFFERENTLY
    return Change(kind, (kind,), tuple(details)) if details else None


def _mtls_changes(old: Effect, new: Effect) -> Iterator[tuple[Kind, str]]:
    before, after = _by_receiver(old), _by_receiver(new)
    for receiver, was in before.items():
        if receiver not in after or after[receiver] == was:
            continue
        now = after[receiver]
        name = receiver or new.answerer
        if not was:
            yield Kind.WITH_MTLS, f"{name} saw no client certificate, now {now}"
        elif not now:
            yield Kind.WITHOUT_MTLS, f"{name} saw {was}, now no client certificate"
        else:
            yield Kind.REACHES_DIFFERENTLY, f"{name} saw {was}, now {now}"


def _by_receiver(effect: Effect) -> dict[str, str]:
    """Return the identity that each receiver saw; the answering workload has no name, so that two can be compared."""
    return {"" if peer.receiver == effect.answerer else peer.receiver: peer.identity for peer in effect.mtls}


def _without_implied(
    old: Effect, new: Effect, *, peers_differ: bool
) -> tuple[Arrival | None, Arrival | None]:
    """Return how a request arrived, without the header on client certificates where it says again what changed.

    It names the client and the server of mutual TLS, so it differs where the peers or the answering workload do.
    """
    both = old.received, new.received
    if both[0] is None or both[1] is None:
        return both
    shown = [[value for name, value in each.headers if name == CLIENT_CERTIFICATE] for each in both if each]
    if old.answerer != new.answerer:
        shown = [[_SERVER.sub("", value) for value in values] for values in shown]
    if not peers_differ and shown[0] != shown[1]:
        return both
    before, now = (
        replace(each, headers=tuple(pair for pair in each.headers if pair[0] != CLIENT_CERTIFICATE))
        for each in both
        if each
    )
    return before, now


def _arrival_changes(old: Arrival | None, new: Arrival | None) -> Iterator[str]:
    if old is None or new is None:
        return  # an application that keeps no record
    for name in ("method", "path", "host", "sni"):
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            yield f"the {name.replace('sni', 'server name')}: {was or 'none'}, now {now or 'none'}"
    yield from _header_changes("the header", old.headers, new.headers)


def _answer_changes(old: Effect, new: Effect) -> Iterator[str]:
    if old.status != new.status:
        yield f"{old.ending}, now {new.ending}"
    yield from _header_changes("the response header", old.returned, new.returned)


def _header_changes(what: str, old: Headers, new: Headers) -> Iterator[str]:
    for name in dict.fromkeys(name for name, _ in (*old, *new)):
        was = [value for key, value in old if key == name]
        now = [value for key, value in new if key == name]
        if was != now:
            yield f"{what} {name}: {_shown(was)}, now {_shown(now)}"


def _shown(values: Sequence[str]) -> str:
    return ", ".join(map(repr, values)) if values else "absent"
