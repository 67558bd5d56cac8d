"""Checks: one module for each part of a deployment. Each check is a pure function from answers to findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..finding import in_order
from . import (
    access,
    accounts,
    alerts,
    delivery,
    environment,
    function,
    keys,
    network,
    reading,
    secrets,
    service,
    storage,
    topics,
)

if TYPE_CHECKING:
    from ..deployment import Deployment
    from ..finding import Finding

_MODULES = (
    reading,
    function,
    service,
    environment,
    delivery,
    topics,
    storage,
    secrets,
    keys,
    access,
    accounts,
    network,
    alerts,
)


def findings(deployment: Deployment) -> list[Finding]:
    """Return all findings about a deployment, the gravest first."""
    return in_order([found for module in _MODULES for found in module.check(deployment)])
