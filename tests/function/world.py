"""All that the pipeline reaches, in memory."""

import json
from typing import TYPE_CHECKING

import meshpass
from enrichment.dead_letter import DeadLetter
from enrichment.lookup.profile import CacheEvent, LookupResult, Profile
from enrichment.lookup.request import LookupKey
from enrichment.row import Row
from enrichment.telemetry.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Mapping


class World:
    """All that the pipeline reaches, in memory; each part fails as the test says."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.dead_letters: list[DeadLetter] = []
        self.failures: Mapping[str, Exception] = {}

    def _fail(self, part: str) -> None:
        if part in self.failures:
            raise self.failures[part]

    async def fetch(self, key: LookupKey, trace: Trace, deadline: meshpass.Deadline) -> LookupResult:
        self._fail("lookup")
        assert isinstance(key, str)
        if key.startswith("nobody"):
            return LookupResult(None, CacheEvent.FETCHED)
        document = {"user_id": key}
        return LookupResult(Profile(json.dumps(document), document), CacheEvent.FETCHED)

    def warm_up(self) -> None:
        """Nothing to load."""

    async def write(self, row: Row, deadline: meshpass.Deadline) -> None:
        self._fail("write")
        self.rows.append(row)

    async def publish(self, dead_letter: DeadLetter, deadline: meshpass.Deadline) -> None:
        self._fail("publish")
        self.dead_letters.append(dead_letter)
