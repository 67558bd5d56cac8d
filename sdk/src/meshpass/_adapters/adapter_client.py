"""Client of an adapter: the caller's own, or one that is made for the adapter."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from meshpass._call.service import check_keywords
from meshpass._errors import ConfigurationError

if TYPE_CHECKING:
    from meshpass._base_client import BaseClient
    from meshpass._call.service import ClientOptions
    from meshpass._token import TokenSource

C = TypeVar("C", bound="BaseClient")


def client_for(
    kind: type[C],
    service: "C | str",
    auth: "TokenSource | None",
    address: str | None,
    ca_file: Path | str | None,
    options: "ClientOptions",
) -> tuple[C, bool]:
    """Return the client to call with, and whether it was made here, so that the adapter must close it.

    Raises:
        ConfigurationError: an argument is wrong or missing, or a client of the other kind was given.
    """
    if isinstance(service, str):
        if auth is None:
            raise ConfigurationError("auth is missing: give a source of the caller's tokens.")
        check_keywords(options)
        build: Any = kind
        made: C = build(service, auth=auth, address=address, ca_file=ca_file, **options)
        return made, True
    if not isinstance(service, kind):
        raise ConfigurationError(
            f"The first argument is of type {type(service).__name__}; "
            f"it must be a meshpass.{kind.__name__} or a virtual origin such as https://user-profile.internal."
        )
    if options or any(given is not None for given in (auth, address, ca_file)):
        raise ConfigurationError("A client has its arguments already: give them to it, or give an origin.")
    return service, False
