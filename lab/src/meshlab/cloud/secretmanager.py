"""Secret Manager on this machine: `google.cloud.secretmanager.v1.SecretManagerService` over gRPC.

Speaks to the official client through an insecure channel
(`SecretManagerServiceGrpcTransport(channel=grpc.insecure_channel(address))`). It keeps secrets in memory,
enforces the state of each version, and checks and returns the payload's CRC32C. Whatever it does not offer
(IAM, rotation, expiry) is answered UNIMPLEMENTED, never ignored.
"""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc

from meshlab.cloud import serving
from meshlab.cloud.lean import leave_out_clients

if __name__ == "__main__":
    leave_out_clients("google.cloud.secretmanager_v1")

# The lines above make these quick in a process of their own.
from google.cloud.secretmanager_v1 import types

from meshlab.cloud.secret_store import SecretError, SecretStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVICE = "google.cloud.secretmanager.v1.SecretManagerService"


@contextlib.contextmanager
def running(port: int = 0, store: SecretStore | None = None) -> Iterator[str]:
    """Serve a store from threads of this process, for as long as the block runs.

    Args:
        port: Port on 127.0.0.1; 0 takes a free one.
        store: The secrets; a new, empty store if none is given.

    Yields:
        The address, as `127.0.0.1:PORT`.
    """
    # Without SO_REUSEPORT a second fake on a taken port fails instead of sharing it.
    server = grpc.server(ThreadPoolExecutor(max_workers=8), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_handlers(store or SecretStore()),))
    try:
        bound = server.add_insecure_port(f"{serving.HOST}:{port}")
    except RuntimeError as error:
        raise SystemExit(f"Cannot listen on {serving.HOST}:{port}. Choose another --port.") from error
    server.start()
    try:
        yield f"{serving.HOST}:{bound}"
    finally:
        server.stop(grace=None).wait()


def main() -> None:
    """Run the fake until a signal ends it."""
    arguments = serving.argument_parser("meshlab.cloud.secretmanager", "Secret Manager fake").parse_args()
    serving.end_on_signals()
    with running(arguments.port) as address:
        serving.announce(int(address.rpartition(":")[2]))
        threading.Event().wait()


def _handlers(store: SecretStore) -> grpc.GenericRpcHandler:
    secret, version = types.Secret, types.SecretVersion
    calls: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
        "CreateSecret": (store.create_secret, types.CreateSecretRequest, secret),
        "GetSecret": (store.get_secret, types.GetSecretRequest, secret),
        "ListSecrets": (store.list_secrets, types.ListSecretsRequest, types.ListSecretsResponse),
        "UpdateSecret": (store.update_secret, types.UpdateSecretRequest, secret),
        "DeleteSecret": (store.delete_secret, types.DeleteSecretRequest, None),
        "AddSecretVersion": (store.add_secret_version, types.AddSecretVersionRequest, version),
        "GetSecretVersion": (store.get_secret_version, types.GetSecretVersionRequest, version),
        "ListSecretVersions": (
            store.list_secret_versions,
            types.ListSecretVersionsRequest,
            types.ListSecretVersionsResponse,
        ),
        "AccessSecretVersion": (
            store.access_secret_version,
            types.AccessSecretVersionRequest,
            types.AccessSecretVersionResponse,
        ),
        "EnableSecretVersion": (store.enable_secret_version, types.EnableSecretVersionRequest, version),
        "DisableSecretVersion": (store.disable_secret_version, types.DisableSecretVersionRequest, version),
        "DestroySecretVersion": (store.destroy_secret_version, types.DestroySecretVersionRequest, version),
    }
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            name: grpc.unary_unary_rpc_method_handler(
                _answering(call),
                request_deserializer=request.deserialize,
                # google.protobuf.Empty, which has no fields, is no bytes on the wire.
                response_serializer=response.serialize if response else lambda _: b"",
            )
            for name, (call, request, response) in calls.items()
        },
    )


def _answering(call: Callable[[Any], object]) -> Callable[[object, grpc.ServicerContext], object]:
    def answer(request: object, context: grpc.ServicerContext) -> object:
        try:
            result = call(request)
        except SecretError as error:
            return context.abort(error.code, str(error))
        # gRPC takes None for a call that failed, so an empty answer needs a value.
        return () if result is None else result

    return answer


if __name__ == "__main__":
    main()
