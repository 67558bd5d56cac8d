"""Lookup part of `pipeline.toml`: `[lookup]`."""

import re

from enrichment.row import MAX_ROW_BYTES
from enrichment.settings.event_section import Declared
from enrichment.settings.model import CacheLimits, LookupRules, OnMiss
from enrichment.settings.toml_section import Section, shown

_WEEK_S = 604_800
_MAX_TIMEOUT_S = 600  # the longest acknowledgement deadline of a subscription
_MAX_CONCURRENCY = 1_000  # of a Cloud Run instance
_MAX_ENTRIES = 10_000_000
_MAX_CACHE_BYTES = 32 * 1024**3  # the memory of the largest Cloud Run instance
# Envoy takes 60 KiB of headers, the path and the token included (`max_request_headers_kb`); a character takes 12 bytes
# at most when it is percent-encoded.
_MAX_KEY_LENGTH = 4_096
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
# RFC 3986, section 3.3: pchar and the slash; as the SDK takes it.
_LITERAL = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_DOT_SEGMENT = re.compile(r"(?:\.|%2[Ee]){1,2}")


def read(section: Section, declared: Declared) -> LookupRules:
    """Read `[lookup]` and note its mistakes.

    Args:
        section: The section.
        declared: What `[event]` declares.
    """
    section.refuse_others(
        ("path", "echo", "miss_error", "on_miss", "timeout_s", "max_in_flight", "max_answer_bytes", "cache")
    )
    path, name = _path(section, declared)
    default = LookupRules("", (), "", "")
    return LookupRules(
        path=path,
        key=tuple(name.split(".")),
        echo=section.text("echo", "the field of a profile that repeats the key") or "",
        miss_error=section.text("miss_error", "what `error` says in the service's 404 for an unknown key")
        or "",
        on_miss=OnMiss(section.choice("on_miss", OnMiss, default.on_miss) or default.on_miss),
        timeout_s=section.seconds("timeout_s", default.timeout_s, 0.001, _MAX_TIMEOUT_S),
        max_in_flight=section.whole("max_in_flight", default.max_in_flight, 1, _MAX_CONCURRENCY, "lookups"),
        max_answer_bytes=section.whole(
            "max_answer_bytes", default.max_answer_bytes, 1, MAX_ROW_BYTES, "bytes"
        ),
        cache=_cache(section.section("cache")),
    )


def _path(section: Section, declared: Declared) -> tuple[str, str]:
    """The path's template and its placeholder, empty where there is none."""
    about = 'a path with one placeholder, the field of the event that is looked up: "/profile/{user_id}"'
    path = section.text("path", about)
    if path is None:
        return "", ""
    names = _PLACEHOLDER.findall(path)
    literal = _PLACEHOLDER.sub("", path)
    if len(names) != 1:
        section.problem("path", f"is {shown(path)}, with {len(names)} placeholders; it must be {about}.")
    elif not _LITERAL.fullmatch(literal) or "//" in path:
        section.problem(
            "path", f"is {shown(path)}; it must start with a slash and hold no query and no empty segment."
        )
    elif any(map(_DOT_SEGMENT.fullmatch, path.split("/"))):
        section.problem("path", f"is {shown(path)}; it must not have a segment of dots.")
    elif wrong := declared.required_string(names[0]):
        section.problem("path", f"is {shown(path)}, and {names[0]} {wrong}")
    elif names[0] not in declared.broken and declared.fields[names[0]].max_length > _MAX_KEY_LENGTH:
        section.problem(
            "path",
            f"is {shown(path)}, so {names[0]} needs max_length = {_MAX_KEY_LENGTH} or less: no longer key fits into "
            "the mesh's limit on a request's headers.",
        )
    return path, names[0] if names else ""


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
