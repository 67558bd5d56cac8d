"""Journal of a backfill: what it is about, and how far each shard is.

    DIR/backfill.json           what the backfill is about and its shards; written once
    DIR/shards/000012.json      how far a shard is; replaced as it goes on, after its rows are durable
    DIR/report.json             what became of each input; written at the end of each run

A shard that is killed goes on from the place that its file names. The few records behind that place may be written
again: their rows have the same insertIds. Workers on other machines need a folder that all of them reach, in a bucket.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from enrichment_beam.backfill import storage
from enrichment_beam.backfill.shard import Shard, ShardState

VERSION = 2

WAIT_S = 60.0
"""How long a run waits for workers of a run that was killed, in seconds. They end with the part that they have."""


class JournalError(RuntimeError):
    """The journal cannot be used; the message says why and what to do."""


class Plan(msgspec.Struct):
    """What a backfill is about. A run with the same journal must be about the same.

    Args:
        inputs: What is read: each file with its size and the time of its last change, or the table or subscription.
        rules: A digest of pipeline.toml, the table's definition and the schemas.
        table: Where rows go.
        write: How they are written.
        records: What a record is.
        publish_time: What stands for the publish time of events.
        began_at: When the backfill was begun, RFC 3339: the publish time of events that bring none.
        shards: The parts of the input.
        version: Version of this layout.
    """

    inputs: list[tuple[str, int, float]]
    rules: str
    table: str
    write: str
    records: str
    publish_time: str
    began_at: str
    shards: list[Shard]
    version: int = VERSION


class Journal:
    """The journal in one folder. On this machine one run has it at a time.

    Args:
        folder: Where it lies.
        wait_s: How long to wait for workers of a run that was killed, in seconds.
    """

    def __init__(self, folder: str, wait_s: float = WAIT_S) -> None:
        self.folder = folder
        self._wait_s = wait_s
        self._lock: int | None = None

    def __enter__(self) -> Self:
        if not storage.is_remote(self.folder):
            try:
                Path(self.folder).mkdir(parents=True, exist_ok=True)
                self._lock = self._open("lock")
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._wait_for_workers()
            except BlockingIOError:
                self._release()
                raise JournalError(
                    f"Another run with the journal {self.folder} goes on: wait until it ends, or end it."
                ) from None
            except OSError as error:
                self._release()
                raise JournalError(
                    f"The journal {self.folder} cannot be written ({error.strerror}): name another one with --journal."
                ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Note that this process writes to the journal: the next run waits for it, should this one be killed."""
        if storage.is_remote(self.folder):
            yield
            return
        try:
            workers = self._open("workers")
        except OSError as error:
            raise JournalError(f"The journal {self.folder} cannot be written: {error}.") from error
        try:
            fcntl.flock(workers, fcntl.LOCK_SH)
            yield
        finally:
            os.close(workers)

    def _open(self, name: str) -> int:
        return os.open(Path(self.folder) / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _wait_for_workers(self) -> None:
        """Wait until no worker of an earlier run writes to the journal. Raises JournalError."""
        workers, end = self._open("workers"), time.monotonic() + self._wait_s
        try:
            while True:
                try:
                    fcntl.flock(workers, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() > end:
                        self._release()
                        raise JournalError(
                            f"Worker processes of a run that was killed still write to {self.folder}: wait until they "
                            "end, or end them."
                        ) from None
                    time.sleep(0.2)
                else:
                    return
        finally:
            os.close(workers)

    def plan(self) -> Plan | None:
        """Return what the backfill is about, None for a new one. Raises JournalError."""
        content = self._read("backfill.json")
        if content is None:
            return None
        try:
            found = msgspec.json.decode(content, type=Plan)
        except msgspec.DecodeError:
            raise JournalError(
                f"{storage.join(self.folder, 'backfill.json')} is no journal: name another folder with --journal."
            ) from None
        if found.version != VERSION:
            raise JournalError(f"The journal {self.folder} was written by another version: name a new one.")
        return found

    def begin(self, plan: Plan) -> None:
        """Write what the backfill is about. Raises JournalError."""
        self._write("backfill.json", msgspec.json.format(msgspec.json.encode(plan), indent=1))

    def state(self, shard: Shard) -> ShardState:
        """Return how far a shard is. Raises JournalError."""
        content = self._read(_name(shard.number))
        if content is None:
            return ShardState(shard.number, shard.begin)
        try:
            return msgspec.json.decode(content, type=ShardState)
        except msgspec.DecodeError:
            raise JournalError(
                f"{storage.join(self.folder, _name(shard.number))} cannot be read: remove it, and the shard is read "
                "again from its beginning."
            ) from None

    def write_state(self, state: ShardState) -> None:
        """Replace what is known of a shard, durably. Raises JournalError."""
        self._write(_name(state.number), msgspec.json.encode(state))

    def states(self, plan: Plan) -> Iterator[ShardState]:
        """Give how far each shard is. Raises JournalError."""
        for shard in plan.shards:
            yield self.state(shard)

    def write_report(self, content: bytes) -> str:
        """Write the report, and return its path. Raises JournalError."""
        self._write("report.json", content)
        return storage.join(self.folder, "report.json")

    def _read(self, name: str) -> bytes | None:
        try:
            return storage.read(storage.join(self.folder, name))
        except OSError as error:
            raise JournalError(f"The journal {self.folder} cannot be read: {error}.") from error

    def _write(self, name: str, content: bytes) -> None:
        try:
            storage.write(storage.join(self.folder, name), content)
        except OSError as error:
            raise JournalError(f"The journal {self.folder} cannot be written: {error}.") from error

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _name(number: int) -> str:
    return f"shards/{number:06}.json"


def differences(old: Plan, new: Plan) -> list[str]:
    """Return what a run would do otherwise than its journal says, one sentence each."""
    names = {
        "rules": "pipeline.toml, the table's definition or a schema",
        "table": "BIGQUERY_TABLE",
        "write": "--write",
        "records": "--records",
        "publish_time": "--publish-time",
    }
    changed = [
        f"{about} is another one than when the backfill was begun."
        for name, about in names.items()
        if getattr(old, name) != getattr(new, name)
    ]
    before, after = {one[0]: one for one in old.inputs}, {one[0]: one for one in new.inputs}
    changed += [
        f"{name} was not part of the backfill when it was begun." for name in sorted(after.keys() - before)
    ]
    changed += [f"{name} is gone or not named." for name in sorted(before.keys() - after)]
    changed += [
        f"{name} has changed since the backfill was begun."
        for name in sorted(before.keys() & after)
        if before[name] != after[name]
    ]
    return changed
