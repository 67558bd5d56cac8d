"""Conditions of routes that a request does not meet, for requests that no route takes.

Envoy does not say which part of a route's match failed, so it is compared here: for the explanation alone, no verdict
depends on it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from meshlab.bench.case import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshlab.explain.hop_context import HopContext
    from meshlab.istio.envoy.config import Json

__all__ = ["missed_parts"]


def missed_parts(context: HopContext, route: Json) -> Iterator[str]:
    """Yield the conditions of a route that the request does not meet."""
    match = route.get("match", {})
    seen = context.seen
    path = (seen.value("paths") or "/").partition("?")[0]
    if "path" in match and path != match["path"]:
        yield f"path {match['path']}"
    if "prefix" in match and not path.startswith(match["prefix"]):
        yield f"path prefix {match['prefix']}"
    if "pathSeparatedPrefix" in match:
        prefix = match["pathSeparatedPrefix"]
        if not (path == prefix or path.startswith(f"{prefix}/")):
            yield f"path prefix {prefix}, of whole segments"
    if "safeRegex" in match and not _fits(match["safeRegex"]["regex"], path):
        yield f"path {match['safeRegex']['regex']}"
    sent, params = _sent_headers(context), _sent_params(context)
    for header in match.get("headers", []):
        name = header["name"]
        if name == ":method" and not _holds(header, [context.line.method]):
            yield f"method {header['stringMatch'].get('exact', 'of another name')}"
        elif not name.startswith(":") and (sent is None or not _holds(header, sent.get(name.lower(), []))):
            yield f"{'no ' if header.get('invertMatch') else ''}header {name}"
    for param in match.get("queryParameters", []):
        if params is None or not _holds(param, params.get(param["name"], [])):
            yield f"query parameter {param['name']}"
    yield from (
        f"claim {'.'.join(part['key'] for part in each['path'][1:])}"
        for each in match.get("dynamicMetadata", [])
    )


def _sent_headers(context: HopContext) -> dict[str, list[str]] | None:
    """Return the headers that the client sent; `None` behind the first proxy, which may have changed them."""
    request = context.case.request
    if context.index or not isinstance(request, HttpRequest):
        return None
    found: dict[str, list[str]] = {}
    for name, value in request.headers:
        found.setdefault(name.lower(), []).append(value)
    return found


def _sent_params(context: HopContext) -> dict[str, list[str]] | None:
    request = context.case.request
    if context.index or not isinstance(request, HttpRequest):
        return None
    target = request.target if request.target is not None else request.url
    return parse_qs(urlsplit(target).query, keep_blank_values=True)


def _holds(condition: Json, values: Sequence[str]) -> bool:
    """Return whether one of the values of a header or parameter is as a route wants it."""
    text = condition.get("stringMatch")
    if text is None:
        found = bool(values)
    else:
        candidates = values or ([""] if condition.get("treatMissingHeaderAsEmpty") else [])
        found = any(_text_fits(text, value) for value in candidates)
    return found != bool(condition.get("invertMatch"))


def _text_fits(text: Json, value: str) -> bool:
    if "exact" in text:
        return bool(value == text["exact"])
    if "prefix" in text:
        return value.startswith(text["prefix"])
    return _fits(text.get("safeRegex", {}).get("regex", ""), value)


def _fits(regex: str, path: str) -> bool:
    try:
        return re.fullmatch(regex, path) is not None
    except re.error:
        return False
