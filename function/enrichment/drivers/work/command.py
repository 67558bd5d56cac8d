"""The command `work`: its help, its settings, its signals and its exit code.

====  =====================================================================
code  when
====  =====================================================================
0     a signal ended it: what was under way is finished or nacked
1     it cannot go on; the platform is to start it again
2     settings are missing or wrong, or the subscription does not fit
130   a second Ctrl-C ended it at once; 143 for a second SIGTERM
====  =====================================================================
"""

import argparse
import os
import sys

from enrichment.drivers.work import settings

_HOST = "0.0.0.0"  # noqa: S104 - probes of the platform come from outside of the container

_ABOUT = """\
Receive events from a pull subscription, and write their rows: for Cloud Run worker pools, GKE or a machine of your own.
It runs until SIGTERM or Ctrl-C, and then finishes what is under way. A second signal ends it at once."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its settings."""
    parser.description = _ABOUT
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    lines = [f"  {'PULL_SUBSCRIPTION':<18} {settings.SUBSCRIPTION_ABOUT}"]
    for name, number in settings.NUMBERS.items():
        limits = f"{number.type.least} to {number.type.most}"
        lines.append(f"  {name:<18} {number.about}; default {number.default}, {limits}")
    parser.epilog = "\n".join(
        [
            "settings, from the environment:",
            *lines,
            "",
            "and those of the function, but for FUNCTION_TIMEOUT_S and SUBSCRIPTION_ACK_DEADLINE_S, those of a push.",
            "",
            "exit codes: 0 drained after a signal, 1 it cannot go on, 2 settings or subscription are wrong, 130 or 143",
            "after a second signal. It does not end for want of a permission or of the subscription, but tries again:",
            "/ready answers 503 meanwhile, and one line a minute is CRITICAL.",
        ]
    )
    parser.add_argument(
        "--host", default=_HOST, help="address that /live and /ready listen on (default %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Receive events until a signal; return the exit code."""
    from enrichment.drivers.work import process  # no other command needs what this loads
    from enrichment.settings.environment import SettingsError

    try:
        parts = process.prepared(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"python -m enrichment work: {error}\n")
        return 2
    return process.run(parts, options.host)
