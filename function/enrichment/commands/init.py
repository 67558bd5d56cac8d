"""`python -m enrichment init`: a first `pipeline.toml` and `table.json` for one's own events."""

import argparse
import sys
from pathlib import Path

from enrichment.commands import samples, schema
from enrichment.commands.proposal import NoProposalError, propose

_PIPELINE, _TABLE, _SCHEMA = "pipeline.toml", "table.json", "pipeline.schema.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `python -m enrichment init`."""
    parser.add_argument(
        "--from-event",
        required=True,
        metavar="FILE",
        help="an event, a JSON array of events, or one on each line; - for standard input",
    )
    parser.add_argument(
        "--lookup",
        default="",
        metavar="PATH",
        help="the service's path to look up, such as /profile/{user_id}",
    )
    parser.add_argument(
        "--to",
        type=Path,
        default=Path(),
        metavar="FOLDER",
        help="where to write the files (default: here)",
    )
    parser.epilog = "Types are guessed from the samples: give many, and read what was written."


def run(options: argparse.Namespace) -> int:
    """Write the two files, which must not be there already, and the JSON schema that editors read.

    Args:
        options: The command's arguments.

    Returns:
        The exit code: 0 written, 1 not.
    """
    targets = [options.to / name for name in (_PIPELINE, _TABLE)]
    if there := [target for target in targets if target.exists()]:
        return _complain(f"{there[0]} is there already. Give another folder with --to.")
    try:
        content = (
            sys.stdin.buffer.read() if options.from_event == "-" else Path(options.from_event).read_bytes()
        )
        proposal = propose(samples.split(content), options.lookup, from_array=samples.is_array(content))
        options.to.mkdir(parents=True, exist_ok=True)
        for target, text in zip(targets, (proposal.pipeline, proposal.table), strict=True):
            target.write_text(text, encoding="utf-8")
        (options.to / _SCHEMA).write_text(schema.text(), encoding="utf-8")
    except OSError as error:
        return _complain(f"{error.filename or options.to}: {error.strerror}")
    except NoProposalError as error:
        return _complain(f"{error}.")
    pipeline, table = targets
    files = f"--pipeline {pipeline} --table {table} --event {options.from_event}"
    sys.stdout.write(
        f"Wrote {pipeline} and {table}: {len(proposal.columns)} columns, named by {proposal.event_id}.\n"
        f"Next: python -m enrichment check {files} --explain\n"
    )
    return 0


def _complain(problem: str) -> int:
    sys.stderr.write(f"python -m enrichment init: {problem}\n")
    return 1
