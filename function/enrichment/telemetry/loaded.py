"""Modules that the program has loaded by itself, and that nothing here is worth loading for."""

import sys
from types import ModuleType


def module(name: str) -> ModuleType | None:
    """Gives a module if it is loaded, and whole.

    Args:
        name: Its full name, `opentelemetry.trace`.

    Returns:
        The module, or None if nobody imported it or another thread is still in the midst of doing so.
    """
    found = sys.modules.get(name)
    # The import system's own mark, which it takes away when the module's code has run.
    return None if found is None or getattr(found.__spec__, "_initializing", False) else found
