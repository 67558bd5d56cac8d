"""Tables of inputs and outputs in the READMEs of Terraform modules."""

from __future__ import annotations

from meshgen.terraform.tables import rewritten, tables

__all__ = ["rewritten", "tables"]
