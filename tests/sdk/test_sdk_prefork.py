"""A server that makes its sources before it forks its workers, as functions-framework does."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from .conftest import pem_of

_APP = """
import os
import threading
import meshpass

source = meshpass.SignedJWT("https://issuer.test", "a", meshpass.KeyFile("key.pem"))
first = source.token()

def renew():
    # Workers are forked while this thread holds locks and fetches as often as it can.
    while True:
        source.invalidate(source.token())

threading.Thread(target=renew, daemon=True).start()

def app(environ, start_response):
    before = source.token()
    source.invalidate(before)
    after = source.token()
    good = before.value != after.value and before.claims["kid"] == first.claims["kid"]
    start_response("200 OK" if good else "500 Wrong", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


def test_the_workers_of_a_preforking_gunicorn_have_tokens(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(_APP)
    (tmp_path / "key.pem").write_bytes(pem_of(ec.generate_private_key(ec.SECP256R1())))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd, port = listener.fileno(), listener.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", "app:app", "--preload", "--workers=2", "--threads=4"]
        with subprocess.Popen(
            [*command, f"--bind=fd://{fd}", "--log-level=error", "--no-control-socket"],
            cwd=tmp_path,
            pass_fds=(fd,),
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        ) as gunicorn:
            try:
                workers = _workers_that_answer(port)
            finally:
                gunicorn.send_signal(signal.SIGTERM)

    assert len(workers) == 2


def _workers_that_answer(port: int) -> set[bytes]:
    workers: set[bytes] = set()
    ends_at = time.monotonic() + 20
    while len(workers) < 2 and time.monotonic() < ends_at:
        connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=20) for _ in range(16)]
        for connection in connections:
            connection.request("GET", "/")
        for connection in connections:
            response = connection.getresponse()
            assert response.status == 200
            workers.add(response.read())
            connection.close()
    return workers
