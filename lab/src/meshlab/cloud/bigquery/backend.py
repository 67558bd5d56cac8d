"""What both APIs of the fake work on: one catalogue, one store, one clock, one order of faults."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from meshlab.cloud.bigquery.catalogue import Catalogue
from meshlab.cloud.bigquery.control import Stats
from meshlab.cloud.bigquery.faults import FaultPlan, Faults
from meshlab.cloud.bigquery.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Backend:
    """An empty BigQuery behind its APIs.

    Args:
        now_s: The clock, in seconds since the epoch.
        directory: Where rows are paged to that do not fit into memory; by default the system's directory for
            temporary files.

    Attributes:
        now_s: The clock.
        store: The rows.
        catalogue: Datasets and tables.
        plan: The faults that were ordered last, and how far they have come.
        stats: Counts of what came.
        worker: Runs calls that take their time or change what there is, one after the other.
    """

    def __init__(self, now_s: Callable[[], float], directory: Path | None = None) -> None:
        self.now_s = now_s
        self.store = Store(directory)
        self.catalogue = Catalogue(self.store, now_s)
        self.plan = FaultPlan(Faults(), now_s())
        self.stats = Stats()
        self.worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bigquery")

    def close(self) -> None:
        """Drop everything."""
        self.worker.shutdown()
        self.store.close()
