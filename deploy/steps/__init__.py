"""Shared parts of the scripts in this folder: the repository's path, and the refusal of a script.

Standard library only, Python 3.11 or newer: the scripts run before anything is installed. The one exception is
``bridge-certificates``, which needs ``cryptography``.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

if sys.version_info < (3, 11):  # noqa: UP036 - the system's python3, not the project's, may run this
    # Here, because the modules that a script imports next need parts of the standard library of that version. No script
    # uses 2 for what it found or refused.
    sys.stderr.write(
        f"{Path(sys.argv[0]).name}: needs Python 3.11 or newer, this is {sys.version.split()[0]}\n"
    )
    raise SystemExit(2)

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = ROOT / "infra" / "contract.env"

# The package that reads the contract is used from where it lies, because the scripts run before it is installed.
sys.path.insert(0, str(ROOT / "infra" / "contract" / "src"))


INTERRUPTED = 130
"""The exit code of a program that was interrupted, as a shell has it."""


class RefusalError(Exception):
    """A script cannot do its task; the message says why and what to do next."""

    exit_code = 1


class StoppedError(RefusalError):
    """A script was interrupted; the message says what was done before."""

    exit_code = INTERRUPTED


def run_script(name: str, main: Callable[[Sequence[str]], int | None]) -> int:
    """Run the ``main`` of a script, and print a refusal on stderr.

    Args:
        name: the script as the user typed it, such as ``deploy/package``.
        main: takes the arguments after the script's name; it may return an exit code of its own.

    Returns:
        The exit code: 0 or the script's own, 1 after a refusal, 128 and the number of the signal that ended it.
    """
    from meshcontract import ContractError

    # What Ctrl-C does: the script says how far it came, and ends the command that is under way.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except (RefusalError, ContractError) as refusal:
        sys.stderr.write(f"{name}: {refusal}\n")
        return refusal.exit_code if isinstance(refusal, RefusalError) else 1
    except KeyboardInterrupt as interrupt:
        sys.stderr.write(f"\n{name}: interrupted\n")
        return 128 + interrupt.args[0] if interrupt.args else INTERRUPTED
    except BrokenPipeError:
        # The reader of the output has ended, such as `head`. Python would report it once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        sys.stderr.write(f"{name}: {error.filename or 'a file'}: {error.strerror or error}\n")
        return 1
    return code or 0


def _interrupt(number: int, _: object) -> None:
    raise KeyboardInterrupt(number)


def relative(path: Path) -> str:
    """Return the path relative to the repository's root, for messages and printed commands."""
    resolved = Path(os.path.realpath(path))
    return str(resolved.relative_to(ROOT)) if resolved.is_relative_to(ROOT) else str(path)
