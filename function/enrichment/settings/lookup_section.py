"""Lookups' part of `pipeline.toml`: `[lookup]` and `[lookups.NAME]`."""

import re
from collections.abc import Collection

from enrichment.row import MAX_ROW_BYTES
from enrichment.settings.event_section import Declared, as_json
from enrichment.settings.lookup_request_section import Asked, AskedReader
from enrichment.settings.lookup_rules import (
    FIRST_LOOKUP,
    BatchRules,
    CacheLimits,
    Echo,
    LookupRules,
    MissRule,
    OnMiss,
    OnNoKey,
)
from enrichment.settings.toml_section import Section, shown, suggestion

_WEEK_S = 604_800
_MAX_TIMEOUT_S = 600  # the longest acknowledgement deadline of a subscription
_MAX_CONCURRENCY = 1_000  # of a Cloud Run instance
_MAX_ENTRIES = 10_000_000
_MAX_CACHE_BYTES = 32 * 1024**3  # the memory of the largest Cloud Run instance
MAX_BATCH_KEYS = 1_000
_MAX_LOOKUPS = 10

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_IPV4 = re.compile(r"[0-9.]+")
# Answers that say something about the caller, the load or the way, and nothing about a key.
_NEVER_A_MISS = {401, 403, 407, 408, 429}
MISS_STATUSES = {200, 204, *range(400, 500)} - _NEVER_A_MISS


def read(file: Section, declared: Declared, roots: Collection[str]) -> tuple[LookupRules, ...]:
    """Read `[lookup]` and `[lookups]`, and note their mistakes.

    Args:
        file: The whole file.
        declared: What `[event]` declares.
        roots: The names that expressions may begin with; a lookup cannot use what another one finds.

    Returns:
        The lookups, `[lookup]` first; none where nothing is looked up.
    """
    found = []
    if "lookup" in file.values:
        found.append(_read_one(FIRST_LOOKUP, file.section("lookup"), declared, roots))
    section = file.section("lookups")
    for name in section.values:
        if not _NAME.fullmatch(name):
            section.problem(
                name, "is no name for a lookup; it must have lower-case letters, digits and _ alone."
            )
        elif name in roots:
            section.problem(name, "is the name of something else in expressions; choose another.")
        elif name == FIRST_LOOKUP and found:
            section.problem(name, "is the same as [lookup]: keep one of the two.")
        else:
            found.append(_read_one(name, section.section(name), declared, roots))
    if len(found) > _MAX_LOOKUPS:
        section.problem("", f"has {len(found)} lookups; {_MAX_LOOKUPS} is the most.")
    return tuple(found)


def _read_one(name: str, section: Section, declared: Declared, roots: Collection[str]) -> LookupRules:
    section.refuse_others(_KEYS)
    reader = AskedReader(section, declared, roots)
    batch = _batch(section) if "batch" in section.values else None
    asked = reader.single() if batch is None else reader.batch()
    method = section.choice("method", ("GET", "POST"), "GET") if batch is None else "POST"
    if asked.body is not None and method == "GET":
        section.problem("body", 'needs method = "POST".')
    idempotent = section.flag("idempotent", default=False)
    if "idempotent" in section.values and method == "GET":
        section.problem("idempotent", "is for POST alone: a GET always is.")
    echo = _echo(section, asked, batch)
    default = LookupRules("", {})
    return LookupRules(
        path=asked.path,
        values=asked.values,
        name=name,
        host=_host(section),
        method=method or "GET",
        query=asked.query,
        body=asked.body,
        idempotent=idempotent,
        when=reader.condition("when"),
        on_no_key=OnNoKey(section.choice("on_no_key", OnNoKey, default.on_no_key) or default.on_no_key),
        echo=echo,
        miss=_miss(section, echo, batch),
        on_miss=OnMiss(section.choice("on_miss", OnMiss, default.on_miss) or default.on_miss),
        batch=batch,
        timeout_s=section.seconds("timeout_s", default.timeout_s, 0.001, _MAX_TIMEOUT_S),
        max_in_flight=section.whole("max_in_flight", default.max_in_flight, 1, _MAX_CONCURRENCY, "lookups"),
        max_answer_bytes=section.whole(
            "max_answer_bytes", default.max_answer_bytes, 1, MAX_ROW_BYTES, "bytes"
        ),
        cache=_cache(section.section("cache")),
    )


_KEYS = (
    "path",
    "params",
    "host",
    "method",
    "query",
    "body",
    "idempotent",
    "when",
    "on_no_key",
    "echo",
    "miss",
    "miss_error",
    "on_miss",
    "batch",
    "timeout_s",
    "max_in_flight",
    "max_answer_bytes",
    "cache",
)


def _host(section: Section) -> str:
    if "host" not in section.values:
        return ""
    about = "the virtual host of a service behind the same gateway: orders.internal"
    host = section.text("host", about) or ""
    if host and (not _HOST.fullmatch(host) or _IPV4.fullmatch(host)):
        section.problem("host", f"is {shown(host)}; it must be {about}.")
    return host


