"""Settings of a command: the environment, and an option for each variable that replaces it."""

import inspect
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from meshpass._address import parse_origin, plaintext_problem
from meshpass._call.path import fill_path
from meshpass._errors import ConfigurationError
from meshpass._settings import GOOGLE_ID_TOKEN, SIGNED_JWT, Settings

if TYPE_CHECKING:
    from meshpass._token import TokenSource

_PANEL = "Settings"
# RFC 3986, section 3.2: what ends a URL's host and port.
_AUTHORITY_END = re.compile("[/?#]")
# Option: variable, kind of value, help.
_VARIABLES = {
    "gateway_url": ("GKE_GATEWAY_URL", "URL", "Scheme, address and optional port of the gateway."),
    "gateway_host": ("GKE_GATEWAY_HOST", "HOST", "The service's virtual host."),
    "gateway_ca_file": (
        "GKE_GATEWAY_CA_FILE",
        "FILE",
        "PEM bundle of the CA that signed the gateway's certificate.",
    ),
    "issuer": ("JWT_ISSUER", "TEXT", "The token's iss."),
    "audience": ("JWT_AUDIENCE", "TEXT", "The token's aud."),
    "scope": ("JWT_SCOPE", "TEXT", "The token's scope."),
    "subject": ("JWT_SUBJECT", "TEXT", "The token's sub; else the issuer."),
    "key_file": ("SIGNING_KEY_FILE", "FILE", "The signing key's PEM file."),
    "key_secret": ("SIGNING_KEY_SECRET_ID", "NAME", "projects/P/secrets/S/versions/V of the signing key."),
}

PATH_VALUES = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Value of a placeholder in the path; repeatable."),
]
QUERY = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="Parameter of the query; repeatable.")
]
CALL_TIMEOUT = Annotated[
    float,
    typer.Option(metavar="SECONDS", min=0.001, max=86_400, help="Limit for the whole call, in seconds."),
]


@dataclass(frozen=True)
class Given:
    """Settings that a command was given, to find the gateway and the caller's identity.

    Args:
        environ: The environment's variables; an option that was given replaces its variable.
        google: Whether the caller's token is a Google ID token.
        impersonate: The service account whose ID token that is; the found identity's own when None.
        options: The variables that options replaced.
    """

    environ: Mapping[str, str]
    google: bool = False
    impersonate: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the kind of token from the environment where no option names it."""
        if self.environ.get("MESH_AUTH") == GOOGLE_ID_TOKEN:
            object.__setattr__(self, "google", True)

    def signed(self) -> "Given":
        """Return the same for a token that is signed here, also where the environment says `google-id-token`."""
        return Given({**self.environ, "MESH_AUTH": SIGNED_JWT})

    def settings(self) -> Settings:
        """Return the settings.

        Raises:
            ConfigurationError: Some are missing or wrong; it lists all of them.
        """
        if self.impersonate and not self.google:
            raise ConfigurationError(
                "--impersonate needs --google: only an ID token can be another account's."
            )
        return Settings.from_env(
            {**self.environ, "MESH_AUTH": GOOGLE_ID_TOKEN} if self.google else self.environ
        )

    def token_source(self, settings: Settings) -> "TokenSource":
        """Return the source of the caller's tokens."""
        if not self.google:
            return settings.token_source()
        from meshpass._tokens.google.id_token import GoogleIDToken

        return GoogleIDToken(settings.audience, service_account=self.impersonate)

    def destination(self, target: str) -> "Destination":
        """Return what to call: a path of the service in the mesh, or the URL of a service outside of it.

        To a URL the settings of the mesh do not apply. The token's audience is the URL's origin, and the system's CAs
        are trusted, unless `--audience` and `--gateway-ca-file` say otherwise. The origin is in its normal form, that
        of Cloud Run's own URLs: lower case, and no port where it is the scheme's default.

        Args:
            target: A path, or an absolute URL.

        Raises:
            ConfigurationError: Settings are missing or wrong, the URL cannot be called, or it is called without a
                Google ID token.
        """
        if target.startswith("/") or not (self.google or "://" in target):
            found = self.settings()
            return Destination(found.base_url, target, self.token_source(found), found.address, found.ca_file)
        origin, path = _split(target)
        if not self.google:
            raise ConfigurationError(
                "A URL needs --google: a service outside the mesh takes a Google ID token, and no signed one."
            )
        from meshpass._tokens.google.id_token import GoogleIDToken

        ca_file = self.options.get("GKE_GATEWAY_CA_FILE")
        auth = GoogleIDToken(self.options.get("JWT_AUDIENCE", origin), service_account=self.impersonate)
        return Destination(origin, path, auth, None, Path(ca_file) if ca_file else None)


