"""Corrections where sqlglot's translation would give another result than BigQuery, and refusals. Pure.

A wrong answer is worse than none, so what cannot be put right without knowing a column's type is refused.
"""

from __future__ import annotations

from sqlglot import exp

from meshlab.cloud.bigquery.errors import unsupported

_DATES = (exp.Date, exp.CurrentDate, exp.DateFromParts, exp.StrToDate, exp.TsOrDsToDate)


def correct(query: exp.Query) -> None:
    """Change a parsed query in place so that its translation to DuckDB gives BigQuery's answer.

    Raises:
        ApiError: It uses a function whose translation cannot be put right.
    """
    # The innermost first: each is replaced by an expression that contains it.
    for node in reversed(list(query.find_all(exp.Expr))):
        corrected = _corrected(node)
        if corrected is not None:
            node.replace(corrected)


def _corrected(node: exp.Expr) -> exp.Expr | None:
    match node:
        case exp.UnixToTime() | exp.StrToTime():
            # TIMESTAMP_MICROS, PARSE_TIMESTAMP and the like would give a DATETIME.
            return exp.cast(node.copy(), "TIMESTAMPTZ", dialect="duckdb")
        case exp.DateAdd() | exp.DateSub():
            # A date with an interval is a time in DuckDB.
            return exp.cast(node.copy(), "DATE")
        case exp.DateTrunc():
            if isinstance(node.this, _DATES) or _is_cast_to_date(node.this):
                return exp.cast(node.copy(), "DATE")
            raise unsupported(
                "DATE_TRUNC of what may be no date; write DATE_TRUNC(DATE(x), ...) or TIMESTAMP_TRUNC"
            )
        case exp.TimestampDiff():
            # DuckDB's DATE_DIFF counts the borders in between; TIMESTAMP_DIFF counts whole units.
            unit = exp.Literal.string(node.text("unit"))
            return exp.func("DATE_SUB", unit, node.expression.copy(), node.this.copy(), dialect="duckdb")
        case exp.ApproxQuantiles():
            return _quantiles(node)
        case exp.ArrayAgg() if isinstance(node.this, exp.Limit):
            # DuckDB knows no LIMIT in there.
            whole = exp.ArrayAgg(this=node.this.this.copy())
            return exp.func("ARRAY_SLICE", whole, exp.Literal.number(1), node.this.expression.copy())
        case exp.UnixSeconds():
            # DuckDB's epoch has a fraction, which a cast would round.
            seconds = exp.Floor(this=exp.func("EPOCH", node.this.copy()))
            return exp.cast(seconds, "BIGINT", dialect="duckdb")
        case exp.Div():
            return _checked_division(node)
        case exp.DataType() if node.this == exp.DataType.Type.DECIMAL and not node.expressions:
            # DuckDB's plain DECIMAL keeps three decimals; NUMERIC has nine.
            return exp.DataType.build("DECIMAL(38, 9)", dialect="duckdb")
        case exp.Format():
            raise unsupported("FORMAT; use CONCAT and CAST")
        case _:
            return None


def _is_cast_to_date(node: exp.Expr) -> bool:
    return isinstance(node, exp.Cast) and node.to.this == exp.DataType.Type.DATE


def _quantiles(node: exp.ApproxQuantiles) -> exp.Expr:
    """Take exact quantiles, each a value that is there; DuckDB's approximate ones lie in between."""
    number = node.expression
    if not isinstance(node.this, exp.Expr) or not isinstance(number, exp.Literal) or not number.is_int:
        raise unsupported("APPROX_QUANTILES other than of an expression and a literal number")
    if isinstance(node.this, exp.Distinct | exp.IgnoreNulls | exp.RespectNulls):
        raise unsupported("DISTINCT, IGNORE NULLS and RESPECT NULLS in APPROX_QUANTILES")
    count = int(number.name)
    borders = exp.array(*(f"{border} / {count}" for border in range(count + 1)), dialect="duckdb")
    return exp.func("QUANTILE_DISC", node.this.copy(), borders)


def _checked_division(node: exp.Div) -> exp.Expr | None:
    """Make a division by zero the error that it is in BigQuery; in DuckDB it is infinity."""
    divisor = node.expression
    if isinstance(divisor, exp.Literal) and divisor.is_number and float(divisor.name) != 0:
        return None
    zero = exp.EQ(this=divisor.copy(), expression=exp.Literal.number(0))
    checked = exp.case().when(zero, _DIVISION_BY_ZERO).else_(divisor.copy())
    division = node.copy()
    division.set("expression", exp.paren(checked))
    return division


_DIVISION_BY_ZERO = exp.func("ERROR", exp.Literal.string("division by zero"))
