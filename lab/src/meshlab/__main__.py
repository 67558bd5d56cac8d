"""`python -m meshlab`: the same as the command `meshlab`."""

from meshlab.cli import main

main()
