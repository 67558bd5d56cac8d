"""Request of a lookup: what one event asks the service for.

An event decides values alone. Host, method, path structure and headers are those of `pipeline.toml`. The SDK encodes
each value into one segment of the path or one parameter of the query, and a body is written as JSON.
"""

from datetime import datetime
from typing import NamedTuple, TypeAlias

import msgspec

from enrichment.documents.instant import rfc3339
from enrichment.errors import EnrichmentError, failure
from enrichment.expressions import EvaluationError, Scope
from enrichment.settings.lookup_rules import FIRST_LOOKUP, MAX_KEY_LENGTH, Body, Constant, LookupRules, Source

MAX_BODY_BYTES = 1_048_576
"""Largest JSON body."""

_EMPTY: tuple[object, ...] = (None, "", [], {})

Text = str | tuple[str, ...]


class LookupRequest(NamedTuple):
    """What is asked for. Equal requests of one lookup have equal answers.

    Args:
        values: The values of the path's placeholders, in their order; for a batch the key alone.
        query: The parameters of the query that have a value, by name.
        body: The JSON body.
    """

    values: tuple[str | int, ...]
    query: tuple[tuple[str, Text], ...] = ()
    body: bytes | None = None

    def value(self, place: int | str) -> Text:
        """Return one value as text, empty where there is none.

        Args:
            place: The place of a value of the path, or the name of a parameter of the query.
        """
        if isinstance(place, int):
            return str(self.values[place])
        return dict(self.query).get(place, "")


LookupKey: TypeAlias = str | LookupRequest
"""What is looked up, and what its answer is remembered by. Most lookups have one key: then it is that text alone."""


def as_request(key: LookupKey) -> LookupRequest:
    """Return the request for a key."""
    return LookupRequest((key,)) if isinstance(key, str) else key


def key_text(key: LookupKey) -> str:
    """Return the key, or the first value of the path, as text; empty where there is none."""
    if isinstance(key, str):
        return key
    return str(key.values[0]) if key.values else ""


