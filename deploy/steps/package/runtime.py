"""Runtime that the package is made for, and tested with."""

from __future__ import annotations

import re

# google-24, the newest builder, offers 3.13 and 3.14; every dependency has wheels for 3.13.
RUNTIME = "python313"

PYTHON = re.sub(r"python(\d)(\d+)", r"\1.\2", RUNTIME)
"""Version of the runtime's Python."""

PLATFORM = "x86_64-manylinux_2_28"
"""Platform of the runtime's image (Ubuntu 24.04), as uv names it."""
