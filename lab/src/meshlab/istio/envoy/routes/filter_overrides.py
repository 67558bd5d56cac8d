"""Settings of a route for the fault and the CORS filter (`core/route/route.go#TranslateFault, TranslateCORSPolicy`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.connection_manager import duration
from meshlab.istio.envoy.routes.route_match import text_matcher

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.virtual_service import Cors, Fault, HttpRoute

__all__ = ["filter_overrides", "fraction"]

_FILTERS = "type.googleapis.com/envoy.extensions.filters.http"


def filter_overrides(rule: HttpRoute) -> Json:
    """Return what a rule asks of the filters, in the fields of a route."""
    found = {}
    if rule.fault is not None:
        found["envoy.filters.http.fault"] = _fault(rule.fault)
    if rule.cors is not None:
        found["envoy.filters.http.cors"] = _cors(rule.cors)
    return {"typedPerFilterConfig": found} if found else {}


def fraction(percentage: float) -> Json:
    """Return a percentage as Istio writes it, in millionths rounded down."""
    return {"numerator": int(percentage * 10_000), "denominator": "MILLION"}


def _fault(fault: Fault) -> Json:
    found: Json = {"@type": f"{_FILTERS}.fault.v3.HTTPFault"}
    if fault.delay is not None and fault.delay.fixed_s is not None:
        found["delay"] = {
            "fixedDelay": duration(fault.delay.fixed_s),
            "percentage": fraction(fault.delay.percentage),
        }
    abort = fault.abort
    if abort is not None and abort.http_status is not None:
        found["abort"] = {"httpStatus": abort.http_status, "percentage": fraction(abort.percentage)}
    elif abort is not None and abort.grpc_status is not None:
        found["abort"] = {"grpcStatus": abort.grpc_status, "percentage": fraction(abort.percentage)}
    return found


def _cors(cors: Cors) -> Json:
    optional = {
        "allowOriginStringMatch": [text_matcher(origin) for origin in cors.allow_origins],
        "allowMethods": ",".join(cors.allow_methods),
        "allowHeaders": ",".join(cors.allow_headers),
        "exposeHeaders": ",".join(cors.expose_headers),
        "maxAge": "" if cors.max_age_s is None else str(cors.max_age_s),
    }
    credentials = {} if cors.allow_credentials is None else {"allowCredentials": cors.allow_credentials}
    return {
        "@type": f"{_FILTERS}.cors.v3.CorsPolicy",
        "filterEnabled": {"defaultValue": {"numerator": 100}},
        "forwardNotMatchingPreflights": cors.forward_unmatched_preflights,
        **{name: value for name, value in optional.items() if value},
        **credentials,
    }
