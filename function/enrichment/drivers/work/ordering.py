"""Order of messages of one key. Pure."""

from collections import deque

from enrichment.drivers.work.leased_message import LeasedMessage


class OrderingKeys:
    """Messages of each ordering key, one after the other.

    A key is *busy* while one of its messages is under way, and *closed* from the failure of one until Pub/Sub has
    confirmed that it will deliver it again. What comes for a closed key would overtake it, so it is nacked.
    See https://cloud.google.com/pubsub/docs/ordering.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[LeasedMessage]] = {}
        self._closed: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def is_closed(self, key: str) -> bool:
        """Return whether messages of the key are to be nacked."""
        return key in self._closed

    def enter(self, leased: LeasedMessage) -> bool:
        """Note a message of a key that is not closed; return whether it may begin now, or waits for those before it."""
        waiting = self._waiting.get(leased.ordering_key)
        if waiting is None:
            self._waiting[leased.ordering_key] = deque()
            return True
        waiting.append(leased)
        return False

    def has_waiting(self, leased: LeasedMessage) -> bool:
        """Return whether a message waits for one before it."""
        return leased in self._waiting.get(leased.ordering_key, ())

    def ended(self, key: str) -> LeasedMessage | None:
        """Note that the message under way has ended well; return the next one of its key, which is under way then."""
        waiting = self._waiting[key]
        if waiting:
            return waiting.popleft()
        del self._waiting[key]
        return None

    def close(self, key: str) -> list[LeasedMessage]:
        """Note that the message under way has failed; return those that waited for it, in their order.

        Each call needs one of `open`.
        """
        following = self.cut(key)
        del self._waiting[key]
        return following

    def cut(self, key: str) -> list[LeasedMessage]:
        """Close a key whose message under way goes on; return those that waited for it, in their order.

        Each call needs one of `open`.
        """
        self._closed[key] = self._closed.get(key, 0) + 1
        waiting = self._waiting[key]
        self._waiting[key] = deque()
        return list(waiting)

    def open(self, key: str) -> None:
        """Note that Pub/Sub knows of the failure, so that what comes from now on is in order again."""
        left = self._closed[key] - 1
        if left:
            self._closed[key] = left
        else:
            del self._closed[key]
