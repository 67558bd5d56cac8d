"""What the C library does with large blocks of memory after they are freed."""

import contextlib
import os
import sys

LARGE_BYTES = 256 * 1024
"""From this size on, a block is a mapping of its own, in bytes. It is the size of uvloop's buffer."""

_KEPT_BYTES = 2 * LARGE_BYTES  # free at the end of the heap; as glibc itself sets it
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_VARIABLE = "MALLOC_MMAP_THRESHOLD_"
_TUNABLE = "glibc.malloc.mmap_threshold"


def return_when_freed() -> None:
    """Let glibc give large blocks back to the system when they are freed, for this process and for good.

    uvloop has a buffer of 256 KiB for each TLS connection. glibc maps the first ones, and raises its threshold beyond
    that size when one of them is freed (mallopt(3), M_MMAP_THRESHOLD). From then on such buffers come from the heap,
    at another place after each burst of connections, and none of the pages that were used there goes back.
    A threshold that is set is never raised. The price is a quarter more processor time to decode an event of more
    than 256 KiB, whose pages are new each time.

    Nothing changes where the environment sets the threshold, or the C library is another one.
    """
    if sys.platform != "linux" or _VARIABLE in os.environ or _TUNABLE in os.environ.get("GLIBC_TUNABLES", ""):
        return
    # musl has no mallopt, and an interpreter may be built without ctypes.
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
