"""Modules that the program has loaded by itself: nothing here loads them."""

import sys
from types import ModuleType


def module(name: str) -> ModuleType | None:
    """Return a module if it is loaded, and whole.

    Args:
        name: Its full name, `opentelemetry.trace`.

    Returns:
        The module, or None if it is not imported, or another thread is still importing it.
    """
    found = sys.modules.get(name)
    # The import system's own mark, which it takes away when the module's code has run.
    return None if found is None or getattr(found.__spec__, "_initializing", False) else found
