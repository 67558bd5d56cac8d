"""Rules by which a subscription delivers its messages: plain values, no protobuf and no clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential delays between two bounds, in seconds."""

    minimum_s: float
    maximum_s: float

    def delay_s(self, failures: int) -> float:
        """Return the wait after the `failures`-th failure: the minimum, then twice that, and so on."""
        # The exponent is capped because a message may fail for days and 2.0 ** 1024 overflows.
        return min(self.minimum_s * 2.0 ** min(failures - 1, 64), self.maximum_s)


PUSH_BACKOFF = Backoff(0.1, 60.0)
"""What push uses without a retry policy (https://cloud.google.com/pubsub/docs/push#push_backoff)."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Where a message goes once it has been delivered `max_attempts` times in vain."""

    topic: str
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """A push whose body is the message's data (https://cloud.google.com/pubsub/docs/payload-unwrapping).

    Attributes:
        write_metadata: Whether the message's id, time, ordering key and attributes come as headers.
    """

    write_metadata: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings of a subscription that decide how its messages are delivered.

    Attributes:
        ack_deadline_s: Seconds a consumer has to acknowledge; for push also the request's timeout.
        retry: The retry policy, or None for redelivery at once.
        dead_letter: The dead-letter policy, or None.
        push_endpoint: The URL to push to, or None for a pull subscription.
        unwrapped: How a push without Pub/Sub's own body looks, or None for one with it.
        ordering: Whether the messages of one ordering key go out in order.
        exactly_once: Whether acknowledgements are confirmed one by one, and fail once their lease has ended.
    """

    ack_deadline_s: float = 10.0
    retry: Backoff | None = None
    dead_letter: DeadLetter | None = None
    push_endpoint: str | None = None
    unwrapped: Unwrapped | None = None
    ordering: bool = False
    exactly_once: bool = False

    @property
    def push_pause(self) -> Backoff:
        """How long to leave an endpoint alone that answers nothing but failures.

        With a retry policy the service delays each message by that alone. A short pause remains: under a retry
        policy of zero, an endpoint that is down would else be called in a busy loop.
        """
        return PUSH_BACKOFF if self.retry is None else Backoff(PUSH_BACKOFF.minimum_s, PUSH_BACKOFF.minimum_s)

    def redelivery_delay_s(self, failures: int) -> float:
        """Return how long a message rests after its `failures`-th nack or missed deadline, in seconds."""
        if self.retry is not None:
            return self.retry.delay_s(failures)
        return PUSH_BACKOFF.delay_s(failures) if self.push_endpoint else 0.0
