"""The error of the package that a user sees as a sentence."""

from __future__ import annotations


class LabError(Exception):
    """The lab could not do what was asked; the message says what, why, and what to do next."""
