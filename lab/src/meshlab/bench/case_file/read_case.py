"""`cases` and `matrix`: one request with its expected outcome, and tables of them."""

from __future__ import annotations

from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from meshlab.bench.case import Case, Matrix, TokenSpec
from meshlab.bench.case_file import format_words
from meshlab.bench.case_file.nodes import ReadError
from meshlab.bench.case_file.problems import near_miss
from meshlab.bench.case_file.read_expect import check_fits, read_expect
from meshlab.bench.case_file.read_request import join_words, read_request, request_words
from meshlab.bench.case_file.read_sender import read_sender
from meshlab.bench.case_file.read_texts import matching
from meshlab.bench.case_file.read_token import read_token_list
from meshlab.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from meshlab.bench.case_file.nodes import Cursor
    from meshlab.bench.case_file.reader_context import Context, Fields

__all__ = ["CaseWords", "read_cases", "read_matrices", "read_words"]

_Read = TypeVar("_Read")
_NO_TOKENS: tuple[TokenSpec, ...] = ()


@dataclass(frozen=True)
class CaseWords:
    """The words of a case that may be inherited: from the defaults, from a matrix, from its rows and columns.

    Attributes:
        sender: `from`.
        token: `token`.
        request: The words of `request`.
        unreadable: Whether a request that stands here could not be read; its problem is recorded.
    """

    sender: Cursor | None = None
    token: Cursor | None = None
    request: Fields = field(default_factory=dict)
    unreadable: bool = False

    def over(self, base: CaseWords) -> CaseWords:
        """Return these words, and those of the base where there are none."""
        return CaseWords(
            self.sender or base.sender,
            self.token or base.token,
            join_words(base.request, self.request),
            self.unreadable or base.unreadable,
        )


def read_words(context: Context, fields: Fields) -> CaseWords:
    """Return the words that may be inherited from among these fields."""
    request: Fields | None = context.problems.attempt(
        partial(request_words, context), fields.get("request"), None
    )
    return CaseWords(
        sender=fields.get("from"),
        token=fields.get("token"),
        request=request or {},
        unreadable=request is None and "request" in fields,
    )


def check_words(context: Context, found: CaseWords) -> None:
    """Record what is wrong with words that no case may inherit yet."""
    context.problems.attempt(partial(read_sender, context), found.sender, None)
    context.problems.attempt(partial(read_token_list, context), found.token, _NO_TOKENS)


def read_cases(context: Context, where: Cursor, defaults: CaseWords) -> list[Case]:
    """Return the cases of a list; what is wrong with one is recorded, and reading goes on."""
    return _each(context, where, partial(_case, context, defaults=defaults))


def read_matrices(context: Context, where: Cursor, defaults: CaseWords) -> list[tuple[Matrix, list[Case]]]:
    """Return the tables of a list with their cases."""
    return _each(context, where, partial(_matrix, context, defaults=defaults))


def _each(context: Context, where: Cursor, read: Callable[[Cursor], _Read | None]) -> list[_Read]:
    found = (context.problems.attempt(read, at, None) for at in where.items())
    return [each for each in found if each]


def _case(context: Context, where: Cursor, defaults: CaseWords) -> Case | None:
    fields = where.fields(context.problems, format_words.CASE_WORDS, "a case")
    name = _name(context, fields, where, format_words.CASE_WORDS, "case")
    found = read_words(context, fields).over(defaults)
    if "expect" not in fields:
        message = "a case needs `expect`, such as `expect: 200 NAMESPACE/NAME`"
        raise where.lacks(format_words.CASE_WORDS, "a case", message)
    # A word that seems to be missing may be the one that is misspelt.
    misspelt = bool(where.unknown(format_words.CASE_WORDS, "a case"))
    return _join(context, name, found, where, fields["expect"], misspelt=misspelt)


def _join(
    context: Context,
    name: str,
    found: CaseWords,
    where: Cursor,
    expect_at: Cursor,
    *,
    misspelt: bool = False,
) -> Case | None:
    """Make a case; record all of its problems, not only the first."""
    attempt = context.problems.attempt
    if found.sender is None and not misspelt:
        context.problems.add(where, "no sender: write `from`, here or under `defaults:`", "meaning")
    sender = attempt(partial(read_sender, context), found.sender, None)
    tokens = attempt(partial(read_token_list, context), found.token, _NO_TOKENS)
    expect = attempt(partial(read_expect, context), expect_at, None)
    if found.unreadable or (misspelt and not {"url", "tcp", "tls"} & set(found.request)):
        return None
    try:
        request = read_request(context, found.request, where)
    except ReadError as error:
        context.problems.found.append(error.problem)
        return None
    if expect:
        check_fits(context, expect, request, expect_at)
    if sender is None:
        return None
    return Case(name, sender, request, expect, where.place, tokens)


