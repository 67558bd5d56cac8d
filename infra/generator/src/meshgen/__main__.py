"""`python -m meshgen`."""

from __future__ import annotations

import sys

from meshgen.cli import main

sys.exit(main())
