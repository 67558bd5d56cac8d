"""Changes of headers in Envoy's words (`pilot/pkg/networking/core/route/route.go#TranslateHeadersOperations`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.virtual_service import is_authority

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.envoy.config import Json
    from meshlab.istio.read.virtual_service import HeaderChanges, Headers

__all__ = ["authority_of", "header_changes"]


def header_changes(*headers: Headers | None) -> Json:
    """Return the changes of all the headers, in the fields that a route and a weighted cluster share."""
    found: dict[str, list[Json] | list[str]] = {}
    present = [each for each in headers if each is not None]
    for direction in ("request", "response"):
        changes: list[HeaderChanges] = [getattr(each, direction) for each in present]
        found[f"{direction}HeadersToAdd"] = [option for change in changes for option in _options(change)]
        found[f"{direction}HeadersToRemove"] = [name for change in changes for name in change.remove]
    return {name: value for name, value in found.items() if value}


def authority_of(headers: Headers | None) -> str:
    """Return the authority that request headers ask for, empty where they ask for none.

    Envoy cannot set `host` like another header; Istio makes it a rewrite of the host.
    """
    if headers is None:
        return ""
    for changes in (headers.request.set, headers.request.add):
        for name, value in changes.items():
            if value and is_authority(name):
                return value
    return ""


def _options(changes: HeaderChanges) -> list[Json]:
    return [
        *_append(changes.set, "OVERWRITE_IF_EXISTS_OR_ADD"),
        *_append(changes.add, "APPEND_IF_EXISTS_OR_ADD"),
    ]


def _append(headers: Mapping[str, str], action: str) -> list[Json]:
    return [
        {"header": {"key": name, "value": value}, "appendAction": action}
        for name, value in sorted(headers.items())
        if not (name.startswith(":") or is_authority(name))
    ]
