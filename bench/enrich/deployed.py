"""An environment with what is deployed and nothing else, for starts: the workshop's own has more that imports find.

httpx, for one, loads its command line, rich and pygments with it, where those are installed.
"""

import re
import subprocess
import sys
from pathlib import Path

from bench.harness import BenchError

_ROOT = Path(__file__).parents[2]
_HOME = _ROOT / "build/bench/deployed"
_READY = _HOME / "requirements.txt"  # a copy of those that are installed
_UV = Path(sys.executable).with_name("uv")
# The function's requirements, as its package takes them; and what the other functions need beside: the official client
# for BigQuery, and PyJWT, with which they sign. The lock has PyJWT for the lab.
_FUNCTION = ("meshpass-function", "--extra", "function", "--extra", "serve", "--extra", "reference")
_PYJWT = re.compile(r"^pyjwt==.*\n(?:[ ]+--hash=.*\n)+", re.MULTILINE)


def python() -> Path:
    """Return the environment's interpreter; makes it if it is not there, from PyPI, each file by its hash.

    Raises:
        BenchError: It could not be made.
    """
    interpreter = _HOME / "bin/python"
    requirements = _exported(*_FUNCTION) + "".join(_PYJWT.findall(_exported("meshlab", "--extra", "lab")))
    if _READY.is_file() and _READY.read_text() == requirements:
        return interpreter
    print("bench: installing what is deployed into build/bench/deployed ...", file=sys.stderr, flush=True)
    _run(_UV, "venv", "--quiet", "--clear", "--python", sys.executable, _HOME)
    unfinished = _HOME / "unfinished.txt"
    unfinished.write_text(requirements)
    _run(
        *(
            _UV,
            "pip",
            "install",
            "--no-config",
            "--quiet",
            "--require-hashes",
            "--no-deps",
            "--compile-bytecode",
        ),
        *("--python", interpreter, "-r", unfinished),
    )
    (site,) = _HOME.glob("lib/python*/site-packages")
    (site / "meshpass.pth").write_text(f"{_ROOT / 'sdk/src'}\n{_ROOT / 'infra/contract/src'}\n")
    unfinished.rename(_READY)
    return interpreter


def _exported(*package: str) -> str:
    return _run(
        *(_UV, "export", "--quiet", "--frozen", "--project", _ROOT, "--no-dev", "--no-emit-workspace"),
        *("--no-header", "--no-annotate", "--package", *package),
    )


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"the environment of what is deployed could not be made:\n{done.stderr}")
    return done.stdout
