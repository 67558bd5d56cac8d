"""Reading of a contract: plain ``KEY=VALUE`` lines that a shell, kustomize and Python read alike."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshcontract.errors import ContractError, Problem
from meshcontract.value_types import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ALLOWED", "EnvFile", "parse", "read_lines"]

ALLOWED = r"[A-Za-z0-9_@%+=:,./\[\]-]*"
"""What a value is made of: nothing that a POSIX shell expands, splits or runs in `KEY=VALUE`."""

# Far above any contract; a wrong file, or a device without an end, is refused at once.
_MOST_BYTES = 256 * 2**10

_NOTHING = re.compile(r"[ \t]*(#[^\x00-\x08\x0b-\x1f\x7f]*)?")
_KEY = re.compile(r"[A-Z][A-Z0-9_]*")
_REFUSED = re.compile(f"[^{ALLOWED.removeprefix('[').removesuffix(']*')}]")
# A shell, or the programs that it starts, behave in another way when one of these is set.
_SHELLS_OWN = re.compile(
    "CDPATH|COLUMNS|DIRSTACK|ENV|EUID|FPATH|FUNCNAME|GROUPS|HISTCMD|HOME|HOSTNAME|IFS|LANG|LANGUAGE|LINENO|LINES|LOGNAME"
    "|MAIL|MAILCHECK|MAILPATH|NLSPATH|OLDPWD|OPTARG|OPTERR|OPTIND|PATH|PIPESTATUS|PPID|PS[1-4]|PWD|RANDOM|REPLY|SECONDS"
    "|SHELL|SHELLOPTS|SHLVL|SRANDOM|TERM|TMPDIR|TZ|UID|USER|ZDOTDIR|(BASH|COMP_|DYLD_|EPOCH|LC_|LD_|PYTHON).*"
)


@dataclass(frozen=True)
class EnvFile:
    """What a file of lines says.

    Attributes:
        path: The file.
        values: The values by key, as they are written.
        lines: The line of each key.
        problems: What is wrong with its lines.
    """

    path: Path
    values: dict[str, str]
    lines: dict[str, int]
    problems: list[Problem]


def parse(path: Path) -> tuple[dict[str, str], list[str]]:
    """Return the file's keys and values as written, and what is wrong with its lines.

    Raises:
        ContractError: The file cannot be read.
    """
    file = read_lines(path)
    return file.values, [str(problem) for problem in file.problems]


def read_lines(path: Path) -> EnvFile:
    """Read a file of ``KEY=VALUE`` lines.

    Quotes are refused because kustomize would keep them as part of the value where a shell drops them.

    Raises:
        ContractError: The file cannot be read.
    """
    try:
        with path.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
        text = content.decode("utf-8")
    except OSError as error:
        raise ContractError(f"cannot read the contract {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ContractError(
            f"cannot read the contract {path}: it is not UTF-8 text ({error.reason})"
        ) from None
    if len(content) > _MOST_BYTES:
        raise ContractError(f"cannot read the contract {path}: it has more than {_MOST_BYTES // 2**10} KiB")
    file = EnvFile(path, {}, {}, [])
    # Only a line feed ends a line, as for a shell and kustomize; `splitlines` knows ten other line ends.
    for number, line in enumerate(text.split("\n"), start=1):
        file.problems.extend(_read_line(file, number, line))
    return file


def _read_line(file: EnvFile, number: int, line: str) -> Iterator[Problem]:
    if line.endswith("\r"):
        yield Problem(
            "",
            "ends in a carriage return, which would become part of the value. Save it with LF line ends.",
            number,
        )
        return
    if _NOTHING.fullmatch(line):
        return
    key, equals, value = line.partition("=")
    if not equals or not _KEY.fullmatch(key):
        yield Problem(
            "",
            f"is not KEY=VALUE: {shown(line)}. Write a key in capitals, `=` and the value, without spaces.",
            number,
        )
    elif _SHELLS_OWN.fullmatch(key):
        yield Problem(
            key, "has a meaning of its own for a shell or Python. Give the key another name.", number
        )
    elif key in file.values:
        yield Problem(key, f"is written a second time; line {file.lines[key]} has it too. Keep one.", number)
    else:
        file.values[key], file.lines[key] = value, number
        if refused := _REFUSED.search(value):
            yield Problem(
                key,
                f"is {shown(value)}, and {_named(refused[0])} in it {_why(refused[0])}. Write the value without it.",
                number,
            )


def _named(character: str) -> str:
    return f"U+{ord(character):04X} ({unicodedata.name(character, 'a control character').lower()})"


def _why(character: str) -> str:
    if character in "'\"":
        return "would be part of the value for kustomize, and not for a shell"
    if character.isspace():
        return "would end the value for a shell"
    if character.isascii() and character.isprintable():
        return "means something to a shell"
    return "is read in different ways"
