"""Rows, and the values of their columns."""

from enrichment.row.row import MAX_ROW_BYTES, Row, build, value_of

__all__ = ["MAX_ROW_BYTES", "Row", "build", "value_of"]
