"""NetworkPolicies and RoleBindings of each environment, from its file, the teams' and the callers'."""

from __future__ import annotations

from meshgen.networks.files import generate_networks

__all__ = ["generate_networks"]
