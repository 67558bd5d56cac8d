"""One trace id from the publisher to the row, in W3C Trace Context (https://www.w3.org/TR/trace-context/)."""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?P<rest>-.*)?"
)


@dataclass(frozen=True, slots=True)
class Trace:
    """A position in a trace.

    Args:
        trace_id: 32 lower-case hexadecimal digits.
        traceparent: The header that carries it onwards.
    """

    trace_id: str
    traceparent: str


def find(
    extensions: Mapping[str, object],
    attributes: Mapping[str, str],
    random_hex: Callable[[int], str] = secrets.token_hex,
) -> Trace:
    """Takes up the trace a delivery belongs to, or starts one.

    Looks at the CloudEvent's `traceparent` extension, then at the message attributes `googclient_traceparent`
    (written by Pub/Sub's client libraries) and `traceparent`. The first valid one is passed on, in the
    version known here (section 4.3): no span is recorded, so there is no new parent to name.

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
    return next(_valid(candidates), None) or _fresh(random_hex)


def _valid(candidates: Iterable[object]) -> Iterator[Trace]:
    for candidate in candidates:
        found = _TRACEPARENT.fullmatch(candidate) if isinstance(candidate, str) else None
        if found is None or found["version"] == "ff":
            continue
        if found["version"] == "00" and found["rest"]:  # only a later version may have more fields
            continue
        if int(found["trace"], 16) and int(found["parent"], 16):
            yield Trace(found["trace"], f"00-{found['trace']}-{found['parent']}-{found['flags']}")


def _fresh(random_hex: Callable[[int], str]) -> Trace:
    trace_id = random_hex(16)
    # Not sampled: nobody records a span here, so nobody downstream need record one for our sake.
    return Trace(trace_id, f"00-{trace_id}-{random_hex(8)}-00")
