"""gRPC's core writes nothing on the demo's standard error when a server ends before its client."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CLIENT_OF_A_SERVER_THAT_ENDS = """
import socket
import struct
import sys
from threading import Event, Thread

from meshlab.demo.grpc_log import log_errors_only

if "quiet" in sys.argv:
    log_errors_only()
import grpc

SETTINGS = bytes.fromhex("000000040000000000")
GOAWAY = bytes.fromhex("000008070000000000") + struct.pack("!II", 0, 2)  # the last stream, INTERNAL_ERROR

was_ready, gone = Event(), Event()

def serve():
    connection, _ = listener.accept()
    connection.sendall(SETTINGS)
    was_ready.wait()
    connection.sendall(GOAWAY)
    gone.wait()

def changed(state):
    if state is grpc.ChannelConnectivity.READY:
        was_ready.set()
    elif was_ready.is_set():
        gone.set()

listener = socket.create_server(("127.0.0.1", 0))
Thread(target=serve, daemon=True).start()
with grpc.insecure_channel(f"127.0.0.1:{listener.getsockname()[1]}") as channel:
    channel.subscribe(changed, try_to_connect=True)
    gone.wait()
print("gone")
"""


def standard_error(*arguments: str, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    done = subprocess.run(
        [sys.executable, "-c", CLIENT_OF_A_SERVER_THAT_ENDS, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**inherited, **environment},
    )
    assert done.stdout == "gone\n"
    return done.stderr


def test_the_end_of_a_server_is_logged_by_default_and_not_with_the_demo_s_level() -> None:
    assert "Got goaway" in standard_error()
    assert standard_error("quiet") == ""


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_a_level_that_the_user_has_set_counts(level: str) -> None:
    assert "Got goaway" in standard_error("quiet", GRPC_VERBOSITY=level)
