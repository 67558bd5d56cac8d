"""`token` and `tokens`: which tokens go along with a request."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from meshlab.bench.case import TokenSpec
from meshlab.bench.case_file import format_words
from meshlab.bench.case_file.nodes import Cursor
from meshlab.bench.case_file.reader_context import lookup, use
from meshlab.bench.flaws import FLAWS

if TYPE_CHECKING:
    from meshlab.bench.case import TokenPlacement
    from meshlab.bench.case_file.reader_context import Context, Fields

__all__ = ["read_token", "read_token_list"]

_MADE = ("issuer", "claims", "flaw")


def read_token_list(context: Context, where: Cursor) -> tuple[TokenSpec, ...]:
    """Return the tokens that stand there: a name, `none`, a mapping, or a list of names and mappings.

    Raises:
        ReadError: It is none of these.
    """
    if where.is_text and where.text() == format_words.NONE:
        return ()
    if where.is_list:
        items = where.items()
        if not items:
            raise where.error("the list is empty; write `none` for no token")
        return tuple(read_token(context, item) for item in items)
    return (read_token(context, where),)


def read_token(context: Context, where: Cursor) -> TokenSpec:
    """Return one token.

    Raises:
        ReadError: It is no token.
    """
    if where.is_text:
        return read_token(context, lookup(where, context.tokens, "token"))
    if not where.is_mapping:
        raise where.error(f"expected the name of a token, `none`, a mapping or a list, found {where.said}")
    fields = use(context, where, context.tokens, format_words.TOKEN_WORDS, "token", _lost)
    attempt = context.problems.attempt
    if "literal" in fields:
        for word in _MADE:
            if word in fields:
                raise fields[word].error(
                    f"`{word}` is for a token that is made; `literal` sends a text", "meaning"
                )
    placement = attempt(partial(Cursor.one_of, choices=format_words.PLACEMENTS), fields.get("in"), "header")
    if placement != "header" and "prefix" in fields:
        raise fields["prefix"].error("only a token in a header has a prefix; remove it", "meaning")
    issuer = attempt(Cursor.word, fields.get("issuer"), None)
    if "literal" not in fields:
        context.mention("issuer", issuer or "", fields.get("issuer", where))
    return TokenSpec(
        issuer=issuer,
        claims=attempt(_claims, fields.get("claims"), {}),
        flaw=attempt(partial(Cursor.one_of, choices=FLAWS), fields.get("flaw"), ""),
        placement=cast("TokenPlacement", placement),
        name=attempt(Cursor.word, fields.get("name"), ""),
        prefix=attempt(Cursor.text, fields.get("prefix"), "Bearer " if placement == "header" else ""),
        literal=attempt(Cursor.text, fields.get("literal"), None),
    )


def _lost(inherited: Fields, own: Fields) -> set[str]:
    """Return the inherited words that describe another place, or the text or the token that is not sent."""
    lost: set[str] = set()
    if "in" in own and _placement(own) != _placement(inherited):
        lost |= {"name", "prefix"}
    if "literal" in own:
        lost |= set(_MADE)
    elif any(word in own for word in _MADE):
        lost.add("literal")
    return lost


def _placement(fields: Fields) -> str:
    where = fields.get("in")
    return str(where.node.value) if where else "header"


def _claims(where: Cursor) -> dict[str, object]:
    return {name: value.value() for name, value in where.entries()}
