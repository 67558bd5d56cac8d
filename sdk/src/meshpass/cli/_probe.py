"""State of one run of `meshpass doctor`, and the results of its steps."""

import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from meshpass._address import Address, Origin, parse_address, parse_origin
from meshpass._client import Client
from meshpass._errors import MeshError
from meshpass.cli._exit import Exit
from meshpass.cli._options import Given

if TYPE_CHECKING:
    import httpx

    from meshpass._settings import Settings
    from meshpass._token import Token, TokenSource

State = Literal["good", "broken", "skipped", "not tried"]


@dataclass(frozen=True)
class Finding:
    """Result of one step.

    Attributes:
        step: Its name.
        state: Its result.
        exit_code: The command's exit code where this step is broken.
        says: What was found, one sentence.
        words: The message of the other side, as it was sent.
        fix: What to do.
    """

    step: str
    state: State
    exit_code: Exit
    says: str = ""
    words: str = ""
    fix: str = ""


class Broken(Exception):  # noqa: N818
    """Raised by a step that is broken: what is broken, the other side's words, and what to do."""

    def __init__(self, says: str, *, words: str = "", fix: str, code: Exit | None = None) -> None:
        super().__init__(says)
        self.says, self.words, self.fix, self.code = says, words, fix, code


class Skipped(Exception):  # noqa: N818
    """Raised by a step that does not apply here, with the reason."""


@dataclass
class Probe:
    """One run: what it was given, and what its steps have found so far.

    Args:
        given: The settings to be read.
        path: The path to call; None to call `/` and judge no more than the token.
        timeout_s: Limit for each step, in seconds.
    """

    given: Given
    path: str | None
    timeout_s: float
    claims: dict[str, object] = field(default_factory=dict)
    skew_s: float = 0.0
    names: tuple[str, ...] = ()
    _settings: "Settings | None" = None
    _source: "TokenSource | None" = None
    _token: "Token | None" = None
    _outcome: "httpx.Response | MeshError | None" = None

    @property
    def settings(self) -> "Settings":
        """The settings, read once."""
        if self._settings is None:
            self._settings = self.given.settings()
        return self._settings

    @property
    def source(self) -> "TokenSource":
        """The source of tokens, made once."""
        if self._source is None:
            self._source = self.given.token_source(self.settings)
        return self._source

    @property
    def origin(self) -> Origin:
        """The service's virtual origin."""
        return parse_origin(self.settings.base_url)

    @property
    def address(self) -> Address:
        """The gateway's address."""
        return parse_address(self.settings.address, self.origin.port)

    @property
    def outcome(self) -> "httpx.Response | MeshError":
        """The result of one real call, made once."""
        if self._outcome is None:
            self._outcome = self._call()
        return self._outcome

    def connected(self) -> socket.socket:
        """Return a new connection to the gateway."""
        return socket.create_connection((self.address.host, self.address.port), timeout=self.timeout_s)

    def secured(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """Return a new connection with TLS for the virtual host."""
        return context.wrap_socket(self.connected(), server_hostname=self.origin.host)

    def _call(self) -> "httpx.Response | MeshError":
        found = self.settings
        try:
            with Client(
                found.base_url,
                auth=self.source,
                address=found.address,
                ca_file=found.ca_file,
                timeout_s=self.timeout_s,
            ) as client:
                return client.get(self.path or "/")
        except MeshError as exc:
            return exc
