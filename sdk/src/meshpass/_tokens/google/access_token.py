"""Google access tokens for the identity of this process, cached and renewed as all tokens are."""

import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from meshpass._errors import IdentityError
from meshpass._token import Token
from meshpass._tokens.cache import CachedSource
from meshpass._tokens.google.detection import VARIABLES, find_identity
from meshpass._tokens.google.web import Web
from meshpass._tokens.raw_errors import as_mesh_error


@dataclass(frozen=True, slots=True, repr=False)
class AccessToken(Token):
    """An access token.

    Args:
        further: Headers to send with it, such as `x-goog-user-project`; none of them is a secret.
    """

    further: Mapping[str, str] = field(default_factory=dict)

    __repr__ = Token.__repr__


class GoogleAccessToken(CachedSource):
    """Source of access tokens for Google's own APIs, with the identity that `GoogleIDToken` finds.

    The scope is `cloud-platform`, so that IAM decides what the identity may do. A mesh cannot use these tokens, because
    they have no audience.
    """

    async def atoken(self) -> AccessToken:
        """Return a token that is valid for the next request; see `CachedSource.atoken`.

        Raises:
            IdentityError: there is no identity, or no token for it.
        """
        token = await super().atoken()
        assert isinstance(token, AccessToken)  # what `_fetch` made  # noqa: S101
        return token

    def __repr__(self) -> str:
        return "GoogleAccessToken()"

    def _cache_key(self) -> Hashable:
        return ("GoogleAccessToken", *(os.environ.get(name) for name in VARIABLES))

    @as_mesh_error(IdentityError, "No Google identity can be used")
    def _fetch(self, deadline_s: float) -> Token:
        return _requested(deadline_s)


def _requested(deadline_s: float) -> AccessToken:
    identity, _ = find_identity(None, os.environ)
    with Web(deadline_s, trust_env=True) as web:
        access = identity.access(web)
    return AccessToken(access.token, access.expires_at, identity.detail, further=access.further)
