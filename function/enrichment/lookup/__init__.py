"""The lookup of a key's profile: remembered, shared, throttled, and checked before it is joined."""

from enrichment.lookup.cached import CachedLookup, Lookup
from enrichment.lookup.mesh import MeshProfiles

__all__ = ["CachedLookup", "Lookup", "MeshProfiles"]
