"""Message ordering: which message of an ordering key comes next, and to which client. Pure.

The messages of a key go out in the order in which they were published. While one is outstanding, the others go to the
same client; once none is, the next client that asks may have the key. A message that comes back brings all later
ones of its key with it, acknowledged or not. Rules: https://cloud.google.com/pubsub/docs/ordering
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from .delivery_leases import Client, Lane, Lease

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .delivery_leases import Waiting


class Lanes:
    """The ordering keys of one subscription that have a message outstanding or waiting behind another."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._free: OrderedDict[str, Lane] = OrderedDict()

    def __iter__(self) -> Iterator[Lane]:
        """Return all of them."""
        return iter(self._lanes.values())

    def admit(self, key: str, waiting: Waiting, client: Client) -> Lane | None:
        """Return the lane if this message may go to this client now; otherwise keep the message in the lane.

        Call it with the messages of a key in order, and only when `take` has nothing for the client.
        """
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key)
            self._bind(lane, client)
            return lane
        if lane.client is client and not lane.parked and self._may_send(lane):
            return lane
        _parked(lane).append(waiting)
        self._offer(lane)
        return None

    def take(self, client: Client) -> tuple[Waiting, Lane] | None:
        """Remove and return the next message that was kept and that this client may have; None without one."""
        offers = client.offers or self._free
        if not offers:
            return None
        lane = next(iter(offers.values()))
        self._withdraw(lane)
        if lane.client is None:
            self._bind(lane, client)
        return _parked(lane).popleft(), lane

    def sent(self, lane: Lane, lease: Lease) -> None:
        """Record that a message that `admit` or `take` allowed is on its way."""
        lane.sent.append(lease)
        self._offer(lane)

    def settle(self, lane: Lane) -> list[Lease]:
        """Remove and return the acknowledged deliveries that no earlier one holds up."""
        count = 0
        while count < len(lane.sent) and lane.sent[count].acked:
            count += 1
        settled = lane.sent[:count]
        del lane.sent[:count]
        self._update(lane)
        return settled

    def take_back(self, lane: Lane, lease: Lease) -> list[Lease]:
        """Remove and return a delivery and all later ones. `put_back` must follow."""
        begin = lane.sent.index(lease)
        returned = lane.sent[begin:]
        del lane.sent[begin:]
        return returned

    def put_back(self, lane: Lane, waiting: Sequence[Waiting], rests_until_s: float | None) -> None:
        """Put messages in front of what waits in the lane.

        Args:
            lane: The lane.
            waiting: The messages, in order.
            rests_until_s: Until when the key rests; None for no longer than it does already.
        """
        if waiting:
            _parked(lane).extendleft(reversed(waiting))
        if rests_until_s is not None:
            lane.rests_until_s = max(rests_until_s, lane.rests_until_s or rests_until_s)
        self._withdraw(lane)
        self._update(lane)

    def wake(self, lane: Lane, now_s: float) -> None:
        """End the rest of a key if it is over."""
        # The lane may be gone, and its key may have a new one.
        if self._lanes.get(lane.key) is not lane or lane.rests_until_s is None:
            return
        if lane.rests_until_s <= now_s:
            lane.rests_until_s = None
            self._update(lane)

    def _update(self, lane: Lane) -> None:
        """Set the key free once nothing is outstanding, and drop its lane once nothing waits either."""
        if not lane.sent:
            self._withdraw(lane)
            if lane.client is not None:
                lane.client.keys -= 1
                lane.client = None
            if not lane.parked:
                self._lanes.pop(lane.key, None)
        self._offer(lane)

    def _bind(self, lane: Lane, client: Client) -> None:
        lane.client = client
        client.keys += 1

    def _may_send(self, lane: Lane) -> bool:
        if lane.rests_until_s is not None:
            return False
        return not (lane.sent and lane.client is not None and lane.client.one_per_key)

    def _offer(self, lane: Lane) -> None:
        if lane.parked and self._may_send(lane):
            (self._free if lane.client is None else lane.client.offers)[lane.key] = lane

    def _withdraw(self, lane: Lane) -> None:
        (self._free if lane.client is None else lane.client.offers).pop(lane.key, None)


def _parked(lane: Lane) -> deque[Waiting]:
    """Return what waits in a lane. Made when first needed: an empty one is larger than most messages."""
    if lane.parked is None:
        lane.parked = deque()
    return lane.parked
