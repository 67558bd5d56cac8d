"""Large blocks of memory go back to the system when they are freed, as glibc itself counts them."""

import os
import platform
import subprocess
import sys

import pytest

from .conftest import FUNCTION

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other C libraries have no such threshold"
)

# glibc raises its threshold when it frees a block that was mapped. So the first block goes, and the second is counted.
_PRINT_MAPPED = """
import ctypes
names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in names.split()]
mallinfo = ctypes.CDLL(None).mallinfo
mallinfo.restype = Mallinfo
first = bytearray(1024 * 1024)
del first
before = mallinfo().hblks
second = bytearray(256 * 1024)
print(mallinfo().hblks - before)
"""
_RETURN = "from enrichment import large_blocks; large_blocks.return_when_freed()\n"
_MAKE_CLIENT = """
import os
from enrichment.lookup import Clients
from enrichment.settings import environment
Clients().make(environment.read(os.environ).config.lookups[0])
"""


def mapped(code: str, **env: str) -> str:
    """Run code in a process of its own, and return how many of the later large blocks are mappings of their own."""
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    run = subprocess.run(
        [sys.executable, "-c", code + _PRINT_MAPPED],
        cwd=FUNCTION,
        env=keep | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_a_large_block_is_a_mapping_of_its_own_however_many_were_freed() -> None:
    assert mapped("") == "0"  # what glibc does by itself
    assert mapped(_RETURN) == "1"


@pytest.mark.parametrize(
    "variable",
    [
        {"MALLOC_MMAP_THRESHOLD_": "33554432"},
        {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=33554432"},
    ],
    ids=lambda variable: next(iter(variable)),
)
def test_a_threshold_of_the_environment_stays(variable: dict[str, str]) -> None:
    assert mapped(_RETURN, **variable) == "0"


def test_a_process_that_looks_profiles_up_has_it_so(settings: dict[str, str]) -> None:
    assert mapped(_MAKE_CLIENT, **settings) == "1"
