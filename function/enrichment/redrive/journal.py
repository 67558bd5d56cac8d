"""Local file of what was published, so that a run after one that was killed publishes no event twice.

Each line is one JSON object, synced to the disk before the run goes on:

    {"run": "open", "at": 1772323200.0}                    a run began; its dead letters are leased from now on
    {"state": "publishing", "keys": [...], "at": ...}      these are about to be published
    {"state": "published", "keys": [...], "at": ...}       Pub/Sub has confirmed them
    {"state": "refused", "keys": [...], "at": ...}         Pub/Sub has certainly not taken them
    {"run": "closed", "at": ...}                           the run ended by itself; it holds no lease

A line that could not be written to its end, such as on a full disk, counts for nothing. A run stops there, so only the
line that ends the run can follow. Where the machine lost its power, the end of the file may be zero bytes instead.

A dead letter in the state "publishing" at the start of a run is in doubt: the run before was killed, or lost its
connection, between the request and its response.
"""

import enum
import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from enrichment.redrive.errors import RedriveError

KEPT_S = 32 * 86_400
"""How long an entry counts, in seconds. Pub/Sub keeps no message for more than 31 days
(https://cloud.google.com/pubsub/docs/subscription-properties)."""


class State(enum.StrEnum):
    """What the journal knows of a dead letter."""

    UNKNOWN = ""
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    REFUSED = "refused"


_ZERO = b"\0"

_BEGINNINGS = (b'{"run":"', b'{"state":"')
"""How each line begins."""

_ENTRY_STATES = frozenset(state.value for state in State if state)


def default_path(subscription: str) -> Path:
    """Return where the journal of a subscription lies unless the user names another file."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    _, project, _, name = subscription.split("/")
    return Path(state).expanduser() / "meshpass" / "redrive" / f"{project}.{name}.jsonl"


class Journal:
    """The journal of one subscription. One run has it at a time, until the block ends.

    Args:
        path: The file; it is created with its directory.

    Raises:
        RedriveError: The file cannot be written, is no regular file or no journal, or belongs to another run that goes
            on.
    """

    def __init__(self, path: Path) -> None:
        # Through links: the lock must be one for all names of the file, and writing it anew must not replace a link.
        path = Path(os.path.realpath(path))
        self._path = path
        self._states: dict[str, State] = {}
        self._at: dict[str, float] = {}
        self._is_open = False
        self._is_torn = False
        self.torn_lines: list[int] = []
        """The numbers of the lines that an earlier run could not write to their end. They are removed."""
        try:
            if path.exists() and not path.is_file():  # a device would be replaced, and a pipe waited for
                raise RedriveError(
                    f"The journal {path} is not a regular file: name another file with --journal."
                )
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            self._acquire()
            self._read()
            self._compact()
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            os.close(self._lock)
            raise self._unusable(error) from error
        except RedriveError:
            os.close(self._lock)
            raise
        self.was_killed = self._is_open
        """Whether the run before did not end by itself, so that it may still hold leases."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)
        os.close(self._lock)

    def begin(self) -> None:
        """Record that a run begins: from now on it may hold leases. Raises RedriveError as `record` does."""
        self._append({"run": "open"})
        _sync_directory(self._path.parent)

    def end(self) -> None:
        """Record that the run holds no lease any more. Raises RedriveError as `record` does."""
        self._append({"run": "closed"})

    def state(self, key: str) -> State:
        """Return what is known of a dead letter."""
        return self._states.get(key, State.UNKNOWN)

    def record(self, state: State, keys: Iterable[str]) -> None:
        """Record what happens to some dead letters, durably, before this returns.

        Raises:
            RedriveError: The file cannot be written.
        """
        known = list(keys)
        self._append({"state": str(state), "keys": known})
        for key in known:
            self._states[key] = state

    def _acquire(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RedriveError(
                f"Another redrive with the journal {self._path} is running: wait until it ends, or end it."
            ) from None

    def _read(self) -> None:
        for line in self._lines():
            at = line["at"]
            if "run" in line:
                self._is_open = line["run"] == "open"
                continue
            for key in line["keys"]:
                self._states[key], self._at[key] = State(line["state"]), at
        oldest = time.time() - KEPT_S
        for key in [key for key, at in self._at.items() if at < oldest]:
            del self._states[key], self._at[key]

    def _lines(self) -> Iterator[dict[str, Any]]:
        try:
            lines = self._path.read_bytes().rstrip(_ZERO).split(b"\n")
        except FileNotFoundError:
            return
        if _is_short(lines[-1]):
            lines.pop()  # empty, or it says nothing
        is_after_torn = False
        for number, line in enumerate(lines, 1):
            document = _document(line)
            if document is None and _is_cut_off(line, is_first=number == 1):
                self.torn_lines.append(number)
                is_after_torn = True
            elif document is None:  # this may be any file of the user's, and is to be left alone
                raise self._no_line(number)
            elif is_after_torn and "run" not in document:  # more was lost than the end of a run
                raise self._no_line(self.torn_lines[-1])
            else:
                is_after_torn = False
                yield document

    def _no_line(self, number: int) -> RedriveError:
        if number == 1:
            return RedriveError(
                f"{self._path}:{number} is no line of a journal: name another file with --journal."
            )
        return RedriveError(
            f"{self._path}:{number} is no line of a journal, so what earlier runs published cannot be read: restore "
            "the file. With another one (--journal), what they published and did not acknowledge is published twice."
        )

    def _compact(self) -> None:
        """Write the file anew, with one entry for each dead letter that still counts."""
        if not self._path.exists():
            return
        new = self._path.with_name(f"{self._path.name}.new")
        with open(new, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            for key, state in self._states.items():
                file.write(_line({"state": str(state), "keys": [key], "at": self._at[key]}))
            if self._is_open:
                file.write(_line({"run": "open", "at": time.time()}))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)

    def _append(self, document: dict[str, Any]) -> None:
        line = _line({**document, "at": time.time()})
        rest = b"\n" + line if self._is_torn else line
        try:
            while rest:  # a second try of the rest says why only a part was written
                rest = rest[os.write(self._file, rest) :]
                self._is_torn = 0 < len(rest) < len(line)
            os.fsync(self._file)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> RedriveError:
        return RedriveError(
            f"The journal {self._path} cannot be written ({error.strerror}): correct that, or name another file with "
            "--journal, a copy of this one if it exists.",
            nothing_done=True,
        )


def _is_short(line: bytes) -> bool:
    """Whether a line ends within what begins each."""
    return any(begin.startswith(line) for begin in _BEGINNINGS)


def _is_cut_off(line: bytes, *, is_first: bool) -> bool:
    """Whether a line that says nothing is the beginning of one that does."""
    if not line.startswith(_BEGINNINGS):
        return bool(line) and not is_first and _is_short(line)
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return False


def _document(line: bytes) -> dict[str, Any] | None:
    """Return what a line holds, None if it is no line of a journal."""
    try:
        document = json.loads(line)
        at, state, keys = document["at"], document.get("state", ""), document.get("keys")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    is_run = document.get("run") in ("open", "closed")
    is_entry = state in _ENTRY_STATES and isinstance(keys, list) and all(isinstance(key, str) for key in keys)
    return document if isinstance(at, float) and (is_run or is_entry) else None


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def _sync_directory(directory: Path) -> None:
    """Make the file's own entry durable, which syncing the file does not do."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
