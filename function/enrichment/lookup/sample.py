"""Profiles for the sample event of `check`, where no service is asked."""

from typing import Any

import meshpass
import msgspec
from meshpass._call.path import fill_path

from enrichment.errors import of_mesh_error
from enrichment.expressions import Scope
from enrichment.lookup.mesh import template_of
from enrichment.lookup.profile import Profile
from enrichment.lookup.request import LookupRequest, Requests, as_request, key_text, no_key
from enrichment.lookup.response import read_response
from enrichment.settings.lookup_rules import LookupRules, OnNoKey


def sample_profile(rules: LookupRules, scope: Scope, answer: bytes | None = None) -> Profile | None:
    """Return the profile that a sample event would be joined with.

    Args:
        rules: How it is looked up.
        scope: What expressions may use of the event.
        answer: What the service would answer; None for an answer that repeats the key and says nothing else.

    Returns:
        The profile; None where nothing would be looked up.

    Raises:
        BadEventError: `key_invalid` or `event_invalid`, no request can be made of the event; `key_missing`, it must
            have a key and has none.
        FaultError: The answer would be refused.
    """
    requests = Requests(rules)
    if not requests.is_wanted(scope):
        return None
    key = requests.of_event(scope)
    if key is None:
        if rules.on_no_key is OnNoKey.DEAD_LETTER:
            raise no_key(rules)
        return None
    request = as_request(key)
    if rules.batch is not None:  # the contract of a batch is about the list around its profiles
        document = {rules.batch.key: key_text(key)}
        content = msgspec.json.encode(document) if answer is None else answer
        return read_response(200, content, request, LookupRules("", {}))
    template, names = template_of(rules)
    try:
        fill_path(template, dict(zip(names, request.values, strict=True)))  # as the SDK will
    except meshpass.MeshError as error:
        raise of_mesh_error(error) from None
    return read_response(200, _echoing(rules, request) if answer is None else answer, request, rules)


def _echoing(rules: LookupRules, request: LookupRequest) -> bytes:
    document: dict[str, Any] = {}
    for echo in rules.echo:
        inner = document
        for key in echo.field[:-1]:
            inner = inner.setdefault(key, {})
        inner[echo.field[-1]] = request.value(echo.repeats)
    return msgspec.json.encode(document)
