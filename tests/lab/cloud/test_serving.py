"""What is expected of every fake as a process."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from importlib import resources
from typing import TYPE_CHECKING

import pytest
from meshlab.cloud import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

PROFILES = str(resources.files("meshlab") / "data" / "profiles.json")
STAND_INS = {
    "meshlab.cloud.bigquery": [],
    "meshlab.cloud.secretmanager": [],
    "meshlab.cloud.metadata": ["--project", "p"],
    "meshlab.lab.lookup_service": ["--profiles", PROFILES],
}


@pytest.fixture(params=STAND_INS)
def process(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", request.param, *STAND_INS[request.param]]
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


@pytest.mark.parametrize("module", STAND_INS)
def test_a_taken_port_ends_it_with_one_clear_line(module: str) -> None:
    with serving.bind(0) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", module, *STAND_INS[module], "--port", port]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert result.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_out_of_range_is_refused() -> None:
    command = [sys.executable, "-m", "meshlab.cloud.metadata", "--port", "65536"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert result.returncode == 2
    assert "65536 is no port number" in result.stderr
