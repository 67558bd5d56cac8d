"""`expect`: the expected outcome, in its short form or as a mapping."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from meshlab.bench.case import Expectation, HttpRequest, Received, TlsRequest
from meshlab.bench.case_file import format_words
from meshlab.bench.case_file.nodes import Cursor
from meshlab.bench.case_file.read_texts import matching, optional_header_map, workload_ref

if TYPE_CHECKING:
    from meshlab.bench.case import TcpRequest
    from meshlab.bench.case_file.reader_context import Context, Fields

__all__ = ["check_fits", "read_expect"]

_WHAT = "an expectation"
_ENDINGS = ("status", "refused", "answered")
_SHORT = (
    "write STATUS, `STATUS app NAME`, `STATUS proxy NAMESPACE/NAME`, or `refused` or `answered` with a name"
)
_LOWEST, _HIGHEST = 100, 599
_MAX_RULE = 9999


def read_expect(context: Context, where: Cursor) -> Expectation:
    """Return the expectation that stands there.

    Raises:
        ReadError: It is none.
    """
    fields = (
        where.fields(context.problems, format_words.EXPECT_WORDS, _WHAT)
        if where.is_mapping
        else _short_form(where)
    )
    endings = [word for word in _ENDINGS if word in fields]
    if len(endings) != 1:
        found = " and ".join(endings) or "none of them"
        message = f"an expectation has exactly one of {', '.join(_ENDINGS)}; here is {found}"
        raise where.lacks(format_words.EXPECT_WORDS, _WHAT, message)
    _check_words(fields)
    attempt = context.problems.attempt
    for word, kind in (("app", "answerer"), ("proxy", "proxy")):
        for at in _each(fields[word]) if word in fields else ():
            if at.is_text:
                context.mention(kind, at.text(), at)
    return Expectation(
        status=attempt(partial(Cursor.number, low=_LOWEST, high=_HIGHEST), fields.get("status"), None),
        refused=attempt(_only_true, fields.get("refused"), False),
        answered=attempt(_only_true, fields.get("answered"), False),
        app=attempt(_app, fields.get("app"), None),
        proxy=attempt(workload_ref, fields.get("proxy"), None),
        subset=attempt(Cursor.word, fields.get("subset"), None),
        policy=attempt(_policy, fields.get("policy"), None),
        rule=attempt(partial(Cursor.number, low=0, high=_MAX_RULE), fields.get("rule"), None),
        says=attempt(Cursor.word, fields.get("says"), ""),
        headers=attempt(optional_header_map, fields.get("headers"), {}),
        received=attempt(partial(_received, context), fields.get("received"), None),
        certificate=attempt(Cursor.word, fields.get("certificate"), None),
    )


def check_fits(
    context: Context, expect: Expectation, request: HttpRequest | TcpRequest | TlsRequest, where: Cursor
) -> None:
    """Record an expectation that no answer to such a request can meet."""
    is_http = isinstance(request, HttpRequest)
    if is_http and expect.answered:
        context.problems.add(
            where, "`answered` is for tcp and tls; an HTTP request is answered with a `status`", "meaning"
        )
    if not is_http and expect.status is not None:
        context.problems.add(
            where, "a tcp or tls request has no `status`; write `answered` or `refused`", "meaning"
        )
    if not is_http and expect.headers:
        context.problems.add(where, "`headers` is for HTTP requests; remove it", "meaning")
    if not is_http and expect.received:
        known = format_words.RECEIVED_OF_CONNECTIONS
        words = [
            word
            for word in format_words.RECEIVED_WORDS
            if getattr(expect.received, word) and word not in known
        ]
        if words:
            message = (
                f"`received.{words[0]}` is for HTTP requests; a tcp or tls request has {' and '.join(known)}"
            )
            context.problems.add(where, message, "meaning")
    if expect.certificate is not None and not isinstance(request, TlsRequest):
        context.problems.add(where, "`certificate` is for a request with `tls`; remove it", "meaning")


def _short_form(where: Cursor) -> Fields:
    if where.tag == "int":
        return {"status": where}
    if not where.is_text:
        raise where.error(f"expected a short form or a mapping, found {where.said}; {_SHORT}")
    text = where.text()
    if not re.search(format_words.SHORT_EXPECT, text) or text.endswith("\n"):
        raise where.error(f"{where.said} is not a verdict; {_why(text)}")
    ending, *rest = text.split()
    fields = {"status": where.scalar(int(ending))} if ending.isdigit() else {ending: _true(where)}
    if not rest:
        return fields
    who = rest[0] if len(rest) == 2 else _who(ending)
    return {**fields, who: where.scalar(rest[-1])}


def _who(ending: str) -> str:
    """Return who is meant where the short form does not say: an application succeeds, a proxy refuses."""
    return "app" if ending == "answered" or ending.startswith("2") else "proxy"


def _why(text: str) -> str:
    ending, *rest = text.split() or [""]
    if len(rest) == 1 and re.fullmatch("[13][0-9][0-9]", ending) and re.search(format_words.APP, rest[0]):
        return f"say who gave it: `{ending} app {rest[0]}` or `{ending} proxy {rest[0]}`"
    if len(rest) == 1 and re.fullmatch("[1-5][0-9][0-9]|refused|answered", ending):
        return f"{rest[0]!r} is not a workload; write NAMESPACE/NAME"
    return _SHORT


def _check_words(fields: Fields) -> None:
    """Refuse words that exclude each other."""
    for word, other, why in _EXCLUDE:
        if word in fields and other in fields:
            raise fields[other].error(f"`{other}` and `{word}` exclude each other: {why}", "meaning")
    if "rule" in fields:
        policy = fields.get("policy")
        if policy is None or (policy.is_text and policy.text() == format_words.NONE):
            raise fields["rule"].error("`rule` needs the `policy` that holds it", "meaning")


_EXCLUDE = (
    ("app", "proxy", "one of them gives the answer"),
    ("app", "policy", "a policy that refuses keeps the request from the application"),
    ("proxy", "subset", "a subset is of the workload whose application answers"),
    ("proxy", "received", "no application receives a request that a proxy answers"),
    ("refused", "app", "no application answers"),
    ("refused", "subset", "no application answers"),
    ("refused", "received", "no application answers"),
    ("refused", "headers", "there is no response"),
)


def _received(context: Context, where: Cursor) -> Received:
    fields = where.fields(context.problems, format_words.RECEIVED_WORDS, "`received`")
    if not fields:
        message = f"`received` is empty; write some of {', '.join(format_words.RECEIVED_WORDS)}"
        raise where.lacks(format_words.RECEIVED_WORDS, "`received`", message)
    attempt = context.problems.attempt
    return Received(
        method=attempt(Cursor.word, fields.get("method"), None),
        path=attempt(Cursor.word, fields.get("path"), None),
        host=attempt(Cursor.word, fields.get("host"), None),
        headers=attempt(optional_header_map, fields.get("headers"), {}),
        identity=attempt(Cursor.word, fields.get("identity"), None),
        sni=attempt(Cursor.word, fields.get("sni"), None),
    )


def _only_true(where: Cursor) -> bool:
    if not where.truth():
        raise where.error("expected true; write what happens instead, such as `status: 200`")
    return True


def _true(where: Cursor) -> Cursor:
    at = where.scalar("true")
    at.node.tag = "tag:yaml.org,2002:bool"
    return at


def _app(where: Cursor) -> str | tuple[str, ...]:
    expected = "an application; write NAMESPACE/NAME or an external host"
    if not where.is_list:
        return matching(where, format_words.APP, expected)
    found = tuple(matching(at, format_words.APP, expected) for at in where.items())
    if not found:
        raise where.error("the list is empty; name an application")
    return found


def _each(where: Cursor) -> list[Cursor]:
    return where.items() if where.is_list else [where]


def _policy(where: Cursor) -> str:
    return matching(
        where,
        format_words.POLICY,
        f"a policy; write NAMESPACE/NAME, or `{format_words.NONE}` where no rule allows",
    )
