"""Commands of `python -m enrichment`."""
