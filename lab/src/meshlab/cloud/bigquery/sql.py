"""GoogleSQL to DuckDB's SQL, through sqlglot. Pure; import it only when a query comes, for sqlglot is large.

One query with named parameters is taken. What has no translation is refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp
from sqlglot.errors import ErrorLevel, UnsupportedError

from meshlab.cloud.bigquery.corrections import correct
from meshlab.cloud.bigquery.errors import invalid_query, unsupported
from meshlab.cloud.bigquery.schema import CANONICAL_TYPES, DUCKDB_TYPES
from meshlab.cloud.bigquery.statements import full_name, parse_query

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshlab.cloud.bigquery.catalogue import Table
    from meshlab.cloud.bigquery.statements import TableName

# https://cloud.google.com/bigquery/quotas#view_limits
MAX_VIEW_DEPTH = 16

_NAME_PARTS = {"this", "db", "catalog", "alias"}
_NO_PARAMETERS = ("BYTES",)
"""Types of columns that no parameter has here."""


def translate(
    query: exp.Query,
    parameters: Sequence[Mapping[str, Any]],
    default: tuple[str, str | None],
    find: Callable[[TableName], Table],
) -> tuple[str, dict[str, object]]:
    """Translate a query.

    Args:
        query: The query, parsed. It is changed.
        parameters: The `queryParameters` of the request.
        default: Project and dataset for table names that leave them out; the dataset may be None.
        find: Gives a table or a view by its name, or raises the API's error.

    Returns:
        The statement for DuckDB and its parameters.

    Raises:
        ApiError: The query has no translation here, or a table is not there.
    """
    types, values = _read_parameters(parameters)
    _put_in_tables(query, default, find, depth=0)
    for parameter in list(query.find_all(exp.Parameter)):
        parameter.replace(_cast(parameter.name, types))
    return _in_duckdb(query), values


def translate_view(text: str, name: TableName, find: Callable[[TableName], Table]) -> str:
    """Translate the query of a view that is about to be created.

    Args:
        text: The query, in GoogleSQL.
        name: Where the view is to be.
        find: Gives a table or a view by its name, or raises the API's error.

    Returns:
        The query for DuckDB.

    Raises:
        ApiError: The query has no translation here, a table is not there, a column has no name, or the view
            would show itself.
    """

    def find_another(other: TableName) -> Table:
        if other == name:
            raise invalid_query(f"The view {'.'.join(name)} cannot refer to itself.")
        return find(other)

    query = parse_query(text)
    nameless = next((place for place, column in enumerate(_columns(query), 1) if not _has_name(column)), None)
    if nameless:
        raise invalid_query(f"CREATE VIEW columns must be named, but column {nameless} has no name")
    _put_in_tables(query, (name[0], None), find_another, depth=1)
    return _in_duckdb(query)


def _in_duckdb(query: exp.Query) -> str:
    correct(query)
    _name_columns(query)
    try:
        return query.sql("duckdb", unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError as error:
        raise unsupported(f"this statement ({error})") from error


def _put_in_tables(
    query: exp.Query, default: tuple[str, str | None], find: Callable[[TableName], Table], depth: int
) -> None:
    """Give tables the names they are stored under, and put the query of a view in its place."""
    if depth > MAX_VIEW_DEPTH:
        raise invalid_query(f"Views are nested more than {MAX_VIEW_DEPTH} levels deep.")
    # A name that only a WITH clause gives is no table.
    common = {cte.alias for cte in query.find_all(exp.CTE)}
    for table in list(query.find_all(exp.Table)):
        if not table.db and table.name in common:
            continue
        name = full_name(table, default)
        found = find(name)
        if not found.query:
            _rename(table, found.stored)
            continue
        inner = parse_query(found.query)
        # Names in a view are completed by where the view is, not by where it is asked from.
        _put_in_tables(inner, (name[0], None), find, depth + 1)
        _put_in_view(table, inner)


def _put_in_view(table: exp.Table, inner: exp.Query) -> None:
    more = sorted(key for key, value in table.args.items() if value and key not in _NAME_PARTS)
    if more:
        raise unsupported(f"{', '.join(more)} of a view")
    alias = table.alias or table.name
    table.replace(exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True))))


def _rename(table: exp.Table, stored: str) -> None:
    if not table.alias:
        table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name, quoted=True)))
    table.set("this", exp.to_identifier(stored))
    table.set("db", None)
    table.set("catalog", None)


def _read_parameters(parameters: Sequence[Mapping[str, Any]]) -> tuple[dict[str, str], dict[str, object]]:
    """Return the DuckDB type and the value of each parameter by its name in lower case."""
    types: dict[str, str] = {}
    values: dict[str, object] = {}
    for parameter in parameters:
        name = str(parameter.get("name") or "").lower()
        if not name:
            raise unsupported("positional query parameters; use named ones, such as @user_id")
        kind, value = parameter.get("parameterType", {}), parameter.get("parameterValue", {})
        array = kind.get("type") == "ARRAY"
        element = str((kind.get("arrayType", {}) if array else kind).get("type"))
        canonical = CANONICAL_TYPES.get(element, element)
        if canonical not in DUCKDB_TYPES or canonical in _NO_PARAMETERS:
            raise unsupported(f"query parameters of the type {element} (@{name})")
        types[name] = DUCKDB_TYPES[canonical] + ("[]" if array else "")
        if array:
            values[name] = [item.get("value") for item in value.get("arrayValues", ())]
        else:
            values[name] = value.get("value")
    return types, values


def _cast(name: str, types: Mapping[str, str]) -> exp.Expression:
    # The API sends every value as text; the declared type makes it what it is.
    if name.lower() not in types:
        raise invalid_query(f"Query parameter '{name}' not found")
    return exp.cast(exp.Parameter(this=exp.var(name.lower())), types[name.lower()], dialect="duckdb")


def _name_columns(query: exp.Query) -> None:
    """Name the columns that have no name f0_, f1_ and so on, as BigQuery does."""
    named: list[exp.Expr] = []
    nameless = 0
    for column in _columns(query):
        if _has_name(column):
            named.append(column)
        else:
            named.append(exp.alias_(column, f"f{nameless}_"))
            nameless += 1
    if not named:
        return
    _first_select(query).set("expressions", named)
    names = [column.output_name.lower() for column in named if not column.is_star]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise invalid_query(
            f"Duplicate column names in the result are not supported. Found duplicate(s): {twice}"
        )


def _first_select(query: exp.Expr) -> exp.Expr:
    """Find the SELECT that names the columns of a query: the first of a UNION."""
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    return query


def _columns(query: exp.Query) -> list[exp.Expr]:
    first = _first_select(query)
    return list(first.expressions) if isinstance(first, exp.Select) else []


def _has_name(column: exp.Expr) -> bool:
    return isinstance(column, exp.Column | exp.Dot | exp.Star | exp.Alias)
