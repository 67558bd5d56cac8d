"""Log on standard error that a contributor switches on with `MESHLAB_LOG`, for all of meshlab or for parts of it."""

from __future__ import annotations

import logging

__all__ = ["VARIABLE", "enable"]

VARIABLE = "MESHLAB_LOG"


def enable(value: str) -> logging.Handler:
    """Write what the loggers of meshlab get to standard error.

    Records name processes, ports and files; none holds a token, a key or a request's content.

    Args:
        value: a level for all, such as `debug`, or levels for parts, such as `processes=debug,cloud=info`. A part is a
            folder of the package.

    Returns:
        The handler, for a test that takes it off again.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("meshlab")
    logger.addHandler(handler)
    for word in filter(None, (each.strip() for each in value.split(","))):
        part, _, name = word.rpartition("=")
        level = logging.getLevelNamesMapping().get(name.strip().upper())
        if level is None:
            logger.warning(
                "%s has %r; write a level (debug, info, warning, error) or PART=LEVEL", VARIABLE, word[:40]
            )
        else:
            logging.getLogger(f"meshlab.{part.strip()}" if part else "meshlab").setLevel(level)
    return handler
