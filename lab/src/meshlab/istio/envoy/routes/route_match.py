"""Conditions of a rule in Envoy's words (`pilot/pkg/networking/core/route/route.go#TranslateRouteMatch`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.envoy.jwt_authn import JWT_FILTER, PAYLOAD_KEY
from meshlab.istio.read.virtual_service import claim_path

if TYPE_CHECKING:
    from collections.abc import Collection

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.envoy.routes.settings import ProxyView
    from meshlab.istio.read.virtual_service import HttpMatch, TextMatch

__all__ = ["is_catch_all", "is_for", "route_match", "text_matcher"]


def is_for(match: HttpMatch, proxy: ProxyView, gateway_names: Collection[str], listener_port: int) -> bool:
    """Return whether an alternative of a rule is for a proxy and a listener at all.

    Gateways of the match decide alone; only a match without any looks at the workload of the proxy.
    """
    if match.port not in (None, listener_port):
        return False
    if match.gateways:
        return not set(match.gateways).isdisjoint(gateway_names)
    labels = match.source_labels or {}
    return labels.items() <= proxy.labels.items() and match.source_namespace in ("", proxy.namespace)


def route_match(match: HttpMatch | None, *, segments: bool = False) -> Json:
    """Return the conditions of an alternative; without one, every request.

    Args:
        match: The alternative.
        segments: Whether a prefix is one of whole segments, as in the Gateway API: /foo takes /foo/bar, not /foobar.
    """
    if match is None:
        return {"prefix": "/"}
    found = _path(match.uri, segments=segments)
    if match.ignore_uri_case:
        found["caseSensitive"] = False
    headers, metadata = [], []
    for name, text in (match.headers or {}).items():
        path = claim_path(name)
        if path is None:
            headers.append(_header(name, text))
        else:
            metadata.append(_claim(path, text))
    for name, text in (match.without_headers or {}).items():
        path = claim_path(name)
        if path is None:
            headers.append(_no_header(name, text))
        else:
            metadata.append(_claim(path, text) | {"invert": True})
    for name, condition in (
        (":method", match.method),
        (":authority", match.authority),
        (":scheme", match.scheme),
    ):
        if condition is not None:
            headers.append(_header(name, condition))
    params = [_query_param(name, text) for name, text in (match.query_params or {}).items()]
    optional = {"headers": headers, "queryParameters": params, "dynamicMetadata": metadata}
    return found | {name: value for name, value in optional.items() if value}


def is_catch_all(match: Json) -> bool:
    """Return whether Istio takes conditions for none, so that what comes after them could never be reached.

    Follows `route.go#IsCatchAllRoute`: the path `prefix: /` or `regex: .*`, whatever its case rule, and nothing else.
    """
    others = ("headers", "queryParameters", "dynamicMetadata")
    return (match.get("prefix") == "/" or match.get("safeRegex") == {"regex": ".*"}) and not any(
        match.get(name) for name in others
    )


def text_matcher(text: TextMatch) -> Json:
    """Return a condition on a text; a regular expression has to match all of it."""
    return {"safeRegex": {"regex": text.value}} if text.kind == "regex" else {text.kind: text.value}


def _path(uri: TextMatch | None, *, segments: bool) -> Json:
    if uri is None or uri.kind == "present":
        return {"prefix": "/"}
    if uri.kind == "regex":
        return {"safeRegex": {"regex": uri.value}}
    if segments and uri.kind == "prefix" and uri.value != "/":
        return {"pathSeparatedPrefix": uri.value.removesuffix("/")}
    # A prefix is a prefix of characters: /foo takes /foobar too.
    return {"path" if uri.kind == "exact" else "prefix": uri.value}


def _header(name: str, text: TextMatch) -> Json:
    if text.kind == "present":
        return {"name": name, "presentMatch": True}
    return {"name": name, "stringMatch": text_matcher(text)}


def _no_header(name: str, text: TextMatch) -> Json:
    inverted = _header(name, text) | {"invertMatch": True}
    # Envoy never matches a header that is missing, inverted or not, unless it takes it for an empty one.
    return inverted if text.kind == "present" else inverted | {"treatMissingHeaderAsEmpty": True}


def _query_param(name: str, text: TextMatch) -> Json:
    if text.kind == "present":
        return {"name": name, "presentMatch": True}
    return {"name": name, "stringMatch": text_matcher(text)}


def _claim(path: tuple[str, ...], text: TextMatch) -> Json:
    value = {"stringMatch": text_matcher(text)}
    return {
        "filter": JWT_FILTER,
        "path": [{"key": key} for key in (PAYLOAD_KEY, *path)],
        "value": {"orMatch": {"valueMatchers": [{"listMatch": {"oneOf": value}}, value]}},
    }
