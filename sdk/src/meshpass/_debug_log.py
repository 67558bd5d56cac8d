"""Log on standard error, switched on with ``MESHPASS_LOG`` for all of the package or for parts of it."""

import logging
import os
from collections.abc import Mapping

VARIABLE = "MESHPASS_LOG"
_ALL = ""


def enable(value: str) -> logging.Handler:
    """Write what the logger ``meshpass`` gets to standard error.

    Records hold no token, key or value of a call, at any level. A value that cannot be read is a warning in the log.

    Args:
        value: a level for all, such as ``debug``, or levels for parts, such as ``tokens=debug,http=warning``. A part is
            a folder of the package, without its underscore; ``clients`` are the modules beside them.

    Returns:
        The handler, for a test that takes it off again.
    """
    levels, wrong = parse(value)
    logger = logging.getLogger("meshpass")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(lambda record: record.levelno >= levels.get(part_of(record.pathname), levels[_ALL]))
    logger.addHandler(handler)
    lowest = min(levels.values())
    logger.setLevel(lowest if logger.level == logging.NOTSET else min(lowest, logger.level))
    if wrong:
        logger.warning(
            "%s has %s; write a level (debug, info, warning, error) or PART=LEVEL", VARIABLE, wrong
        )
    return handler


def parse(value: str) -> tuple[Mapping[str, int], list[str]]:
    """Return the levels by part, that of all others under the empty name, and the words that are none."""
    levels, wrong = {_ALL: logging.WARNING}, []
    for word in filter(None, (each.strip() for each in value.split(","))):
        part, _, name = word.rpartition("=")
        level = logging.getLevelNamesMapping().get(name.strip().upper())
        if level is None:
            wrong.append(word[:40])
        else:
            levels[part.strip().lower()] = level
    return levels, wrong


def part_of(path: str) -> str:
    """Return the part that a record comes from, by the path of its module."""
    folder, _, inside = path.rpartition(f"{os.sep}meshpass{os.sep}")
    return inside.partition(os.sep)[0].lstrip("_") if folder and os.sep in inside else "clients"
