"""Looking for a secret, or any piece of it, in what a program shows."""

import base64
import copy
import logging
import pickle
import pprint
import traceback
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

PIECE = 12
"""A piece this long, in characters, is a find: far too short to be of use, far too long to be chance."""

_TESTS = str(Path(__file__).parent)


class Secrets:
    """Tokens and keys that nothing may show, in any of the forms in which they are usually written."""

    def __init__(self) -> None:
        self._pieces: set[str] = set()

    def add(self, *texts: str) -> "Secrets":
        for text in texts:
            self._pieces.update(text[at : at + PIECE] for at in range(len(text) - PIECE + 1))
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
        for at in range(len(text) - PIECE + 1):
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
