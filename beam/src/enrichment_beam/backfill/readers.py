"""Reading of one shard, from the place where an earlier run came to."""

import gzip
import io
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple, Protocol

from enrichment.core.received import Received
from enrichment.errors import failure

from enrichment_beam.backfill import storage
from enrichment_beam.backfill.records import (
    MAX_RECORD_BYTES,
    EventRecords,
    is_message,
    of_event_fields,
    of_fields,
    of_json_message,
)
from enrichment_beam.backfill.shard import UNITS, Kind, Records, Shard

_BLOCK = 1 << 16
_BOM = b"\xef\xbb\xbf"


class InputError(RuntimeError):
    """An input cannot be read on; the message says where and why."""


class Read(NamedTuple):
    """One record.

    Args:
        received: The message in it; None where it is longer than any message can be.
        position: Where to go on once it has come to its end.
        progress: How much of the shard's size that is.
        place: Where it is, in the unit of the shard's kind: the byte that a line begins at, else its number from 1.
    """

    received: Received | None
    position: int
    progress: int
    place: int


class Reader(Protocol):
    """Reads the records of one shard."""

    def __call__(self, shard: Shard, position: int) -> Iterator[Read]:
        """Give the records from a position on.

        Raises:
            InputError: The rest cannot be read.
        """


class Form(NamedTuple):
    """What a record is.

    Args:
        records: Events or messages; for Avro and rows, `AUTO` goes by the names of the fields.
        events: Makes messages of events.
    """

    records: Records
    events: EventRecords


def reader(kind: Kind, form: Form) -> Reader:
    """Return what reads shards of a kind."""
    known: dict[Kind, Callable[[Shard, int, Form], Iterator[Read]]] = {
        Kind.LINES: _lines,
        Kind.GZIP_LINES: _gzip_lines,
        Kind.AVRO: _avro,
        Kind.BIGQUERY: _bigquery,
    }
    read = known[kind]

    def explained(shard: Shard, position: int) -> Iterator[Read]:
        at = position
        try:
            for found in read(shard, position, form):
                yield found
                at = found.position
        except Exception as error:
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise InputError(f"{shard.name} cannot be read on from {UNITS[kind]} {at}: {said}") from error

    return explained


def _lines(shard: Shard, position: int, form: Form) -> Iterator[Read]:
    """Give the lines that begin in the shard: the last one may end behind it."""
    with storage.open_plain(shard.name) as file:
        at = position
        if at == shard.begin and at > 0:
            # The line that is under way here belongs to the shard before; one that begins right here does not.
            file.seek(at - 1)
            at += _line(file)[1] - 1
        else:
            file.seek(at)
        while shard.end < 0 or at < shard.end:
            line, size = _line(file)
            if not size:
                _check_end(at, shard.end)
                return
            begin, at = at, at + size
            done = (at if shard.end < 0 else min(at, shard.end)) - shard.begin
            yield Read(_of_line(line, shard, begin, form, is_first=begin == 0), at, done, begin)


def _gzip_lines(shard: Shard, position: int, form: Form) -> Iterator[Read]:
    with storage.open_plain(shard.name) as raw:
        counted = _Counted(raw)
        with gzip.GzipFile(fileobj=io.BufferedReader(counted, _BLOCK)) as file:
            number = 0
            while (found := _line(file))[1]:
                number += 1
                if number > position:
                    received = _of_line(found[0], shard, number, form, is_first=number == 1)
                    yield Read(received, number, counted.count, number)
        _check_end(counted.count, shard.size)


def _avro(shard: Shard, position: int, form: Form) -> Iterator[Read]:
    import fastavro

    with storage.open_plain(shard.name) as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file: Any = gzip.GzipFile(fileobj=raw) if compressed else raw
        blocks = fastavro.block_reader(file)
        schema: Any = blocks.writer_schema
        names = {one["name"] for one in schema.get("fields", [])} if isinstance(schema, dict) else set()
        messages = _are_messages(form, names)
        number = 0
        for block in blocks:
            if number + block.num_records <= position:
                number += block.num_records  # skipped without being decoded
                continue
            for fields in block:
                number += 1
                if number > position:
                    received = _of_fields(fields, shard, number, form, messages=messages)
                    yield Read(received, number, raw.tell(), number)
        _check_end(raw.tell(), shard.size)


def _bigquery(shard: Shard, position: int, form: Form) -> Iterator[Read]:
    from enrichment_beam.backfill.bigquery_input import rows

    messages: bool | None = None
    at = position
    for fields in rows(shard.source, position, shard.end - position):
        if messages is None:
            messages = _are_messages(form, set(fields))
        at += 1
        received = _of_fields(fields, shard, at, form, messages=messages)
        yield Read(received, at, at - shard.begin, at)
    _check_end(at, shard.end)


def _check_end(found: int, known: int) -> None:
    """Raise InputError where an input ends before the end that it had when the backfill was begun."""
    if found < known:
        raise InputError(
            f"it ends at {found} and not at {known}, so it has changed since the backfill was begun. Begin a new one, "
            "with a journal of its own"
        )


def _are_messages(form: Form, names: set[str]) -> bool:
    return form.records is Records.MESSAGES or (form.records is Records.AUTO and is_message(names))


def _of_fields(fields: Any, shard: Shard, place: int, form: Form, *, messages: bool) -> Received:  # noqa: ANN401
    if messages:
        if not isinstance(fields, dict):
            raise InputError("a record of this schema has no fields, so it is no message")
        return of_fields(fields)
    if isinstance(fields, dict) and set(fields) == {"event"}:  # a column that holds the event as it was
        event = fields["event"]
        data = event.encode() if isinstance(event, str) else of_event_fields(event)
    else:
        data = of_event_fields(fields)
    return form.events.read(data, shard.name, place)


def _of_line(line: bytes | None, shard: Shard, place: int, form: Form, *, is_first: bool) -> Received | None:
    if line is None:
        return None
    line = line.rstrip(b"\r\n")
    if is_first:  # programs of Windows begin a file with a mark of its encoding, which is no JSON
        line = line.removeprefix(_BOM)
    if not line.strip():
        return BLANK
    if form.records is Records.MESSAGES:
        return of_json_message(line)
    return form.events.read(line, shard.name, place)


BLANK = Received(b"", failure("json_invalid", "the line is blank"), {})
"""A line with nothing in it, which moves the position and is no record."""


def _line(file: IO[bytes] | gzip.GzipFile) -> tuple[bytes | None, int]:
    """Return one line with its end, and its size; None for one that is longer than any record."""
    line = file.readline(MAX_RECORD_BYTES)
    size = len(line)
    if line.endswith(b"\n") or size < MAX_RECORD_BYTES:
        return line, size
    while piece := file.readline(_BLOCK):
        size += len(piece)
        if piece.endswith(b"\n"):
            break
    return None, size


class _Counted(io.RawIOBase):
    """A file that counts what is read of it."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a buffer
        found = self._file.read(len(buffer))
        buffer[: len(found)] = found
        self.count += len(found)
        return len(found)
