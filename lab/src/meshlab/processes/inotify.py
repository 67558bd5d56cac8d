"""How many more proxies the system lets a user run: each Envoy takes one inotify instance."""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["free_inotify_instances"]


def free_inotify_instances(most: int) -> int:
    """Return how many inotify instances are free, at most `most`; `most` where the system has no inotify.

    Other programs of the user take some, too, so they are taken and given back rather than computed from the limit.

    Args:
        most: The largest number that matters.
    """
    if not sys.platform.startswith("linux"):
        return most
    library = ctypes.CDLL(None, use_errno=True)
    taken: list[int] = []
    try:
        while len(taken) < most and (found := library.inotify_init1(os.O_CLOEXEC)) >= 0:
            taken.append(found)
    finally:
        for each in taken:
            os.close(each)
    return len(taken)
