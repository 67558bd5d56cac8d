"""NetworkPolicies and RoleBindings of each environment, from `infra/mesh/environments/` and the teams' files."""

from meshgen.networks.files import generate_networks

__all__ = ["generate_networks"]
