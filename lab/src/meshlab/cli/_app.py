"""Command tree. Commands import what they need when they run, so that `--help` starts fast."""

import sys
from typing import Annotated

import typer

from meshlab.cli import (
    _check,
    _coverage,
    _diff,
    _errors,
    _exit,
    _explain,
    _init,
    _lab,
    _lint,
    _mutate,
    _reach,
    _render,
    _schema,
    _test,
)
from meshlab.cli._output import say

__all__ = ["app", "run"]

_HELP = f"""Test what an Istio mesh does with requests, on this machine, with real Envoys and no cluster.

Point it at any manifests: files, directories, kustomizations, or - for standard input.

\b
  meshlab init -f manifests/ tests/            write first cases from today's verdicts
  meshlab test -f manifests/ tests/            run them
  meshlab test -f manifests/ tests/ --watch    run them again after every change
  helm template . | meshlab test -f - tests/   test what a chart makes
  meshlab explain -f manifests/ tests/ -k NAME say why a request is let in or refused
  meshlab check -f manifests/                  see what is read and refused, before anything starts
  meshlab lint -f manifests/                   find mistakes that Istio accepts in silence
  meshlab mutate -f manifests/ tests/          find conditions that no case would miss
  meshlab reach -f manifests/                  see who can reach what
  meshlab diff main.. manifests/               see which requests a change lets in or keeps out
  meshlab render -f manifests/ --workload shop/cart
                                               see how a proxy is set up

demo, up and run start this project's own lab; they need the extra `lab`.

{_exit.HELP}
"""

app = typer.Typer(
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        say(f"meshlab {version('meshlab')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


app.command("test", epilog=_exit.HELP)(_test.run_tests)
app.command()(_init.init)
app.command("check", epilog=_check.EXIT_CODES)(_check.check)
app.command("lint", epilog=_lint.EXIT_CODES)(_lint.lint)
app.command("mutate", epilog=_mutate.EXIT_CODES)(_mutate.mutate)
app.command("reach", epilog=_reach.EXIT_CODES)(_reach.reach)
app.command("diff", epilog=_diff.EXIT_CODES)(_diff.diff)
app.command("explain", epilog=_explain.EXIT_CODES)(_explain.explain)
app.command()(_render.render)
app.command()(_coverage.coverage)
app.command()(_schema.schema)
app.command()(_lab.demo)
app.command()(_lab.up)
app.command(context_settings={"ignore_unknown_options": True})(_lab.run)


def run() -> None:
    """Run the command with the arguments of the process; no traceback reaches the user."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # What a response holds must not end the command because the terminal has no character for it.
            stream.reconfigure(errors="replace")
    try:
        sys.exit(app(prog_name="meshlab", standalone_mode=False) or _exit.Exit.OK)
    except KeyboardInterrupt:
        sys.exit(_exit.Exit.INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has enough of it. Python would complain again when it closes stdout.
        sys.stdout = None
        sys.exit(_exit.Exit.FAILED)
    except typer.TyperException as error:
        sys.exit(_errors.usage(error))
    except Exception as error:  # noqa: BLE001 - the last line before the user
        sys.exit(_errors.unexpected(error))
