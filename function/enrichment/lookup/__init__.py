"""Lookups of profiles: cached, shared, throttled, and checked before they are joined."""

from enrichment.lookup.cached import CachedLookup, Lookup
from enrichment.lookup.lookups import LookupAnswers, Lookups
from enrichment.lookup.mesh import Clients, MeshProfiles

__all__ = ["CachedLookup", "Clients", "Lookup", "LookupAnswers", "Lookups", "MeshProfiles"]
