"""Artefacts of a release, built once for all tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.steps import RefusalError
from tools.release import artefacts
from tools.release.packages import PUBLISHED

if TYPE_CHECKING:
    from pathlib import Path

    from tools.release.artefacts import Built

_OFFLINE = ("error sending request", "failed to fetch", "dns error", "not found in the cache", "timed out")


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheels and source distributions."""
    return tmp_path_factory.mktemp("dist")


@pytest.fixture(scope="session")
def built(dist: Path) -> dict[str, Built]:
    """Every published package, by its name."""
    try:
        return {package.name: artefacts.build(package, dist) for package in PUBLISHED}
    except RefusalError as refusal:
        if any(word in str(refusal).lower() for word in _OFFLINE):
            pytest.skip("offline: the build tools are in no cache; this would show what is in the artefacts")
        raise
