"""Facts about one delivery, as far as they are known."""

from typing import TYPE_CHECKING

import msgspec

from enrichment.telemetry.trace import Trace

if TYPE_CHECKING:
    from enrichment.event import Event
    from enrichment.event.message import Message


class Delivery(msgspec.Struct):
    """What is known of one delivery so far: enough to name it wherever it stops.

    Args:
        trace: The trace it belongs to.
        started_at: When it arrived, on the monotonic clock, in seconds.
        message: The message, once it is read.
        event: The event, once it is decoded.
        cache: How the lookup was answered; where there are several, each by its name. None before they ended.
        lookup_s: How long the lookups took, in seconds; None before they ended.
        write_s: How long the row took to become durable, in seconds; None before it did.
    """

    trace: Trace
    started_at: float
    message: "Message | None" = None
    event: "Event | None" = None
    cache: str | dict[str, str] | None = None
    lookup_s: float | None = None
    write_s: float | None = None
