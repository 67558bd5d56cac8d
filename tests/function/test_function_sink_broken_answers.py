"""Answers of the Storage Write API that break its rules: no row counts as written that BigQuery did not acknowledge."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Event

import grpc
import meshpass
import pytest
from enrichment.errors import Disposition
from enrichment.settings import table_file
from enrichment.settings.model import BatchLimits, WriteStreamKind
from enrichment.sink.storage_write import connection
from enrichment.sink.storage_write.client import StorageWriteClient
from enrichment.sink.storage_write.connection import Connection, open_call
from google.cloud.bigquery_storage_v1 import types
from meshpass._tokens.google.access_token import AccessToken

from .conftest import FUNCTION, TABLE
from .write_service import Append, Response, WriteService, refusal, row_errors, running, status
from .writing import WRITTEN, Tokens, Writing, row

FIELDS = table_file.read(FUNCTION / "enrichment" / "table.json", []) or {}


@pytest.fixture
def service() -> Iterator[WriteService]:
    with running() as service:
        yield service


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def make(service: WriteService, tokens: Tokens) -> Iterator[Callable[..., Writing]]:
    """Makes sinks over the Storage Write API."""
    made: list[Writing] = []

    def make(kind: WriteStreamKind = WriteStreamKind.DEFAULT) -> Writing:
        client = StorageWriteClient({TABLE: FIELDS.values()}, kind, service.address, tokens)
        made.append(Writing(client, limits=BatchLimits()))
        return made[-1]

    yield make
    for writing in made:
        writing.close()


Make = Callable[..., Writing]

ACKNOWLEDGED = types.AppendRowsResponse.serialize(
    types.AppendRowsResponse(append_result=types.AppendRowsResponse.AppendResult())
)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xff", id="no-message"),
        pytest.param(
            types.AppendRowsResponse.serialize(types.AppendRowsResponse(error=status(0))), id="error-ok"
        ),
        pytest.param(
            types.AppendRowsResponse.serialize(types.AppendRowsResponse(error=status(99))), id="error-99"
        ),
    ],
)
@pytest.mark.parametrize("kind", WriteStreamKind)
def test_an_answer_that_acknowledges_nothing_is_no_acknowledgement(
    service: WriteService, make: Make, answer: bytes, kind: WriteStreamKind
) -> None:
    service.script = [lambda *_: [answer]]
    assert make(kind).ends(row("a")) == [WRITTEN]
    assert service.written == ["a"]


def test_an_answer_that_names_its_stream_and_no_error_is_an_acknowledgement(
    service: WriteService, make: Make
) -> None:
    def answer(append: Append, _: grpc.ServicerContext) -> list[bytes]:
        service.keep(append)
        return [types.AppendRowsResponse.serialize(types.AppendRowsResponse(write_stream=append.stream))]

    service.script = [answer]
    assert make().ends(row("a")) == [WRITTEN]
    assert service.written == ["a"]


@pytest.mark.parametrize("details", [b"", b"\xff\xff"], ids=["ok", "no-message"])
def test_details_that_are_no_error_do_not_turn_the_end_of_a_connection_into_an_acknowledgement(
    service: WriteService, make: Make, details: bytes
) -> None:
    def end(_: Append, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(grpc.StatusCode.UNAVAILABLE, "it says so")

    service.script = [end]
    assert make().ends(row("a")) == [WRITTEN]
    assert service.written == ["a"]


def test_one_answer_too_many_ends_the_connection(service: WriteService, make: Make) -> None:
    """Answers are matched by their order: the one too many would be taken for that to the next append."""

    def twice(append: Append, _: grpc.ServicerContext) -> list[bytes]:
        service.keep(append)
        return [ACKNOWLEDGED, ACKNOWLEDGED]

    service.script = [twice]
    writing = make()
    assert writing.ends(row("a")) == [WRITTEN]
    writing.go_on(0.1)
    assert writing.ends(row("b")) == [WRITTEN]
    assert len(service.connections) == 2
    assert service.written == ["a", "b"]


def test_an_answer_with_the_offset_of_another_append_is_no_acknowledgement(
    service: WriteService, make: Make
) -> None:
    other = types.AppendRowsResponse(append_result=types.AppendRowsResponse.AppendResult(offset=7))
    service.script = [lambda *_: other]
    assert make(WriteStreamKind.COMMITTED).ends(row("a")) == [WRITTEN]
    assert service.written == ["a"]


@pytest.mark.parametrize("index", [-1, 1, 2**62])
def test_an_error_of_a_row_that_was_not_sent_dead_letters_no_other(
    service: WriteService, make: Make, index: int
) -> None:
    service.script = [row_errors((index, "Field occurred_at: wrong"))]
    assert make().ends(row("a")) == [(Disposition.FAULT, "unexpected_error")]


def test_a_token_that_is_refused_under_several_appends_is_replaced_once_and_none_of_them_fails(
    service: WriteService, make: Make, tokens: Tokens
) -> None:
    names = "abcd"
    all_sent = Event()

    def refuse(append: Append, context: grpc.ServicerContext) -> Response:
        if append.connection != 0:
            return service.keep(append)
        all_sent.wait()
        return refusal("UNAUTHENTICATED")(append, context)

    service.otherwise = refuse
    writing = make()

    async def write() -> list[object]:
        deadline = meshpass.Deadline.after(20)
        tasks = [asyncio.create_task(writing.client.insert(TABLE, [row(name)], deadline)) for name in names]
        await asyncio.sleep(0.1)
        all_sent.set()
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    assert writing.runner.run(write()) == [()] * len(names)
    assert sorted(service.written) == list(names)
    assert tokens.refused == 1
    assert len(service.connections) == 2


def test_an_append_that_is_refused_for_good_takes_its_connection_with_it(
    service: WriteService, make: Make
) -> None:
    """It may have been the one that carried the schema, which the next append would go without."""
    writing = make()
    service.script = [refusal("INVALID_ARGUMENT", "SCHEMA_MISMATCH_EXTRA_FIELDS")]
    assert writing.ends(row("a")) == [(Disposition.FAULT, "bigquery_schema_mismatch")]
    assert writing.ends(row("a")) == [WRITTEN]
    schemas = [
        len(append.request.proto_rows.writer_schema.proto_descriptor.field) for append in service.appends
    ]
    assert schemas == [len(FIELDS)] * 2
    assert len(service.connections) == 2


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Missing required value on field plan.", "bigquery_schema_mismatch"),
        ("a sentence that this version does not know", "bigquery_row_refused"),
    ],
)
@pytest.mark.parametrize("code", ["FIELDS_ERROR", "ROW_ERROR_CODE_UNSPECIFIED"])
def test_a_row_is_not_dead_lettered_where_the_table_may_be_at_fault(
    service: WriteService, make: Make, said: str, reason: str, code: str
) -> None:
    service.otherwise = row_errors((0, said), code=code)
    assert make().ends(row("a")) == [(Disposition.FAULT, reason)]


@pytest.mark.parametrize(
    ("said", "column"),
    [
        ("Date field value is out of range: 5 on field order.day.", "order"),
        ("Invalid value on field plan", "plan"),
        ("Field plan: too long", "plan"),
    ],
)
def test_the_column_of_a_refused_row_is_named(
    service: WriteService, make: Make, said: str, column: str
) -> None:
    service.otherwise = row_errors((0, said))
    (error,) = make().write(row("a"))
    assert error is not None
    assert f"BigQuery calls {column} invalid in {TABLE}" in error.detail


@pytest.mark.parametrize("field", ["plan", "Row.plan", "D0a1b.plan"])
def test_the_column_of_another_type_is_named(service: WriteService, make: Make, field: str) -> None:
    service.otherwise = refusal(
        "INVALID_ARGUMENT",
        message=f"The proto field mismatched with BigQuery field at {field}, the proto field type string, BigQuery "
        "field type INTEGER.",
    )
    (error,) = make().write(row("a"))
    assert error is not None
    assert (error.disposition, error.reason) == (Disposition.FAULT, "bigquery_schema_mismatch")
    assert "(plan)" in error.detail


@pytest.mark.parametrize("storage", ["TABLE_NOT_FOUND", "STREAM_NOT_FOUND", ""])
def test_a_stream_of_a_table_that_was_deleted_does_not_outlive_it(
    service: WriteService, storage: str
) -> None:
    client = StorageWriteClient(
        {TABLE: FIELDS.values()}, WriteStreamKind.COMMITTED, service.address, Tokens()
    )
    with closing(Writing(client)) as writing:
        assert writing.ends(row("a")) == [WRITTEN]
        service.script = [refusal("NOT_FOUND", storage)]
        service.refused_streams = [grpc.StatusCode.NOT_FOUND] * 2
        assert writing.ends(row("b"), within_s=5.0) == [(Disposition.FAULT, "bigquery_not_found")]
        service.refused_streams = []
        assert writing.ends(row("b")) == [WRITTEN]
    assert service.written == ["a", "b"]
    assert len(service.streams) == 2


def test_an_append_that_breaks_off_while_it_is_sent_takes_its_connection_with_it(
    service: WriteService, make: Make
) -> None:
    """It was the one to carry the schema, and the answer to the next one would be taken for that to it."""
    writing = make()
    transport = writing.client._transport  # type: ignore[attr-defined]
    firsts: list[bool] = []

    async def append_twice() -> tuple[bool, str]:
        channel = await transport.channel()
        opened = Connection(open_call(channel, ()), ())
        await opened.append(lambda first: firsts.append(first) or b"", 0.0)  # type: ignore[func-returns-value]
        usable = opened.usable
        answer = await opened.append(lambda first: firsts.append(first) or b"", 20.0)  # type: ignore[func-returns-value]
        return usable, answer.code

    assert writing.runner.run(append_twice()) == (False, "CANCELLED")
    assert firsts[0] is True
    assert service.appends == []


def test_an_append_whose_time_is_over_before_it_is_sent_is_not_sent_and_costs_no_stream(
    service: WriteService, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowTokens(Tokens):
        async def atoken(self) -> AccessToken:
            if self.asked == 2:
                time.sleep(0.2)  # noqa: ASYNC251 - a loop that is busy, so that no timer can end this
            return await super().atoken()

    client = StorageWriteClient(
        {TABLE: FIELDS.values()}, WriteStreamKind.COMMITTED, service.address, SlowTokens()
    )
    with closing(Writing(client)) as writing:
        assert writing.ends(row("a")) == [WRITTEN]  # the tokens of its stream and of its append
        monkeypatch.setattr(connection, "MAX_AGE_S", 0.0)
        ((disposition, _),) = writing.ends(row("b"), within_s=0.15)
        assert disposition is Disposition.RETRY
        assert writing.ends(row("c")) == [WRITTEN]
    assert service.written == ["a", "c"]
    assert len(service.streams) == 1
