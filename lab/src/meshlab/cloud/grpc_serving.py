"""gRPC servers of the fakes: one on 127.0.0.1 with its methods by path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
import grpc.aio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["Grpc", "listen"]

Grpc: TypeAlias = Any
"""An object of grpcio, which has no static types."""


async def listen(
    methods: Mapping[str, Grpc],
    refuse: Callable[[str, Grpc], Awaitable[None]],
    port: int,
    max_request_bytes: int,
) -> tuple[Grpc, int]:
    """Begin to serve, on the running event loop; return the server and its port.

    Args:
        methods: The handlers by path, `/package.Service/Method`.
        refuse: Aborts a call of another method, which it is given without the first slash, in the service's words.
        port: The port to listen on, or 0 for a free one.
        max_request_bytes: The largest request that is read: above the service's own limit, so that a request just
            over that is refused in the service's words.

    Raises:
        RuntimeError: The port is taken.
    """
    server = grpc.aio.server(
        options=(
            ("grpc.max_receive_message_length", max_request_bytes),
            ("grpc.max_send_message_length", -1),
            # Two servers on one port would each see some of the calls.
            ("grpc.so_reuseport", 0),
        )
    )
    server.add_generic_rpc_handlers((_Router(methods, refuse),))
    bound: int = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server, bound


class _Router(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Find the handler of a method, and name the method in the refusal where there is none."""

    def __init__(self, methods: Mapping[str, Grpc], refuse: Callable[[str, Grpc], Awaitable[None]]) -> None:
        self._methods = methods
        self._refuse = refuse

    def service(self, handler_call_details: Grpc) -> Grpc:
        method: str = handler_call_details.method

        async def refuse(_: bytes, context: Grpc) -> None:
            await self._refuse(method.lstrip("/"), context)

        return self._methods.get(method) or grpc.unary_unary_rpc_method_handler(refuse)
