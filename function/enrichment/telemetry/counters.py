"""Counters, and the one way to count."""

import sys
import threading
from types import ModuleType
from typing import Any, Protocol

from enrichment.telemetry import loaded

SCOPE = "meshpass.enrichment"

_METRICS = "opentelemetry.metrics"

DESCRIPTIONS = {
    "events": "Deliveries that ended, by outcome, stage and reason.",
    "lookups": "Lookups that events asked for, by how the cache answered.",
    "lookup_calls": "Calls to the service, by result: `batch` is one that was answered for many keys.",
    "lookup_keys": "Keys asked for in batches, by result.",
    "lookup_throttled": "Lookups that had to wait until the service was to be asked again.",
    "lookup_requests": "Requests to the private HTTP entry point, by outcome.",
    "identity_conflicts": "Events whose id belonged to another event of different content, by what became of them.",
    "pushes_refused": "Requests to the entry point for events that were no delivery, by reason.",
    "answers": "Acks and nacks of the pull worker, by kind and by what became of them.",
    "lease_extensions": "Leases that the pull worker extended, by result.",
    "copies_joined": "Deliveries of messages that the pull worker had in process already.",
    "leases_given_up": "Messages whose leases the pull worker did not extend any more.",
    "streams_ended": "Streams of the pull worker that ended, by code.",
    "insert_requests": "Requests to BigQuery.",
    "insert_rows": "Rows in those requests.",
    "insert_rows_resent": "Rows sent again, since another row or an error stopped them.",
}
"""Every counter. In OpenTelemetry its name is `meshpass.enrichment.` and this one."""


class Count(Protocol):
    """Add to a counter."""

    def __call__(self, name: str, amount: int = 1, /, **labels: str) -> None:
        """Add to one counter.

        Args:
            name: The counter: `events`, `lookups`.
            amount: How much to add.
            labels: What is counted apart: `outcome="written"`. From a small, fixed set, never from an event.
        """


def uncounted(name: str, amount: int = 1, /, **labels: str) -> None:
    """Count nothing."""


class Counters:
    """A process's counters: kept here for the log, and in OpenTelemetry as well where the program uses that.

    Nothing here imports OpenTelemetry. A program that has set up a meter provider has loaded its API already; in any
    other, one look into `sys.modules` is all that it costs.
    """

    def __init__(self) -> None:
        self._totals: dict[tuple[str, ...], int] = {}
        self._lock = threading.Lock()  # writes to BigQuery are counted in threads of their own
        self._provider: object = None
        self._instruments: dict[str, Any] = {}

    def __call__(self, name: str, amount: int = 1, /, **labels: str) -> None:
        """Add to one counter; safe from any thread. See `Count`."""
        series = (name, *labels.values())
        with self._lock:
            self._totals[series] = self._totals.get(series, 0) + amount
        if _METRICS in sys.modules and (metrics := loaded.module(_METRICS)) is not None:
            self._export(metrics, name, amount, labels)

    def total(self, name: str, **labels: str) -> int:
        """Return what one counter has come to.

        Args:
            name: The counter.
            labels: Its labels, in the order in which they are counted.
        """
        return self._totals.get((name, *labels.values()), 0)

    def snapshot(self) -> dict[str, int]:
        """Return all that was counted since the process began, by counter and label values: `lookups/hit`."""
        with self._lock:
            totals = list(self._totals.items())
        found: dict[str, int] = {}
        for series, total in totals:
            text = _text(series)
            found[text] = found.get(text, 0) + total
        return dict(sorted(found.items()))

    def _export(self, metrics: ModuleType, name: str, amount: int, labels: dict[str, str]) -> None:
        provider = metrics.get_meter_provider()
        if type(provider).__module__.startswith("opentelemetry.metrics."):
            return  # the API's own placeholder where no provider is set
        with self._lock:
            if provider is not self._provider:
                self._provider, self._instruments = provider, {}
            instrument = self._instruments.get(name)
            if instrument is None:
                instrument = self._instruments[name] = provider.get_meter(SCOPE).create_counter(
                    f"{SCOPE}.{name}", description=DESCRIPTIONS.get(name, "")
                )
        instrument.add(amount, {label: value for label, value in labels.items() if value})


def _text(series: tuple[str, ...]) -> str:
    # Flat and free of dots, so that a log-based metric's `jsonPayload.counters."lookups/hit"` finds it.
    return "/".join(filter(None, series))
