"""Answer of the service to a lookup, read and checked against the contract before anything is joined with it."""

import re
from collections.abc import Mapping

from enrichment import documents
from enrichment.documents import strict_json
from enrichment.errors import EnrichmentError, failure
from enrichment.lookup.overload import OverloadError, is_overload
from enrichment.lookup.profile import Profile
from enrichment.lookup.request import LookupRequest, Text
from enrichment.settings.lookup_rules import LookupRules, MissRule

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

UPSTREAM_HEADER = "x-envoy-upstream-service-time"
"""Header that Envoy puts on an answer that came from the service, and on none of its own."""


def read_response(
    status: int,
    body: bytes,
    request: LookupRequest,
    rules: LookupRules,
    retry_after_s: float | None = None,
    *,
    from_service: bool = True,
) -> Profile | None:
    """Read the service's answer to a lookup.

    An answer that is not a profile, or is the profile of another key, is a fault and not worth a quiet retry. The
    contract with the service is broken, no redelivery mends that, and wrong data would be worse than a wait.

    Args:
        status: The HTTP status of the service's own answer.
        body: Its body.
        request: What was asked for.
        rules: The contract: where an answer repeats the key, and how it says that the key is unknown.
        retry_after_s: What its `Retry-After` asks for, in seconds.
        from_service: Whether the mesh marks the answer as one that came from the service.

    Returns:
        The profile, or None where the service does not know the key.

    Raises:
        OverloadError: `service_unavailable`, the service has too much to do.
        TransientError: `service_unavailable`, the service says that it is broken.
        FaultError: Any answer outside the contract: `profile_malformed`, `profile_mismatch` or
            `service_answer_unexpected`.
    """
    miss = rules.miss
    if miss is not None and status == miss.status and _says_unknown(miss, body, request, rules):
        # With the status alone to go by, a route that is missing in the mesh would look like a missing key.
        if miss.field or from_service:
            return None
        raise failure(
            "service_answer_unexpected",
            f"the answer {status} has no header {UPSTREAM_HEADER}, so it may be the mesh's and not the service's",
        )
    if status == 200:
        return _read_profile(body, request, rules)
    if status == 404 and miss is None:
        raise failure(
            "service_answer_unexpected",
            "the service answered 404: if that stands for an unknown key, say so in the lookup's miss_error or miss",
        )
    raise unusual(status, retry_after_s)


def unusual(status: int, retry_after_s: float | None) -> EnrichmentError:
    """Return the error for an answer that is neither a profile nor a miss.

    Args:
        status: Its HTTP status.
        retry_after_s: What its `Retry-After` asks for, in seconds.
    """
    said = f"the service answered {status}"
    if is_overload(status):
        return OverloadError("service_unavailable", said, retry_after_s)
    from enrichment.errors.remote_errors import of_service_status

    return failure(of_service_status(status), said)


def is_same(found: object, asked: Text) -> bool:
    """Return whether a value of an answer is the one that was asked for.

    A whole number is the same as its digits. A UUID is the same in capitals (RFC 9562, section 4).

    Args:
        found: What the answer holds.
        asked: What was asked for, as text.
    """
    if found == asked:
        return True
    if isinstance(found, int):
        return text_of(found) == asked
    if isinstance(found, str) and isinstance(asked, str):
        same = uuid_in_lower_case(found)
        return same is not None and same == uuid_in_lower_case(asked)
    return False


def text_of(found: object) -> str | None:
    """Return a key of an answer as text, None where it is neither a string nor a whole number."""
    if isinstance(found, str):
        return found
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else None


def uuid_in_lower_case(text: str) -> str | None:
    """Return a UUID in lower case, None where the text is none."""
    return text.lower() if len(text) == 36 and _UUID.fullmatch(text) else None


def _read_profile(body: bytes, request: LookupRequest, rules: LookupRules) -> Profile:
    try:
        document = strict_json.parse_object(body)
    except (strict_json.NotJsonError, strict_json.NotValidError) as error:
        raise failure("profile_malformed", f"the service's answer is no profile: {error}") from None
    for echo in rules.echo:
        found = _find(document, echo.field)
        if text_of(found) is None:
            raise failure(
                "profile_malformed", f"the service's answer has no string or number {echo.name!r} in it"
            )
        if not is_same(found, request.value(echo.repeats)):
            raise failure("profile_mismatch", "the service answered with the profile of another key")
    return Profile(body.decode(), document)


def _says_unknown(miss: MissRule, body: bytes, request: LookupRequest, rules: LookupRules) -> bool:
    if not miss.field:
        return True
    try:
        answer = strict_json.parse_object(body)
    except (strict_json.NotJsonError, strict_json.NotValidError):
        return False
    if not _equal(_find(answer, miss.field), miss.equals):
        return False
    return not miss.repeats_key or all(
        is_same(_find(answer, echo.field), request.value(echo.repeats)) for echo in rules.echo
    )


def _equal(found: object, wanted: object) -> bool:
    # True equals 1 to Python, and not to JSON.
    return found == wanted and isinstance(found, bool) == isinstance(wanted, bool)


def _find(document: Mapping[str, object], path: tuple[str, ...]) -> object:
    try:
        return documents.find(document, path)
    except documents.NoObjectError:
        return None
