"""Choice of the dead letters to redrive, and the message to publish for each. Pure."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from enrichment import dead_letter
from enrichment.documents.instant import parse_rfc3339, rfc3339, to_utc
from enrichment.event import message
from enrichment.redrive import undelivered


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message on a dead-letter topic: the function's own, or that of Pub/Sub's dead-letter policy.

    Args:
        data: The original's bytes.
        attributes: The original's attributes, and those that say why it is here.
        ordering_key: The original's ordering key.
        message_id: Pub/Sub's id of the dead letter itself.
        published_at: When it was dead-lettered, by Pub/Sub's clock, in UTC.
    """

    data: bytes
    attributes: dict[str, str]
    ordering_key: str
    message_id: str
    published_at: datetime

    @property
    def key(self) -> str:
        """Name of the dead letter in a journal.

        The publish time is part of it because an emulator counts its message ids from 1 again after each start.
        """
        return f"{self.message_id}@{self.published_at.timestamp():.6f}"

    @property
    def is_undelivered(self) -> bool:
        """Whether Pub/Sub gave up delivering it, and the function wrote no reason."""
        return dead_letter.REASON not in self.attributes and undelivered.is_undelivered(self.attributes)

    @property
    def reason(self) -> str:
        """Why it is here; empty if it is no dead letter."""
        return undelivered.REASON if self.is_undelivered else self.attributes.get(dead_letter.REASON, "")

    @property
    def function(self) -> str:
        """Name of the function that wrote it; empty if unknown."""
        return self.attributes.get(dead_letter.FUNCTION, "")

    @property
    def original_id(self) -> str:
        """The message id that its event has in the table, once it is redriven."""
        if not self.is_undelivered:
            return self.attributes.get(dead_letter.MESSAGE_ID, "")
        return self.attributes.get(message.REDRIVE_MESSAGE_ID, "") or self.message_id


@dataclass(frozen=True, slots=True)
class Original:
    """The message to publish for a dead letter: as it was, with its first identity beside it.

    Args:
        data: Its bytes.
        attributes: Its attributes, and those that name its first publication.
        ordering_key: Its ordering key.
    """

    data: bytes
    attributes: dict[str, str]
    ordering_key: str


class Verdict(enum.StrEnum):
    """What happens to a dead letter; the value says so to people."""

    REDRIVE = "to be redriven"
    FOREIGN = "not a dead letter of such a function"
    OTHER_FUNCTION = "written by another function"
    UNNAMED_FUNCTION = "written by a function that was not asked for by name"
    OTHER_SUBSCRIPTION = "undelivered by a subscription of another topic"
    UNKNOWN_SUBSCRIPTION = "undelivered by a subscription that does not exist or cannot be seen"
    OTHER_REASON = "dead-lettered for another reason"
    OTHER_TIME = "dead-lettered at another time"
    LATER = "dead-lettered after this run began"
    NO_MESSAGE = "of deliveries that held no message"
    INCOMPLETE = "without some attributes of the original, which Pub/Sub did not take"
    IN_DOUBT = "possibly published by an earlier run that was killed"


CANNOT_BE_REDRIVEN = (Verdict.NO_MESSAGE, Verdict.INCOMPLETE)
"""What was asked for and no run can redrive."""

