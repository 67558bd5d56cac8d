"""AuthorizationPolicies as Envoy's filters, as istiod makes them.

Sources: `pilot/pkg/security/authz/{builder,model,matcher}`. `filters` arranges the filters of a workload, `rules` the
conditions of one rule, and `matchers` spells the values.
"""

from __future__ import annotations

from meshlab.istio.envoy.rbac.filters import AuthorizationFilters, http_filters, tcp_filters
from meshlab.istio.envoy.rbac.peer_addresses import PeerAddresses
from meshlab.istio.envoy.rbac.policy_context import RuleContext
from meshlab.istio.envoy.rbac.rules import WrittenCondition, WrittenRule, written_rule

__all__ = [
    "AuthorizationFilters",
    "PeerAddresses",
    "RuleContext",
    "WrittenCondition",
    "WrittenRule",
    "http_filters",
    "tcp_filters",
    "written_rule",
]
