"""Which dead letters are redriven, and what is published for them. Pure: nothing here is pulled or published."""

import enum
from dataclasses import dataclass
from datetime import datetime

from enrichment import dead_letter
from enrichment.event import message


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message on the dead-letter topic.

    Args:
        data: The original's bytes.
        attributes: The original's attributes, and those that say why it is here.
        ordering_key: The original's ordering key.
        message_id: Pub/Sub's id of the letter itself.
        published_at: When it was dead-lettered, by Pub/Sub's clock, in UTC.
    """

    data: bytes
    attributes: dict[str, str]
    ordering_key: str
    message_id: str
    published_at: datetime

    @property
    def reason(self) -> str:
        """Why it is here; empty if it is no dead letter of this function."""
        return self.attributes.get(dead_letter.REASON, "")


@dataclass(frozen=True, slots=True)
class Original:
    """What is published for a letter: the message as it once was, with its first identity beside it.

    Args:
        data: Its bytes.
        attributes: Its attributes, and those that name its first publication.
        ordering_key: Its ordering key.
    """

    data: bytes
    attributes: dict[str, str]
    ordering_key: str


class Verdict(enum.StrEnum):
    """What is to become of a letter; the value says so to people."""

    REDRIVE = "to be redriven"
    FOREIGN = "no dead letters of this function"
    OTHER_REASON = "dead-lettered for another reason"
    OTHER_TIME = "dead-lettered at another time"
    LATER = "dead-lettered after this run began"
    NO_MESSAGE = "of deliveries that held no message"
    INCOMPLETE = "without some attributes of the original, for which there was no room"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters to redrive.

    Args:
        began_at: When the run began, in UTC. Letters that are younger are left: an event that fails again would
            otherwise go round and round.
        reasons: The reasons to redrive; empty for all.
        since: Only letters dead-lettered then or later, None for no bound.
        until: Only letters dead-lettered before, None for no bound.
    """

    began_at: datetime
    reasons: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None

    def decide(self, letter: DeadLetter) -> Verdict:
        """Decides on one letter."""
        if not letter.reason:
            return Verdict.FOREIGN
        if letter.published_at > self.began_at:
            return Verdict.LATER
        if self.reasons and letter.reason not in self.reasons:
            return Verdict.OTHER_REASON
        if (self.since and letter.published_at < self.since) or (
            self.until and letter.published_at >= self.until
        ):
            return Verdict.OTHER_TIME
        if not letter.attributes.get(dead_letter.MESSAGE_ID):
            # It holds the raw bytes of a delivery. As the data of a message they would be no event either.
            return Verdict.NO_MESSAGE
        if dead_letter.ATTRIBUTES_DROPPED in letter.attributes:
            # A column may come from an attribute: what is left would make another row than the event itself.
            return Verdict.INCOMPLETE
        return Verdict.REDRIVE


def original(letter: DeadLetter) -> Original:
    """Writes the message to publish for a letter.

    Args:
        letter: A letter found worth redriving.

    Returns:
        The original's bytes, ordering key and attributes, and beside them what `message.read` takes its identity from.
        It is never larger than the letter, and so within Pub/Sub's limits.
    """
    added = (*dead_letter.OUR_ATTRIBUTES, *message.REDRIVE_ATTRIBUTES)
    attributes = {name: value for name, value in letter.attributes.items() if name not in added}
    identity = {
        message.REDRIVE_MESSAGE_ID: letter.attributes[dead_letter.MESSAGE_ID],
        message.REDRIVE_PUBLISH_TIME: letter.attributes.get(dead_letter.PUBLISH_TIME, ""),
        message.REDRIVE_COUNT: str(
            min(_count(letter.attributes.get(dead_letter.REDRIVE_COUNT, "")) + 1, message.MAX_REDRIVES)
        ),
    }
    return Original(letter.data, attributes | identity, letter.ordering_key)


def _count(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= len(str(message.MAX_REDRIVES)) else 0
