"""Proof that the mesh accepts a key: real calls with it, through the gateway to the service."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshpass._errors import MeshError, TokenRefused
from meshpass._frames import sealed
from meshpass.keys._lifecycle_errors import KeyLifecycleError

if TYPE_CHECKING:
    from meshpass._settings import Settings
    from meshpass._token import Token, TokenSource

KeyProof = Callable[[bytes], None]
"""Function of a private key as PEM. It raises `KeyLifecycleError` where the mesh does not accept the key."""

# Texts of Envoy (jwt_verify_lib) for a key that it does not have, and for another key with the same kid.
_UNKNOWN_KEY = ("Jwks doesn't have key", "Jwt verification fails")
_PUBLISH = (
    "Apply the JWKS of `meshpass keys jwks` and wait until the mesh has it: seconds for keys inside the manifest,"
    " up to 20 minutes behind a jwksUri."
)


@dataclass(frozen=True, slots=True)
class GatewayProof:
    """Proof by calls to the service. Each uses a new connection, so that a load balancer may choose another gateway.

    Any response of the service itself proves the key, also a 404 or 500, because both proxies accepted the call.

    Args:
        settings: How to reach the gateway, and the token's claims.
        path_template: The path of a call that this caller is allowed to make, such as `/profile/{user_id}`.
        path_values: A value for each placeholder.
        calls: How many calls must reach the service.
    """

    settings: "Settings"
    path_template: str
    path_values: Mapping[str, str | int]
    calls: int = 5

    @sealed
    def __call__(self, pem: bytes) -> None:
        """Make the calls.

        Raises:
            KeyLifecycleError: a call did not reach the service; code `key_not_proven`.
        """
        from meshpass._client import Client
        from meshpass._tokens.signed_jwt import SignedJWT

        found = self.settings
        signer = SignedJWT(
            found.issuer, found.audience, lambda: pem, subject=found.subject, scope=found.scope
        )
        auth = _Witness(signer)
        for _ in range(self.calls):
            try:
                with Client(
                    found.base_url, auth=auth, address=found.address, ca_file=found.ca_file
                ) as client:
                    client.get(self.path_template, path_values=self.path_values)
            except MeshError as exc:
                raise _not_proven(exc) from exc
            if auth.refused:
                raise KeyLifecycleError(
                    "The mesh refused the key in one place and accepted it in another.",
                    code="key_not_proven",
                    hint="Not all of its proxies have the key yet: wait a minute and try again.",
                    retryable=True,
                )


class _Witness:
    """A source of tokens that records a refusal. The client's retry may reach another proxy and hide it."""

    def __init__(self, source: "TokenSource") -> None:
        self._source = source
        self.refused = False

    def token(self) -> "Token":
        return self._source.token()

    async def atoken(self) -> "Token":
        return await self._source.atoken()

    def invalidate(self, token: "Token") -> None:
        self.refused = True
        self._source.invalidate(token)


def _not_proven(exc: MeshError) -> KeyLifecycleError:
    refused = isinstance(exc, TokenRefused)
    return KeyLifecycleError(
        f"It is not proven that the mesh accepts the key: {exc.args[0]}",
        code="key_not_proven",
        service=exc.service,
        status=exc.status,
        detail=exc.detail,
        answered_by=exc.answered_by,
        claims=exc.claims,
        hint=_PUBLISH if any(words in (exc.detail or "") for words in _UNKNOWN_KEY) else exc.hint,
        retryable=refused or exc.retryable,
    )
