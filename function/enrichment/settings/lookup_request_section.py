"""Part of a lookup's section that says what is asked for: path, params, query, body."""

import re
from collections.abc import Collection, Mapping
from typing import cast

import msgspec

from enrichment.documents import strict_json
from enrichment.expressions import Expression, ExpressionError, compile_expression
from enrichment.settings.event_section import Declared
from enrichment.settings.lookup_rules import MAX_KEY_LENGTH, Body, Constant, DeclaredField, Source
from enrichment.settings.model import FieldType
from enrichment.settings.toml_section import Section, shown, suggestion

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# RFC 3986, section 3.3: pchar and the slash; as the SDK takes it.
_LITERAL = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_DOT_SEGMENT = re.compile(r"(?:\.|%2[Ee]){1,2}")
_KEY_TYPES = (FieldType.STRING, FieldType.INTEGER)


class Asked(msgspec.Struct, frozen=True):
    """What is asked for.

    Args:
        path: The path's template.
        values: What takes its placeholders' places, by name; for a batch the key.
        query: The parameters of the query, by name.
        body: The JSON body.
    """

    path: str = ""
    values: Mapping[str, Source] = {}
    query: Mapping[str, Source] = {}
    body: Body = None


class AskedReader:
    """Reads what one lookup asks for, and notes the mistakes.

    Args:
        section: The lookup's section.
        declared: What `[event]` declares.
        roots: The names that expressions may begin with.
    """

    def __init__(self, section: Section, declared: Declared, roots: Collection[str]) -> None:
        self._section = section
        self._declared = declared
        self._roots = roots
        self._params = section.section("params")

    def single(self) -> Asked:
        """Read a lookup whose every request has one answer."""
        params, query = self._sources(self._params), self._sources(self._section.section("query"))
        body = self._body(self._section, "body", self._section.values.get("body"))
        if not all(query):
            self._section.problem("query", "has a parameter without a name.")
        if "access_token" in query:
            self._section.problem(
                "query", "has access_token, which the gateway refuses: no token belongs there."
            )
        path = self._section.text("path", 'a path with a placeholder for each value: "/profile/{user_id}"')
        if path is None:
            return Asked("", params, query, body)
        names = _PLACEHOLDER.findall(path)
        problem = _path_problem(path, names) or self._names_problem(names)
        if not names and not _has_source([*query.values(), body]):
            problem = ", with 0 placeholders, and no value of query or body comes from the event."
        if problem:
            self._section.problem("path", f"is {shown(path)}{problem}")
        return Asked(path, {name: params.get(name) or DeclaredField(name) for name in names}, query, body)

    def batch(self) -> Asked:
        """Read a lookup whose requests ask for many keys."""
        for key in ("path", "query", "body", "method"):
            if key in self._section.values:
                self._section.problem(
                    key, "is not used where there is a batch: leave it out, and name the key in params."
                )
        before = self._section.mistakes
        params = self._sources(self._params)
        if len(params) != 1 and self._section.mistakes == before:
            self._section.problem(
                "params",
                f'has {len(params)} values; a batch has one key: params = {{ user_id = "event.user_id" }}.',
            )
        section = self._section.section("batch")
        path = section.text("path", 'a path without placeholders: "/profiles/batch-get"')
        if path is not None and (problem := _path_problem(path, [])):
            section.problem("path", f"is {shown(path)}{problem}")
        return Asked(path or "", params)

    def condition(self, key: str) -> Expression | None:
        """Read a condition, None where there is none."""
        if key not in self._section.values:
            return None
        return self._expression(self._section, key, self._section.values[key])

    def _names_problem(self, names: list[str]) -> str:
        given = self._params.values
        if left_over := next((name for name in given if name not in names), ""):
            self._params.problem(left_over, f"is no placeholder of the path.{suggestion(left_over, names)}")
        fields = self._declared.fields
        for name in names:
            if names.count(name) > 1:
                return f", with two placeholders {name}."
            if name in given or name in self._declared.broken:
                continue
            if name not in fields:
                return (
                    f", and {name} is not declared in [event.fields].{suggestion(name, fields)}"
                    f' Or say where it comes from: params = {{ {name} = "EXPRESSION" }}.'
                )
            declared = fields[name]
            is_there = declared.required or declared.default is not None
            if declared.type not in _KEY_TYPES or not (is_there or "on_no_key" in self._section.values):
                return (
                    f", and {name} must be declared as a required string or integer in [event.fields]. "
                    "Or say with on_no_key what becomes of events without it."
                )
            if declared.type is FieldType.STRING and declared.max_length > MAX_KEY_LENGTH:
                return (
                    f", so {name} needs max_length = {MAX_KEY_LENGTH} or less: no longer key fits into the mesh's "
                    "limit on a request's headers."
                )
        return ""

    def _sources(self, section: Section) -> Mapping[str, Source]:
        found = {name: self._source(section, name, value) for name, value in section.values.items()}
        return {name: source for name, source in found.items() if source is not None}

    def _source(self, section: Section, key: str, value: object) -> Source | None:
        if isinstance(value, bool | int | float) and strict_json.is_finite(value):
            return Constant(value)
        return self._expression(section, key, value)

    def _expression(self, section: Section, key: str, value: object) -> Expression | None:
        if not isinstance(value, str) or not value:
            section.problem(key, f'is {shown(value)}; it must be an expression: "event.user.id".')
            return None
        try:
            return compile_expression(value, self._roots)
        except ExpressionError as error:
            section.problem(key, f"is {shown(value)}; {error.sentence}")
            return None

    def _body(self, section: Section, key: str, value: object) -> Body:
        """Return the body with each of its texts read as an expression."""
        if isinstance(value, dict):
            inner = section.section(key)
            return {name: self._body(inner, name, item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._body(section, key, item) for item in value]
        if key == "body" and section is self._section and value is not None:
            section.problem(key, f'is {shown(value)}; it must be a table: body = {{ id = "event.user.id" }}.')
            return None
        return None if value is None else cast("Body", self._source(section, key, value))


def _path_problem(path: str, names: list[str]) -> str:
    """Return what is wrong with a path's template, to follow the path; empty if nothing is."""
    literal = _PLACEHOLDER.sub("", path) if names else path
    if not _LITERAL.fullmatch(literal) or "//" in path:
        return "; it must start with a slash and hold no query and no empty segment."
    if any(map(_DOT_SEGMENT.fullmatch, path.split("/"))):
        return "; it must not have a segment of dots."
    if any(segment.count("{") > 1 for segment in path.split("/")):
        return "; a segment must not have two placeholders."
    return ""


def _has_source(body: Body) -> bool:
    """Whether any value comes from the event."""
    if isinstance(body, dict):
        return any(map(_has_source, body.values()))
    if isinstance(body, list):
        return any(map(_has_source, body))
    return body is not None and not isinstance(body, Constant)
