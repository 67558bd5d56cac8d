"""Actions of a rule in Envoy's words (`pilot/pkg/networking/core/route/route.go#TranslateRoute`)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from meshlab.istio.envoy.connection_manager import duration
from meshlab.istio.envoy.routes.filter_overrides import fraction
from meshlab.istio.envoy.routes.header_changes import authority_of, header_changes
from meshlab.istio.envoy.routes.retry_policy import retry_policy

if TYPE_CHECKING:
    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.routes.settings import ClusterName, RouteSettings
    from meshlab.istio.read.virtual_service import (
        DirectResponse,
        HttpDestination,
        HttpRoute,
        Mirror,
        Redirect,
        Retries,
        Rewrite,
    )

__all__ = ["default_action", "route_action"]

_REDIRECT_CODES = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
_DEFAULT_PORTS = {"http": 80, "https": 443}


def route_action(
    rule: HttpRoute, *, listener_port: int, cluster_name: ClusterName, settings: RouteSettings
) -> Json:
    """Return what a route does with a request, in the fields of the route: its action, and its changes of headers."""
    if rule.redirect is not None:
        redirect = _redirect(rule.redirect, listener_port, is_tls=settings.is_tls)
        return {**header_changes(rule.headers), "redirect": redirect}
    if rule.direct_response is not None:
        return {**header_changes(rule.headers), "directResponse": _direct_response(rule.direct_response)}
    return _to_clusters(rule, cluster_name, settings)


def default_action(cluster: str, settings: RouteSettings) -> Json:
    """Return the action of a route to a service for which there is no rule."""
    return {"cluster": cluster, **_timeouts(None), **_retries(settings.default_retries)}


def _to_clusters(rule: HttpRoute, cluster_name: ClusterName, settings: RouteSettings) -> Json:
    action: Json = _timeouts(rule.timeout_s)
    authority = authority_of(rule.headers)
    if rule.rewrite is not None:
        action |= _rewrite(rule.rewrite, settings)
        authority = rule.rewrite.authority or authority
    mirrors = [_mirror(mirror, cluster_name) for mirror in rule.all_mirrors if mirror.percentage != 0]
    if mirrors:
        action["requestMirrorPolicies"] = mirrors
    retries = settings.default_retries if rule.retries is None else rule.retries
    hashes = [
        policy
        for entry in rule.destinations
        if (entry.weight or len(rule.destinations) == 1)
        and (policy := settings.hash_policy(entry.destination)) is not None
    ]
    if hashes:
        action["hashPolicy"] = hashes
    if len(rule.destinations) == 1:
        (only,) = rule.destinations
        authority = authority or authority_of(only.headers)
        changes = header_changes(rule.headers, only.headers)
        action["cluster"] = cluster_name(only.destination)
        action |= _retries(retries, consistent_hash=bool(hashes))
    else:
        changes = header_changes(rule.headers)
        shares = [_share(entry, cluster_name) for entry in rule.destinations if entry.weight]
        action["weightedClusters"] = {"clusters": shares}
        action |= _retries(retries)
    if authority:
        action["hostRewriteLiteral"] = authority
    return {**changes, "route": action}


def _timeouts(timeout_s: float | None) -> Json:
    # Envoy ignores `timeout` beside `maxStreamDuration`. Istio writes `maxGrpcTimeout`, which Envoy logs as deprecated;
    # all that is lost without it is that the proxy ends a gRPC call at an earlier deadline of the caller.
    if timeout_s:
        return {"timeout": duration(timeout_s)}
    # Istio's default is no timeout at all, where Envoy's is 15 s.
    return {"timeout": "0s", "maxStreamDuration": {"maxStreamDuration": "0s", "grpcTimeoutHeaderMax": "0s"}}


def _retries(retries: Retries | None, *, consistent_hash: bool = False) -> Json:
    policy = retry_policy(retries, consistent_hash=consistent_hash)
    return {} if policy is None else {"retryPolicy": policy}


def _rewrite(rewrite: Rewrite, settings: RouteSettings) -> Json:
    found: Json = {"appendXForwardedHost": True} if settings.append_forwarded_host else {}
    if rewrite.regex is not None:
        pattern, substitution = rewrite.regex
        found["regexRewrite"] = {"pattern": {"regex": pattern}, "substitution": substitution}
    elif rewrite.uri:
        found["prefixRewrite"] = rewrite.uri
    return found


def _mirror(mirror: Mirror, cluster_name: ClusterName) -> Json:
    share = {"numerator": 100} if mirror.percentage is None else fraction(mirror.percentage)
    return {
        "cluster": cluster_name(mirror.destination),
        "runtimeFraction": {"defaultValue": share},
        "traceSampled": False,
        "disableShadowHostSuffixAppend": True,
    }


def _share(entry: HttpDestination, cluster_name: ClusterName) -> Json:
    authority = authority_of(entry.headers)
    return {
        "name": cluster_name(entry.destination),
        "weight": entry.weight,
        **header_changes(entry.headers),
        **({"hostRewriteLiteral": authority} if authority else {}),
    }


def _redirect(redirect: Redirect, listener_port: int, *, is_tls: bool) -> Json:
    port = redirect.port or (listener_port if redirect.port_of_request else 0)
    scheme = redirect.scheme or ("https" if is_tls else "http")
    # Envoy knows no port of the request, but each listener has only one. The default one is not written out.
    optional = {
        "hostRedirect": redirect.authority,
        "schemeRedirect": redirect.scheme,
        "portRedirect": 0 if port == _DEFAULT_PORTS[scheme] else port,
        "prefixRewrite": redirect.prefix_rewrite,
        "pathRedirect": redirect.uri,
    }
    return {
        **{name: value for name, value in optional.items() if value},
        "responseCode": _REDIRECT_CODES[redirect.code],
    }


def _direct_response(response: DirectResponse) -> Json:
    if not response.body:
        return {"status": response.status}
    try:
        body = {"inlineString": response.body.decode()}
    except UnicodeDecodeError:
        body = {"inlineBytes": base64.b64encode(response.body).decode("ascii")}
    return {"status": response.status, "body": body}
