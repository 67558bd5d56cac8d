"""A case in the words of a case file: what the reader makes of the text is the case again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshlab.bench.case import (
    FromBypass,
    FromForeignMesh,
    FromOutside,
    FromWorkload,
    HttpRequest,
    TcpRequest,
    TlsRequest,
)
from meshlab.bench.case_file import words
from meshlab.bench.case_file.scalar import scalar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshlab.bench.case import Case, Certificate, Expectation, Received, Sender, TokenSpec

__all__ = ["written_case", "written_certificate"]

_HELLO = "hello\n"
_DEFAULT_PREFIX = "Bearer "


def written_case(case: Case) -> str:
    """Return an entry of `cases`, with an indentation of two.

    A case without an expectation has no `expect`, which the reader asks for.
    """
    lines = [
        f"- name: {scalar(case.name)}",
        f"  from: {_sender(case.sender)}",
        f"  token: {_tokens(case.tokens)}",
        f"  request: {_request(case.request)}",
    ]
    if case.expect is not None:
        lines.append(f"  expect: {_expect(case.expect)}")
    return "".join(f"  {line}\n" for line in lines)


def written_certificate(certificate: Certificate) -> str:
    """Return the words of a certificate."""
    return _flow(
        {
            "authority": scalar(certificate.authority),
            "uris": _texts(certificate.uris),
            "dns": _texts(certificate.dns),
        }
    )


def _sender(sender: Sender) -> str:
    match sender:
        case FromOutside():
            return _flow(
                {
                    "outside": str(sender.gateway),
                    "address": scalar(sender.address) if sender.address else "",
                    "certificate": written_certificate(sender.certificate) if sender.certificate else "",
                }
            )
        case FromWorkload():
            return _flow({"workload": str(sender.workload)})
        case FromBypass():
            return _flow(
                {
                    "bypass": str(sender.workload or words.NONE),
                    "to": str(sender.to),
                    "port": str(sender.port or ""),
                    "mode": "" if sender.mode == "plaintext" else sender.mode,
                }
            )
        case FromForeignMesh():
            return _flow(
                {
                    "mesh": scalar(sender.identity),
                    "authority": scalar(sender.authority),
                    "to": str(sender.to),
                    "port": str(sender.port or ""),
                }
            )


def _tokens(tokens: tuple[TokenSpec, ...]) -> str:
    if not tokens:
        return words.NONE
    written = [_token(token) for token in tokens]
    return written[0] if len(written) == 1 else f"[{', '.join(written)}]"


def _token(token: TokenSpec) -> str:
    prefix = _DEFAULT_PREFIX if token.placement == "header" else ""
    return _flow(
        {
            "issuer": scalar(token.issuer) if token.issuer else "",
            "claims": _value(token.claims) if token.claims else "",
            "flaw": scalar(token.flaw) if token.flaw else "",
            "in": "" if token.placement == "header" else token.placement,
            "name": scalar(token.name) if token.name else "",
            "prefix": "" if token.prefix == prefix else scalar(token.prefix),
            "literal": "" if token.literal is None else scalar(token.literal),
        }
    )


def _request(request: HttpRequest | TcpRequest | TlsRequest) -> str:
    if isinstance(request, HttpRequest):
        return _http(request)
    kind = "tls" if isinstance(request, TlsRequest) else "tcp"
    sni = request.sni if isinstance(request, TlsRequest) else None
    return _flow(
        {
            kind: scalar(f"{request.host}:{request.port}"),
            "sni": "" if sni is None else scalar(sni),
            "send": "" if request.send == _HELLO else scalar(request.send),
        }
    )


def _http(request: HttpRequest) -> str:
    short = f"{request.method} {request.url}"
    if request == HttpRequest(request.url, request.method) and re.search(words.SHORT_REQUEST, short):
        return scalar(short)
    return _flow(
        {
            "method": "" if request.method == "GET" else scalar(request.method),
            "url": scalar(request.url),
            "headers": _headers(request.headers),
            "body": scalar(request.body) if request.body else "",
            "http": "" if request.version == "1.1" else scalar(request.version),
            "target": "" if request.target is None else scalar(request.target),
            "sni": "" if request.sni is None else scalar(request.sni),
        }
    )


def _headers(headers: tuple[tuple[str, str], ...]) -> str:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value)
    written = {
        scalar(name): scalar(values[0]) if len(values) == 1 else _texts(tuple(values))
        for name, values in found.items()
    }
    return _flow(written) if written else ""


def _expect(expect: Expectation) -> str:
    ending = str(expect.status or ("refused" if expect.refused else "answered"))
    who = expect.app if isinstance(expect.app, str) else expect.proxy
    short = ending if who is None else f"{ending} {'proxy' if expect.proxy else 'app'} {who}"
    if expect.refused and expect.proxy:
        short = f"{ending} {who}"
    if _is_short(expect) and re.search(words.SHORT_EXPECT, short):
        return _shortest(short)
    app = expect.app
    return _flow(
        {
            "status": str(expect.status or ""),
            "refused": "true" if expect.refused else "",
            "answered": "true" if expect.answered else "",
            "app": _texts(app) if isinstance(app, tuple) else scalar(app) if app else "",
            "proxy": str(expect.proxy or ""),
            "subset": scalar(expect.subset) if expect.subset else "",
            "policy": scalar(expect.policy) if expect.policy else "",
            "rule": "" if expect.rule is None else str(expect.rule),
            "says": scalar(expect.says) if expect.says else "",
            "headers": _optional(expect.headers),
            "received": _received(expect.received) if expect.received else "",
            "certificate": scalar(expect.certificate) if expect.certificate else "",
        }
    )


def _is_short(expect: Expectation) -> bool:
    further = (expect.subset, expect.policy, expect.rule, expect.received, expect.certificate)
    one = not isinstance(expect.app, tuple)
    return one and all(value is None for value in further) and not (expect.says or expect.headers)


def _shortest(short: str) -> str:
    """Return a verdict without the word that says who gives it, where the status says so."""
    bare = re.sub(r"^(2[0-9][0-9]|answered) app ", r"\1 ", short)
    bare = re.sub(r"^([45][0-9][0-9]) proxy ", r"\1 ", bare)
    return bare if re.search(words.SHORT_EXPECT, bare) else short


def _received(received: Received) -> str:
    parts = {
        name: scalar(value)
        for name in ("method", "path", "host", "identity", "sni")
        if (value := getattr(received, name))
    }
    return _flow({**parts, "headers": _optional(received.headers)})


def _optional(headers: Mapping[str, str | None]) -> str:
    written = {scalar(name): "null" if value is None else scalar(value) for name, value in headers.items()}
    return _flow(written) if written else ""


def _texts(values: tuple[str, ...]) -> str:
    return f"[{', '.join(map(scalar, values))}]" if values else ""


def _flow(parts: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{name}: {text}' for name, text in parts.items() if text)}}}"


def _value(value: object) -> str:
    """Return any value of JSON."""
    if isinstance(value, str):
        return scalar(value)
    if isinstance(value, dict):
        return f"{{{', '.join(_pairs(value))}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _pairs(value: Mapping[str, object]) -> Iterator[str]:
    for name, inner in value.items():
        yield f"{scalar(name)}: {_value(inner)}"
