"""Servers of `bench.writers`, which answer at once: `python -m bench.writers_server http|grpc [FOLDER]`.

With a folder they speak TLS, by its files.
"""

import asyncio
import ssl
import sys
from pathlib import Path

import grpc
import uvloop
from google.cloud.bigquery_storage_v1 import types
from grpc import aio

from bench.enrich import wire

_WRITTEN = types.AppendRowsResponse.serialize(
    types.AppendRowsResponse(append_result=types.AppendRowsResponse.AppendResult())
)
_DONE = wire.response(200, b"{}")


async def _http(folder: Path | None) -> int:
    context = None
    if folder is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(folder / "chain.pem", folder / "key.pem")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(_DONE)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context, limit=2**24)
    return int(server.sockets[0].getsockname()[1])


async def _grpc(folder: Path | None) -> tuple[int, aio.Server]:
    async def append(_: object, context: aio.ServicerContext) -> None:
        while await context.read() is not aio.EOF:
            await context.write(_WRITTEN)

    server = aio.server(options=[("grpc.max_receive_message_length", 20_000_000)])
    handler = grpc.method_handlers_generic_handler(
        "google.cloud.bigquery.storage.v1.BigQueryWrite",
        {"AppendRows": grpc.stream_stream_rpc_method_handler(append)},
    )
    server.add_generic_rpc_handlers((handler,))
    if folder is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = ((folder / "key.pem").read_bytes(), (folder / "chain.pem").read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    return int(port), server


async def _serve(kind: str, folder: Path | None) -> None:
    server = None
    if kind == "http":
        port = await _http(folder)
    else:
        port, server = await _grpc(folder)
    print(f"{'127.0.0.1' if folder is None else 'localhost'}:{port}", flush=True)
    await asyncio.Event().wait()
    del server


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None))
