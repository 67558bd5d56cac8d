"""Events of a load balancer, in the shapes that AWS documents, with values of our own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

EVENTS = Path(__file__).parent / "events"
FUNCTION = Path(__file__).parents[2] / "function-aws"


def event(name: str) -> dict[str, Any]:
    """One of the recorded events."""
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found


@dataclass
class Context:
    """Lambda's context, with a fixed time left."""

    remaining_ms: int = 10_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


@pytest.fixture
def context() -> Context:
    return Context()
