"""Routes of the Gateway API that a VirtualService cannot say: missing backends, and removed prefixes.

Follows `pilot/pkg/networking/core/route/route.go#applyHTTPRouteDestination`, where it asks for gateway semantics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.re2 import quoted

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.virtual_service import HttpRoute

__all__ = ["gateway_api_action"]


def gateway_api_action(action: Json, rule: HttpRoute, conditions: Json) -> Json:
    """Return the action of a rule of the Gateway API.

    Args:
        action: The action of the same rule in a VirtualService, in the fields of the route.
        rule: The rule.
        conditions: The conditions of the route.
    """
    if "route" not in action:
        return action
    # A backend that is not there is answered 500, and 503 stays for one that does not answer.
    route = {**action["route"], "clusterNotFoundResponseCode": "INTERNAL_SERVER_ERROR"}
    if rule.rewrite is not None and rule.rewrite.uri == "/":
        # Envoy would put / in front of what is left, which begins with / already.
        route.pop("prefixRewrite", None)
        prefix = quoted(conditions.get("pathSeparatedPrefix", ""))
        route["regexRewrite"] = {"pattern": {"regex": f"^{prefix}(/?)(.*)"}, "substitution": r"/\2"}
    return {**action, "route": route}
