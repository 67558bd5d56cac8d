"""`python -m meshlab.cloud.pubsub`: a fake for Pub/Sub that prints where it listens."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys

from meshlab.cloud.lean import leave_out_clients

leave_out_clients("google.pubsub_v1")

from .server import DEFAULT_PUSH_CONCURRENCY, Server  # noqa: E402 - the line above is what makes this one quick


async def serve(port: int, push_concurrency: int) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        port: The port on 127.0.0.1, or 0 for a free one.
        push_concurrency: The largest number of pushes in flight for each subscription.
    """
    stopped = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopped.set)
    server = Server(push_concurrency=push_concurrency)
    bound = await server.start(port)
    sys.stdout.write(f"listening 127.0.0.1:{bound}\n")
    sys.stdout.flush()
    await stopped.wait()
    await server.stop()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m meshlab.cloud.pubsub", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=0, help="port on 127.0.0.1; 0, the default, takes a free one"
    )
    parser.add_argument(
        "--push-concurrency",
        type=int,
        default=DEFAULT_PUSH_CONCURRENCY,
        metavar="N",
        help="largest number of pushes in flight for each subscription (default: %(default)s)",
    )
    options = parser.parse_args()
    if options.push_concurrency < 1:
        parser.error("--push-concurrency must be 1 or more")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(serve(options.port, options.push_concurrency))


if __name__ == "__main__":
    main()
