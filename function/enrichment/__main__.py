"""`python -m enrichment`: what people do around the function, at their own machine."""

import argparse
import sys

from enrichment import redrive
from enrichment.commands import check, sql

_COMMANDS = {
    "check": (check, "validate pipeline.toml against the table and a sample event"),
    "redrive": (redrive, "send dead letters through the function again"),
    "sql": (sql, "print a query over the function's table, with names filled in"),
}


def main(arguments: list[str]) -> int:
    """Runs one command.

    Returns:
        The exit code: 0 done, 1 not all of it, 2 wrong usage, 130 stopped by Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="python -m enrichment", description="What people do around the function, at their own machine."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (module, about) in _COMMANDS.items():
        command = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    code: int = options.run(options)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
