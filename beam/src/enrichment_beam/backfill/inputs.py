"""Inputs of a backfill, and the shards that they are cut into."""

import codecs
import math
import re
from collections.abc import Sequence
from pathlib import Path

from enrichment_beam.backfill import storage
from enrichment_beam.backfill.shard import Kind, Shard

MAX_SHARDS = 20_000
"""Most shards: each has a small file in the journal."""

_SUFFIXES = {".jsonl": Kind.LINES, ".ndjson": Kind.LINES, ".json": Kind.LINES, ".avro": Kind.AVRO}
_START_BYTES = 64
# A document over several lines: the first has a bracket alone.
_DOCUMENT = re.compile(rb"(?:\xef\xbb\xbf)?\s*[\[{]\s*\n")


class InputsError(ValueError):
    """Inputs cannot be used.

    Args:
        problems: One sentence for each.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(" ".join(problems))


def files(patterns: Sequence[str], shard_bytes: int) -> tuple[list[tuple[str, int, float]], list[Shard]]:
    """Find files and cut them into shards.

    Args:
        patterns: Globs.
        shard_bytes: How large a shard is, at most. Compressed files and Avro are read whole.

    Returns:
        Each file with its size and the time of its last change, and the shards.

    Raises:
        InputsError: A glob finds nothing, a place cannot be listed, or a file's name does not say what it is.
    """
    problems: list[str] = []
    found: dict[str, tuple[int, float]] = {}
    for pattern in patterns:
        try:
            matched = list(storage.match(pattern))
        except Exception as error:  # noqa: BLE001 - each file system of Beam has errors of its own
            problems.append(f"--files={pattern} cannot be listed: {error}")
            continue
        if not matched and Path(pattern).is_dir():
            problems.append(
                f"--files={pattern} is a folder: write --files='{pattern.rstrip('/')}/*' for what is in it."
            )
        elif not matched:
            problems.append(f"--files={pattern} matches no file.")
        found |= {name: (size, changed) for name, size, changed in matched}
    kinds = {}
    for name in sorted(found):
        if not name.isprintable():
            problems.append(
                f"{name!r}: its name holds characters that cannot be shown, or is no UTF-8. Rename the file."
            )
            continue
        try:
            kinds[name] = _kind(name)
        except (ValueError, OSError) as error:
            problems.append(str(error))
    if problems:
        raise InputsError(problems)
    whole = sum(size for size, _ in found.values())
    step = max(shard_bytes, math.ceil(whole / MAX_SHARDS))
    shards: list[Shard] = []
    for name, kind in kinds.items():
        size = found[name][0]
        if kind is Kind.LINES and size > step:
            for begin in range(0, size, step):
                end = min(begin + step, size)
                shards.append(Shard(len(shards), name, kind, begin, end, end - begin))
        elif size:
            end = size if kind is Kind.LINES else -1
            shards.append(Shard(len(shards), name, kind, 0, end, size))
    return [(name, *found[name]) for name in kinds], shards


def result(name: str, table: str, count: int, shard_rows: int) -> list[Shard]:
    """Cut the result of a query into shards.

    Args:
        name: What people call it.
        table: Where it lies.
        count: How many rows it has.
        shard_rows: Most rows in a shard.
    """
    step = max(shard_rows, math.ceil(count / MAX_SHARDS))
    return [
        Shard(number, name, Kind.BIGQUERY, begin, min(begin + step, count), min(step, count - begin), table)
        for number, begin in enumerate(range(0, count, step))
    ]


def _kind(name: str) -> Kind:
    """Return how a file is read: by its name, and by its first bytes where it is compressed.

    Raises:
        ValueError: The name does not say what the file holds.
        OSError: The file cannot be opened.
    """
    plain = name.lower().removesuffix(".gz")
    kind = next((kind for suffix, kind in _SUFFIXES.items() if plain.endswith(suffix)), None)
    if kind is None:
        raise ValueError(f"{name}: its name ends in none of {', '.join(_SUFFIXES)} (each also with .gz).")
    if kind is Kind.AVRO:
        return kind
    with storage.open_plain(name) as file:
        start = file.read(_START_BYTES)
    if start.startswith(b"\x1f\x8b"):
        return Kind.GZIP_LINES
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError(
            f"{name}: it is UTF-16, and a record is a line of UTF-8: make one of it with `iconv`."
        )
    if _DOCUMENT.match(start):
        raise ValueError(
            f"{name}: its first line is no record. Write one JSON object a line: `jq -c` makes such a file."
        )
    return kind
