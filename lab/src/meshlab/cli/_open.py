"""The bench that the commands use."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshlab.bench.protocol import Bench

__all__ = ["open_bench"]


@contextmanager
def open_bench() -> Iterator[Bench]:
    """Open the bench, and end what it runs with the context."""
    from meshlab.bench.local_bench import LocalBench

    bench = LocalBench()
    try:
        yield bench
    finally:
        bench.close()
