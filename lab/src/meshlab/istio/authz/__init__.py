"""Authorization: AuthorizationPolicy to Envoy's HTTP RBAC filters, as istiod makes them.

Sources: `pilot/pkg/security/authz/{builder,model,matcher}`. `policy` reads, `rules` arranges, `matchers` spells.
"""

from meshlab.istio.authz.policy import AuthorizationPolicy, read_authorization_policy
from meshlab.istio.authz.rbac import rbac_filters

__all__ = ["AuthorizationPolicy", "rbac_filters", "read_authorization_policy"]
