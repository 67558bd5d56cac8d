"""Rows, and the values of their columns."""

from enrichment.row.row import MAX_ROW_BYTES, Row, build

__all__ = ["MAX_ROW_BYTES", "Row", "build"]
