"""gRPC channels to a service in the mesh: pinned address, virtual name, TLS and the caller's token."""

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

# First, for its message where grpcio is missing.
from meshpass._adapters.grpc_credentials import CallTokens  # isort: split

import grpc
import grpc.aio

from meshpass._adapters.adapter_client import client_for
from meshpass._adapters.grpc_interceptors import aio_interceptors, interceptor
from meshpass._address import is_ip
from meshpass._async_client import AsyncClient
from meshpass._call.service import ClientOptions
from meshpass._client import Client
from meshpass._errors import ConfigurationError
from meshpass._http.client_certificate import ClientCertificate
from meshpass._http.tls import build_context

if TYPE_CHECKING:
    from meshpass._call.service import Service
    from meshpass._token import TokenSource

Options = Sequence[tuple[str, object]]


def grpc_channel(
    service: "Client | str",
    *,
    auth: "TokenSource | None" = None,
    address: str | None = None,
    ca_file: Path | str | None = None,
    grpc_options: Options = (),
    **options: Unpack[ClientOptions],
) -> grpc.Channel:
    """Return a gRPC channel to one service in the mesh.

    It connects to the pinned address, and uses the service's name as authority, in SNI and for the check of the
    certificate. Each call has the caller's token. After a call that ends with UNAUTHENTICATED, the next one gets a new
    token. Errors are `grpc.RpcError`. Time limits and retries are those of gRPC: `timeout=` of each call, and a service
    config in `grpc_options`.

    - Over `http://`, to a private gateway, an interceptor puts the token on the call: gRPC's call credentials need TLS.
    - Proxy settings of the environment are not read. Certificates are read once.

    Args:
        service: The service's virtual origin, such as `https://user-profile.internal`; or a `Client`, whose settings
            are then used.
        auth: The source of the caller's tokens. This and the following arguments are for an origin, not for a `Client`.
        address: As for `Client`.
        ca_file: As for `Client`.
        grpc_options: Further channel arguments of gRPC. The name that is checked and sent cannot be changed.
        options: `client_cert`, as for `Client`; the others have no effect.

    Raises:
        ConfigurationError: an argument is wrong, or a file cannot be used.
    """
    client, _ = client_for(Client, service, auth, address, ca_file, options)
    found, tokens = client._service, CallTokens(client._auth, client._service.origin.url)  # noqa: SLF001
    target, arguments = _target(found), _arguments(found, grpc_options)
    if found.origin.scheme == "http":
        channel = grpc.insecure_channel(target, arguments)
    else:
        channel = grpc.secure_channel(target, _credentials(found, tokens), arguments)
    return grpc.intercept_channel(channel, interceptor(client._auth, tokens, found))  # noqa: SLF001


def grpc_aio_channel(
    service: "AsyncClient | str",
    *,
    auth: "TokenSource | None" = None,
    address: str | None = None,
    ca_file: Path | str | None = None,
    grpc_options: Options = (),
    **options: Unpack[ClientOptions],
) -> grpc.aio.Channel:
    """Return a `grpc.aio` channel to one service in the mesh; otherwise the same as `grpc_channel`.

    Args:
        service: The service's virtual origin, or an `AsyncClient`, whose settings are then used.
        auth: As for `grpc_channel`.
        address: As for `Client`.
        ca_file: As for `Client`.
        grpc_options: As for `grpc_channel`.
        options: As for `grpc_channel`.

    Raises:
        ConfigurationError: an argument is wrong, or a file cannot be used.
    """
    client, _ = client_for(AsyncClient, service, auth, address, ca_file, options)
    found, tokens = client._service, CallTokens(client._auth, client._service.origin.url)  # noqa: SLF001
    target, arguments = _target(found), _arguments(found, grpc_options)
    interceptors = aio_interceptors(client._auth, tokens, found)  # noqa: SLF001
    if found.origin.scheme == "http":
        return grpc.aio.insecure_channel(target, arguments, interceptors=interceptors)
    return grpc.aio.secure_channel(target, _credentials(found, tokens), arguments, interceptors=interceptors)


def _target(service: "Service") -> str:
    host = service.address.host
    if not is_ip(host):
        return f"dns:///{service.address}"
    return f"{'ipv6' if ':' in host else 'ipv4'}:{service.address}"


def _arguments(service: "Service", given: Options) -> list[tuple[str, object]]:
    own = {
        # In C-core this is the authority, the SNI and the name that the certificate is checked for.
        "grpc.default_authority": service.origin.url.partition("://")[2],
        "grpc.enable_http_proxy": 0,
        # No service config from DNS: it could change retries and limits.
        "grpc.service_config_disable_resolution": 1,
    }
    changed = [name for name, _ in given if name in own or name == "grpc.ssl_target_name_override"]
    if changed:
        raise ConfigurationError(
            [f"grpc_options has {name}, which the channel sets itself." for name in changed]
        )
    return [*own.items(), *given]


def _credentials(service: "Service", tokens: CallTokens) -> grpc.ChannelCredentials:
    given = service.client_cert
    certificate = None if given is None else ClientCertificate(given)
    # Checks the files, with the same errors as the clients.
    context = build_context(service, certificate)
    if service.ca_file is not None:
        authorities = service.ca_file.read_bytes()
    else:
        # gRPC has its own CAs. The clients trust the system's, so the channels do the same.
        found = context.get_ca_certs(binary_form=True)
        authorities = "".join(ssl.DER_cert_to_PEM_cert(each) for each in found).encode()
    chain, key = (None, None) if certificate is None else certificate.pem()
    tls = grpc.ssl_channel_credentials(authorities or None, key, chain)
    return grpc.composite_channel_credentials(tls, grpc.metadata_call_credentials(tokens, name="meshpass"))
