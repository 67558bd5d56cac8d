"""A source of tokens as an `httpx.Auth`. Programs that do not use httpx do not load it."""

import sys
from abc import abstractmethod
from collections.abc import AsyncGenerator, Generator
from functools import cache
from typing import TYPE_CHECKING

from meshpass._errors import MeshError
from meshpass._token import Token

if TYPE_CHECKING:
    import httpx
    from httpx import Auth
else:
    Auth = object


def _class_of(source: object) -> type:
    """Return the source's class; with `httpx.Auth` as a further base once httpx is loaded."""
    own: type = type(source)
    auth = getattr(sys.modules.get("httpx"), "Auth", None)
    return own if auth is None else _with_base(own, auth)


@cache
def _with_base(own: type, base: type) -> type:
    return type(own.__name__, (own, base), {"__module__": own.__module__, "__doc__": own.__doc__})


class BearerAuth(Auth):
    """Base that makes a source of tokens an `httpx.Auth`: by inheritance for type checkers, by `__class__` for httpx.

    httpx uses an `auth` that passes `isinstance(auth, httpx.Auth)`. A plain callable could not react to a 401, and
    would not be awaited. Inheritance at run time would load httpx together with the first source. But `isinstance`
    also reads an object's `__class__`, and httpx is always loaded when it does. So `__class__` adds the base class.
    """

    if not TYPE_CHECKING:
        __class__ = property(_class_of)

    @abstractmethod
    def token(self) -> Token:
        """See `TokenSource.token`."""

    @abstractmethod
    async def atoken(self) -> Token:
        """See `TokenSource.atoken`."""

    @abstractmethod
    def invalidate(self, token: Token) -> None:
        """See `TokenSource.invalidate`."""

    def sync_auth_flow(self, request: "httpx.Request") -> Generator["httpx.Request", "httpx.Response", None]:
        """Put the token on a request of `httpx.Client`, and send it once more after a 401.

        It is not sent again if its body was a stream, which can be read only once, or if there is no other token.
        """
        token = self.token()
        response = yield _authorize(request, token)
        if _may_be_sent_again(request, response):
            self.invalidate(token)
            try:
                newer = self.token()
            except MeshError:
                # The 401 is more useful to the caller than the reason for the missing token.
                return
            if newer.value != token.value:
                yield _authorize(request, newer)

    async def async_auth_flow(
        self, request: "httpx.Request"
    ) -> AsyncGenerator["httpx.Request", "httpx.Response"]:
        """Do the same for `httpx.AsyncClient`, without blocking the event loop."""
        token = await self.atoken()
        response = yield _authorize(request, token)
        if _may_be_sent_again(request, response):
            self.invalidate(token)
            try:
                newer = await self.atoken()
            except MeshError:
                return
            if newer.value != token.value:
                yield _authorize(request, newer)


def _authorize(request: "httpx.Request", token: Token) -> "httpx.Request":
    request.headers["authorization"] = f"Bearer {token.value}"
    return request


def _may_be_sent_again(request: "httpx.Request", response: "httpx.Response") -> bool:
    from httpx import ByteStream

    return response.status_code == 401 and isinstance(request.stream, ByteStream)
