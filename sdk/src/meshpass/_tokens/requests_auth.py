"""A source of tokens as the `auth` of the `requests` library."""

from typing import TYPE_CHECKING, Any

from meshpass._errors import MeshError
from meshpass._token import Token, TokenSource

if TYPE_CHECKING:
    from requests import PreparedRequest, Response


class RequestsAuth:
    """Puts a source's token on each request of `requests`, and sends it once more if a 401 comes back.

    Not again where the body was a stream or a file, which is used up, or where there is no other token.
    `requests` takes any callable, so nothing of it is loaded here.

    Args:
        source: Where the caller's token comes from; a `SignedJWT`, for instance.
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

        def on_answer(response: "Response", **kwargs: Any) -> "Response":  # noqa: ANN401 - of requests
            again = response.request
            # After a redirect to another host, requests has taken the token off; it stays off.
            kept = again.headers.get("Authorization") == f"Bearer {token.value}"
            refused = response.status_code == 401 and kept
            if not refused or not isinstance(again.body, bytes | str | None):
                return response
            self._source.invalidate(token)
            try:
                newer = self._source.token()
            except MeshError:
                # The answer that is there says more than why there is no second try.
                return response
            return response if newer.value == token.value else _send_again(response, newer, kwargs)

        request.register_hook("response", on_answer)
        return request

    def __repr__(self) -> str:
        return f"RequestsAuth({self._source!r})"


def _send_again(response: "Response", token: Token, kwargs: dict[str, Any]) -> "Response":
    # The connection goes back to its pool only once the answer has been read.
    _ = response.content
    response.close()
    request = response.request.copy()
    request.headers["Authorization"] = f"Bearer {token.value}"
    answer: Response = response.connection.send(request, **kwargs)
    answer.history.append(response)
    answer.request = request
    return answer
