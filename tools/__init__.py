"""Programs for those who develop and release the project; nothing of it is installed."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