def _matrix(context: Context, where: Cursor, defaults: CaseWords) -> tuple[Matrix, list[Case]]:
    fields = where.fields(context.problems, format_words.MATRIX_WORDS, "a matrix")
    name = _name(context, fields, where, format_words.MATRIX_WORDS, "matrix")
    missing = [word for word in ("columns", "rows", "expect") if word not in fields]
    if missing:
        raise where.lacks(
            format_words.MATRIX_WORDS, "a matrix", f"a matrix needs `{'` and `'.join(missing)}`"
        )
    shared = read_words(context, fields).over(defaults)
    columns = _lines(context, fields["columns"], "column")
    rows = _lines(context, fields["rows"], "row")
    _refuse_conflicts(context, rows, columns)
    cells = _cells(context, fields["expect"], list(rows), list(columns))
    cases, names = [], {}
    for (row, column), cell in cells.items():
        names[row, column] = f"{name}: {row} / {column}"
        found = rows[row].over(columns[column]).over(shared)
        case = _join(context, names[row, column], found, cell, cell)
        if case:
            cases.append(case)
    return Matrix(name, tuple(rows), tuple(columns), names), cases


def _lines(context: Context, where: Cursor, what: str) -> dict[str, CaseWords]:
    """Return the rows or columns by name. A short row is a caller, a short column is a request."""
    entries = where.entries()
    if not entries:
        raise where.error(f"no {what} is here; write at least one")
    found = {}
    for name, at in entries:
        if not name.strip():
            context.problems.add(at, f"a {what} needs a name")
        found[name] = context.problems.attempt(partial(_line, context, what=what), at, CaseWords())
    return found


def _line(context: Context, where: Cursor, what: str) -> CaseWords:
    if where.is_text:
        word = "from" if what == "row" else "request"
        return read_words(context, {word: where})
    if not where.is_mapping:
        short = "the name of a caller" if what == "row" else "METHOD URL"
        raise where.error(f"expected {short} or a mapping, found {where.said}")
    return read_words(context, where.fields(context.problems, format_words.DEFAULTS_WORDS, f"a {what}"))


def _refuse_conflicts(context: Context, rows: dict[str, CaseWords], columns: dict[str, CaseWords]) -> None:
    """Refuse a word that a row and a column both write: it would not be clear which one counts."""
    for row_name, row in rows.items():
        for column_name, column in columns.items():
            for word, at in _both(row, column):
                message = f"the column {column_name!r} and the row {row_name!r} both write `{word}`; keep one"
                context.problems.add(at, message, "meaning")


def _both(row: CaseWords, column: CaseWords) -> Iterable[tuple[str, Cursor]]:
    if row.sender and column.sender:
        yield "from", row.sender
    if row.token and column.token:
        yield "token", row.token
    for word, at in row.request.items():
        if word in column.request:
            yield f"request.{word}", at


def _cells(
    context: Context, where: Cursor, rows: list[str], columns: list[str]
) -> dict[tuple[str, str], Cursor]:
    """Return the cells that ask for a case."""
    found: dict[tuple[str, str], Cursor] = {}
    lines = where.by_key()
    all_known = _check_names(context, where, rows, "row")
    for row in rows:
        if row not in lines:
            if not all_known:
                continue
            context.problems.add(
                where, f"the row {row!r} has no line; write one cell for each column", "meaning"
            )
            continue
        line: dict[str, Cursor] = context.problems.attempt(
            partial(_cells_of_row, context, columns=columns), lines[row], {}
        )
        for column, cell in line.items():
            if not (cell.is_text and cell.text().strip() == format_words.NO_CASE):
                found[row, column] = cell
    return found


def _cells_of_row(context: Context, where: Cursor, columns: list[str]) -> dict[str, Cursor]:
    if where.is_list:
        cells = where.items()
        if len(cells) != len(columns):
            message = f"{len(cells)} cells for {len(columns)} columns ({', '.join(columns)})"
            raise where.error(f"{message}; write one for each, `'-'` for no case", "meaning")
        return dict(zip(columns, cells, strict=True))
    if not where.is_mapping:
        raise where.error(f"expected a list of cells or a mapping by column, found {where.said}")
    all_known = _check_names(context, where, columns, "column")
    cells_by_name = where.by_key()
    for column in columns:
        if column not in cells_by_name and all_known:
            context.problems.add(
                where, f"no cell for the column {column!r}; write `'-'` for no case", "meaning"
            )
    return {column: cells_by_name[column] for column in columns if column in cells_by_name}


def _check_names(context: Context, where: Cursor, known: list[str], what: str) -> bool:
    """Record the names that no row or column has; return whether there is none."""
    unknown = [key for key in where.key_cursors() if str(key.node.value) not in known]
    for key in unknown:
        name = str(key.node.value)
        hint = near_miss(name, known) or f"; there are {', '.join(known)}"
        context.problems.add(key, f"no {what} is named {name!r}{hint}", "meaning")
    return not unknown


def _name(context: Context, fields: Fields, where: Cursor, known: Sequence[str], what: str) -> str:
    if "name" not in fields:
        raise where.lacks(known, f"a {what}", f"a {what} needs a `name`")
    return context.problems.attempt(
        partial(matching, pattern=format_words.LINE, expected="a name; write one line of text"),
        fields["name"],
        "",
    ).strip()
