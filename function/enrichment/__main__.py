"""`python -m enrichment`: the drivers that are commands, and commands around the function."""

import argparse
import errno
import importlib
import os
import signal
import sys

_COMMANDS = {
    "check": ("enrichment.commands.check", "validate pipeline.toml against the table and a sample event"),
    "init": ("enrichment.commands.init", "propose a pipeline.toml and a table.json from sample events"),
    "redrive": ("enrichment.redrive", "send dead letters through the function again"),
    "schema": ("enrichment.commands.schema", "print the JSON schema of pipeline.toml"),
    "serve": ("enrichment.drivers.serve", "serve pushes or lookups over HTTP, without functions-framework"),
    "sql": ("enrichment.commands.sql", "print a query over the function's table, with names filled in"),
    "work": ("enrichment.drivers.work", "receive events from a pull subscription, and write their rows"),
}
"""The module of each command, with `add_arguments` and `run`, and what the command does."""


_SERVERS = ("serve", "work")
"""Commands that run until a signal, and end with 0 at one."""

_OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""How a write to a redirected standard output fails."""


def main(arguments: list[str]) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 not all of it, 2 wrong usage, 130 stopped by Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="python -m enrichment",
        description="The enrichment as a server, and commands around it for a developer's machine.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (path, about) in _COMMANDS.items():
        command = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        if name in arguments:  # others are not loaded: what a server loads is its start and its memory
            module = importlib.import_module(path)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    code: int = options.run(options)
    return code


def _end_at_signals() -> None:
    """End the process with 0 at a signal, until its event loop has handlers: nothing is under way before.

    Without a handler it would end with an error. As the first process of a container it would not end at all, but go on
    to start.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))


def _run() -> int:
    """Run the command of the process; return 1 where its output cannot be written."""
    if sys.argv[1:2] and sys.argv[1] in _SERVERS:
        _end_at_signals()
    try:
        try:
            return main(sys.argv[1:])
        finally:
            sys.stdout.flush()  # here, where an error can still be reported
    except BrokenPipeError:
        pass  # what reads the output has enough of it
    except OSError as error:
        if error.filename is not None or error.errno not in _OUTPUT_ERRORS:
            raise
        sys.stderr.write(
            f"python -m enrichment: the output cannot be written: {error.strerror}. "
            "Free some space, or send it elsewhere.\n"
        )
    sys.stdout = None  # Python would flush it again, and complain
    return 1


if __name__ == "__main__":
    sys.exit(_run())
