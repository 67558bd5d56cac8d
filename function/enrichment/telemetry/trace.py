"""One trace id from the publisher to the row, in W3C Trace Context (https://www.w3.org/TR/trace-context/)."""

import random
import re
from collections.abc import Callable, Iterable, Mapping

import msgspec

_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?P<rest>-.*)?"
)
# https://cloud.google.com/trace/docs/trace-context#legacy-http-header: the span in decimal, span and options optional.
_CLOUD_TRACE = re.compile(
    r"(?P<trace>[0-9a-f]{32})(?:/(?P<span>[0-9]{1,20}))?(?:;o=(?P<options>[0-9]))?", re.ASCII
)
_SPAN_ID_MAX = 2**64 - 1
_SAMPLED = 0x01


def _random_hex(size: int) -> str:
    """Return twice as many random hexadecimal digits.

    An id of a trace must be unique and need not be secret, so the kernel is not asked for each. A forked process gets
    a new seed.
    """
    return f"{random.getrandbits(8 * size):0{2 * size}x}"


class Trace(msgspec.Struct, frozen=True):
    """A position in a trace.

    Args:
        trace_id: 32 lower-case hexadecimal digits.
        traceparent: The header that carries it onwards, version 00.
        new: Whether the trace began here, since no caller named one. No span has its span id then.
    """

    trace_id: str
    traceparent: str
    new: bool = False

    @property
    def span_id(self) -> str:
        """The span that the header names: 16 lower-case hexadecimal digits."""
        return self.traceparent[36:52]

    @property
    def flags(self) -> int:
        """The header's flags, a byte."""
        return int(self.traceparent[53:55], 16)

    @property
    def sampled(self) -> bool:
        """Whether a caller may have recorded the trace (section 3.2.2.5.1)."""
        return bool(self.flags & _SAMPLED)


def find(
    extensions: Mapping[str, object],
    attributes: Mapping[str, str],
    random_hex: Callable[[int], str] = _random_hex,
) -> Trace:
    """Find the trace a delivery belongs to, or start one.

    Looks at the CloudEvent's `traceparent` extension, then at the message attributes `googclient_traceparent`
    (written by Pub/Sub's client libraries) and `traceparent`. The first valid one is passed on, in the
    version known here (section 4.3).

    Args:
        extensions: The CloudEvent's attributes and extensions.
        attributes: The message's attributes.
        random_hex: Gives twice as many random hexadecimal digits as its argument.

    Returns:
        The trace.
    """
    candidates = (
        extensions.get("traceparent"), attributes.get("googclient_traceparent"), attributes.get("traceparent")
    )  # fmt: skip
    return _first_valid(candidates) or _fresh(random_hex)


def of_request(headers: Mapping[str, str], random_hex: Callable[[int], str] = _random_hex) -> Trace:
    """Find the trace an HTTP request belongs to, or start one.

    Looks at `traceparent`, then at `X-Cloud-Trace-Context`, which Google's front ends write on every request
    (https://cloud.google.com/trace/docs/trace-context#legacy-http-header): `TRACE_ID/SPAN_ID;o=OPTIONS`.

    Args:
        headers: The request's headers; either the mapping ignores case or its names are lower-case.
        random_hex: Gives twice as many random hexadecimal digits as its argument.

    Returns:
        The trace.
    """
    found = _first_valid([headers.get("traceparent")])
    return (
        found or _of_cloud_trace(headers.get("x-cloud-trace-context", ""), random_hex) or _fresh(random_hex)
    )


def _first_valid(candidates: Iterable[object]) -> Trace | None:
    for candidate in candidates:
        found = _TRACEPARENT.fullmatch(candidate) if isinstance(candidate, str) else None
        if found is None or found["version"] == "ff":
            continue
        if found["version"] == "00" and found["rest"]:  # only a later version may have more fields
            continue
        if int(found["trace"], 16) and int(found["parent"], 16):
            return Trace(found["trace"], f"00-{found['trace']}-{found['parent']}-{found['flags']}")
    return None


def _of_cloud_trace(value: str, random_hex: Callable[[int], str]) -> Trace | None:
    found = _CLOUD_TRACE.fullmatch(value)
    if found is None or not int(found["trace"], 16):
        return None
    span = int(found["span"] or 0)
    if span > _SPAN_ID_MAX:
        return None
    # 0 stands for "no span": the trace goes on, and its header needs some span to name.
    span_id = f"{span:016x}" if span else random_hex(8)
    return Trace(found["trace"], f"00-{found['trace']}-{span_id}-{int(found['options'] or 0) & _SAMPLED:02x}")


def _fresh(random_hex: Callable[[int], str]) -> Trace:
    digits = random_hex(16 + 8)  # at once: each call asks the kernel
    trace_id = digits[:32]
    # Not sampled: no span of it was recorded, so the next service need not record one either.
    return Trace(trace_id, f"00-{trace_id}-{digits[32:]}-00", new=True)
