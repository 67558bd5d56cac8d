"""Command tree. Commands import what they need when they run, so that `--help` starts fast."""

import sys
from typing import Annotated

import typer

from meshlab.cli import (
    _check,
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
    _support,
    _test,
)
from meshlab.cli._output import say

__all__ = ["app", "run"]

_EXIT_CODES = """Exit codes: 0 all is as expected · 1 a case failed, a verdict changed, a mutant survived or lint found
a mistake · 2 wrong input · 3 not judged, because the bench does not know a setting · 4 the bench failed ·
130 interrupted. The help of each command has its own."""

_HELP = f"""Test what an Istio mesh does with requests, on this machine, with real Envoys and no cluster.

Point it at any manifests: files, directories, kustomizations, or - for standard input.

\b
  Write tests
    meshlab init -f mesh/ cases/             write today's verdicts as cases
    meshlab test -f mesh/ cases/             run them; --watch: at each save
    meshlab test -f mesh/ cases/ --html FILE and a report to look at, too
    helm template . | meshlab test -f - cases/

\b
  Ask questions
    meshlab explain -f mesh/ cases/ -k NAME  why is it let in or refused?
    meshlab reach -f mesh/ --to shop/cart    who can reach this workload?
    meshlab diff main.. mesh/                what does a change let in?

\b
  Find what is missing or wrong
    meshlab test -f mesh/ cases/ --coverage  which rules has no case met?
    meshlab mutate -f mesh/ cases/           what could be lost unnoticed?
    meshlab lint -f mesh/                    what does Istio not report?
    meshlab check -f mesh/                   what is read or refused?

demo, up and run start this project's own lab; they need the extra `lab`.

{_EXIT_CODES}
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


# The order is that of the help: tests, questions, checks, then the rest.
app.command(
    "init", epilog=_init.EXIT_CODES, short_help="Write first cases: requests with the verdict of today."
)(_init.init)
app.command("test", epilog=_exit.HELP, short_help="Run case files on real Envoys.")(_test.run_tests)
app.command("explain", epilog=_explain.EXIT_CODES, short_help="Say why a request is let in or refused.")(
    _explain.explain
)
app.command("reach", epilog=_reach.EXIT_CODES, short_help="Show who can reach what.")(_reach.reach)
app.command("diff", epilog=_diff.EXIT_CODES, short_help="Show what a change lets in or keeps out.")(
    _diff.diff
)
app.command("mutate", epilog=_mutate.EXIT_CODES, short_help="List the conditions that no case would miss.")(
    _mutate.mutate
)
app.command("lint", epilog=_lint.EXIT_CODES, short_help="List mistakes that Istio accepts in silence.")(
    _lint.lint
)
app.command("check", epilog=_check.EXIT_CODES, short_help="Show what of the manifests is read and refused.")(
    _check.check
)
app.command("render", short_help="Print the Envoy configuration of a proxy.")(_render.render)
app.command("support", short_help="Print which kinds and fields of Istio are read.")(_support.support)
app.command("coverage", hidden=True)(_support.coverage)
app.command("schema", short_help="Print the JSON schema of case files.")(_schema.schema)
app.command("demo", short_help="Show one of the project's meshes at work.")(_lab.demo)
app.command("up", short_help="Start the lab and stay up.")(_lab.up)
app.command(
    "run", context_settings={"ignore_unknown_options": True}, short_help="Run a command inside the lab."
)(_lab.run)


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
