"""What both clients do before and after the network: build the request, judge the answer."""

import json as json_module
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from meshpass._errors import InvalidRequest, MeshError
from meshpass._path import fill_path
from meshpass._refusal import Refusal, classify
from meshpass._service import Service
from meshpass._token import Token

if TYPE_CHECKING:
    import httpx

Params = Mapping[str, str | int | Sequence[str | int]]

_USER_AGENT = "meshpass"
_METHOD = re.compile(r"[A-Z]{1,32}")
# RFC 9110, section 5.6.2 (token) and 5.5 (field-value, without the obsolete bytes).
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
# RFC 6750, section 2.1: b64token.
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_OWN_HEADERS = frozenset({"authorization", "host", "content-length", "transfer-encoding", "connection"})


def prepare(
    service: Service,
    method: str,
    template: str,
    values: Mapping[str, object],
    *,
    params: Params | None,
    headers: Mapping[str, str] | None,
    json: object,
    content: bytes | None,
    timeout_s: float | None,
) -> "httpx.Request":
    """Build a request without its token.

    Raises:
        InvalidRequest: the path, a value, a header or the query cannot be sent safely as written.
    """
    import httpx

    if not _METHOD.fullmatch(method):
        raise InvalidRequest(f"The method {method!r} is not an HTTP method in capitals.")
    target = fill_path(template, values)
    query = _query(params)
    limit_s = service.timeout_s if timeout_s is None else timeout_s
    if not limit_s > 0:
        raise InvalidRequest(f"timeout_s is {limit_s}; it must be a number of seconds above 0.")
    sent = {"user-agent": _USER_AGENT, "accept": "*/*", "accept-encoding": "gzip, deflate"}
    if json is not None:
        if content is not None:
            raise InvalidRequest("A request has one body: give `json` or `content`.")
        content = json_module.dumps(json, separators=(",", ":"), allow_nan=False).encode()
        sent["content-type"] = "application/json"
    sent.update(_checked_headers(headers or {}))
    return httpx.Request(
        method,
        f"{service.origin.url}{target}{'?' if query else ''}{query}",
        headers=sent,
        content=content,
        extensions={"timeout": {"connect": min(service.connect_timeout_s, limit_s), "total": limit_s}},
    )


def authorize(request: "httpx.Request", token: Token) -> None:
    """Put the token into the request; its URL is of the service's own origin by construction.

    Raises:
        MeshError: the source's token is not one that a header can hold.
    """
    if not _BEARER.fullmatch(token.value):
        raise MeshError(
            f"The token from {token.source} is not a bearer token: it is empty or has odd characters."
        )
    request.headers["authorization"] = f"Bearer {token.value}"


def deauthorize(request: "httpx.Request") -> None:
    """Take the token out again: an answer keeps its request, and may be logged or pickled."""
    request.headers.pop("authorization", None)


def refusal(
    service: Service, method: str, template: str, response: "httpx.Response", token: Token
) -> MeshError | None:
    """Return the error that an answer of the mesh stands for; None when the service itself answered."""
    found = classify(response.status_code, response.headers, response.content)
    if found is None:
        return None
    detail = found.detail.replace(token.value, "***")
    return found.error(
        _sentence(found, f"{method} {template} on {service.name}", response.status_code, detail, token),
        code=found.code,
        service=service.name,
        status=response.status_code,
        detail=detail,
        answered_by=found.answered_by,
        claims=token.claims,
        hint=found.hint,
        retryable=found.retryable,
    )


def _sentence(found: Refusal, call: str, status: int, detail: str, token: Token) -> str:
    who = "gateway" if found.answered_by == "gateway" else "workload's proxy"
    said = f" {detail!r}" if detail else ", without a word"
    claims = " ".join(f"{name}={value}" for name, value in token.claims.items())
    sent = f" The token sent has {claims}." if claims and status in (401, 403) else ""
    return f"{call} was answered by the {who} with {status}{said}.{sent}"


def _query(params: Params | None) -> str:
    try:
        return urlencode(params or {}, doseq=True, quote_via=quote, safe="")
    except UnicodeEncodeError:
        pass
    # Raised out of the `except` block: the codec's error holds the whole value.
    raise InvalidRequest("The query has a value that is not valid Unicode: it has lone surrogates in it.")


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    checked = {}
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidRequest(f"The header name {name!r} has characters that a header name cannot hold.")
        if name.lower() in _OWN_HEADERS:
            raise InvalidRequest(f"The header {name} is set by the client itself and cannot be given.")
        if not _HEADER_VALUE.fullmatch(value):
            raise InvalidRequest(
                f"The value of the header {name} has line breaks, control or non-ASCII characters."
            )
        checked[name.lower()] = value
    return checked
