"""Expressions of `pipeline.toml`: plain dotted paths, and JMESPath for everything else."""

from enrichment.expressions.compiler import Expression, compile_expression
from enrichment.expressions.errors import EvaluationError, ExpressionError
from enrichment.expressions.scope import Scope, message_root

__all__ = ["EvaluationError", "Expression", "ExpressionError", "Scope", "compile_expression", "message_root"]
