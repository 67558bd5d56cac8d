"""Cache of the service's answers, bounded in time and memory. It has no clock and never waits."""

import sys
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

import msgspec

from enrichment.lookup.profile import Profile
from enrichment.settings.lookup_rules import CacheLimits

K = TypeVar("K", bound=Hashable)

# Bytes that CPython takes for JSON's values; see `size_bytes`.
_PER_ENTRY = 640
_PER_OBJECT = 256
_PER_ARRAY = 160
_PER_MEMBER = 128
_PER_ITEM = 72


class Entry(msgspec.Struct, frozen=True):
    """A remembered answer.

    Args:
        profile: The profile, or None where the service does not know the key.
        fresh_until_s: Until when it stands for the service's answer.
        usable_until_s: Until when it may be used while the service is unavailable.
        size_bytes: What it is taken to weigh.
    """

    profile: Profile | None
    fresh_until_s: float
    usable_until_s: float
    size_bytes: int


class Cache(Generic[K]):
    """Remembers answers, the most recently used ones if not all fit.

    An entry is fresh first, then stale, then gone. That the service does not know a key has no stale phase: it
    ends an event for good, which an answer that is too old must not do. All keys live equally long, without
    jitter: those that expire together are looked up once each, and no more at a time than the throttle lets.

    Args:
        limits: How long and how much.
    """

    def __init__(self, limits: CacheLimits) -> None:
        self._limits = limits
        self._entries: OrderedDict[K, Entry] = OrderedDict()
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        """What all entries are taken to weigh."""
        return self._size_bytes

    def get(self, key: K, now_s: float) -> Entry | None:
        """Return the entry of a key, fresh or stale; `fresh_until_s > now_s` says which.

        Args:
            key: What was looked up.
            now_s: The monotonic time, in seconds.
        """
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.usable_until_s <= now_s:
            self.drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def put_found(self, key: K, profile: Profile, now_s: float) -> None:
        """Keep a profile in the place of what was known of the key, unless it is too large to keep.

        Args:
            key: What was looked up.
            profile: What was found.
            now_s: The monotonic time, in seconds.
        """
        limits = self._limits
        fresh_until_s = now_s + limits.ttl_s
        usable_until_s = fresh_until_s + (limits.stale_if_error_s if limits.ttl_s > 0 else 0)
        self._put(key, Entry(profile, fresh_until_s, usable_until_s, size_bytes(key, profile)), now_s)

    def put_missing(self, key: K, now_s: float) -> None:
        """Keep that the service does not know a key, in the place of what was known of it.

        Args:
            key: What was looked up.
            now_s: The monotonic time, in seconds.
        """
        until_s = now_s + self._limits.negative_ttl_s
        self._put(key, Entry(None, until_s, until_s, size_bytes(key, None)), now_s)

    def drop(self, key: K) -> None:
        """Forget a key."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size_bytes -= entry.size_bytes

    def _put(self, key: K, entry: Entry, now_s: float) -> None:
        self.drop(key)
        limits = self._limits
        # What would not fit even alone would only throw the others out first.
        if entry.usable_until_s <= now_s or entry.size_bytes > limits.max_bytes or limits.max_entries < 1:
            return
        self._entries[key] = entry
        self._size_bytes += entry.size_bytes
        while self._size_bytes > limits.max_bytes or len(self._entries) > limits.max_entries:
            _, oldest = self._entries.popitem(last=False)
            self._size_bytes -= oldest.size_bytes


def size_bytes(key: object, profile: Profile | None) -> int:
    """Estimate what an entry weighs in CPython, text and parsed document together.

    Count the characters that JSON's structure is made of instead of walking the document, which for a large one
    would hold up every other event. The weights are those of CPython's objects at their worst, and the same
    characters within strings are counted as well, so the estimate errs upwards: for the profiles in the tests it
    is no less than what `tracemalloc` sees, and no more than three times that.

    Args:
        key: The key.
        profile: What is remembered of it.
    """
    size = _PER_ENTRY + _key_bytes(key)
    if profile is None:
        return size
    text = profile.text
    text_bytes = sys.getsizeof(text)
    # The strings of the document hold no more than the text does, unless an escape stands for a wide character:
    # that makes every character of its string as wide.
    strings_bytes = text_bytes * 4 if "\\u" in text else text_bytes
    return (
        size
        + text_bytes
        + strings_bytes
        + text.count("{") * _PER_OBJECT
        + text.count("[") * _PER_ARRAY
        + text.count(":") * _PER_MEMBER
        + text.count(",") * _PER_ITEM
    )


def _key_bytes(key: object) -> int:
    size = sys.getsizeof(key)
    return size + sum(map(_key_bytes, key)) if isinstance(key, tuple) else size
