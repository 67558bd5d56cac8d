"""Injected faults of publishing, ordered by a test; none by default. Pure: time is an argument."""

from __future__ import annotations

import math
from collections import Counter

from .errors import InvalidArgumentError, PubSubError


class UnavailableError(PubSubError):
    """The service does not work for now; clients try again."""

    code = "UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("The service was unable to fulfill your request. Please try again. [code=8a75]")


class PublishFaults:
    """The topics to which nothing can be published for now.

    Attributes:
        refused: How many requests were refused so, by topic.
    """

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self._until_s: dict[str, float] = {}

    def order(self, topic: str, seconds: float | None, now_s: float) -> None:
        """Makes publishing to a topic fail, in place of what was ordered for it before.

        Args:
            topic: The full name.
            seconds: How long from now; None until the next order, 0 not any more.
            now_s: The time.

        Raises:
            InvalidArgumentError: `seconds` is no number, or a negative one.
        """
        if seconds is None:
            self._until_s[topic] = math.inf
        elif type(seconds) in (int, float) and 0 <= seconds < math.inf:
            self._until_s[topic] = now_s + seconds
        else:
            raise InvalidArgumentError("seconds must be 0 or more, or null for no end.")

    def check(self, topic: str, now_s: float) -> None:
        """Raises UnavailableError while publishing to the topic is to fail."""
        if now_s < self._until_s.get(topic, 0.0):
            self.refused[topic] += 1
            raise UnavailableError
