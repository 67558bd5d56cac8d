# ruff: noqa: ANN401
"""Looking for a secret, or any piece of it, in what a program shows."""

import base64
import copy
import logging
import pickle
import pprint
import re
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from opcode import opname
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from meshpass import AsyncClient, Client, Token
from meshpass._tokens.cache import CachedSource

PIECE = 12
"""A piece this long, in characters, is a find: far too short to be of use, far too long to be chance."""

_GRAM = 5
"""The texts are searched for this many characters, so that not every place of them has to be looked at."""

_STEP = PIECE - _GRAM + 1
"""Each piece has exactly one gram that begins at a multiple of this, wherever in a text the piece begins."""

_TESTS = str(Path(__file__).parent)


class Secrets:
    """Tokens and keys that nothing may show, in any of the forms in which they are usually written."""

    def __init__(self) -> None:
        self._pieces: set[str] = set()
        self._grams: set[str] = set()

    def add(self, *texts: str) -> "Secrets":
        for text in texts:
            self._pieces.update(text[at : at + PIECE] for at in range(len(text) - PIECE + 1))
            self._grams.update(text[at : at + _GRAM] for at in range(len(text) - _GRAM + 1))
        return self

    def add_token(self, value: str) -> "Secrets":
        """A token's payload and signature; the header only says which key signed it."""
        return self.add(*value.split(".")[1:])

    def add_key(self, pem: bytes) -> "Secrets":
        """The private half as numbers, bytes and PEM; the public half is no secret."""
        key = load_pem_private_key(pem, None)
        private: list[int] = []
        if isinstance(key, ec.EllipticCurvePrivateKey):
            private = [key.private_numbers().private_value]
        elif isinstance(key, rsa.RSAPrivateKey):
            numbers = key.private_numbers()
            private = [numbers.d, numbers.p, numbers.q]
        for number in private:
            size = (number.bit_length() + 7) // 8
            raw = number.to_bytes(size, "big")
            self.add(str(number), raw.hex(), raw.hex().upper(), repr(raw), raw.decode("latin-1"))
            for shift in range(3):  # base64 has three ways to write the same bytes
                encoded = base64.b64encode(bytes(shift) + raw)[4:-4].decode()
                lines = "\n".join(encoded[at : at + 64] for at in range(0, len(encoded), 64))
                self.add(encoded, encoded.replace("+", "-").replace("/", "_"), lines, repr(lines))
        return self

    def in_text(self, text: str) -> str | None:
        """The first piece that is there, with some of what stands before it; None when there is none."""
        grams = self._grams
        for place in range(0, len(text), _STEP):
            if text[place : place + _GRAM] in grams:
                for at in range(max(place - _STEP + 1, 0), place + 1):
                    if text[at : at + PIECE] in self._pieces:
                        return text[max(at - 120, 0) : at + PIECE]
        return None


def shown_by(value: object) -> str:
    """All that a program would print, log or store of an object."""
    with_format = [str(value), repr(value), f"{[value]!r} { ({'k': value}) }", pprint.pformat(value)]
    record = logging.LogRecord("n", logging.INFO, "p", 1, "%s %r", (value, value), None)
    return "\n".join([*with_format, record.getMessage(), *_duplicates(value)])


def shown_by_error(error: BaseException, *, with_locals: bool = True) -> str:
    """All that a logger, a debugger or an error tracker would show of an error and of what is behind it.

    Args:
        error: The error.
        with_locals: Whether to look into each frame's local variables, as error trackers do.
    """
    shown: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        shown += [shown_by(seen), repr(seen.args), repr(vars(seen)), *getattr(seen, "__notes__", [])]
        shown += _frames(seen) if with_locals else []
        seen = seen.__cause__ or seen.__context__
    return "\n".join([*shown, *traceback.format_exception(error)])


def held_by_error(error: BaseException, secrets: Secrets, *, depth: int = 6) -> str | None:
    """Where an exception holds a secret: in a local variable of a frame, or in an exception behind it.

    Every exception that can be reached is looked at: causes, contexts, groups. So is every frame of each, those of
    other libraries too, but not the tests' own. Of each variable the repr is searched, and what it holds: elements,
    attributes and slots, down to `depth`. A `Token`, a source of tokens and a client have a masked repr and are
    not opened: the caller holds them, too.

    Args:
        error: The exception.
        secrets: What must not be there. Text that looks like a token, a key or a bearer header is always found.
        depth: How many steps from a variable to look.
    """
    for one in reachable(error):
        held: list[tuple[str, object]] = [
            (f"{type(one).__name__}.{name}", v) for name, v in vars(one).items()
        ]
        held.append((f"{type(one).__name__}.args", one.args))
        for frame, line in traceback.walk_tb(one.__traceback__):
            if not frame.f_code.co_filename.startswith(_TESTS):
                place = f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
                held += [(f"{place} {name}", value) for name, value in frame.f_locals.items()]
        for place, value in held:
            for text in _texts(value, depth, set()):
                if (found := secrets.in_text(text) or _looks_secret(text)) is not None:
                    return f"{place}: ...{found}"
    return None


