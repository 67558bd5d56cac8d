"""The service's own answer to a lookup, read and checked against the contract before anything is joined with it."""

from enrichment.documents import strict_json
from enrichment.errors import failure
from enrichment.errors.external import of_service_status
from enrichment.lookup.overload import OVERLOAD_STATUSES, OverloadError
from enrichment.lookup.profile import Profile
from enrichment.settings.model import LookupRules


def read_response(
    status: int, body: bytes, key: str, rules: LookupRules, retry_after_s: float | None = None
) -> Profile | None:
    """Reads the service's answer to a lookup.

    An answer that is not a profile, or is somebody else's, is a fault and not worth a quiet retry: the
    contract with the service is broken, no redelivery mends that, and joining the wrong person's data would
    be worse than waiting.

    Args:
        status: The HTTP status of the service's own answer.
        body: Its body.
        key: What was asked for.
        rules: The contract: where an answer repeats the key, and how it says that the key is unknown.
        retry_after_s: What its `Retry-After` asks for, in seconds.

    Returns:
        The profile, or None where the service knows no such key.

    Raises:
        OverloadError: `service_unavailable`, the service has too much to do.
        TransientError: `service_unavailable`, the service says that it is broken.
        FaultError: any answer outside the contract: `profile_malformed`, `profile_mismatch` or
            `service_answer_unexpected`.
    """
    if status == 200:
        return _read_profile(body, key, rules)
    # The status alone will not do: a path nobody serves is a 404 as well, and says nothing about the key.
    if status == 404 and _says_unknown(body, key, rules):
        return None
    said = f"the service answered {status}"
    if status in OVERLOAD_STATUSES:
        raise OverloadError("service_unavailable", said, retry_after_s)
    raise failure(of_service_status(status), said)


def _read_profile(body: bytes, key: str, rules: LookupRules) -> Profile:
    try:
        document = strict_json.parse_object(body)
    except (strict_json.NotJsonError, strict_json.NotValidError) as error:
        raise failure("profile_malformed", f"the service's answer is no profile: {error}") from None
    echo = document.get(rules.echo)
    if not isinstance(echo, str):
        raise failure("profile_malformed", f"the service's answer has no string {rules.echo!r} in it")
    if echo != key:
        raise failure("profile_mismatch", "the service answered with somebody else's profile")
    return Profile(body.decode(), document)


def _says_unknown(body: bytes, key: str, rules: LookupRules) -> bool:
    try:
        answer = strict_json.parse_object(body)
    except (strict_json.NotJsonError, strict_json.NotValidError):
        return False
    return answer.get("error") == rules.miss_error and answer.get(rules.echo) == key
