"""Requests and connections meet the verdicts of Istio's rules, at real Envoys with the compiled filters.

The tables re-tell what Istio's integration tests for security expect (`tests/integration/security` of istio/istio).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from meshlab.processes.ports import free_ports

from tests.lab.istio.authorizers import authorizers
from tests.lab.istio.one_proxy import OneProxy, Request
from tests.lab.istio.policy_tables import CALLERS, read_tables, titles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.istio.policy_tables import Table

FOLDER = Path(__file__).parent / "tables"
TITLES = titles(FOLDER)


@pytest.fixture(scope="module")
def judged() -> Iterator[tuple[OneProxy, list[Table]]]:
    with authorizers() as servers:
        tables = read_tables(FOLDER, servers)
        identities = [identity for identity in CALLERS.values() if identity]
        with OneProxy([table.policies for table in tables], identities, free_ports()) as proxy:
            yield proxy, tables


@pytest.mark.parametrize("index", range(len(TITLES)), ids=TITLES)
def test_every_request_of_the_table_meets_its_verdict(
    judged: tuple[OneProxy, list[Table]], index: int
) -> None:
    proxy, tables = judged

    assert tables[index].mistakes(proxy, index) == []


def test_of_all_escaped_bytes_only_plain_characters_and_slashes_are_read(
    judged: tuple[OneProxy, list[Table]],
) -> None:
    proxy, tables = judged
    (index,) = [
        number
        for number, table in enumerate(tables)
        if table.policies.settings.path_normalization == "DECODE_AND_MERGE_SLASHES"
    ]

    for byte in range(1, 256):
        escaped = f"/admin%{byte:02x}"
        character = chr(byte)
        plain = byte < 128 and (character.isalnum() or character in "-._~")
        expected = f"/admin{character}" if plain else "/admin/" if character in "/\\" else escaped
        assert proxy.send(index, Request(target=escaped)).seen["path"] == expected


def test_there_are_as_many_requests_as_istio_makes(judged: tuple[OneProxy, list[Table]]) -> None:
    _, tables = judged

    assert len(set(TITLES)) == len(TITLES)
    assert sum(len(table.rows) for table in tables) >= 261