NEEDS_AN_ANSWER = (Verdict.UNNAMED_FUNCTION, Verdict.UNKNOWN_SUBSCRIPTION, Verdict.IN_DOUBT)
"""What a further option decides."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters to redrive.

    Args:
        began_at: When the run began, in UTC, or when the newest of the first pull was dead-lettered, if that is later.
            Younger dead letters are left, because an event that fails again would otherwise be redriven without end.
        topic: The topic that events are published to.
        reasons: The reasons to redrive; empty for all.
        since: Only what was dead-lettered then or later, None for no bound.
        until: Only what was dead-lettered before, None for no bound.
        function: Only what this function wrote; empty if none was named.
        any_function: Whether to take what any function wrote and any subscription could not deliver.
        topics: The topic of each subscription that could not deliver something, empty if it cannot be seen.
    """

    began_at: datetime
    topic: str = ""
    reasons: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    function: str = ""
    any_function: bool = False
    topics: Mapping[str, str] = field(default_factory=dict)

    def decide(self, found: DeadLetter) -> Verdict:
        """Return what to do with one dead letter."""
        if not found.reason:
            return Verdict.FOREIGN
        if found.published_at > self.began_at:
            return Verdict.LATER
        if self.reasons and found.reason not in self.reasons:
            return Verdict.OTHER_REASON
        if (self.since and found.published_at < self.since) or (
            self.until and found.published_at >= self.until
        ):
            return Verdict.OTHER_TIME
        if not self.any_function and (owner := self._owner(found)) is not Verdict.REDRIVE:
            return owner
        if found.is_undelivered:
            return Verdict.REDRIVE
        if not found.attributes.get(dead_letter.MESSAGE_ID):
            # Its data are the raw bytes of a delivery. As the data of a message they would be no event either.
            return Verdict.NO_MESSAGE
        if dead_letter.ATTRIBUTES_DROPPED in found.attributes:
            # A column may come from an attribute, so the row could differ from that of the event itself.
            return Verdict.INCOMPLETE
        return Verdict.REDRIVE

    def _owner(self, found: DeadLetter) -> Verdict:
        """Return REDRIVE if the dead letter belongs to what is redriven, else why it is left."""
        if found.is_undelivered:
            topic = self.topics.get(undelivered.source_subscription(found.attributes), "")
            if not topic:
                return Verdict.UNKNOWN_SUBSCRIPTION
            return Verdict.REDRIVE if topic == self.topic else Verdict.OTHER_SUBSCRIPTION
        if not self.function or not found.function:
            return Verdict.UNNAMED_FUNCTION
        return Verdict.REDRIVE if found.function == self.function else Verdict.OTHER_FUNCTION


def original(found: DeadLetter) -> Original:
    """Return the message to publish for a dead letter.

    Args:
        found: A dead letter whose verdict is REDRIVE.

    Returns:
        The original's bytes, ordering key and attributes, and beside them what `message.read` takes its identity from.
        It is never larger than the dead letter, and so within Pub/Sub's limits.
    """
    identity = _identity_of_undelivered(found) if found.is_undelivered else _identity(found)
    added = {*dead_letter.OUR_ATTRIBUTES, *message.REDRIVE_ATTRIBUTES}
    attributes = {
        name: value
        for name, value in found.attributes.items()
        if name not in added and not (found.is_undelivered and name.startswith(undelivered.PREFIX))
    }
    return Original(found.data, attributes | identity, found.ordering_key)


def _identity(found: DeadLetter) -> dict[str, str]:
    return {
        message.REDRIVE_MESSAGE_ID: found.attributes[dead_letter.MESSAGE_ID],
        message.REDRIVE_PUBLISH_TIME: found.attributes.get(dead_letter.PUBLISH_TIME, ""),
        message.REDRIVE_COUNT: _next(found.attributes.get(dead_letter.REDRIVE_COUNT, "")),
    }


def _identity_of_undelivered(found: DeadLetter) -> dict[str, str]:
    """Return the identity of a message that Pub/Sub gave up.

    Pub/Sub keeps the original's publish time and not its message id, so the id is that of the dead letter. A message
    that had been redriven before has its first identity among its attributes.
    """
    before = {name: found.attributes.get(name, "") for name in message.REDRIVE_ATTRIBUTES}
    if all(before.values()):
        return before | {message.REDRIVE_COUNT: _next(before[message.REDRIVE_COUNT])}
    return {
        message.REDRIVE_MESSAGE_ID: found.message_id,
        message.REDRIVE_PUBLISH_TIME: _publish_time(found),
        message.REDRIVE_COUNT: "1",
    }


def _publish_time(found: DeadLetter) -> str:
    try:
        return rfc3339(parse_rfc3339(found.attributes.get(undelivered.PUBLISH_TIME, "")))
    except ValueError:  # it is not what Pub/Sub writes, and the dead letter's own time is the next best
        return rfc3339(to_utc(found.published_at))


def _next(count: str) -> str:
    known = int(count) if count.isdecimal() and len(count) <= len(str(message.MAX_REDRIVES)) else 0
    return str(min(known + 1, message.MAX_REDRIVES))
