"""`python -m enrichment work`: receives messages by StreamingPull, and takes each to its end by the same core."""

from enrichment.drivers.work.command import add_arguments, run

__all__ = ["add_arguments", "run"]
