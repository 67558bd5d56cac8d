"""One request written on a command line, in the words of case files."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.bench.case import Case, CaseFile, CasePlace
from meshlab.bench.case_file import format_words
from meshlab.bench.case_file.nodes import Cursor, compose
from meshlab.bench.case_file.problems import CaseFileError, CaseProblem
from meshlab.bench.case_file.read_request import read_request, request_words
from meshlab.bench.case_file.read_sender import read_sender
from meshlab.bench.case_file.read_token import read_token_list
from meshlab.bench.case_file.reader_context import Context
from meshlab.bench.close_names import close_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshlab.bench.case import HttpRequest, Sender, TcpRequest, TlsRequest, TokenSpec

__all__ = ["read_question"]

_SHORT = re.compile(rf"({'|'.join(format_words.CALLER_KINDS)}):(?=\S)")
_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_FORM = "write {issuer: URL, claims: {sub: NAME}}, or none"
_SENDER, _REQUEST, _TOKEN = "--from", "--request", "--token"


def read_question(
    sender: str,
    request: str,
    token: str = format_words.NONE,
    *,
    workloads: Iterable[str] = (),
    gateways: Iterable[str] = (),
) -> CaseFile:
    """Return a case file with one case, which expects nothing.

    Args:
        sender: As `from` in a case file, such as `workload: shop/cart`; the space may be missing.
        request: As `request`, such as `GET http://ledger.bank/`.
        token: As `token`.
        workloads: The workloads that there are, for what is said of a name alone.
        gateways: The gateways that there are.

    Raises:
        CaseFileError: Something in it is wrong; holds every problem with the option that it is in.
    """
    unnamed = []
    if _NAME.fullmatch(sender.strip()):
        unnamed.append(_not_a_caller(sender.strip(), workloads, gateways))
    if _NAME.fullmatch(token.strip()) and token.strip() != format_words.NONE:
        message = f"{token.strip()!r} is the name of a token, and only case files name them; {_FORM}"
        unnamed.append(CaseProblem(CasePlace(_TOKEN, 1), message, "meaning"))
    if unnamed:
        raise CaseFileError(unnamed)
    context = Context(authorities=frozenset(format_words.AUTHORITIES))
    problems: list[CaseProblem] = []
    cursors = {}
    for name, text in ((_SENDER, _SHORT.sub(r"\1: ", sender, count=1)), (_REQUEST, request), (_TOKEN, token)):
        cursors[name], found = compose(text, name)
        problems += found
    attempt = context.problems.attempt
    read_from: Sender | None = attempt(partial(read_sender, context), cursors[_SENDER], None)
    tokens: tuple[TokenSpec, ...] = attempt(partial(read_token_list, context), cursors[_TOKEN], ())
    sent: HttpRequest | TcpRequest | TlsRequest | None = attempt(
        partial(_request, context), cursors[_REQUEST], None
    )
    problems += context.problems.found
    if problems or read_from is None or sent is None:
        raise CaseFileError(problems)
    place = CasePlace("command line", 0)
    case = Case("the request", read_from, sent, None, place, tokens)
    return CaseFile(Path(place.file), (case,), {}, mentions=tuple(context.mentions), of_options=True)


def _not_a_caller(name: str, workloads: Iterable[str], gateways: Iterable[str]) -> CaseProblem:
    """Return what is wrong with a name without the word that says what it is the name of."""
    callers = [f"'workload: {each}'" for each in close_names(name, workloads)]
    callers += [f"'outside: {each}'" for each in close_names(name, gateways)]
    hint = (
        f"did you mean {' or '.join(callers)}?"
        if callers
        else "write 'workload: NAMESPACE/NAME' or 'outside: NAMESPACE/GATEWAY'"
    )
    return CaseProblem(
        CasePlace(_SENDER, 1), f"{name!r} does not say what kind of caller it is; {hint}", "meaning"
    )


def _request(context: Context, where: Cursor) -> HttpRequest | TcpRequest | TlsRequest:
    return read_request(context, request_words(context, where), where)
