"""Which lines of a proxy's evidence are about one request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from meshlab.bench.evidence.line import EvidenceLine

__all__ = ["CLOCK_S", "SelectLines", "choose", "own_connection", "shared_connection"]

# Envoy cuts off parts of a microsecond. Within more time a port could have been another connection's.
CLOCK_S = 0.0001

Lines: TypeAlias = list[EvidenceLine]
SelectLines: TypeAlias = Callable[[Lines], Lines]
"""Selects those of a proxy's lines about connections with the same two ends that a request may be of."""


def shared_connection(began: float) -> SelectLines:
    """Return what selects the lines about a connection that other requests use, too.

    Args:
        began: When the request began, in seconds since the epoch. The connection may be older, but was open since then.
    """
    return lambda lines: [line for line in lines if not line.start or line.end >= began - CLOCK_S]


def own_connection(began: float, over: float, *, first: bool, answered: bool) -> tuple[SelectLines, ...]:
    """Return what selects the lines about a connection that is of one request alone, the likeliest first.

    The system gives a port again, so other connections may have had the same two ends before and after.

    Args:
        began: When the client, or the proxy before, began, in seconds since the epoch.
        over: When it was done.
        first: Whether the connection is the client's own.
        answered: Whether an answer came back.
    """

    def since(lines: Lines) -> Lines:
        return [line for line in lines if not line.start or line.start >= began - CLOCK_S]

    def opened_then(lines: Lines) -> Lines:
        return [line for line in since(lines) if line.start <= over + CLOCK_S]

    # A TCP proxy that opens connections for several clients gives each client the one that is ready first.
    def opened_before(lines: Lines) -> Lines:
        before = [line for line in lines if line.start < began]
        over_at = {line.start: line.end for line in before if not line.connected}
        still_open = [line for line in before if over_at.get(line.start, line.end) >= began]
        last = max((line.start for line in still_open), default=0.0)
        return [line for line in still_open if line.start == last]

    # A proxy may accept a connection after its client has gone, but before any other one with these ends.
    def opened_next(lines: Lines) -> Lines:
        next_one = min(since(lines), key=lambda line: line.start, default=None)
        return [line for line in since(lines) if next_one and line.start <= next_one.end]

    selects = [opened_then]
    if not first:
        selects.append(opened_before)
    if not answered:
        selects.append(opened_next)

    def any_of_them(lines: Lines) -> Lines:
        return next((found for select in selects if (found := select(lines))), [])

    return (any_of_them,) if first else (opened_then, any_of_them)


def choose(lines: Lines, mark: str, *, first: bool, ended: bool) -> EvidenceLine | None:
    """Return the line that says what a proxy did with a request, `None` while it may still come.

    A connection between proxies carries many requests, distinguished by their marks, and may stay open long after this
    one. The line of a connection that was proxied as TCP is preferred, because it says the most.

    Args:
        lines: The proxy's lines about one connection.
        mark: The request's mark.
        first: Whether the connection is the client's own, which the client has closed.
        ended: Whether the connection must have ended.
    """
    # Of a request that could not be read there is no mark.
    marks = (mark, "") if first else (mark,)
    requests = [line for line in lines if line.scope == "http" and line.mark in marks]
    ends = [line for line in lines if line.scope == "tcp" and not line.connected]
    begins = [line for line in lines if line.scope == "tcp" and line.connected]
    closed = [line for line in lines if line.scope == "connection"]
    if requests or ends:
        return (requests or ends)[-1]
    # An older connection under the same address may have ended, while the line of a request that was answered comes.
    if closed and ended:
        return closed[-1]
    return begins[-1] if begins and not (first or ended) else None
