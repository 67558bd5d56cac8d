"""A source of tokens as an `httpx.Auth`, without loading httpx for those who do not use it."""

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
    """Return the source's class; one that also inherits from `httpx.Auth` once httpx is there."""
    own: type = type(source)
    auth = getattr(sys.modules.get("httpx"), "Auth", None)
    return own if auth is None else _with_base(own, auth)


@cache
def _with_base(own: type, base: type) -> type:
    return type(own.__name__, (own, base), {"__module__": own.__module__, "__doc__": own.__doc__})


class BearerAuth(Auth):
    """Makes a source of tokens an `httpx.Auth`: for type checkers by inheritance, for httpx itself by `__class__`.

    httpx takes what passes `isinstance(auth, httpx.Auth)`; a plain callable would neither see a 401 nor be awaited.
    To inherit from `httpx.Auth` for real would load httpx with the first source. `isinstance` also believes an
    object's `__class__`, and httpx is loaded when it asks, so that is where its base class is added.
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
        """Put the token on a request of `httpx.Client`; send it once more if a 401 comes back.

        Not again where the body was a stream, which is used up, or where there is no other token.
        """
        token = self.token()
        response = yield _authorize(request, token)
        if _may_be_sent_again(request, response):
            self.invalidate(token)
            try:
                newer = self.token()
            except MeshError:
                # The answer that is there says more than why there is no second try.
                return
            if newer.value != token.value:
                yield _authorize(request, newer)

    async def async_auth_flow(
        self, request: "httpx.Request"
    ) -> AsyncGenerator["httpx.Request", "httpx.Response"]:
        """Do the same for `httpx.AsyncClient`, and never block the event loop."""
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
