"""Lookups that tests have in common."""

from typing import Any

from enrichment.lookup.request import LookupRequest
from enrichment.settings.lookup_rules import DeclaredField, Echo, LookupRules, MissRule
from msgspec.structs import replace

PROFILE = LookupRules(
    path="/profile/{user_id}",
    values={"user_id": DeclaredField("user_id")},
    echo=(Echo(("user_id",)),),
    miss=MissRule(404, ("error",), "profile_not_found", repeats_key=True),
)
"""The lookup of the shipped `pipeline.toml`."""


def of_key(key: str) -> LookupRequest:
    """Return the request of a lookup with one key."""
    return LookupRequest((key,))


def rules(**changes: Any) -> LookupRules:  # noqa: ANN401 - any of its fields
    """Return the shipped lookup with some changes."""
    return replace(PROFILE, **changes)
