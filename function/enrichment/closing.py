"""End of the connections of a driver, before its event loop ends."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

CLOSE_S = 0.5
"""How long connections may take to close at the end, in seconds. What is open after that ends with the process."""


async def close_all(closing: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Close what a driver's parts have open, within `CLOSE_S`.

    An event loop that ends with open connections warns about each, and uvloop's never ends where warnings are errors.

    Args:
        closing: What `assembly` adds for each part. An error of one keeps no other open: nothing is to be saved.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await asyncio.gather(*(close() for close in closing), return_exceptions=True)
