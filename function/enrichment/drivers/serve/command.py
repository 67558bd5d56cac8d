"""The command `serve`: its help, its settings and its exit code.

====  =====================================================================
code  when
====  =====================================================================
0     SIGTERM or Ctrl-C ended it, and what was under way has its answer
1     it cannot listen
2     settings are missing or wrong, or the extra `serve` is not installed
====  =====================================================================
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enrichment.assembly import Closing
    from enrichment.drivers.serve.application import LookupApplication, PushApplication

    Application = PushApplication | LookupApplication

_OF_THE_EXTRA = ("httptools", "uvicorn")
_HOST = "0.0.0.0"  # noqa: S104 - Cloud Run and Kubernetes reach a container by its address, as functions-framework has it
_PORT = 8080
_DRAIN_S = 8.0
_MOST_DRAIN_S = 600.0
_MOST_PORT = 65535

_ABOUT = """\
Serve what the function serves, in one process and without functions-framework: for a Cloud Run service, GKE or a
machine of your own. Pushes come in every form that the function takes, and have the same answers.

GET /live and GET /ready are answered 200, for probes. SIGTERM and Ctrl-C end it: it accepts no more, and what is under
way has its answer first.

Every caller that reaches the port can send events. On Cloud Run its IAM decides who may; elsewhere listen on a loopback
address (--host 127.0.0.1) behind something that decides, or keep the network closed."""

_SETTINGS = f"""\
settings, from the environment:
  PORT            port to listen on; default {_PORT}
  HOST            address to listen on; default {_HOST}
  SERVE_DRAIN_S   seconds that requests may take after SIGTERM, before they are answered 503; default {_DRAIN_S:g}.
                  Cloud Run ends a container 10 s after SIGTERM
  FUNCTION_TARGET lookup, for --lookup
and those of the function.

exit codes: 0 drained after a signal, 1 it cannot listen, 2 settings are missing or wrong"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its settings."""
    parser.description = _ABOUT
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _SETTINGS
    parser.add_argument(
        "--lookup",
        action="store_true",
        help="serve GET /lookup/{key} in place of pushes, as the function `lookup`",
    )
    parser.add_argument("--host", help="address to listen on (default: HOST of the environment, or all)")
    parser.add_argument("--port", help="port to listen on (default: PORT of the environment, or 8080)")


def run(options: argparse.Namespace) -> int:
    """Serve until a signal.

    Returns:
        The exit code.
    """
    return serve(
        os.environ,
        lookup=options.lookup,
        host=options.host,
        port=options.port,
    )


def serve(env: Mapping[str, str], *, lookup: bool, host: str | None, port: str | None) -> int:
    """Serve until a signal.

    Args:
        env: The environment.
        lookup: Whether to serve lookups, whatever the environment says.
        host: The address, for the environment's.
        port: The port, for the environment's.

    Returns:
        The exit code.
    """
    try:
        from enrichment.drivers.serve.server import Address, allow_connections, listen
        from enrichment.drivers.serve.server import serve as serve_on
    except ModuleNotFoundError as error:
        if error.name not in _OF_THE_EXTRA:
            raise
        _complain(f'{error.name} is not installed. Run `pip install "./function[serve]"` in a clone.')
        return 2
    from enrichment import assembly
    from enrichment.settings.environment import SettingsError

    problems: list[str] = []
    closing: Closing = []
    port_name = "PORT" if port is None else "--port"
    number = _number(port_name, env.get("PORT", "") if port is None else port, _PORT, 0, _MOST_PORT, problems)
    drain_s = _number("SERVE_DRAIN_S", env.get("SERVE_DRAIN_S", ""), _DRAIN_S, 0, _MOST_DRAIN_S, problems)
    if number != int(number):
        problems.append(f"{port_name} must be a whole number.")
    try:
        application, report = _application(env, closing, lookup=lookup)
    except SettingsError as error:
        problems += error.problems
    if problems:
        _complain(str(SettingsError(problems)))
        return 2
    address = Address(host or env.get("HOST") or _HOST, int(number))
    try:
        listening = listen(address)
    except OSError as error:
        _complain(f"cannot listen on {address.host} port {address.port}: {error.strerror or error}.")
        return 1
    allow_connections()
    at, at_port = listening.getsockname()[:2]
    report(f"serve listens on {at} port {at_port}")
    assembly.collect_less_often()
    serve_on(application, listening, drain_s, report, closing)
    return 0


def _application(
    env: Mapping[str, str], closing: "Closing", *, lookup: bool
) -> "tuple[Application, Callable[[str], None]]":
    """Return what to serve, and what writes a line about the process.

    Raises:
        SettingsError: Settings are missing or wrong; names all of them.
    """
    from enrichment import assembly
    from enrichment.drivers.push.endpoint import PushEndpoint
    from enrichment.drivers.serve.application import LookupApplication, PushApplication

    if lookup or env.get("FUNCTION_TARGET") == "lookup":
        http_lookup = assembly.http_lookup(env, closing)
        return LookupApplication(http_lookup), http_lookup.log.started
    enricher = assembly.enricher(env, closing)
    return PushApplication(PushEndpoint(enricher)), enricher.log.started


def _number(name: str, text: str, default: float, least: float, most: float, problems: list[str]) -> float:
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not least <= number <= most:  # also not a number
        problems.append(f"{name} must be a number from {least:g} to {most:g}.")
        return default
    return number


def _complain(sentence: str) -> None:
    sys.stderr.write(f"python -m enrichment serve: {sentence}\n")
