"""GoogleSQL to DuckDB's SQL, through sqlglot. Pure; import it only when a query comes, for sqlglot is large.

One SELECT statement with named parameters is taken. What has no translation is refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError, UnsupportedError

from meshlab.cloud.bigquery.corrections import correct
from meshlab.cloud.bigquery.errors import invalid_query, unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TableName = tuple[str, str, str]

_PARAMETER_TYPES = {
    "STRING": "VARCHAR",
    "INT64": "BIGINT",
    "INTEGER": "BIGINT",
    "FLOAT64": "DOUBLE",
    "FLOAT": "DOUBLE",
    "NUMERIC": "DECIMAL(38, 9)",
    "BOOL": "BOOLEAN",
    "BOOLEAN": "BOOLEAN",
    "TIMESTAMP": "TIMESTAMPTZ",
    "DATE": "DATE",
    "TIME": "TIME",
    "DATETIME": "TIMESTAMP",
    "JSON": "JSON",
}


def translate(
    sql: str,
    parameters: Sequence[Mapping[str, Any]],
    default: tuple[str, str | None],
    find: Callable[[TableName], str],
) -> tuple[str, dict[str, object]]:
    """Translate a query.

    Args:
        sql: The statement, in GoogleSQL.
        parameters: The `queryParameters` of the request.
        default: Project and dataset for table names that leave them out; the dataset may be None.
        find: Gives the store's name of a table, or raises the API's error.

    Returns:
        The statement for DuckDB and its parameters.

    Raises:
        ApiError: The statement cannot be parsed or has no translation here, or a table is not there.
    """
    query = _parse(sql)
    types, values = _read_parameters(parameters)
    # The tables first: a name that only a WITH clause gives is no table.
    common = {cte.alias for cte in query.find_all(exp.CTE)}
    for table in list(query.find_all(exp.Table)):
        if table.db or table.name not in common:
            _rename(table, find(_full_name(table, default)))
    for parameter in list(query.find_all(exp.Parameter)):
        parameter.replace(_cast(parameter.name, types))
    correct(query)
    _name_columns(query)
    try:
        return query.sql("duckdb", unsupported_level=ErrorLevel.RAISE), values
    except UnsupportedError as error:
        raise unsupported(f"this statement ({error})") from error


def _parse(sql: str) -> exp.Query:
    try:
        statements = sqlglot.parse(sql, read="bigquery")
    except ParseError as error:
        first: dict[str, Any] = error.errors[0] if error.errors else {}
        place = f" at [{first.get('line')}:{first.get('col')}]" if first else ""
        raise invalid_query(
            f"Syntax error: {first.get('description') or 'unreadable statement'}{place}"
        ) from error
    except SqlglotError as error:
        raise invalid_query(f"Syntax error: {error}") from error
    found = [statement for statement in statements if statement is not None]
    if len(found) != 1:
        raise unsupported("scripts; send one SELECT statement")
    if not isinstance(found[0], exp.Query):
        raise unsupported(f"{found[0].key.upper()} statements; send one SELECT statement")
    if next(found[0].find_all(exp.Placeholder), None) is not None:
        raise unsupported("positional query parameters; use named ones, such as @user_id")
    return found[0]


def _full_name(table: exp.Table, default: tuple[str, str | None]) -> TableName:
    name = table.name
    project, dataset = table.catalog or default[0], table.db or default[1]
    if "INFORMATION_SCHEMA" in name.upper() or (dataset or "").upper() == "INFORMATION_SCHEMA":
        raise unsupported("INFORMATION_SCHEMA")
    if "*" in name or "$" in name or "@" in name:
        raise unsupported(f"wildcards and decorators in table names ({name})")
    if not dataset:
        raise invalid_query(f'Table "{name}" must be qualified with a dataset (e.g. dataset.table).')
    return project, dataset, name


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
        if element not in _PARAMETER_TYPES:
            raise unsupported(f"query parameters of the type {element} (@{name})")
        types[name] = _PARAMETER_TYPES[element] + ("[]" if array else "")
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
    outer = query
    while isinstance(outer, exp.SetOperation):
        outer = outer.left
    if not isinstance(outer, exp.Select):
        return
    named: list[exp.Expr] = []
    nameless = 0
    for column in outer.expressions:
        if isinstance(column, exp.Column | exp.Dot | exp.Star | exp.Alias):
            named.append(column)
        else:
            named.append(exp.alias_(column, f"f{nameless}_"))
            nameless += 1
    outer.set("expressions", named)
    names = [column.output_name.lower() for column in named if not column.is_star]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise invalid_query(
            f"Duplicate column names in the result are not supported. Found duplicate(s): {twice}"
        )