def reachable(error: BaseException) -> list[BaseException]:
    """Every exception behind this one, and itself."""
    found: list[BaseException] = []
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is not None and all(one is not other for other in found):
            found.append(one)
            pending += [one.__cause__, one.__context__]
            pending += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
    return found


@contextmanager
def interrupted_at(line: int, error: BaseException, folder: str) -> Iterator[Callable[[], int]]:
    """Raise an exception when the code below a folder of the package comes to its n-th line, as a signal would.

    Yields:
        What returns how many lines were run.
    """
    seen = 0

    def on_line(frame: FrameType, event: str, _: object) -> Any:
        nonlocal seen
        if event == "line" and not _leaves_with(frame):
            seen += 1
            if seen == line:
                raise error
        return on_line

    def on_call(frame: FrameType, event: str, _: object) -> Any:
        file = frame.f_code.co_filename
        # What seals an exception cannot be interrupted by the same one.
        return on_line if folder in file and not file.endswith("_frames.py") else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        yield lambda: seen
    finally:
        sys.settrace(before)


def _leaves_with(frame: FrameType) -> bool:
    """Report whether a frame is about to leave a `with` block and has not called `__exit__` yet.

    A signal is not handled between the two, but a trace function runs there. An exception from it would keep a lock
    that the block holds for ever.
    """
    code = frame.f_code
    found = (
        (opname[code.co_code[at]], code.co_code[at + 1])
        for at in range(frame.f_lasti, len(code.co_code) - 6, 2)
    )
    first = [
        (name, argument) for name, argument in islice(found, 6) if name not in ("NOP", "SWAP", "POP_TOP")
    ][:3]
    return len(first) == 3 and all(
        name == "LOAD_CONST" and code.co_consts[argument] is None for name, argument in first
    )


_SECRET_LOOK = re.compile(
    r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{20,}|BEGIN [A-Z ]*PRIVATE KEY|Bearer (?!\*\*\*)[\w.~+/-]{8,}"
)


def _looks_secret(text: str) -> str | None:
    found = _SECRET_LOOK.search(text)
    return text[max(found.start() - 60, 0) : found.start() + 30] if found else None


def _texts(value: object, depth: int, seen: set[int]) -> Iterator[str]:
    """The repr of a value and of all that it holds."""
    if id(value) in seen or depth < 0 or isinstance(value, type | ModuleType):
        return
    seen.add(id(value))
    if isinstance(value, str):
        yield value
        return
    if isinstance(value, bytes | bytearray | memoryview):
        yield bytes(value).decode("latin-1")
        return
    with suppress(AttributeError):  # it is not complete: its constructor was interrupted
        yield repr(value)
    if isinstance(value, Token | CachedSource | Client | AsyncClient) or type(value).__module__.startswith(
        "tests."
    ):
        return
    parts: list[object] = []
    if isinstance(value, Mapping):
        parts += [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset | deque):
        parts += value
    parts += getattr(value, "__dict__", {}).values()
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            parts.append(getattr(value, name, None))
    for part in parts:
        yield from _texts(part, depth - 1, seen)


def shown_by_records(records: Iterable[logging.LogRecord]) -> str:
    """All that a formatter could take from log records."""
    formatter = logging.Formatter()
    return "\n".join(f"{formatter.format(record)}\n{vars(record)!r}" for record in records)


def _duplicates(value: object) -> list[str]:
    """Pickles and copies, of what lets itself be pickled or copied."""
    shown = []
    for duplicate in (pickle.dumps, copy.copy, copy.deepcopy):
        try:
            made = duplicate(value)
        except (TypeError, AttributeError, pickle.PicklingError):
            continue
        shown.append(made.decode("latin-1") if isinstance(made, bytes) else f"{made!r} {made}")
    return shown


def _frames(error: BaseException) -> list[str]:
    """Each frame with its local variables, as error trackers send them; the tests' own frames hold the secrets."""
    stack = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), capture_locals=True)
    return [f"{frame.filename} {frame.locals}" for frame in stack if not frame.filename.startswith(_TESTS)]
