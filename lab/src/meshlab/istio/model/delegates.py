"""Merging of delegates: a rule that delegates is replaced by the rules of another VirtualService.

Follows `pilot/pkg/model/virtualservice.go#MergeHTTPRoutes` and `virtualservice_controller.go`. What does not fit
together is left out, as Istio leaves it out: where a delegate is missing or not visible the rule of the root, where a
condition contradicts the root's the rule of the delegate.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshlab.istio.read.virtual_service import HttpMatch, HttpRoute, TextMatch, VirtualService

__all__ = ["exports", "fits_root", "merge_delegates"]

_Value = TypeVar("_Value")


def exports(virtual_service: VirtualService, default: Sequence[str]) -> frozenset[str]:
    """Return the namespaces that see a VirtualService, with `*` for all of them.

    Args:
        virtual_service: The VirtualService.
        default: What counts where it does not say (`defaultVirtualServiceExportTo` of the mesh).
    """
    own = virtual_service.namespace
    return frozenset(virtual_service.export_to or (own if scope == "." else scope for scope in default))


def merge_delegates(
    virtual_services: Iterable[VirtualService], default_export_to: Sequence[str] = ("*",)
) -> list[VirtualService]:
    """Return the VirtualServices that have hosts, with the rules of their delegates, in Istio's order.

    The order is that of creation, as objects exported from a cluster say it; then that of name and namespace.
    """
    ordered = sorted(
        virtual_services,
        key=lambda service: (service.where.manifest.created, service.name, service.namespace),
    )
    delegates = {(service.namespace, service.name): service for service in ordered if service.is_delegate}
    return [
        replace(root, http=tuple(_merged(root, delegates, default_export_to)))
        for root in ordered
        if not root.is_delegate
    ]


def fits_root(root: HttpRoute, delegate: HttpRoute) -> bool:
    """Return whether a delegate's rule counts where a rule of a root delegates, or is left out there."""
    return _merge_matches(root.matches, delegate.matches) is not None


def _merged(
    root: VirtualService,
    delegates: Mapping[tuple[str, str], VirtualService],
    default_export_to: Sequence[str],
) -> Iterable[HttpRoute]:
    for route in root.http:
        if route.delegate is None:
            yield route
            continue
        delegate = delegates.get((route.delegate.namespace, route.delegate.name))
        if delegate is None or not exports(delegate, default_export_to) & {"*", root.namespace}:
            continue
        for inner in delegate.http:
            merged = _merge_route(route, inner)
            if merged is not None:
                yield merged


def _merge_route(root: HttpRoute, delegate: HttpRoute) -> HttpRoute | None:
    matches = _merge_matches(root.matches, delegate.matches)
    if matches is None:
        return None
    return replace(
        delegate,
        name=_joined(root.name, delegate.name),
        matches=matches,
        rewrite=_first(delegate.rewrite, root.rewrite),
        direct_response=_first(delegate.direct_response, root.direct_response),
        timeout_s=_first(delegate.timeout_s, root.timeout_s),
        retries=_first(delegate.retries, root.retries),
        fault=_first(delegate.fault, root.fault),
        mirror=_first(delegate.mirror, root.mirror),
        mirror_percent=_first(delegate.mirror_percent, root.mirror_percent),
        mirror_percentage=_first(delegate.mirror_percentage, root.mirror_percentage),
        mirrors=delegate.mirrors or root.mirrors,
        cors=_first(delegate.cors, root.cors),
        headers=_first(delegate.headers, root.headers),
    )


def _merge_matches(
    root: tuple[HttpMatch, ...], delegate: tuple[HttpMatch, ...]
) -> tuple[HttpMatch, ...] | None:
    if not root or not delegate:
        return delegate or root
    found: list[HttpMatch] = []
    for inner in delegate:
        fitting = [outer for outer in root if not _contradicts(outer, inner)]
        if not fitting:
            return None
        found += [_merge_match(outer, inner) for outer in fitting]
    return tuple(found)


def _merge_match(root: HttpMatch, delegate: HttpMatch) -> HttpMatch:
    return replace(
        delegate,
        name=_joined(root.name, delegate.name),
        uri=_first(delegate.uri, root.uri),
        scheme=_first(delegate.scheme, root.scheme),
        method=_first(delegate.method, root.method),
        authority=_first(delegate.authority, root.authority),
        headers=_union(root.headers, delegate.headers),
        without_headers=_union(root.without_headers, delegate.without_headers),
        query_params=_union(root.query_params, delegate.query_params),
        port=_first(delegate.port, root.port),
        source_labels=_union(root.source_labels, delegate.source_labels),
        source_namespace=delegate.source_namespace or root.source_namespace,
        gateways=delegate.gateways or root.gateways,
        stat_prefix=delegate.stat_prefix or root.stat_prefix,
    )


def _contradicts(root: HttpMatch, delegate: HttpMatch) -> bool:
    """Return whether a request could not meet both, or the delegate's condition is wider than the root's."""
    texts = [
        (root.uri, delegate.uri),
        (root.scheme, delegate.scheme),
        (root.method, delegate.method),
        (root.authority, delegate.authority),
    ]
    for outer, inner in (
        (root.headers, delegate.headers),
        (root.without_headers, delegate.without_headers),
        (root.query_params, delegate.query_params),
    ):
        texts += [((outer or {}).get(name), text) for name, text in (inner or {}).items()]
    labels = root.source_labels or {}
    return (
        any(_texts_contradict(outer, inner) for outer, inner in texts)
        or root.ignore_uri_case != delegate.ignore_uri_case
        or (root.port is not None and delegate.port is not None and root.port != delegate.port)
        or (root.source_namespace != "" and root.source_namespace != delegate.source_namespace)
        or any(labels.get(key, value) != value for key, value in (delegate.source_labels or {}).items())
        or (bool(root.gateways) and not set(delegate.gateways) <= set(root.gateways))
    )


def _texts_contradict(root: TextMatch | None, delegate: TextMatch | None) -> bool:
    if root is None or delegate is None:
        return False
    # Istio does not compare regular expressions, and takes two conditions without a pattern for a contradiction.
    match root.kind, delegate.kind:
        case "exact", "exact":
            return root.value != delegate.value or not root.value
        case "prefix", "prefix" | "exact":
            return not (root.value and delegate.value and delegate.value.startswith(root.value))
    return True


def _joined(root: str, delegate: str) -> str:
    return "-".join(part for part in (root, delegate) if part)


def _first(delegate: _Value | None, root: _Value | None) -> _Value | None:
    return root if delegate is None else delegate


def _union(
    root: Mapping[str, _Value] | None, delegate: Mapping[str, _Value] | None
) -> Mapping[str, _Value] | None:
    return {**(root or {}), **(delegate or {})} or None
