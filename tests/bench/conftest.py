"""The benchmarks are run from the top of the checkout and installed nowhere."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
