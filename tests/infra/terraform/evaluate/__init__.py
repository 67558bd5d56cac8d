"""Evaluation of Terraform files without terraform: modules and variables in, resources with their arguments out.

It knows what the project's files use. Whatever else stands in a file is a `NotEvaluatedError`, never a guess.
"""

from __future__ import annotations

from tests.infra.terraform.evaluate.plan import Plan, evaluate, kind_of
from tests.infra.terraform.evaluate.values import NotEvaluatedError, Reference

__all__ = ["NotEvaluatedError", "Plan", "Reference", "evaluate", "kind_of"]
