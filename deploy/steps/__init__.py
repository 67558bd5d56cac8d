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

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = ROOT / "infra" / "contract.env"

# The package that reads the contract is used from where it lies, because the scripts run before it is installed.
sys.path.insert(0, str(ROOT / "infra" / "contract" / "src"))


class RefusalError(Exception):
    """A script cannot do its task; the message says why and what to do next."""


def run_script(name: str, main: Callable[[Sequence[str]], None]) -> int:
    """Run the ``main`` of a script, and print a refusal on stderr.

    Args:
        name: the script as the user typed it, such as ``deploy/package``.
        main: takes the arguments after the script's name.

    Returns:
        The exit code: 0, 1 after a refusal, or 128 and the number of the signal that ended the script.
    """
    if sys.version_info < (3, 11):  # noqa: UP036 - the system's python3, not the project's, may run this
        sys.stderr.write(f"{name}: needs Python 3.11 or newer, this is {sys.version.split()[0]}\n")
        return 1
    from meshcontract import ContractError

    # What Ctrl-C does: the script says how far it came, and ends the command that is under way.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        main(sys.argv[1:])
    except (RefusalError, ContractError) as refusal:
        sys.stderr.write(f"{name}: {refusal}\n")
        return 1
    except BrokenPipeError:
        # The reader of the output has ended, such as `head`. Python would report it once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        sys.stderr.write(f"{name}: {error.filename or 'a file'}: {error.strerror or error}\n")
        return 1
    except KeyboardInterrupt as interrupt:
        sys.stderr.write(f"{name}: stopped by a signal\n")
        return 128 + (interrupt.args[0] if interrupt.args else signal.SIGINT)
    return 0


def _interrupt(number: int, _: object) -> None:
    raise KeyboardInterrupt(number)


def relative(path: Path) -> str:
    """Return the path relative to the repository's root, for messages and printed commands."""
    resolved = path.resolve()
    return str(resolved.relative_to(ROOT)) if resolved.is_relative_to(ROOT) else str(path)
