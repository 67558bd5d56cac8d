"""Profiles as the service in the mesh gives them, and how lookups were answered.

They are Structs of msgspec, which are made for each event in a quarter of the time of a frozen dataclass.
"""

import enum
from collections.abc import Mapping

import msgspec


class Profile(msgspec.Struct, frozen=True):
    """A profile.

    Args:
        text: The service's answer as it came, JSON.
        document: The same, parsed: an object.
    """

    text: str
    document: Mapping[str, object]


class CacheEvent(enum.StrEnum):
    """How a lookup was answered. The value is its name in logs and counters."""

    HIT = "hit"
    NEGATIVE_HIT = "negative_hit"
    STALE = "stale"
    SHARED = "shared"
    FETCHED = "fetched"
    SKIPPED = "skipped"
    NO_KEY = "no_key"


class LookupResult(msgspec.Struct, frozen=True):
    """What a lookup found.

    Args:
        profile: The profile, or None where the service does not know the key.
        event: Where the answer came from: remembered (`hit`), remembered to be unknown (`negative_hit`), too old but
            all there is while the service is unavailable (`stale`), another event's lookup of the same key (`shared`),
            or a lookup of its own (`fetched`). Nothing was looked up where the condition is not true of the event
            (`skipped`), or where it has no key (`no_key`).
    """

    profile: Profile | None
    event: CacheEvent
