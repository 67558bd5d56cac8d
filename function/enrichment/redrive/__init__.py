"""`python -m enrichment redrive`: the events of dead letters, published again once their reason is mended."""

from enrichment.redrive.command import add_arguments, run

__all__ = ["add_arguments", "run"]