def _echo(section: Section, asked: Asked, batch: BatchRules | None) -> tuple[Echo, ...]:
    if "echo" not in section.values:
        return ()
    if batch is not None:
        section.problem("echo", "is not used where there is a batch: batch.key says whose a profile is.")
        return ()
    places: dict[str, int | str] = {name: place for place, name in enumerate(asked.values)}
    places |= {name: name for name in asked.query if name not in places}
    spec = section.values["echo"]
    if not isinstance(spec, dict):
        text = section.text("echo", "the field of a profile that repeats the key")
        if text is None:
            return ()
        if not places:  # whose mistake is noted with the path
            return ()
        if len(places) != 1:
            names = " or ".join(places) or "NAME"
            section.problem(
                "echo", f'is {shown(text)}; say which value it repeats: echo = {{ {text} = "{names}" }}.'
            )
            return ()
        return (Echo(_path_of(section, "echo", text), next(iter(places.values()))),)
    inner = section.section("echo")
    echoes = []
    for name in spec:
        repeated = inner.text(name, "the name of a value of path or query")
        if repeated is not None and repeated not in places:
            inner.problem(
                name,
                f"is {shown(repeated)}; it must be one of {', '.join(places) or 'the names in path and query'}."
                f"{suggestion(repeated, places)}",
            )
        elif repeated is not None:
            echoes.append(Echo(_path_of(inner, name, name), places[repeated]))
    return tuple(echoes)


def _path_of(section: Section, key: str, text: str) -> tuple[str, ...]:
    path = tuple(text.split("."))
    if not all(path) or not text.isprintable():
        section.problem(key, f"is {shown(text)}; it must be the name of a field, with dots on the way to it.")
    return path


def _miss(section: Section, echo: tuple[Echo, ...], batch: BatchRules | None) -> MissRule | None:
    given = [key for key in ("miss", "miss_error") if key in section.values]
    if batch is not None and given:
        section.problem(given[0], "is not used where there is a batch: a profile that is missing is a miss.")
        return None
    if len(given) > 1:
        section.problem("miss_error", "is the short form of miss: keep one of the two.")
    if "miss_error" in given:
        text = section.text("miss_error", "what `error` says in the service's 404 for an unknown key")
        return MissRule(404, ("error",), text, repeats_key=bool(echo))
    if "miss" not in given:
        return None
    inner = section.section("miss")
    inner.refuse_others(("status", "field", "equals", "repeats_key"))
    status = inner.whole("status", 404, 200, 499, "an HTTP status")
    if status not in MISS_STATUSES:
        inner.problem(
            "status", f"is {status}, which says nothing about a key; it must be 200, 204 or another 4xx."
        )
    if ("field" in inner.values) != ("equals" in inner.values):
        inner.problem(
            "", 'must have both field and equals, or neither: { field = "error", equals = "not_found" }.'
        )
    if "field" not in inner.values:
        if status == 200:
            inner.problem(
                "status", "is 200, the status of a profile: say with field and equals which answer is none."
            )
        if "repeats_key" in inner.values:
            inner.problem("repeats_key", "needs field and equals: without them no body is read.")
        return MissRule(status)
    field = inner.text("field", "the field of the answer that says so") or ""
    repeats_key = inner.flag("repeats_key", default=bool(echo))
    if repeats_key and not echo:
        inner.problem("repeats_key", "needs echo, which says where an answer repeats the key.")
    return MissRule(
        status, _path_of(inner, "field", field) if field else (), _equals(inner), repeats_key=repeats_key
    )


def _equals(section: Section) -> object:
    value = section.values.get("equals")
    try:
        return as_json(value)
    except ValueError as error:
        section.problem("equals", f"is {shown(value)}; it {error}.")
        return None


def _batch(section: Section) -> BatchRules:
    inner = section.section("batch")
    inner.refuse_others(("path", "max_keys", "body_field", "results", "key"))
    default = BatchRules("", (), "")
    body_field = inner.text("body_field", "the field of the request's body that holds the keys")
    key = inner.text("key", "the field of a profile that holds its key")
    results: tuple[str, ...] = ()
    if "results" in inner.values:
        text = inner.text("results", "where the answer holds the list of profiles")
        results = _path_of(inner, "results", text) if text else ()
    max_keys = inner.whole("max_keys", default.max_keys, 2, MAX_BATCH_KEYS, "keys")
    return BatchRules(body_field or "", results, key or "", max_keys)


def _cache(section: Section) -> CacheLimits:
    section.refuse_others(("ttl_s", "negative_ttl_s", "stale_if_error_s", "max_entries", "max_bytes"))
    default = CacheLimits()
    return CacheLimits(
        ttl_s=section.seconds("ttl_s", default.ttl_s, 0, _WEEK_S),
        negative_ttl_s=section.seconds("negative_ttl_s", default.negative_ttl_s, 0, _WEEK_S),
        stale_if_error_s=section.seconds("stale_if_error_s", default.stale_if_error_s, 0, _WEEK_S),
        max_entries=section.whole("max_entries", default.max_entries, 1, _MAX_ENTRIES, "answers"),
        max_bytes=section.whole("max_bytes", default.max_bytes, 1, _MAX_CACHE_BYTES, "bytes"),
    )
