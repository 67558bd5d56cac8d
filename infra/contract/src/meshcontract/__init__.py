"""Reading and checking of `infra/contract.env`, the values that two or more parts of the system must agree on.

Standard library only, so that the scripts in `deploy/` can use it before anything is installed. Names are imported when
they are used: the function needs the types alone, at each of its starts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshcontract.checks import (
        PLACEHOLDER_PROJECT,
        file_problems,
        load,
        placeholders,
        read,
        token_scope,
        with_defaults,
    )
    from meshcontract.env_file import EnvFile, parse, read_lines
    from meshcontract.errors import ContractError, Problem
    from meshcontract.keys import KEYS, Key

__all__ = [
    "KEYS",
    "PLACEHOLDER_PROJECT",
    "ContractError",
    "EnvFile",
    "Key",
    "Problem",
    "file_problems",
    "load",
    "parse",
    "placeholders",
    "read",
    "read_lines",
    "token_scope",
    "with_defaults",
]

_MODULES = {
    "KEYS": "keys",
    "Key": "keys",
    "ContractError": "errors",
    "Problem": "errors",
    "EnvFile": "env_file",
    "parse": "env_file",
    "read_lines": "env_file",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"meshcontract.{_MODULES.get(name, 'checks')}"), name)
