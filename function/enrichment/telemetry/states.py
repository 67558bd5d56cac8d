"""States in which no event gets through, each with a line that stands out: at most one a minute for each state.

===============  ===================================================================
state            when
===============  ===================================================================
fault            a delivery ended as a fault
retry            for two minutes nothing got through, and three deliveries or more were nacked
dead-lettered    for one minute nothing got through, and ten deliveries or more were dead-lettered
push-refused     for one minute nothing got through, and three pushes or more were refused
dropped          for ten minutes nothing got through, and ten events or more were dropped:
                 a warning, once an hour, for that may be what pipeline.toml is meant to do
===============  ===================================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

MIN_INTERVAL_S = 60.0
"""Least time between two alerts of one state, in seconds, unless its rule says otherwise."""


class Rule(msgspec.Struct, frozen=True):
    """When deliveries that all end in one way are a state to alert on.

    Args:
        least: Fewest deliveries.
        lasting_s: For how long at least, from the first of them, in seconds.
        alert: What the line says of it; `{count}` and `{for_s}` are filled in.
        interval_s: Least time between two alerts, in seconds.
        is_critical: Whether its line is critical; else it is a warning.
    """

    least: int
    lasting_s: float
    alert: str
    interval_s: float = MIN_INTERVAL_S
    is_critical: bool = True


class Alert(msgspec.Struct, frozen=True):
    """What a line says of a state.

    Args:
        fields: Further fields of the line.
        is_critical: Whether the line is critical; else it is a warning.
    """

    fields: dict[str, str | int]
    is_critical: bool


RULES = {
    "fault": Rule(1, 0.0, "Events with this fault are held up until it is corrected."),
    "retry": Rule(3, 120.0, "No event has got through for {for_s} s: {count} were nacked."),
    "dead-lettered": Rule(10, 60.0, "No event has got through for {for_s} s: {count} were dead-lettered."),
    "push-refused": Rule(
        3,
        60.0,
        "No event has got through for {for_s} s: {count} requests were refused because they are no deliveries of "
        "Pub/Sub. See which subscription or which other caller sends them.",
    ),
    "dropped": Rule(
        10,
        600.0,
        "No event has been written for {for_s} s: all {count} were dropped. If some should be written, correct `drop`, "
        "`each` or `unmatched` in pipeline.toml.",
        interval_s=3600.0,
        is_critical=False,
    ),
}
"""By the name of the end. Any other end shows that events get through."""

OTHERS = "Other events have got through in the last minute."
"""What the alert of a fault adds where it is true: the fault may then be one of a single event, such as of its key."""

NO_EVENT = frozenset({"refused"})
"""Ends that say nothing about it: a request that is none for a lookup, or no push at all."""


@dataclass(slots=True)
class _Streak:
    since_s: float
    count: int = 0
    alerted_at_s: float | None = None
    held_back: int = 0


class States:
    """Follows how deliveries end. One that gets through ends every state; the least time between two lines stays.

    Args:
        rules: By the name of an end, when it is a state. Any other end shows that events get through.
    """

    def __init__(self, rules: Mapping[str, Rule] = RULES) -> None:
        self._rules = rules
        self._streaks: dict[str, _Streak] = {}
        self._got_through_at_s: float | None = None

    def ended(self, name: str, now_s: float) -> Alert | None:
        """Note how a delivery ended.

        Args:
            name: The end: `written`, `retry`.
            now_s: The time, in seconds that only grow.

        Returns:
            What an alert says, where its line is to be one; else None.
        """
        rule = self._rules.get(name)
        if rule is None:
            if name not in NO_EVENT:
                self._got_through_at_s = now_s
                for streak in self._streaks.values():
                    streak.count = 0
            return None
        streak = self._streaks.setdefault(name, _Streak(now_s))
        if not streak.count:
            streak.since_s = now_s
        streak.count += 1
        for_s = now_s - streak.since_s
        if streak.count < rule.least or for_s < rule.lasting_s:
            return None
        if streak.alerted_at_s is not None and now_s - streak.alerted_at_s < rule.interval_s:
            streak.held_back += 1
            return None
        held_back, streak.held_back, streak.alerted_at_s = streak.held_back, 0, now_s
        alert = rule.alert.format(count=streak.count, for_s=round(for_s))
        if self._got_through_at_s is not None and now_s - self._got_through_at_s < MIN_INTERVAL_S:
            alert = f"{alert} {OTHERS}"
        return Alert({"alert": alert, "state": name, "held_back": held_back}, rule.is_critical)
