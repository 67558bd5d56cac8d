"""Google's access token for this process's own identity, kept and renewed as every other token."""

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
        further: Headers that go with it, such as `x-goog-user-project`; none of them is a secret.
    """

    further: Mapping[str, str] = field(default_factory=dict)

    __repr__ = Token.__repr__


class GoogleAccessToken(CachedSource):
    """Gets access tokens for Google's own APIs, with the identity that `GoogleIDToken` finds.

    The scope is `cloud-platform`: what the identity may do is for IAM to say. Not a source for a mesh, which checks
    the audience of a token and finds none in this one.
    """

    async def atoken(self) -> AccessToken:
        """Return a token that is good for the next request; see `CachedSource.atoken`.

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
        return _ask(deadline_s)


def _ask(deadline_s: float) -> AccessToken:
    identity, _ = find_identity(None, os.environ)
    with Web(deadline_s, trust_env=True) as web:
        access = identity.access(web)
    return AccessToken(access.token, access.expires_at, identity.detail, further=access.further)
