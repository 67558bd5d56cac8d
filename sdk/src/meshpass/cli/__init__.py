"""The command `meshpass`: token, call, doctor, keys. Its own packages come with the extra `cli`."""

import sys

from meshpass._install import install_hint


def main() -> None:
    """Run the command, or print how to install what it needs."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        if sys.argv[1:] == ["--version"]:
            print(version_line())  # noqa: T201
            return
        print(  # noqa: T201
            f"meshpass: The command needs packages that are not installed. {install_hint('cli')}",
            file=sys.stderr,
        )
        sys.exit(1)
    from meshpass.cli._app import run

    run()


def version_line() -> str:
    """Return the versions of meshpass and Python."""
    from importlib.metadata import version

    python = ".".join(map(str, sys.version_info[:3]))
    return f"meshpass {version('meshpass')} (Python {python})"
