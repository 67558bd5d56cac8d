"""Signals of Ctrl-C and SIGTERM, held back while a batch is published and acknowledged."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Handler that turns SIGINT and SIGTERM into KeyboardInterrupt, but not between publication and acknowledgement.

    A second signal does not wait. What is then published without being acknowledged is in the journal.
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._held = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals inside the block, and restore their handlers after it."""
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the block end before the first signal has an effect."""
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
