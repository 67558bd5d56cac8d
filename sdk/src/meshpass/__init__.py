"""Call services inside an Istio mesh from outside the cluster.

Importing this package loads none of its parts: each public name is imported from its module when it is first
used, and an HTTP stack, cryptography or a Google client only when a call needs it.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshpass._adapters.grpc_channels import grpc_aio_channel, grpc_channel
    from meshpass._adapters.grpc_credentials import grpc_call_credentials
    from meshpass._adapters.httpx_transport import (
        AsyncTransport,
        Transport,
        async_httpx_transport,
        httpx_transport,
    )
    from meshpass._adapters.requests_adapter import RequestsAdapter, requests_adapter
    from meshpass._async_client import AsyncClient
    from meshpass._call.retry import RetryPolicy
    from meshpass._client import Client
    from meshpass._deadline import Deadline
    from meshpass._errors import (
        BadResponse,
        ClientClosed,
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
    from meshpass._settings import Settings, settings_problems
    from meshpass._token import Token, TokenSource
    from meshpass._tokens.google.id_token import GoogleIDToken
    from meshpass._tokens.google.origin import IdentityOrigin
    from meshpass._tokens.key_sources import KeyFile, KMSKey, SecretManagerKey
    from meshpass._tokens.requests_auth import RequestsAuth
    from meshpass._tokens.signed_jwt import SignedJWT

__all__ = [
    "AsyncClient",
    "AsyncTransport",
    "BadResponse",
    "Client",
    "ClientClosed",
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
    "RequestsAdapter",
    "RequestsAuth",
    "RetryPolicy",
    "SecretManagerKey",
    "Settings",
    "SignedJWT",
    "SigningKeyError",
    "Token",
    "TokenRefused",
    "TokenSource",
    "Transport",
    "UpstreamUnavailable",
    "async_httpx_transport",
    "grpc_aio_channel",
    "grpc_call_credentials",
    "grpc_channel",
    "httpx_transport",
    "requests_adapter",
    "settings_problems",
]

# `from meshpass import *`, `dir` and `help` ask for `__all__` when it is needed: they take what is installed.
# Type checkers read the whole list above.
_PUBLIC = tuple(__all__)
del __all__

_MODULES = {
    "AsyncClient": "_async_client",
    "AsyncTransport": "_adapters.httpx_transport",
    "Client": "_client",
    "Deadline": "_deadline",
    "GoogleIDToken": "_tokens.google.id_token",
    "IdentityOrigin": "_tokens.google.origin",
    "KMSKey": "_tokens.key_sources",
    "KeyFile": "_tokens.key_sources",
    "RequestsAdapter": "_adapters.requests_adapter",
    "RequestsAuth": "_tokens.requests_auth",
    "RetryPolicy": "_call.retry",
    "SecretManagerKey": "_tokens.key_sources",
    "Settings": "_settings",
    "SignedJWT": "_tokens.signed_jwt",
    "Token": "_token",
    "TokenSource": "_token",
    "Transport": "_adapters.httpx_transport",
    "async_httpx_transport": "_adapters.httpx_transport",
    "grpc_aio_channel": "_adapters.grpc_channels",
    "grpc_call_credentials": "_adapters.grpc_credentials",
    "grpc_channel": "_adapters.grpc_channels",
    "httpx_transport": "_adapters.httpx_transport",
    "requests_adapter": "_adapters.requests_adapter",
    "settings_problems": "_settings",
}


# Names that need a package which does not come with meshpass.
_NEEDS = {
    "RequestsAdapter": "requests",
    "grpc_aio_channel": "grpc",
    "grpc_call_credentials": "grpc",
    "grpc_channel": "grpc",
    "requests_adapter": "requests",
}


def __getattr__(name: str) -> object:
    if name == "__all__":
        return _installed()
    if name not in _PUBLIC:
        raise AttributeError(f"module 'meshpass' has no attribute {name!r}")
    missing = None
    try:
        module = import_module(f"meshpass.{_MODULES.get(name, '_errors')}")
    except ModuleNotFoundError as exc:
        if exc.name != _NEEDS.get(name):
            raise
        missing = exc.name
    if missing is not None:
        from meshpass._install import install_package_hint

        raise ModuleNotFoundError(f"meshpass.{name} needs {install_package_hint(missing)}", name=missing)
    value: object = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_installed()})


def _installed() -> list[str]:
    from importlib.util import find_spec

    missing = {package for package in _NEEDS.values() if find_spec(package) is None}
    return [name for name in _PUBLIC if _NEEDS.get(name) not in missing]


if os.environ.get("MESHPASS_LOG"):
    import_module("meshpass._debug_log").enable(os.environ["MESHPASS_LOG"])
