"""What a pipeline makes of sample events, with all mistakes at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from enrichment import event
from enrichment.commands import hints, sample_warnings, samples
from enrichment.commands.trial import EventTrial, Line, would_be_dead_lettered
from enrichment.errors import EnrichmentError
from enrichment.event.message import Message
from enrichment.event.recent_ids import RecentIds
from enrichment.expressions import Scope, pseudonyms
from enrichment.settings import lookup_notes, pipeline_file, table_file
from enrichment.settings.model import Format, PipelineConfig, TableField

_SAMPLE_KEY = b"a sample key, of no use outside of check"

_ARRAY_OF_SAMPLES = (
    "the file is a JSON array, and each of its elements was tried as a message of its own. If one message holds the "
    'whole array, set format = "json-array" in [event]: without it, the function dead-letters such a message.'
)

MAX_EVENTS_NAMED = 3
"""How many events or items a sentence names; the rest is a number."""


@dataclass(frozen=True, slots=True)
class SampleRow:
    """The row of one sample event.

    Args:
        event: The event's number, from 1.
        table: The name of the one of `[[tables]]` that takes it, empty for the table of `[columns]`.
        lines: The row, column by column.
        insert_id: What names it.
    """

    event: int
    table: str
    lines: tuple[Line, ...]
    insert_id: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Args:
        problems: The mistakes, one sentence each.
        rows: The row of the first event that each table takes; empty where the pipeline could not be read.
        warnings: What may be a mistake, one sentence each.
        events: How many events were tried.
        dropped: How many of them make no row.
    """

    problems: tuple[str, ...]
    rows: tuple[SampleRow, ...] = ()
    warnings: tuple[str, ...] = ()
    events: int = 0
    dropped: int = 0

    @property
    def lines(self) -> tuple[Line, ...]:
        """The first row, column by column; empty where there is none."""
        return self.rows[0].lines if self.rows else ()

    @property
    def insert_id(self) -> str:
        """What names the first row."""
        return self.rows[0].insert_id if self.rows else ""


def check(
    pipeline: Path,
    table: Path,
    sample: bytes | None = None,
    profile: bytes | None = None,
    attributes: Mapping[str, str] | None = None,
) -> Report:
    """Validate a pipeline, and build the rows of sample events as the function would.

    Args:
        pipeline: `pipeline.toml`.
        table: `table.json`.
        sample: An event, or many as `samples.split` takes them; None makes one up of the declared fields.
        profile: The profile to join them with, None for one with nothing but the key.
        attributes: The messages' attributes.

    Returns:
        All mistakes of the files and, as far as the files can be used, of the events.
    """
    config, file_problems = pipeline_file.inspect(pipeline, table)
    problems = list(file_problems)
    if config is None:
        return Report(tuple(problems))
    if config.calls("hmac_sha256") and not pseudonyms.has_key():
        pseudonyms.set_key(_SAMPLE_KEY)
    if sample is None:
        data, shape = samples.made_up(config.event)
        contents: Sequence[bytes] = [data]
        config = replace(config, event=shape)
    else:
        holds_arrays = config.event.format is Format.JSON_ARRAY
        contents = samples.split(sample, holds_arrays=holds_arrays)
    memory = RecentIds()
    trials = [
        EventTrial(config, part, profile, memory if _samples_are_named_apart(config) else RecentIds())
        for number, data in enumerate(contents)
        for part in _parts(config, Message(data, dict(attributes or {}), *_stamps(number)), problems)
    ]
    problems += _numbered(trials)
    warnings = [note for rules in config.lookups for note in lookup_notes.notes(rules)]
    if sample is not None and config.event.format is Format.JSON and samples.is_array(sample):
        warnings.append(_ARRAY_OF_SAMPLES)
    for name, columns in (("", config.columns), *((one.name, one.columns) for one in config.tables)):
        taken = [row for trial in trials for row in trial.rows if row.table == name]
        found = sample_warnings.json_into_text(config, columns)
        if sample is not None:
            found += sample_warnings.of_samples(config, columns, taken, attributes or {})
        if profile is not None:
            for rules in config.lookups:
                documents = [row.profiles.get(rules.name) for row in taken[:1]]
                found += hints.missing_paths(columns, rules.name, documents)
        warnings += [f"table {name}, {warning}" for warning in found] if name else found
    if sample is not None:
        warnings += sample_warnings.of_conditions(config, _scopes(trials))
    dropped = sum(trial.is_dropped for trial in trials)
    if dropped:
        warnings.append(f"{dropped} of {len(trials)} events would be dropped, and make no row.")
    if not trials:
        if len(problems) == len(file_problems):
            problems.append("the file has no event in it.")
        return Report(tuple(problems))
    fields = (table_file.read(table, []) or {}).values()
    return Report(tuple(problems), _rows(trials, fields), tuple(warnings), len(trials), dropped)


def _scopes(trials: Sequence[EventTrial]) -> list[Scope]:
    """Return what expressions find of each row, and of each event that makes none."""
    found: list[Scope] = []
    for trial in trials:
        if trial.rows:
            found += [row.scope for row in trial.rows]
        elif trial.scope is not None:
            found.append(trial.scope)
    return found


def _rows(trials: Sequence[EventTrial], fields: Iterable[TableField]) -> tuple[SampleRow, ...]:
    """Return the first row that each table takes."""
    rows: dict[str, SampleRow] = {}
    for number, trial in enumerate(trials, start=1):
        for one in trial.rows:
            if one.table not in rows and one.columns:
                rows[one.table] = SampleRow(number, one.table, one.lines(fields), one.insert_id)
    return tuple(rows.values())


def _samples_are_named_apart(config: PipelineConfig) -> bool:
    """Return whether the names of samples are their own: all of them are given the same attributes."""
    return any(source.roots - {"message"} for source in config.event.id)


def _stamps(number: int) -> tuple[str, datetime]:
    """Return the id and the time of a sample message."""
    return str(_FIRST_MESSAGE_ID + number), samples.NOW


_FIRST_MESSAGE_ID = 1234567890


def _parts(config: PipelineConfig, message: Message, problems: list[str]) -> list[event.Part]:
    """Return the events in a sample message; none where they cannot be found, which is noted."""
    try:
        return event.split(message, config.event)
    except EnrichmentError as error:
        problems.append(would_be_dead_lettered(error))
        return []


def _numbered(trials: Sequence[EventTrial]) -> list[str]:
    """Return the problems of all events and rows, each once.

    Where there are several events, the numbers of those that have it stand before it. So does the index of an item,
    where `each` finds several.
    """
    places: dict[str, dict[str, None]] = {}
    for number, trial in enumerate(trials, start=1):
        event_name = f"{number}" if len(trials) > 1 else ""
        for problem in trial.problems:
            places.setdefault(problem, {})[event_name] = None
        for index, one in enumerate(trial.rows):
            item = f"at index {index}" if len(trial.rows) > 1 else ""
            for problem in one.problems:
                places.setdefault(problem, {})[f"{event_name} {item}".strip()] = None
    return [
        f"{where}: {problem}" if (where := _named(list(at))) else problem for problem, at in places.items()
    ]


def _named(places: list[str]) -> str:
    """Return places as a list of words, empty for the only event of a sample."""
    if places == [""]:
        return ""
    more = len(places) - MAX_EVENTS_NAMED
    named = ", ".join(filter(None, places[:MAX_EVENTS_NAMED])) + (f" and {more} more" if more > 0 else "")
    return f"event{'s' if len(places) > 1 else ''} {named}" if named[:1].isdigit() else named