class Requests:
    """Makes the requests of one lookup from events.

    Args:
        rules: How a profile is looked up.
    """

    def __init__(self, rules: LookupRules) -> None:
        self._rules = rules
        self._place = place_of(rules)
        # Most lookups have one key and no condition, and need nothing else.
        self._only_source: Source | None = None
        if rules.takes_one_key:
            ((self._only_name, self._only_source),) = rules.values.items()

    def is_wanted(self, scope: Scope) -> bool:
        """Return whether anything is to be looked up for an event.

        Raises:
            BadEventError: `event_invalid`, the condition cannot be evaluated.
        """
        condition = self._rules.when
        if condition is None:
            return True
        try:
            return condition.is_true(scope)
        except EvaluationError as error:
            raise self._not_evaluated("when", condition, error) from None

    def of_event(self, scope: Scope) -> LookupKey | None:
        """Make the request of one event.

        Args:
            scope: What expressions may use of the event.

        Returns:
            The key or the request. None where the event has no key: a value of the path is missing, or, where the path
            has none, all values of query and body.

        Raises:
            BadEventError: `event_invalid`, an expression cannot be evaluated; `key_invalid`, a value cannot stand in
                a request. The detail names the setting, never a value.
        """
        source = self._only_source
        if source is None:
            return self._full(scope)
        try:
            value = source.evaluate(scope)
        except EvaluationError as error:
            raise self._not_evaluated(self._only_name, source, error) from None
        if type(value) is str and len(value) <= MAX_KEY_LENGTH:
            return value
        return None if value is None else LookupRequest((self._key(value, self._only_name),))

    def _full(self, scope: Scope) -> LookupRequest | None:
        rules = self._rules
        values: list[str | int] = []
        for name, source in rules.values.items():
            value = self._evaluate(source, name, scope)
            if value is None:
                return None
            values.append(self._key(value, name))
        filled: list[object] = [*values]
        query: list[tuple[str, Text]] = []
        for name, source in rules.query.items():
            setting = f"query.{name}"
            found = self._parameter(self._evaluate(source, setting, scope), setting)
            if found:
                query.append((name, found))
                if not isinstance(source, Constant):
                    filled.append(found)
        content = self._filled(rules.body, "body", scope, filled)
        if not filled:
            return None
        length = sum(len(str(value)) for value in values) + sum(map(_length, query))
        if length > MAX_KEY_LENGTH:
            raise self._invalid("path", f"is longer than {MAX_KEY_LENGTH} characters with its query")
        body = None if rules.body is None else self._encoded(content)
        return LookupRequest(tuple(values), tuple(query), body)

    def _evaluate(self, source: Source, setting: str, scope: Scope) -> object:
        try:
            return source.evaluate(scope)
        except EvaluationError as error:
            raise self._not_evaluated(setting, source, error) from None

    def _not_evaluated(self, setting: str, source: Source, error: EvaluationError) -> EnrichmentError:
        return failure("event_invalid", f"{self._place}.{setting}: {source.text} {error}")

    def _key(self, value: object, setting: str) -> str | int:
        """Return the value as it stands in the path, or in a batch."""
        key = _scalar(value)
        if key is None or isinstance(key, bool | float):
            raise self._invalid(setting, "must be a string or a whole number")
        if len(str(key)) > MAX_KEY_LENGTH:
            raise self._invalid(setting, f"is longer than {MAX_KEY_LENGTH} characters")
        return key

    def _parameter(self, value: object, setting: str) -> Text:
        """Return the value as text, or one text for each value of a list; empty where there is nothing to send."""
        if value is None:
            return ""
        if isinstance(value, list):
            return tuple(self._word(item, setting) for item in value if item is not None)
        return self._word(value, setting)

    def _word(self, value: object, setting: str) -> str:
        found = _scalar(value)
        if found is None:
            raise self._invalid(setting, "must be a string, a number or a boolean, or a list of these")
        return found if isinstance(found, str) else msgspec.json.encode(found).decode()

    def _filled(self, template: Body, setting: str, scope: Scope, filled: list[object]) -> object:
        """Return the body with values in the places of its sources, which are noted in `filled`.

        A field without a value is left out.
        """
        if isinstance(template, dict):
            content = {
                key: self._filled(item, f"{setting}.{key}", scope, filled) for key, item in template.items()
            }
            return {key: item for key, item in content.items() if item is not None}
        if isinstance(template, list):
            return [self._filled(item, setting, scope, filled) for item in template]
        if template is None:
            return None
        value = self._evaluate(template, setting, scope)
        if value not in _EMPTY and not isinstance(template, Constant):
            filled.append(value)
        return rfc3339(value) if isinstance(value, datetime) else value

    def _encoded(self, content: object) -> bytes:
        try:
            body = msgspec.json.encode(content)
        except UnicodeEncodeError:
            raise self._invalid("body", "has a lone surrogate in it, which is no Unicode text") from None
        if len(body) > MAX_BODY_BYTES:
            raise self._invalid("body", f"has {len(body)} bytes, and {MAX_BODY_BYTES} is the most")
        return body

    def _invalid(self, setting: str, problem: str) -> EnrichmentError:
        return failure("key_invalid", f"{self._place}.{setting} {problem}")


def place_of(rules: LookupRules) -> str:
    """Return the section of `pipeline.toml` that a lookup stands in."""
    return "lookup" if rules.name == FIRST_LOOKUP else f"lookups.{rules.name}"


def no_key(rules: LookupRules) -> EnrichmentError:
    """Return the error of an event that has no key, though it must have one. It names what gives the key."""
    sources = [*rules.values.values(), *rules.query.values()]
    named = " and ".join(source.text for source in sources if not isinstance(source, Constant))
    return failure(
        "key_missing", f"the event has no key for [{place_of(rules)}]: {named or 'its body'} gives none"
    )


def _scalar(value: object) -> str | int | float | bool | None:
    match value:
        case datetime():
            return rfc3339(value)
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case str() | int() | float():
            return value
    return None


def _length(parameter: tuple[str, Text]) -> int:
    name, found = parameter
    words = (found,) if isinstance(found, str) else found
    return sum(len(name) + len(word) + 2 for word in words)
