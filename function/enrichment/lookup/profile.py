"""A profile, as the service in the mesh gives it."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile.

    Args:
        text: The service's answer as it came, JSON.
        document: The same, parsed: an object.
    """

    text: str
    document: Mapping[str, object]


class CacheEvent(enum.StrEnum):
    """How a lookup was answered; the value names it in logs and counters."""

    HIT = "hit"
    NEGATIVE_HIT = "negative_hit"
    STALE = "stale"
    SHARED = "shared"
    FETCHED = "fetched"


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What a lookup found.

    Args:
        profile: The profile, or None where the service does not know the key.
        event: Where the answer came from: remembered, remembered to be unknown, too old but all there is while the
            service is unavailable, another event's lookup of the same key, or a lookup of its own.
    """

    profile: Profile | None
    event: CacheEvent
