"""Answer of the service to a request for many keys, matched with them by key and never by order."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from enrichment.documents import strict_json
from enrichment.errors import EnrichmentError, failure
from enrichment.lookup.profile import Profile
from enrichment.lookup.request import LookupKey, as_request, key_text
from enrichment.lookup.response import text_of, unusual, uuid_in_lower_case
from enrichment.settings.lookup_rules import BatchRules

BatchResult: TypeAlias = Profile | EnrichmentError | None


class RefusedBatchError(Exception):
    """A request for many keys was refused as a whole, perhaps for one of them. Smaller ones find out which.

    Args:
        verdict: What it means for a key that was alone in its request.
        nothing_done: Whether the service says that it did not carry the request out.
    """

    def __init__(self, verdict: EnrichmentError, *, nothing_done: bool = False) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict
        self.nothing_done = nothing_done


def batch_body(keys: Sequence[LookupKey], batch: BatchRules) -> bytes:
    """Return the JSON body that asks for some keys."""
    return msgspec.json.encode({batch.body_field: [as_request(key).values[0] for key in keys]})


def read_batch(
    status: int,
    body: bytes,
    keys: Sequence[LookupKey],
    batch: BatchRules,
    max_answer_bytes: int,
    retry_after_s: float | None = None,
) -> Sequence[BatchResult]:
    """Read the service's answer to a request for many keys.

    A profile without a key, or with one that was not asked for or that has come already, makes the whole answer
    worthless: it cannot be known whose the others are.

    Args:
        status: The HTTP status of the service's own answer.
        body: Its body.
        keys: What was asked for.
        batch: The contract.
        max_answer_bytes: Largest profile.
        retry_after_s: What its `Retry-After` asks for, in seconds.

    Returns:
        For each key its profile, None where there is none, or why its profile cannot be used.

    Raises:
        RefusedBatchError: The answer is outside the contract, or the service failed; the verdict is
            `profile_malformed`, `profile_mismatch`, `service_answer_unexpected` or `service_unavailable`.
        OverloadError: `service_unavailable`, the service has too much to do.
        TransientError: `service_unavailable`, the service ended a slow request.
    """
    if status != 200:
        # Large tables, which good answers do without.
        from enrichment.errors.remote_errors import NOT_OF_THE_BATCH_STATUSES

        error = unusual(status, retry_after_s)
        # Less work at once does not cure these.
        if status in NOT_OF_THE_BATCH_STATUSES:
            raise error
        # The fault is the client's, section 15.5 of RFC 9110, so the service did not do what was asked for.
        raise RefusedBatchError(error, nothing_done=400 <= status < 500)
    try:
        found = _by_key(batch, _items(batch, body), keys)
    except _AnswerError as error:
        raise RefusedBatchError(failure(error.reason, str(error))) from None
    return [_bounded(found.get(_identity(key_text(key))), max_answer_bytes) for key in keys]


class _AnswerError(ValueError):
    def __init__(self, reason: str, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason


def _identity(key: str) -> str:
    return uuid_in_lower_case(key) or key


def _by_key(
    batch: BatchRules, items: Sequence[tuple[object, msgspec.Raw]], keys: Sequence[LookupKey]
) -> Mapping[str, Profile]:
    asked = {_identity(key_text(key)) for key in keys}
    found: dict[str, Profile] = {}
    for document, text in items:
        if document is None:
            continue  # some services send null for what they do not know
        key = text_of(document.get(batch.key)) if isinstance(document, dict) else None
        if key is None or not isinstance(document, dict):
            raise _AnswerError(
                "profile_malformed", f"a profile has no string or whole number {batch.key!r} in it"
            )
        key = _identity(key)
        if key not in asked:
            raise _AnswerError(
                "profile_mismatch", "the service answered with a profile that was not asked for"
            )
        if key in found:
            raise _AnswerError("profile_mismatch", "the service answered with two profiles of one key")
        found[key] = Profile(bytes(text).decode(), document)
    return found


def _items(batch: BatchRules, body: bytes) -> Sequence[tuple[object, msgspec.Raw]]:
    """Return the profiles, each parsed and as it came."""
    where = ".".join(batch.results)
    try:
        found: object = strict_json.parse(body)
        raw = msgspec.Raw(body)
        for key in batch.results:
            if not isinstance(found, dict) or key not in found:
                raise _AnswerError("profile_malformed", f"the service's answer has no {where!r}")
            found, raw = found[key], msgspec.json.decode(raw, type=dict[str, msgspec.Raw])[key]
        if not isinstance(found, list):
            raise _AnswerError("profile_malformed", f"{where!r} of the service's answer is no list")
        return list(zip(found, msgspec.json.decode(raw, type=list[msgspec.Raw]), strict=True))
    except (strict_json.NotJsonError, strict_json.NotValidError) as error:
        raise _AnswerError("profile_malformed", f"the service's answer has no profiles: {error}") from None


def _bounded(profile: Profile | None, max_answer_bytes: int) -> BatchResult:
    if profile is None or len(profile.text.encode()) <= max_answer_bytes:
        return profile
    return failure("profile_malformed", f"the profile has more than {max_answer_bytes} bytes")
