"""`request`: what is sent, in its short form or as a mapping, joined with the defaults."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, cast

from meshlab.bench.case import HttpRequest, TcpRequest, TlsRequest
from meshlab.bench.case_file import format_words
from meshlab.bench.case_file.nodes import Cursor
from meshlab.bench.case_file.read_texts import header_list, host_port, matching, port_number

if TYPE_CHECKING:
    from meshlab.bench.case_file.reader_context import Context, Fields

__all__ = ["read_request", "request_words"]

_REQUEST_WORDS = tuple(
    dict.fromkeys((*format_words.HTTP_WORDS, *format_words.TCP_WORDS, *format_words.TLS_WORDS))
)
_KINDS = {"http": format_words.HTTP_WORDS, "tcp": format_words.TCP_WORDS, "tls": format_words.TLS_WORDS}
_ONLY_HTTP = tuple(word for word in format_words.HTTP_WORDS if word != "sni")


def request_words(context: Context, where: Cursor) -> Fields:
    """Return the words of a request as they stand; a short form is taken apart.

    Raises:
        ReadError: It is no request.
    """
    if where.is_text:
        text = matching(
            where,
            format_words.SHORT_REQUEST,
            "a request; write METHOD URL, such as GET https://shop.example/",
        )
        method, _, url = text.rpartition(" ")
        fields = {"url": where.scalar(url)}
        return {"method": where.scalar(method.strip()), **fields} if method else fields
    if not where.is_mapping:
        raise where.error(f"expected METHOD URL or a mapping, found {where.said}")
    fields = where.fields(context.problems, _REQUEST_WORDS, "a request")
    if not fields:
        message = "the request is empty; write METHOD URL, or `tcp: HOST:PORT`, or `tls: HOST:PORT`"
        raise where.lacks(_REQUEST_WORDS, "a request", message)
    kind = _kind(fields)
    for word in fields:
        if kind and word not in _KINDS[kind]:
            raise fields[word].error(f"`{word}` does not belong to a request with `{_sign(fields)}`")
    return fields


def join_words(base: Fields, own: Fields) -> Fields:
    """Return the words of a request over those of its defaults, where both are of one kind."""
    kind = _kind(own)
    if kind and _kind(base) not in ("", kind):
        return own
    return {**base, **own}


def read_request(context: Context, fields: Fields, where: Cursor) -> HttpRequest | TcpRequest | TlsRequest:
    """Return the request that these words describe.

    Args:
        context: The state of reading.
        fields: The words, defaults included.
        where: The case, to report a word that is missing.

    Raises:
        ReadError: They describe none.
    """
    attempt = context.problems.attempt
    kind = _kind(fields)
    if kind in ("tcp", "tls"):
        host, port = host_port(fields[kind])
        send = attempt(Cursor.text, fields.get("send"), "hello\n")
        if kind == "tcp":
            return TcpRequest(host, port, send)
        return TlsRequest(host, port, attempt(Cursor.text, fields.get("sni"), None), send)
    if "send" in fields:
        raise fields["send"].error("`send` needs `tcp: HOST:PORT` or `tls: HOST:PORT`", "meaning")
    if "url" not in fields:
        raise where.error("no URL: write `request: METHOD URL`, here or under `defaults:`", "meaning")
    version = attempt(_version, fields.get("http"), "1.1")
    return HttpRequest(
        url=_url(fields["url"]),
        method=attempt(
            partial(matching, pattern=format_words.METHOD, expected="an HTTP method"),
            fields.get("method"),
            "GET",
        ),
        headers=attempt(header_list, fields.get("headers"), ()),
        body=attempt(Cursor.text, fields.get("body"), ""),
        version=cast("Literal['1.1', '2']", version),
        target=attempt(
            partial(matching, pattern=format_words.LINE, expected="a request target; write one line"),
            fields.get("target"),
            None,
        ),
        sni=attempt(Cursor.text, fields.get("sni"), None),
    )


def _kind(fields: Fields) -> str:
    """Return `http`, `tcp` or `tls`; empty where the words fit several."""
    for kind in ("tcp", "tls"):
        if kind in fields:
            return kind
    return "http" if any(word in fields for word in _ONLY_HTTP) else ""


def _sign(fields: Fields) -> str:
    return next(word for word in ("tcp", "tls", *_ONLY_HTTP) if word in fields)


def _url(where: Cursor) -> str:
    url = matching(where, format_words.URL, "a URL; write http:// or https://, a host, and a path")
    authority = url.partition("://")[2]
    for end in "/?#":
        authority = authority.partition(end)[0]
    host, colon, digits = authority.rpartition(":")
    if colon and host and "]" not in digits:
        port_number(where, digits)
    return url


def _version(where: Cursor) -> str:
    text = str(where.node.value) if where.tag in ("int", "float") else where.text()
    if text not in format_words.HTTP_VERSIONS:
        raise where.error(f"{text!r} is not one of {', '.join(format_words.HTTP_VERSIONS)}")
    return text
