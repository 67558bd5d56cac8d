"""Filters of routes as actions of a VirtualService."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.re2 import quoted
from meshlab.istio.read.virtual_service import Cors, HeaderChanges, Headers, Redirect, Rewrite, TextMatch

if TYPE_CHECKING:
    from meshlab.istio.read.gateway_api.filters import CorsFilter, Filters, RedirectFilter, RewriteFilter
    from meshlab.istio.read.gateway_api.header_changes import HeaderModifier

__all__ = ["cors_policy", "header_changes", "redirection", "rewriting"]

_ANY_ORIGIN = r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+$"


def header_changes(filters: Filters) -> Headers | None:
    """Return the changes of headers, `None` where there are none."""
    if filters.request_headers is None and filters.response_headers is None:
        return None
    return Headers(_changes(filters.request_headers), _changes(filters.response_headers))


def redirection(redirect: RedirectFilter) -> Redirect:
    """Return a redirection. Without a port the new URL has that of the request, or that of a scheme that is written."""
    path = redirect.path
    return Redirect(
        uri=path.value if path and path.kind == "full" else "",
        prefix_rewrite=path.value if path and path.kind == "prefix" else "",
        authority=redirect.hostname,
        scheme=redirect.scheme,
        port=redirect.port,
        port_of_request=redirect.port is None and not redirect.scheme,
        code=redirect.code,
    )


def rewriting(rewrite: RewriteFilter) -> Rewrite | None:
    """Return a rewrite, `None` where nothing is rewritten."""
    path = rewrite.path
    # The path / removes the prefix; Envoy would leave two slashes.
    uri = (path.value.removesuffix("/") or "/") if path and path.kind == "prefix" else ""
    regex = ("/.*", path.value) if path and path.kind == "full" else None
    if not (uri or regex or rewrite.hostname):
        return None
    return Rewrite(uri, rewrite.hostname, regex)


def cors_policy(cors: CorsFilter) -> Cors:
    """Return a policy for other origins. Preflights of origins that are not allowed are answered by the proxy."""
    return Cors(
        allow_origins=tuple(map(_origin, cors.allow_origins)),
        allow_methods=cors.allow_methods,
        allow_headers=cors.allow_headers,
        expose_headers=cors.expose_headers,
        max_age_s=cors.max_age_s,
        allow_credentials=True if cors.allow_credentials else None,
        forward_unmatched_preflights=False,
    )


def _changes(modifier: HeaderModifier | None) -> HeaderChanges:
    if modifier is None:
        return HeaderChanges({}, {}, ())
    return HeaderChanges(modifier.set, modifier.add, modifier.remove)


def _origin(origin: str) -> TextMatch:
    if origin == "*":
        return TextMatch("regex", _ANY_ORIGIN)
    if "*" not in origin:
        return TextMatch("exact", origin)
    if origin.count("*") == 1 and origin.endswith("*"):
        return TextMatch("prefix", origin.removesuffix("*"))
    return TextMatch("regex", f"^{'.*'.join(map(quoted, origin.split('*')))}$")
