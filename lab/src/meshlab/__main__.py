"""`python -m meshlab`: the same as the command `meshlab`."""

from __future__ import annotations

from meshlab.cli import main

main()
