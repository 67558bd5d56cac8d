"""Policies for requests of other origins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.re2 import regex_problem
from meshlab.istio.read.virtual_service.http_match import TextMatch
from meshlab.istio.read.virtual_service.protobuf_values import HEADER_NAME, boolean, duration_s
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Fields

__all__ = ["Cors", "read_cors"]

_CORS_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*")


@dataclass(frozen=True)
class Cors:
    """A policy for requests of other origins."""

    allow_origins: tuple[TextMatch, ...]
    allow_methods: tuple[str, ...]
    allow_headers: tuple[str, ...]
    expose_headers: tuple[str, ...]
    max_age_s: int | None
    allow_credentials: bool | None
    forward_unmatched_preflights: bool


def read_cors(rule: Fields) -> Cors | None:
    """Read `corsPolicy`, `None` where it is absent.

    Raises:
        ManifestError: A method, a header's name, an origin or an age that Istio refuses.
    """
    if rule.raw("corsPolicy") is None:
        return None
    known = (
        "allowOrigin",
        "allowOrigins",
        "allowMethods",
        "allowHeaders",
        "exposeHeaders",
        "maxAge",
        "allowCredentials",
        "unmatchedPreflights",
    )
    cors = rule.mapping("corsPolicy", known)
    origins = []
    for index, entry in enumerate(cors.items("allowOrigins", ("exact", "prefix", "regex"))):
        where = cors.where.key("allowOrigins").item(index)
        kinds = [kind for kind in ("exact", "prefix", "regex") if entry.raw(kind) is not None]
        if len(kinds) != 1 or not entry.string(kinds[0]):
            raise where.error("needs one of exact, prefix and regex, and not empty.")
        if kinds == ["regex"] and (problem := regex_problem(entry.string("regex"))):
            raise where.key("regex").error(problem)
        origins.append(TextMatch(kinds[0], entry.string(kinds[0])))
    if cors.raw("allowOrigins") is None:
        # The older field, which Istio still reads where the newer is absent.
        origins = [TextMatch("exact", origin) for origin in cors.strings("allowOrigin")]
    for index, method in enumerate(cors.strings("allowMethods")):
        if method not in _CORS_METHODS:
            choice = ", ".join(_CORS_METHODS)
            raise cors.where.key("allowMethods").item(index).error(f"{method!r} is none of {choice}.")
    for name in ("allowHeaders", "exposeHeaders"):
        for index, header in enumerate(cors.strings(name)):
            if not HEADER_NAME.fullmatch(header):
                raise cors.where.key(name).item(index).error(f"{header!r} is not the name of a header.")
    max_age = duration_s(cors, "maxAge")
    if max_age is not None and max_age != int(max_age):
        raise cors.where.key("maxAge").error("Istio takes whole seconds only.")
    unmatched = cors.choice("unmatchedPreflights", ("UNSPECIFIED", "FORWARD", "IGNORE"), "UNSPECIFIED")
    return Cors(
        allow_origins=tuple(origins),
        allow_methods=tuple(cors.strings("allowMethods")),
        allow_headers=tuple(cors.strings("allowHeaders")),
        expose_headers=tuple(cors.strings("exposeHeaders")),
        max_age_s=None if max_age is None else int(max_age),
        allow_credentials=boolean(cors, "allowCredentials"),
        forward_unmatched_preflights=unmatched != "IGNORE",
    )
