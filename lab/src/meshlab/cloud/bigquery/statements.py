"""Kinds of statements: a query, or the definition of a view. Pure; import it only when a statement comes.

Whatever else GoogleSQL has is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from meshlab.cloud.bigquery.errors import invalid_query, unsupported

TableName = tuple[str, str, str]

_OFFERED = "send one SELECT or CREATE VIEW statement"


@dataclass(frozen=True, slots=True)
class CreateView:
    """`CREATE [OR REPLACE] VIEW name [OPTIONS (description = "...")] AS query`.

    Args:
        name: Where it is to be.
        query: What it shows, as it was written.
        replace: Whether it may take the place of a view of the same name.
        description: What it says of itself, empty if nothing.
    """

    name: exp.Table
    query: str
    replace: bool
    description: str


def parse(sql: str) -> exp.Query | CreateView:
    """Read one statement.

    Args:
        sql: The statement, in GoogleSQL.

    Raises:
        ApiError: It cannot be parsed, or is of a kind that is not offered.
    """
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
        raise unsupported(f"scripts; {_OFFERED}")
    (statement,) = found
    if next(statement.find_all(exp.Placeholder), None) is not None:
        raise unsupported("positional query parameters; use named ones, such as @user_id")
    if isinstance(statement, exp.Create) and statement.kind == "VIEW":
        return _create_view(statement, sql)
    if not isinstance(statement, exp.Query):
        raise unsupported(f"{statement.key.upper()} statements; {_OFFERED}")
    return statement


def parse_query(sql: str) -> exp.Query:
    """Read the query of a view, which `parse` has read before."""
    statement = parse(sql)
    if isinstance(statement, CreateView):
        raise invalid_query("Syntax error: a view must be a query")
    return statement


def full_name(table: exp.Table, default: tuple[str, str | None]) -> TableName:
    """Complete a table's name.

    Args:
        table: The table as a statement names it.
        default: Project and dataset for a name that leaves them out; the dataset may be None.

    Raises:
        ApiError: There is no dataset, or it is not the name of one table.
    """
    name = table.name
    project, dataset = table.catalog or default[0], table.db or default[1]
    if "INFORMATION_SCHEMA" in name.upper() or (dataset or "").upper() == "INFORMATION_SCHEMA":
        raise unsupported("INFORMATION_SCHEMA")
    if "*" in name or "$" in name or "@" in name:
        raise unsupported(f"wildcards and decorators in table names ({name})")
    if not dataset:
        raise invalid_query(f'Table "{name}" must be qualified with a dataset (e.g. dataset.table).')
    return project, dataset, name


def _create_view(statement: exp.Create, sql: str) -> CreateView:
    if not isinstance(statement.this, exp.Table):
        raise unsupported("a list of columns in CREATE VIEW; name them in its query")
    if statement.args.get("exists"):
        raise unsupported("CREATE VIEW IF NOT EXISTS; write CREATE OR REPLACE VIEW")
    if next(statement.find_all(exp.Parameter), None) is not None:
        raise invalid_query("Query parameters cannot be used in the body of a view.")
    properties = statement.args.get("properties")
    options = dict(_option(item) for item in (properties.expressions if properties else ()))
    query = _after_as(sql)
    # What follows AS must be a query by itself, for that is how it is read from now on.
    parse_query(query)
    return CreateView(
        statement.this,
        query,
        replace=bool(statement.args.get("replace")),
        description=options.get("description", ""),
    )


def _option(item: exp.Expr) -> tuple[str, str]:
    if isinstance(item, exp.Property) and item.name == "description" and item.args["value"].is_string:
        return item.name, item.args["value"].name
    name = item.name if type(item) is exp.Property else item.sql("bigquery").split()[0]
    raise unsupported(f"{name or item.key} of a view; OPTIONS takes a description")


def _after_as(sql: str) -> str:
    """Cut out the query of a CREATE VIEW statement, which keeps its words, its lines and its comments."""
    depth = 0
    for token in sqlglot.tokenize(sql, read="bigquery"):
        depth += {sqlglot.TokenType.L_PAREN: 1, sqlglot.TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if token.token_type is sqlglot.TokenType.ALIAS and depth == 0:
            return sql[token.end + 1 :].strip().removesuffix(";").rstrip()
    raise invalid_query("Syntax error: CREATE VIEW without AS")
