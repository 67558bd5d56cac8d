"""Name of the host outside that answered, where the manifests know it by a wildcard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.planning.destination import destination_of
from meshlab.errors import LabError

if TYPE_CHECKING:
    from meshlab.bench.case import Case

__all__ = ["answering_host"]


def answering_host(app: str, case: Case) -> str:
    """Return who answered a request.

    A ServiceEntry with a wildcard stands for many hosts. The one that was asked for answers, with or without the entry.

    Args:
        app: The workload or the host of a verdict.
        case: The request.
    """
    if not app.startswith("*"):
        return app
    try:
        asked = destination_of(case.request).host
    except LabError:
        return app
    return asked if asked.endswith(app[1:]) else app
