"""Ctrl-C, where it can do no harm."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Turns SIGINT and SIGTERM into KeyboardInterrupt, but not between a publication and its acknowledgement.

    A second signal does not wait. What is published without being acknowledged is redriven once more by the next run,
    which makes no second row.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._held = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handles the signals inside the block, and leaves them as they were."""
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lets the block end first."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.signal_number:
            raise KeyboardInterrupt

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        first = not self.signal_number
        self.signal_number = self.signal_number or number
        if not (first and self._held):
            raise KeyboardInterrupt
