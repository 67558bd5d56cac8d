"""What is expected of every fake as a process."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from importlib import resources
from typing import TYPE_CHECKING

import pytest
from meshlab.cloud import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

PROFILES = str(resources.files("meshlab") / "data" / "profiles.json")
FAKES = {
    "meshlab.cloud.bigquery": [],
    "meshlab.cloud.secretmanager": [],
    "meshlab.cloud.metadata": ["--project", "p"],
    "meshlab.lab.lookup_service": ["--profiles", PROFILES],
}


@pytest.fixture(params=FAKES)
def process(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", request.param, *FAKES[request.param]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    words = process.stdout.readline().split()
    assert words[0] == "listening"
    host, _, port = words[1].partition(":")
    assert host == "127.0.0.1"
    return int(port)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_with_status_0_even_with_a_client_connected(
    process: subprocess.Popen[str], number: signal.Signals
) -> None:
    with socket.create_connection(("127.0.0.1", port_of(process))) as client:
        # A request that never ends is work in flight.
        client.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n1")
        process.send_signal(number)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (0, "", "")


DEADLOCKED = """
import ctypes
from meshlab.cloud import serving

serving.end_on_signals()
serving.announce(1)
mutex, library = ctypes.create_string_buffer(64), ctypes.CDLL(None)
library.pthread_mutex_lock(mutex)
library.pthread_mutex_lock(mutex)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_though_its_main_thread_waits_where_no_signal_wakes_it(
    number: signal.Signals,
) -> None:
    command = [sys.executable, "-c", DEADLOCKED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        port_of(process)
        time.sleep(0.2)  # until it waits for the mutex
        process.send_signal(number)
        try:
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("module", FAKES)
def test_a_taken_port_ends_it_with_one_clear_line(module: str) -> None:
    with serving.bind(0) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", module, *FAKES[module], "--port", port]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert result.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_out_of_range_is_refused() -> None:
    command = [sys.executable, "-m", "meshlab.cloud.metadata", "--port", "65536"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert result.returncode == 2
    assert "65536 is no port number" in result.stderr
