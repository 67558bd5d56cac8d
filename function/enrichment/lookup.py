"""The profile of a user, from the service in the mesh."""

from typing import Protocol

import meshpass
import msgspec

from enrichment import strict_json
from enrichment.outcome import BadEventError, FaultError, Stage, TransientError, of_mesh_error
from enrichment.trace import Trace


class Profiles(Protocol):
    """Where profiles come from."""

    async def fetch(self, user_id: str, trace: Trace) -> str:
        """Gives the user's whole profile as JSON text, or raises an EnrichmentError."""


class MeshProfiles:
    """Profiles from the user-profile service, through the mesh's gateway.

    The client is made at the first lookup, in the process and the loop that use it: functions-framework
    builds the app before its server forks.
    """

    def __init__(self) -> None:
        self._client: meshpass.AsyncClient | None = None

    async def fetch(self, user_id: str, trace: Trace) -> str:
        """Looks one user up.

        Args:
            user_id: Whose profile. The SDK encodes it as one segment of the path.
            trace: Sent on as `traceparent`.

        Returns:
            The profile, a JSON text that names the same user.

        Raises:
            BadEventError: `profile_not_found` or `user_id_invalid`.
            TransientError: the service or the way to it is unavailable.
            FaultError: the mesh refuses us, or the service broke its contract.
        """
        if self._client is None:
            self._client = meshpass.AsyncClient.from_env()
        try:
            response = await self._client.get(
                "/profile/{user_id}", user_id=user_id, headers={"traceparent": trace.traceparent}
            )
        except meshpass.MeshError as error:
            raise of_mesh_error(error) from error
        return read_answer(response.status_code, response.content, user_id)


def read_answer(status: int, body: bytes, user_id: str) -> str:
    """Reads the service's answer to a lookup.

    An answer that is not a profile, or is somebody else's, is a fault and not worth a quiet retry: the
    contract with the service is broken, no redelivery mends that, and joining the wrong person's data would
    be worse than waiting.

    Args:
        status: The HTTP status of the service's own answer.
        body: Its body.
        user_id: Who was asked for.

    Returns:
        The profile, a JSON text.

    Raises:
        BadEventError: `profile_not_found`, the service knows no such user.
        TransientError: `service_unavailable`, the service says that it is overloaded or broken.
        FaultError: any answer outside the contract.
    """
    if status == 200:
        return _read_profile(body, user_id)
    if status == 404 and _says_not_found(body, user_id):
        raise BadEventError(Stage.LOOKUP, "profile_not_found", "the service knows no such user")
    if status in (408, 429) or status >= 500:
        raise TransientError(Stage.LOOKUP, "service_unavailable", f"the service answered {status}")
    raise FaultError(
        Stage.LOOKUP,
        "service_answer_unexpected",
        f"the service answered {status}, which its contract does not name",
    )


class _Profile(msgspec.Struct):
    user_id: str


class _NotFound(msgspec.Struct):
    error: str
    user_id: str


def _read_profile(body: bytes, user_id: str) -> str:
    try:
        profile = strict_json.decode(body, _Profile)
    except (strict_json.NotJsonError, strict_json.NotValidError) as error:
        raise FaultError(
            Stage.LOOKUP, "profile_malformed", f"the service's answer is no profile: {error}"
        ) from None
    if profile.user_id != user_id:
        raise FaultError(
            Stage.LOOKUP, "profile_mismatch", "the service answered with somebody else's profile"
        )
    return body.decode()


def _says_not_found(body: bytes, user_id: str) -> bool:
    # The status alone will not do: a path nobody serves is a 404 as well, and says nothing about the user.
    try:
        answer = strict_json.decode(body, _NotFound)
    except (strict_json.NotJsonError, strict_json.NotValidError):
        return False
    return answer.error == "profile_not_found" and answer.user_id == user_id
