"""`python -m enrichment`: commands around the function, for a developer's machine."""

import argparse
import sys

from enrichment import redrive
from enrichment.commands import check, init, schema, sql

_COMMANDS = {
    "check": (check, "validate pipeline.toml against the table and a sample event"),
    "init": (init, "propose a pipeline.toml and a table.json from sample events"),
    "redrive": (redrive, "send dead letters through the function again"),
    "schema": (schema, "print the JSON schema of pipeline.toml"),
    "sql": (sql, "print a query over the function's table, with names filled in"),
}


def main(arguments: list[str]) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 not all of it, 2 wrong usage, 130 stopped by Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="python -m enrichment", description="Commands around the function, for a developer's machine."
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
