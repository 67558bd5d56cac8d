"""The bench that the commands use."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.bench.local_bench import LocalBench

__all__ = ["open_bench"]


@contextmanager
def open_bench(*, condition_probes: bool = False) -> Iterator[LocalBench]:
    """Open the bench, and end what it runs with the context.

    Args:
        condition_probes: Whether proxies record rules and conditions of policies one by one.
    """
    from meshlab.bench.local_bench import LocalBench

    bench = LocalBench(condition_probes=True) if condition_probes else LocalBench()
    try:
        yield bench
    finally:
        bench.close()
