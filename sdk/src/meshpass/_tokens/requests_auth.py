"""A source of tokens as the `auth` of the `requests` library."""

from typing import TYPE_CHECKING, Any

from meshpass._errors import MeshError
from meshpass._token import Token, TokenSource

if TYPE_CHECKING:
    from requests import PreparedRequest, Response


class RequestsAuth:
    """Authentication for `requests` that puts a source's token on each request, and sends it once more after a 401.

    It is not sent again if its body was a stream or a file, which can be read only once, or if there is no other token.
    `requests` accepts any callable, so this module does not import it.

    Args:
        source: The source of the caller's tokens; a `SignedJWT`, for instance.
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    def __call__(self, request: "PreparedRequest") -> "PreparedRequest":
        """Authorize a request that is about to be sent.

        Raises:
            MeshError: there is no token.
        """
        token = self._source.token()
        request.headers["Authorization"] = f"Bearer {token.value}"

        def on_response(response: "Response", **kwargs: Any) -> "Response":  # noqa: ANN401 - of requests
            again = response.request
            # After a redirect to another host, requests has removed the token. It is not added again.
            kept = again.headers.get("Authorization") == f"Bearer {token.value}"
            refused = response.status_code == 401 and kept
            if not refused or not isinstance(again.body, bytes | str | None):
                return response
            self._source.invalidate(token)
            try:
                newer = self._source.token()
            except MeshError:
                # The 401 is more useful to the caller than the reason for the missing token.
                return response
            return response if newer.value == token.value else _send_again(response, newer, kwargs)

        request.register_hook("response", on_response)
        return request

    def __repr__(self) -> str:
        return f"RequestsAuth({self._source!r})"


def _send_again(response: "Response", token: Token, kwargs: dict[str, Any]) -> "Response":
    # The connection returns to its pool only after the response was read.
    _ = response.content
    response.close()
    request = response.request.copy()
    request.headers["Authorization"] = f"Bearer {token.value}"
    second: Response = response.connection.send(request, **kwargs)
    second.history.append(response)
    second.request = request
    return second
