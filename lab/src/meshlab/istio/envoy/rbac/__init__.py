"""AuthorizationPolicies as Envoy's RBAC filters, as istiod makes them.

Sources: `pilot/pkg/security/authz/{builder,model,matcher}`. `rules` arranges, `matchers` spells.
"""

from meshlab.istio.envoy.rbac.filters import rbac_filters

__all__ = ["rbac_filters"]
