"""Call services inside an Istio mesh from outside the cluster.

Importing this package loads none of its parts: each public name is imported from its module when it is first
used, and an HTTP stack, cryptography or a Google client only when a call needs it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshpass._async_client import AsyncClient
    from meshpass._client import Client
    from meshpass._deadline import Deadline
    from meshpass._errors import (
        BadResponse,
        ConfigurationError,
        GatewayTLSError,
        GatewayUnreachable,
        IdentityError,
        InvalidPathValue,
        InvalidRequest,
        MeshError,
        MeshTimeout,
        NoRoute,
        NotAllowed,
        RequestRefused,
        SigningKeyError,
        TokenRefused,
        UpstreamUnavailable,
    )
    from meshpass._google.id_token import GoogleIDToken
    from meshpass._google.origin import IdentityOrigin
    from meshpass._jwt import SignedJWT
    from meshpass._keys import KeyFile, SecretManagerKey
    from meshpass._kms import KMSKey
    from meshpass._requests import RequestsAuth
    from meshpass._retry import RetryPolicy
    from meshpass._settings import Settings, settings_problems
    from meshpass._token import Token, TokenSource

__all__ = [
    "AsyncClient",
    "BadResponse",
    "Client",
    "ConfigurationError",
    "Deadline",
    "GatewayTLSError",
    "GatewayUnreachable",
    "GoogleIDToken",
    "IdentityError",
    "IdentityOrigin",
    "InvalidPathValue",
    "InvalidRequest",
    "KMSKey",
    "KeyFile",
    "MeshError",
    "MeshTimeout",
    "NoRoute",
    "NotAllowed",
    "RequestRefused",
    "RequestsAuth",
    "RetryPolicy",
    "SecretManagerKey",
    "Settings",
    "SignedJWT",
    "SigningKeyError",
    "Token",
    "TokenRefused",
    "TokenSource",
    "UpstreamUnavailable",
    "settings_problems",
]

_MODULES = {
    "AsyncClient": "_async_client",
    "Client": "_client",
    "Deadline": "_deadline",
    "GoogleIDToken": "_google.id_token",
    "IdentityOrigin": "_google.origin",
    "KMSKey": "_kms",
    "KeyFile": "_keys",
    "RequestsAuth": "_requests",
    "RetryPolicy": "_retry",
    "SecretManagerKey": "_keys",
    "Settings": "_settings",
    "SignedJWT": "_jwt",
    "Token": "_token",
    "TokenSource": "_token",
    "settings_problems": "_settings",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'meshpass' has no attribute {name!r}")
    module = import_module(f"meshpass.{_MODULES.get(name, '_errors')}")
    value: object = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
