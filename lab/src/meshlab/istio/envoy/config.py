"""The type of a piece of Envoy configuration."""

from __future__ import annotations

from typing import Any

__all__ = ["Json"]

Json = dict[str, Any]
"""A piece of Envoy configuration, in the names of Envoy's JSON form."""
