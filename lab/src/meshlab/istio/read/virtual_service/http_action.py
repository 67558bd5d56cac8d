"""Actions of an HTTP rule beside its destinations: redirections, responses of the proxy itself, rewrites."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from meshlab.istio.read.re2 import regex_problem
from meshlab.istio.read.virtual_service.protobuf_values import http_status, integer, port
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from meshlab.istio.read.fields import Fields
    from meshlab.istio.read.virtual_service.http_match import TextMatch

__all__ = ["DirectResponse", "Redirect", "Rewrite", "read_direct_response", "read_redirect", "read_rewrite"]

_BODY_MAX_BYTES = 1024 * 1024
_REDIRECT_CODES = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Redirect:
    """A redirection; an empty text leaves that part of the URL as it is.

    Attributes:
        port: The port of the new URL; `None` where none is written.
        port_of_request: Whether the new URL has the port of the listener.
    """

    uri: str
    prefix_rewrite: str
    authority: str
    scheme: str
    port: int | None
    port_of_request: bool
    code: int


@dataclass(frozen=True)
class DirectResponse:
    """A response of the proxy itself."""

    status: int
    body: bytes | None


@dataclass(frozen=True)
class Rewrite:
    """A new path or authority; `regex` is a pattern and what replaces its matches."""

    uri: str
    authority: str
    regex: tuple[str, str] | None


def read_redirect(rule: Fields, uris: tuple[TextMatch | None, ...]) -> Redirect | None:
    """Read `redirect`, `None` where it is absent.

    Args:
        rule: The rule.
        uris: The paths of its matches.

    Raises:
        ManifestError: Something that Istio's validation refuses, or a code that it does not pass on to Envoy.
    """
    if rule.raw("redirect") is None:
        return None
    known = ("uri", "prefixRewrite", "authority", "scheme", "port", "derivePort", "redirectCode")
    redirect = rule.mapping("redirect", known)
    where = redirect.where
    texts = {name: redirect.string(name) for name in ("uri", "prefixRewrite", "authority", "scheme")}
    has_port, derive = redirect.raw("port") is not None, redirect.raw("derivePort") is not None
    if texts["uri"] and texts["prefixRewrite"]:
        raise where.error("has uri and prefixRewrite; only one of them can count.")
    if texts["prefixRewrite"] and any(uri and uri.kind != "prefix" for uri in uris):
        raise where.key("prefixRewrite").error(
            "needs uri matches by prefix only; it replaces what they match."
        )
    if has_port and derive:
        raise where.error("has port and derivePort; only one of them can count.")
    if not any(texts.values()) and not has_port and not derive:
        raise where.error("changes nothing; write uri, prefixRewrite, authority, scheme, port or derivePort.")
    if texts["scheme"] not in ("", "http", "https"):
        raise where.key("scheme").error(f"{texts['scheme']!r} is not http or https.")
    code = integer(redirect, "redirectCode") or _REDIRECT_CODES[0]
    if code not in _REDIRECT_CODES:
        choice = ", ".join(map(str, _REDIRECT_CODES))
        problem = f"{code} is not one of {choice}; with another code Envoy refuses all routes of the proxy."
        raise where.key("redirectCode").error(problem)
    derivations = ("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT")
    return Redirect(
        uri=texts["uri"],
        prefix_rewrite=texts["prefixRewrite"],
        authority=texts["authority"],
        scheme=texts["scheme"],
        port=(port(redirect, "port") or 0) if has_port else None,
        port_of_request=derive and redirect.choice("derivePort", derivations, "") == derivations[1],
        code=code,
    )


def read_direct_response(rule: Fields) -> DirectResponse | None:
    """Read `directResponse`, `None` where it is absent.

    Raises:
        ManifestError: No status that Istio and Envoy take, or a body that is too long.
    """
    if rule.raw("directResponse") is None:
        return None
    response = rule.mapping("directResponse", ("status", "body"))
    body = response.mapping("body", ("string", "bytes"))
    if body.raw("string") is not None and body.raw("bytes") is not None:
        raise body.where.error("has string and bytes; only one of them can count.")
    content = None
    if body.raw("string") is not None:
        content = body.string("string").encode()
    elif body.raw("bytes") is not None:
        content = _decoded(body)
    if content is not None and len(content) > _BODY_MAX_BYTES:
        raise body.where.error(f"has {len(content)} bytes; Istio takes {_BODY_MAX_BYTES} at most.")
    return DirectResponse(http_status(response, "status"), content)


def _decoded(body: Fields) -> bytes:
    try:
        return base64.b64decode(body.string("bytes"), validate=True)
    except binascii.Error:
        raise body.where.key("bytes").error("is not base64.") from None


def read_rewrite(rule: Fields) -> Rewrite | None:
    """Read `rewrite`, `None` where it is absent.

    Raises:
        ManifestError: Nothing is rewritten, or the path twice, or by a pattern that RE2 does not have.
    """
    if rule.raw("rewrite") is None:
        return None
    rewrite = rule.mapping("rewrite", ("uri", "authority", "uriRegexRewrite"))
    uri, authority = rewrite.string("uri"), rewrite.string("authority")
    regex = None
    if rewrite.raw("uriRegexRewrite") is not None:
        pattern = rewrite.mapping("uriRegexRewrite", ("match", "rewrite"))
        regex = pattern.required("match"), pattern.required("rewrite")
        if problem := regex_problem(regex[0]):
            raise pattern.where.key("match").error(problem)
    if uri and regex:
        raise rewrite.where.error("has uri and uriRegexRewrite; only one of them can count.")
    if not (uri or authority or regex):
        raise rewrite.where.error("rewrites nothing; write uri, uriRegexRewrite or authority.")
    return Rewrite(uri, authority, regex)
