"""Conditions of an HTTP rule: which requests, and which proxies, it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.istio.read.hosts import is_label
from meshlab.istio.read.re2 import regex_problem
from meshlab.istio.read.virtual_service.protobuf_values import HEADER_NAME, gateway_names, port, source_labels
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshlab.istio.read.fields import Fields, Where

__all__ = ["HttpMatch", "TextMatch", "claim_path", "read_match", "read_text_match"]

MATCH_FIELDS = (
    "name",
    "uri",
    "ignoreUriCase",
    "scheme",
    "method",
    "authority",
    "headers",
    "withoutHeaders",
    "queryParams",
    "port",
    "gateways",
    "sourceLabels",
    "sourceNamespace",
    "statPrefix",
)
_PSEUDO_HEADERS = frozenset({":method", ":scheme", ":authority", ":path", ":status"})
_CLAIMS = "@request.auth.claims"


@dataclass(frozen=True)
class TextMatch:
    """A condition on a text; `kind` is `exact`, `prefix`, `regex`, or `present` for one without a pattern."""

    kind: str
    value: str


@dataclass(frozen=True)
class HttpMatch:
    """One alternative of a rule; everything in it must hold.

    Attributes:
        name: Added to the name of the rule.
        port: The port that a gateway's server declares, or a sidecar's listener has; `None` for any.
        gateways: Full names, or `mesh`. Where there are any, `source_labels` and `source_namespace` count for nothing.
        source_labels: Labels that the workload of the proxy must have.
        source_namespace: Namespace that the workload of the proxy must be in; empty for any.
    """

    name: str = ""
    uri: TextMatch | None = None
    ignore_uri_case: bool = False
    scheme: TextMatch | None = None
    method: TextMatch | None = None
    authority: TextMatch | None = None
    headers: Mapping[str, TextMatch] | None = None
    without_headers: Mapping[str, TextMatch] | None = None
    query_params: Mapping[str, TextMatch] | None = None
    port: int | None = None
    gateways: tuple[str, ...] = ()
    source_labels: Mapping[str, str] | None = None
    source_namespace: str = ""
    stat_prefix: str = ""


def claim_path(header: str) -> tuple[str, ...] | None:
    """Return the path of the claim that stands in place of a header's name, `None` for a real header.

    Follows `pkg/jwt/routing.go#ToRoutingClaim`: `@request.auth.claims.a.b` or `@request.auth.claims[a][b]`.
    """
    if not header.lower().startswith(_CLAIMS):
        return None
    rest = header[len(_CLAIMS) :]
    if rest.startswith(".") and len(rest) > 1:
        return tuple(rest[1:].split("."))
    if rest.startswith("[") and rest.endswith("]") and len(rest) > 2:
        return tuple(rest[1:-1].split("]["))
    return None


def read_match(match: Fields, namespace: str) -> HttpMatch:
    """Read one alternative of `match`.

    Args:
        match: The alternative.
        namespace: The namespace of the VirtualService.

    Raises:
        ManifestError: Something that Istio's validation or Envoy refuses.
    """
    source_namespace = match.string("sourceNamespace")
    if source_namespace and not is_label(source_namespace):
        raise match.where.key("sourceNamespace").error(f"{source_namespace!r} cannot be a namespace.")
    return HttpMatch(
        name=match.string("name"),
        uri=read_text_match(match, "uri", empty_prefix=True),
        ignore_uri_case=match.boolean("ignoreUriCase"),
        scheme=read_text_match(match, "scheme"),
        method=read_text_match(match, "method"),
        authority=read_text_match(match, "authority"),
        headers=_headers(match, "headers"),
        without_headers=_headers(match, "withoutHeaders"),
        query_params=_query_params(match),
        port=port(match, "port"),
        gateways=gateway_names(match, namespace),
        source_labels=source_labels(match) or None,
        source_namespace=source_namespace,
        stat_prefix=match.string("statPrefix"),
    )


def read_text_match(
    fields: Fields, name: str, *, empty_prefix: bool = False, star: bool = False
) -> TextMatch | None:
    """Read a condition on a text, `None` where the field is absent.

    Args:
        fields: The mapping that it is a field of.
        name: The field.
        empty_prefix: Whether a prefix may be empty, as that of a path may.
        star: Whether `regex: "*"` means presence, as Istio reads it in `withoutHeaders`.

    Raises:
        ManifestError: Two patterns, an empty prefix, or a regular expression that RE2 does not have.
    """
    if fields.raw(name) is None:
        return None
    kinds = ("exact", "prefix", "regex")
    text = fields.mapping(name, kinds)
    found = [kind for kind in kinds if text.raw(kind) is not None]
    if len(found) > 1:
        raise text.where.error(f"has {' and '.join(found)}; only one of them can count.")
    if not found:
        return TextMatch("present", "")
    kind, value = found[0], text.string(found[0])
    if kind == "prefix" and not value and not empty_prefix:
        raise text.where.key("prefix").error("an empty prefix is refused by Istio; write {} for any value.")
    if kind == "regex":
        if star and value == "*":
            return TextMatch("present", "")
        if problem := regex_problem(value):
            advice = " For any value, write {}." if value == "*" else ""
            raise text.where.key("regex").error(problem + advice)
    return TextMatch(kind, value)


def _headers(match: Fields, name: str) -> Mapping[str, TextMatch] | None:
    names = match.string_keys(name)
    headers = match.mapping(name, names)
    found = {}
    for header in names:
        where = headers.where.key(header)
        path = claim_path(header)
        if path is None and header not in _PSEUDO_HEADERS and not HEADER_NAME.fullmatch(header):
            raise where.error("is not the name of a header; write one, or @request.auth.claims[NAME].")
        text = read_text_match(headers, header, star=name == "withoutHeaders" and path is None)
        if text is None:
            if name == "headers":
                raise where.error("is null, which Istio refuses; write {} for any value.")
            text = TextMatch("present", "")
        if path is not None:
            _check_claim(path, text, where)
        found[header] = text
    return found or None


def _check_claim(path: tuple[str, ...], text: TextMatch, where: Where) -> None:
    if not all(path):
        raise where.error("names a claim without a name; write @request.auth.claims[NAME].")
    if text.kind == "present":
        problem = "a claim needs exact, prefix or regex; without one Envoy refuses all routes of the proxy."
        raise where.error(problem)


def _query_params(match: Fields) -> Mapping[str, TextMatch] | None:
    names = match.string_keys("queryParams")
    params = match.mapping("queryParams", names)
    if "" in names:
        raise params.where.error("a query parameter needs a name.")
    found = {name: read_text_match(params, name) or TextMatch("present", "") for name in names}
    return found or None
