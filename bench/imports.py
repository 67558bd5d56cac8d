"""What a program pays for an import, each time in a fresh interpreter."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import caller, functions, server
from bench.harness import BenchError, Comparison, Contender, Effort, Sample, compare

_ROUNDS = 15
_SETUP = "a fresh interpreter each time, bytecode and file cache warm; time and modules beyond the bare interpreter"

_PLAIN_HTTPX = f"{_SETUP}; httpx without its optional command line, as a plain pip install has it"
# httpx imports its command line where its extra is installed, which doubles the cost. Here it is for the lab's sake:
# click, rich and pygments, of which httpx asks for click first.
_NO_HTTPX_CLI = 'sys.modules["click"] = None'

_TIMED = """
import sys, time
{before}
modules, cpu_s, wall_s = len(sys.modules), time.process_time(), time.perf_counter()
{code}
cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
print(wall_s * 1e3, cpu_s * 1e3, len(sys.modules) - modules)
"""

_FIRST_CALL_OURS = """
import meshpass
client = meshpass.Client(
    "http://{host}", address="{address}",
    auth=meshpass.SignedJWT("{issuer}", "{audience}", meshpass.KeyFile("{key}"), scope="{scope}"),
)
answer = client.get("/profile/{{user_id}}", user_id="u-1001")
assert answer.status_code == 200
"""

# verify=False: httpx would load its CAs even for http://, which meshpass does for https:// only.
_FIRST_CALL_BY_HAND = """
import uuid
from pathlib import Path
import httpx, jwt
client = httpx.Client(base_url="http://{address}", trust_env=False, verify=False)
now = int(time.time())
claims = dict(iss="{issuer}", sub="{issuer}", aud="{audience}", scope="{scope}", iat=now, nbf=now, exp=now + 300)
token = jwt.encode(claims | {{"jti": str(uuid.uuid4())}}, Path("{key}").read_bytes(), "ES256", {{"kid": "bench"}})
answer = client.get("{path}", headers={{"host": "{host}", "authorization": "Bearer " + token}})
assert answer.status_code == 200
"""


def run(effort: Effort) -> Iterator[Comparison]:
    """Compare the SDK with httpx, its first call with one written by hand, and the function with an empty one."""
    rounds = effort.rounds(_ROUNDS)
    yield compare(
        "import: the SDK",
        [
            Contender(f"import {name}", _measure(f"import {name}", before=_NO_HTTPX_CLI))
            for name in ("meshpass", "httpx")
        ],
        rounds=rounds,
        setup=_PLAIN_HTTPX,
        peer="import httpx",
    )
    with server.running() as address, TemporaryDirectory() as private:
        key = Path(private) / "signing.key"
        key.touch(mode=0o600)
        key.write_bytes(caller.pem_of(caller.new_key()))
        names = {
            "address": address, "host": server.HOST, "path": server.PATH, "key": str(key),
            "issuer": caller.ISSUER, "audience": caller.AUDIENCE, "scope": caller.SCOPE,
        }  # fmt: skip
        yield compare(
            "import: up to the first answer, with imports, reading the key and signing the token",
            [
                Contender("meshpass", _measure(_FIRST_CALL_OURS.format(**names), before=_NO_HTTPX_CLI)),
                Contender(
                    "httpx and PyJWT by hand",
                    _measure(_FIRST_CALL_BY_HAND.format(**names), before=_NO_HTTPX_CLI),
                ),
            ],
            rounds=rounds,
            setup=f"{_PLAIN_HTTPX}; HTTP without TLS, and no contender loads CAs",
            peer="httpx and PyJWT by hand",
        )
    yield compare(
        "import: the function, functions-framework included",
        [
            Contender(
                name, _measure(f"sys.path.insert(0, {str(file.parent)!r}); import main", functions.SETTINGS)
            )
            for name, file in (("function/main.py", functions.OURS), ("an empty function", functions.EMPTY))
        ],
        rounds=rounds,
        setup=_SETUP,
        peer="an empty function",
    )


def _measure(
    code: str, settings: Mapping[str, str] | None = None, *, before: str = ""
) -> Callable[[], Sample]:
    # -I: neither the working directory nor PYTHON* variables change what is imported, or keep bytecode from
    # being written by the round that does not count.
    command = [sys.executable, "-I", "-c", _TIMED.format(before=before, code=code)]

    def measure() -> Sample:
        done = subprocess.run(
            command, env={**os.environ, **(settings or {})}, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise BenchError(f"a timed program failed:\n{done.stderr}")
        wall_ms, cpu_ms, modules = map(float, done.stdout.split())
        return {"wall_ms": wall_ms, "cpu_ms": cpu_ms, "modules": modules}

    return measure
