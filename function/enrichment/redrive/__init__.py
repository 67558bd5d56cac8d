"""`python -m enrichment redrive`: publishes the events behind dead letters again, once what stopped them is mended."""

from enrichment.redrive.command import add_arguments, run

__all__ = ["add_arguments", "run"]
