"""The command `meshpass`: token, call, doctor, keys. Its own packages come with `meshpass[cli]`."""

import sys


def main() -> None:
    """Run the command, or say how to install what it needs."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        print(  # noqa: T201
            'meshpass: the command needs packages that are not installed: pip install "meshpass[cli]"',
            file=sys.stderr,
        )
        sys.exit(1)
    from meshpass.cli._app import run

    run()
