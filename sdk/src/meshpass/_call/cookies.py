"""The cookies of one virtual host: kept from its answers, sent back to it alone."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx


class Cookies:
    """A jar that costs nothing until a service sets a cookie, as a mesh does for session affinity.

    Each client has its own, so that nothing passes from one virtual host to another at the same address.
    """

    __slots__ = ("_jar",)

    def __init__(self) -> None:
        self._jar: httpx.Cookies | None = None

    @property
    def jar(self) -> "httpx.Cookies":
        """The cookies, to look at or to change."""
        if self._jar is None:
            import httpx

            self._jar = httpx.Cookies()
        return self._jar

    def header_for(self, method: str, url: str) -> str | None:
        """Return the `Cookie` header for a request to this URL of the service; None when there is none to send."""
        if not self._jar:
            return None
        import httpx

        request = httpx.Request(method, url)
        self._jar.set_cookie_header(request)
        header: str | None = request.headers.get("cookie")
        return header

    def keep(self, response: "httpx.Response") -> None:
        """Take the cookies that an answer sets."""
        if "set-cookie" in response.headers:
            self.jar.extract_cookies(response)
