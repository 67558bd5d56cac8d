"""`python -m enrichment schema`: the JSON schema of `pipeline.toml`."""

import argparse
import json
import sys

from enrichment.settings.schema import pipeline_schema


def text() -> str:
    """Return the schema as `function/pipeline.schema.json` holds it."""
    return json.dumps(pipeline_schema(), indent=2, ensure_ascii=False) + "\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare that the command takes no arguments."""
    parser.epilog = (
        "An editor finds it by the line `#:schema ./pipeline.schema.json` at the top of pipeline.toml."
    )


def run(options: argparse.Namespace) -> int:
    """Print the schema.

    Returns:
        The exit code, 0.
    """
    sys.stdout.write(text())
    return 0
