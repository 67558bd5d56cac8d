"""Reading and checking of `infra/contract.env`, the values that two or more parts of the system must agree on.

Standard library only, so that the scripts in `deploy/` can use it before anything is installed.
"""

from __future__ import annotations

from meshcontract.checks import PLACEHOLDER_PROJECT, load, placeholders, problems
from meshcontract.env_file import parse
from meshcontract.errors import ContractError
from meshcontract.keys import KEYS, Key

__all__ = [
    "KEYS",
    "PLACEHOLDER_PROJECT",
    "ContractError",
    "Key",
    "load",
    "parse",
    "placeholders",
    "problems",
]
