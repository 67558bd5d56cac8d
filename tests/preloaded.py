"""Commands that start in a process which has imported them already.

A page runs dozens of commands, and two thirds of the processor time of each are imports. Here one Python imports once,
and forks for each command: its own process, arguments, environment, folder, streams and exit code. What a fork cannot
show, that a command imports what it needs, is shown where the command itself is tested: `tests/e2e/test_commands.py`
and `tests/lab` start real processes.
"""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_BIN = Path(sys.executable).parent
_SERVER = Path(__file__).with_name("preloaded_server.py")
_COMMANDS = ("meshgen", "meshlab", "meshpass")
# What these commands import late: an import of their modules does not show it.
_LATE = (
    "google.cloud.secretmanager_v1", "grpc_status.rpc_status", "jsonschema.validators", "meshgen.cli", "meshpass.keys",
    "pydantic.types", "rich.progress", "typer._adapters",
)  # fmt: skip
# Servers that the lab starts as processes of their own, and what only a run of pytest loads.
_NOT_IN_A_COMMAND = ("meshlab.bench.echo", "meshlab.cloud.", "meshlab.pytest_plugin")

# It takes the place of an executable, so it imports only what Python starts fast with.
_CLIENT = """\
#!{python} -IS
import os, sys
from _socket import AF_UNIX, SCM_RIGHTS, SOL_SOCKET, socket
from json import dumps
os.umask(umask := os.umask(0))
words = [{script!r}, *sys.argv[1:]]
request = dict(words=words, environment=dict(os.environ), umask=umask, directory=os.getcwd())
body = dumps(request).encode()
connection = socket(AF_UNIX)
connection.connect({address!r})
streams = b"".join(stream.to_bytes(4, sys.byteorder) for stream in (0, 1, 2))
connection.sendmsg([b"%8d" % len(body)], [(SOL_SOCKET, SCM_RIGHTS, streams)])
connection.sendall(body)
sys.exit((connection.recv(1) or b"\\xff")[0])
"""


@contextlib.contextmanager
def preloaded() -> Iterator[Path]:
    """Serve the commands of this project; yields a folder with their executables, to be the first on a PATH."""
    scripts = {name: _BIN / name for name in _COMMANDS}
    with served(scripts, [sys.executable], _modules()) as folder:
        yield folder


@contextlib.contextmanager
def served(
    scripts: Mapping[str, Path],
    python: Sequence[str | Path],
    modules: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> Iterator[Path]:
    """Run a server of commands for as long as the block lasts.

    Args:
        scripts: The Python script of each command, by its name.
        python: The Python that runs them, with its options.
        modules: What it imports before the first command.
        environment: Its environment while it imports; each command has its caller's.

    Yields:
        A folder with an executable of each name.
    """
    # A socket's path has at most 108 bytes, and pytest's folders have long names.
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        address = str(folder / "socket")
        for name, script in scripts.items():
            program = folder / name
            program.write_text(_CLIENT.format(python=sys.executable, script=str(script), address=address))
            program.chmod(0o755)
        server = subprocess.Popen(
            [*python, str(_SERVER), address, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=environment,
        )
        assert server.stdin is not None
        try:
            while not Path(address).exists():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    raise AssertionError(f"the server of commands ended with {server.wait(0.05)}")
            yield folder
        finally:
            server.stdin.close()
            server.wait()


def _modules() -> list[str]:
    """Return the modules of the commands; nothing is imported here."""
    found = []
    for package, part in (("meshlab", "."), ("meshpass", "cli")):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations
        folder = Path(spec.submodule_search_locations[0])
        for file in sorted((folder / part).rglob("*.py")):
            path = file.relative_to(folder.parent).with_suffix("")
            found.append(".".join(path.parent.parts if path.name == "__init__" else path.parts))
    own = [name for name in found if not name.startswith(_NOT_IN_A_COMMAND) and not name.endswith("__main__")]
    return [*_LATE, *own, "meshlab.cloud.pubsub.control", "meshlab.cloud.bigquery.control"]
