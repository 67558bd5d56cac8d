"""The HTTP server of `python -m enrichment serve`: one process, uvicorn, and no web framework."""

from enrichment.drivers.serve.command import add_arguments, run

__all__ = ["add_arguments", "run"]
