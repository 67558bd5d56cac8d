"""Values of an evaluation beside those of JSON."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NotEvaluatedError", "Reference"]


class NotEvaluatedError(Exception):
    """Something in a file that the evaluation does not know."""


@dataclass(frozen=True)
class Reference:
    """A value that only the service decides, under the name of the attribute that will hold it.

    Attributes:
        address: Such as `google_compute_network.this.id`; for anything made from such a value, what it is made from.
    """

    address: str
