"""The gravest of several outcomes, and work whose gravest error counts."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from enrichment.errors import Disposition, EnrichmentError, of_unexpected_error, release_frames

_T = TypeVar("_T")

GRAVEST_FIRST = (
    Disposition.FAULT,
    Disposition.RETRY,
    Disposition.DEAD_LETTERED,
    Disposition.WRITTEN,
    Disposition.DROPPED,
)


async def gather_all(work: Sequence[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Do all of it at once; raise the gravest error, when all have ended."""
    if len(work) == 1:
        return [await work[0]]
    results = await asyncio.gather(*work, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors:
        raise min(errors, key=_gravity)
    return [result for result in results if not isinstance(result, BaseException)]


def decided(error: Exception) -> EnrichmentError:
    """Return an error as one with a disposition: what is unexpected is a fault."""
    return error if isinstance(error, EnrichmentError) else of_unexpected_error(error)


def concluded(error: Exception) -> EnrichmentError:
    """Return an error as one with a disposition, to go on as a value: no traceback of it stays."""
    found = decided(error)
    release_frames(error)
    return found


def _gravity(error: BaseException) -> int:
    if not isinstance(error, Exception):
        return -1
    return GRAVEST_FIRST.index(decided(error).disposition)