@dataclass(frozen=True)
class Destination:
    """What a command calls.

    Args:
        base_url: The service's origin.
        path: The path, with its placeholders.
        auth: The source of the caller's tokens.
        address: What is dialled; the origin's own host and port when None.
        ca_file: PEM bundle of trusted CAs; the system's when None.
    """

    base_url: str
    path: str
    auth: "TokenSource"
    address: str | None
    ca_file: Path | None


def _split(url: str) -> tuple[str, str]:
    """Return a URL's origin, and its path.

    Raises:
        ConfigurationError: It is no URL that can be called; it says why, and does not repeat it.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigurationError("The target must be a path, such as /profile/u-1, or a URL with https://.")
    host = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    path = rest.removeprefix(host)
    if "?" in path or "#" in path:
        raise ConfigurationError(
            "The target has a query or a fragment. Give the query as --param NAME=VALUE."
        )
    try:
        origin = parse_origin(f"{scheme}://{host}")
    except ValueError as error:
        raise ConfigurationError(f"The target {error}.") from None
    plaintext = plaintext_problem(origin, None)
    if plaintext:
        raise ConfigurationError(f"The target {plaintext}.")
    return origin.url, path or "/"


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `_VARIABLES`, and pass the result as its argument `given`."""

    def wrapper(**values: Any) -> None:  # noqa: ANN401
        chosen = {_VARIABLES[name][0]: values.pop(name) for name in _VARIABLES}
        google, impersonate = values.pop("google"), values.pop("impersonate")
        options = {name: value for name, value in chosen.items() if value is not None}
        command(given=Given(_overlaid(os.environ, options), google, impersonate, options), **values)

    hints = get_type_hints(command, include_extras=True)
    own = inspect.signature(command).parameters.values()
    parameters = [each.replace(annotation=hints[each.name]) for each in own if each.name != "given"]
    parameters += [_option(name, *described) for name, described in _VARIABLES.items()]
    parameters += [
        _keyword("google", False, bool, typer.Option("--google", help=_GOOGLE, rich_help_panel=_PANEL)),
        _keyword(
            "impersonate",
            None,
            str | None,
            typer.Option(metavar="ACCOUNT", help=_IMPERSONATE, rich_help_panel=_PANEL),
        ),
    ]
    wrapper.__name__ = command.__name__
    wrapper.__doc__ = command.__doc__
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {each.name: each.annotation for each in parameters}
    return wrapper


_GOOGLE = "Call with a Google ID token for the audience, in place of a signed one."
_IMPERSONATE = "With --google: the service account whose ID token to get."


def _option(name: str, variable: str, kind: str, text: str) -> inspect.Parameter:
    return _keyword(
        name,
        None,
        str | None,
        typer.Option(metavar=kind, help=f"{text} [{variable}]", rich_help_panel=_PANEL, show_default=False),
    )


def _keyword(name: str, default: object, kind: object, option: object) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
    )


def _overlaid(environ: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    # A key named on the command line is meant in place of the environment's, wherever that one is.
    keys = {"SIGNING_KEY_FILE", "SIGNING_KEY_SECRET_ID"}
    dropped = keys if given.keys() & keys else set()
    return {**{name: value for name, value in environ.items() if name not in dropped}, **given}


def path_values(pairs: list[str]) -> dict[str, str]:
    """Read `NAME=VALUE` pairs.

    Raises:
        typer.BadParameter: One has no name or no `=`.
    """
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise typer.BadParameter("write it as NAME=VALUE, such as user_id=u-1001")
        values[name] = value
    return values


def filled_path(template: str, pairs: list[str] | None) -> str:
    """Return a path with its placeholders filled, so that any name may be one, `json` and `params` too.

    Args:
        template: The path, such as `/profile/{user_id}`.
        pairs: `NAME=VALUE` for each placeholder.

    Raises:
        typer.BadParameter: A pair is malformed.
        InvalidRequest: The path cannot be sent, or values are missing or left over.
    """
    return fill_path(template, path_values(pairs or []))


def ca_name(settings: Settings) -> str:
    """Name the authorities that the gateway's certificate is checked against."""
    return f"the CAs in {Path(settings.ca_file)}" if settings.ca_file else "the system's CAs"
