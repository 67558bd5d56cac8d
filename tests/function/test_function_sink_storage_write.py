"""Rows by the Storage Write API: what each answer means, what is sent again, and what is written twice or never."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from random import Random
from threading import Event
from traceback import TracebackException

import grpc
import meshpass
import pytest
from enrichment.errors import POLICY, Disposition
from enrichment.errors.remote_errors import APPEND_ERRORS, APPEND_MESSAGES, GRPC_STATUSES, RETRIED_GRPC_CODES
from enrichment.settings import table_file
from enrichment.settings.model import BatchLimits, TableField, WriteStreamKind
from enrichment.sink.storage_write import client as client_module
from enrichment.sink.storage_write import connection
from enrichment.sink.storage_write.client import StorageWriteClient
from google.cloud.bigquery_storage_v1 import types
from meshpass._tokens.google.access_token import AccessToken

from .conftest import FUNCTION, TABLE
from .write_service import Append, Reply, Response, WriteService, end, refusal, row_errors, running
from .writing import WRITTEN, Tokens, Writing, row

FIELDS = table_file.read(FUNCTION / "enrichment" / "table.json", []) or {}
PATH = "projects/meshpass-lab/datasets/events/tables/enriched"
KINDS = list(WriteStreamKind)


@pytest.fixture
def service() -> Iterator[WriteService]:
    with running() as service:
        yield service


Make = Callable[..., Writing]


@pytest.fixture
def make(service: WriteService) -> Iterator[Make]:
    """Makes sinks over the Storage Write API."""
    made: list[Writing] = []

    def make(
        kind: WriteStreamKind = WriteStreamKind.DEFAULT,
        limits: BatchLimits | None = None,
        tokens: Tokens | None = None,
        fields: Sequence[TableField] | None = None,
    ) -> Writing:
        columns = list(FIELDS.values()) if fields is None else fields
        client = StorageWriteClient({TABLE: columns}, kind, service.address, tokens or Tokens())
        made.append(Writing(client, limits=limits or BatchLimits()))
        return made[-1]

    yield make
    for writing in made:
        writing.close()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_concurrent_events_share_an_append_and_their_types_are_the_tables(
    service: WriteService, make: Make, kind: WriteStreamKind
) -> None:
    assert make(kind).ends(row("a", publish_time="2026-03-01T12:00:00.5Z"), row("b")) == [WRITTEN] * 2
    (append,) = service.appends
    assert append.ids == ["a", "b"]
    assert append.rows[0]["publish_time"] == "1772366400500000"
    assert append.rows[0]["event"] == "{}"
    assert service.connections[0]["authorization"] == "Bearer token-0"
    assert service.connections[0]["x-goog-user-project"] == "payer"


def test_a_column_without_a_value_gets_the_columns_default_as_with_insert_all(
    service: WriteService, make: Make
) -> None:
    assert make().ends(row("a")) == [WRITTEN]
    wanted = types.AppendRowsRequest.MissingValueInterpretation.DEFAULT_VALUE
    assert service.appends[0].request.default_missing_value_interpretation == wanted


def test_one_connection_is_kept_and_carries_the_schema_once(service: WriteService, make: Make) -> None:
    writing = make()
    for name in "abc":
        assert writing.ends(row(name)) == [WRITTEN]
    assert len(service.connections) == 1
    schemas = [append.request.proto_rows.writer_schema.proto_descriptor.field for append in service.appends]
    assert [len(schema) for schema in schemas] == [len(FIELDS), 0, 0]
    assert [append.request.write_stream for append in service.appends] == [f"{PATH}/streams/_default", "", ""]


def test_appends_are_sent_before_earlier_ones_are_answered_and_each_gets_its_own_answer(
    service: WriteService, make: Make
) -> None:
    writing = make(limits=BatchLimits(max_rows=1))
    all_sent = Event()
    bad = row_errors((0, "Field occurred_at: wrong"))

    def hold(append: Append, context: grpc.ServicerContext) -> Response:
        return bad(append, context) if append.ids == ["b"] else service.keep(append)

    received = 0

    def first(append: Append, context: grpc.ServicerContext) -> Response:
        all_sent.wait()
        return hold(append, context)

    async def write() -> list[object]:
        nonlocal received
        client = writing.client
        deadline = meshpass.Deadline.after(20)
        tasks = [asyncio.create_task(client.insert(TABLE, [row(name)], deadline)) for name in "abc"]
        await asyncio.sleep(0.1)
        received = sum(task.done() for task in tasks)
        all_sent.set()
        return [bool(found) for found in await asyncio.gather(*tasks)]

    service.script, service.otherwise = [first], hold
    assert writing.runner.run(write()) == [False, True, False]
    assert received == 0
    assert len(service.connections) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_that_is_refused_is_kept_as_its_own_events_fault_and_its_neighbours_are_written(
    service: WriteService, make: Make, kind: WriteStreamKind
) -> None:
    """The code of a RowError does not say whether the value or a changed table is at fault."""
    service.script = [row_errors((1, "Field occurred_at: 'yesterday' is no time"))]
    written, invalid, also_written = make(kind).write(row("a"), row("b"), row("c"))
    assert (written, also_written) == (None, None)
    assert invalid is not None
    assert (invalid.disposition, invalid.reason) == (Disposition.FAULT, "bigquery_row_refused")
    assert "occurred_at" in invalid.detail
    assert "yesterday" not in str(invalid)
    assert sorted(service.written) == ["a", "c"]


def test_a_value_of_another_type_never_leaves_and_its_neighbours_are_written(
    service: WriteService, make: Make
) -> None:
    written, invalid = make().write(row("a"), row("b", occurred_at="yesterday"))
    assert written is None
    assert invalid is not None
    assert invalid.reason == "bigquery_row_refused"
    assert "occurred_at" in invalid.detail
    assert service.written == ["a"]


def test_a_row_of_another_shape_is_a_fault_of_ours_and_keeps_nothing_else_out(
    service: WriteService, make: Make
) -> None:
    ends = make().ends(row("a"), row("b", user_id=7), row("c"))
    assert ends == [WRITTEN, (Disposition.FAULT, "unexpected_error"), WRITTEN]


@pytest.mark.parametrize("shown", APPEND_MESSAGES, ids=lambda known: known.shown[:30])
@pytest.mark.parametrize("where", ["request", "row"])
def test_a_message_that_blames_the_table_is_our_fault(
    service: WriteService, make: Make, shown: object, where: str
) -> None:
    message, reason = shown.shown, shown.reason  # type: ignore[attr-defined]
    service.otherwise = (
        refusal("INVALID_ARGUMENT", message=message) if where == "request" else row_errors((0, message))
    )
    assert make().ends(row("a")) == [(Disposition.FAULT, reason)]


@pytest.mark.parametrize("kind", [WriteStreamKind.DEFAULT, WriteStreamKind.COMMITTED])
@pytest.mark.parametrize("storage", APPEND_ERRORS)
def test_each_storage_error_ends_as_the_policy_says(
    service: WriteService, make: Make, storage: str, kind: WriteStreamKind
) -> None:
    """Renewing a stream is tested below: here the error comes again and again."""
    known = APPEND_ERRORS[storage]
    disposition = POLICY[known.reason].disposition
    for reply in (refusal("INVALID_ARGUMENT", storage), end("INVALID_ARGUMENT", storage)):
        service.otherwise = reply
        within_s = 0.3 if disposition is Disposition.RETRY or known.renews else 20.0
        ((found, reason),) = make(kind).ends(row("a"), within_s=within_s)
        assert found is disposition or (known.renews and found is Disposition.RETRY)
        assert reason in (known.reason, "write_timeout")


@pytest.mark.parametrize("code", GRPC_STATUSES)
@pytest.mark.parametrize("ends", [False, True], ids=["answered", "ended"])
def test_each_grpc_status_ends_as_the_policy_says(
    service: WriteService, make: Make, code: str, ends: bool
) -> None:
    service.otherwise = (end if ends else refusal)(code)
    again = code in RETRIED_GRPC_CODES or code in ("ALREADY_EXISTS", "OUT_OF_RANGE")
    ((found, reason),) = make().ends(row("a"), within_s=0.3 if again else 20.0)
    wanted = {
        "RESOURCE_EXHAUSTED": "bigquery_quota",
        "PERMISSION_DENIED": "bigquery_forbidden",
        "NOT_FOUND": "bigquery_not_found",
        "UNAUTHENTICATED": "bigquery_no_credentials",
        "INVALID_ARGUMENT": "bigquery_refused",
        "FAILED_PRECONDITION": "bigquery_refused",
        "UNIMPLEMENTED": "bigquery_refused",
    }.get(code, "bigquery_unavailable")
    assert reason in (wanted, "write_timeout")
    assert found is (Disposition.RETRY if reason == "write_timeout" else POLICY[wanted].disposition)
    service.otherwise = None
    assert make().ends(row("b")) == [WRITTEN]


@pytest.mark.parametrize("kind", [WriteStreamKind.DEFAULT, WriteStreamKind.COMMITTED])
@pytest.mark.parametrize("ends", [False, True], ids=["answered", "ended"])
def test_a_row_whose_time_runs_out_while_refusals_are_retried_says_what_was_refused(
    service: WriteService, make: Make, kind: WriteStreamKind, ends: bool
) -> None:
    may_go_on = Event()

    def hang(append: Append, context: grpc.ServicerContext) -> Response:
        may_go_on.wait(20)
        return service.keep(append)

    service.script = [(end if ends else refusal)("RESOURCE_EXHAUSTED")]
    service.otherwise = hang
    ((disposition, reason),) = make(kind).ends(row("a"), within_s=4.0)
    may_go_on.set()
    assert (disposition, reason) == (Disposition.RETRY, "bigquery_quota")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("SERVICE_DISABLED", "bigquery_api_disabled"),
        ("BILLING_DISABLED", "bigquery_billing_disabled"),
        ("SECURITY_POLICY_VIOLATED", "bigquery_vpc_service_controls"),
        ("", "bigquery_forbidden"),
    ],
)
def test_each_permission_denied_has_its_own_reason_and_advice(
    service: WriteService, make: Make, said: str, reason: str
) -> None:
    service.script = [end("PERMISSION_DENIED", reason=said)]
    (error,) = make().write(row("a"))
    assert error is not None
    assert error.reason == reason
    assert POLICY[reason].action in error.detail


@pytest.mark.parametrize("kind", KINDS)
def test_a_brief_outage_costs_time_and_no_event(
    service: WriteService, make: Make, kind: WriteStreamKind
) -> None:
    service.script = [refusal("UNAVAILABLE"), end("UNAVAILABLE"), refusal("INTERNAL"), end("UNKNOWN")]
    assert make(kind).ends(row("a"), row("b")) == [WRITTEN] * 2
    assert sorted(service.written) == ["a", "b"]


def test_a_row_that_spoils_its_append_fails_alone(service: WriteService, make: Make) -> None:
    spoilt = refusal("INVALID_ARGUMENT")
    service.otherwise = lambda append, context: (
        spoilt(append, context) if "spoils" in append.ids else service.keep(append)
    )
    ends = make().ends(*map(row, ["a", "b", "spoils", "c"]))
    assert ends == [WRITTEN, WRITTEN, (Disposition.FAULT, "bigquery_refused"), WRITTEN]


def test_an_append_larger_than_the_api_takes_is_halved_before_it_is_sent(
    service: WriteService, make: Make
) -> None:
    writing = make(limits=BatchLimits(max_bytes=50_000_000))
    payload = "x" * 4_000_000
    ends = writing.ends(*(row(name, event=payload) for name in "abc"), row("d", event="x" * 10_000_000))
    assert ends == [*[WRITTEN] * 3, (Disposition.DEAD_LETTERED, "row_too_large")]
    sizes = [len(types.AppendRowsRequest.serialize(append.request)) for append in service.appends]
    assert max(sizes) <= client_module.MAX_REQUEST_BYTES


def written_without_an_answer(service: WriteService) -> Reply:
    """Writes the rows, and ends the connection before the answer is out."""

    def answer(append: Append, context: grpc.ServicerContext) -> None:
        service.keep(append)
        end("UNAVAILABLE")(append, context)

    return answer


def test_a_lost_answer_doubles_a_row_of_the_default_stream_and_none_of_an_own_one(
    service: WriteService, make: Make
) -> None:
    for kind, times in ((WriteStreamKind.DEFAULT, 2), (WriteStreamKind.COMMITTED, 1)):
        writing = make(kind)
        assert writing.ends(row(f"{kind}-before")) == [WRITTEN]
        service.script = [written_without_an_answer(service)]
        assert writing.ends(row(f"{kind}-lost")) == [WRITTEN]
        assert writing.ends(row(f"{kind}-after")) == [WRITTEN]
        counted = Counter(service.written)
        assert [counted[f"{kind}-{name}"] for name in ("before", "lost", "after")] == [1, times, 1]


def committed(service: WriteService) -> list[tuple[str, int | None]]:
    """The stream and the offset of each append."""
    return [(append.stream.rpartition("/")[2], append.offset) for append in service.appends]


def test_offsets_count_the_rows_of_the_stream(service: WriteService, make: Make) -> None:
    writing = make(WriteStreamKind.COMMITTED, BatchLimits(max_rows=2))
    assert writing.ends(*map(row, "abcde")) == [WRITTEN] * 5
    assert committed(service) == [("s-0", 0), ("s-0", 2), ("s-0", 4)]
    assert len(service.connections) == 1


@pytest.mark.parametrize(
    "reply",
    [
        refusal("FAILED_PRECONDITION", "STREAM_FINALIZED"),
        end("NOT_FOUND", "STREAM_NOT_FOUND"),
        refusal("OUT_OF_RANGE", "OFFSET_OUT_OF_RANGE"),
        refusal("OUT_OF_RANGE"),
        refusal("ALREADY_EXISTS", "OFFSET_ALREADY_EXISTS"),
        refusal("ALREADY_EXISTS"),
        refusal("FAILED_PRECONDITION", "INVALID_STREAM_STATE"),
    ],
)
def test_a_stream_that_is_at_its_end_is_replaced_by_a_new_one_and_no_row_is_lost(
    service: WriteService, make: Make, reply: Reply
) -> None:
    """An offset that exists already belongs to other rows here: these were never sent there before."""
    writing = make(WriteStreamKind.COMMITTED)
    assert writing.ends(row("a")) == [WRITTEN]
    service.script = [reply]
    assert writing.ends(row("b")) == [WRITTEN]
    assert committed(service) == [("s-0", 0), ("s-0", 1), ("s-1", 0)]
    assert sorted(service.written) == ["a", "b"]


def test_a_stream_whose_end_is_unknown_is_given_up(service: WriteService, make: Make) -> None:
    """The next rows would have the offset of rows that may be written, and be taken for these."""
    go_on = Event()

    def written_too_late(append: Append, _: grpc.ServicerContext) -> types.AppendRowsResponse:
        go_on.wait()
        return service.keep(append)

    writing = make(WriteStreamKind.COMMITTED)
    service.script = [written_too_late]
    ((disposition, _),) = writing.ends(row("late"), within_s=0.2)
    assert disposition is Disposition.RETRY
    go_on.set()
    assert writing.ends(row("next")) == [WRITTEN]
    assert committed(service)[-1] == ("s-1", 0)
    assert "next" in service.written


def test_a_stream_that_cannot_be_made_ends_as_the_policy_says(service: WriteService, make: Make) -> None:
    writing = make(WriteStreamKind.COMMITTED)
    service.refused_streams = [grpc.StatusCode.UNAVAILABLE]
    assert writing.ends(row("a")) == [WRITTEN]
    service.script = [end("NOT_FOUND", "STREAM_NOT_FOUND")]
    service.refused_streams = [grpc.StatusCode.NOT_FOUND]
    assert writing.ends(row("b")) == [(Disposition.FAULT, "bigquery_not_found")]
    assert writing.ends(row("b")) == [WRITTEN]


def test_upserts_say_so_in_each_row(service: WriteService, make: Make) -> None:
    assert make(WriteStreamKind.CDC).ends(row("a"), row("b")) == [WRITTEN] * 2
    assert [found["_CHANGE_TYPE"] for found in service.appends[0].rows] == ["UPSERT", "UPSERT"]
    assert service.appends[0].stream.endswith("/_default")


def test_a_token_that_is_refused_is_replaced_once_and_at_once(service: WriteService, make: Make) -> None:
    writing = make()
    service.script = [end("UNAUTHENTICATED")]
    assert writing.ends(row("a")) == [WRITTEN]
    service.otherwise = end("UNAUTHENTICATED")
    assert writing.ends(row("b")) == [(Disposition.FAULT, "bigquery_no_credentials")]
    sent = [metadata["authorization"] for metadata in service.connections]
    assert sent == ["Bearer token-0", "Bearer token-1", "Bearer token-2"]


def test_a_token_that_is_refused_in_an_answer_takes_its_connection_with_it(
    service: WriteService, make: Make
) -> None:
    writing = make()
    service.script = [refusal("UNAUTHENTICATED")]
    assert writing.ends(row("a")) == [WRITTEN]
    sent = [metadata["authorization"] for metadata in service.connections]
    assert sent == ["Bearer token-0", "Bearer token-1"]


def test_missing_credentials_are_our_fault_and_all_is_well_once_they_are_there(
    service: WriteService, make: Make
) -> None:
    tokens = Tokens()
    tokens.failure = meshpass.IdentityError("No Google identity was found.")
    writing = make(tokens=tokens)
    writing.warm_up()
    assert writing.ends(row("a")) == [(Disposition.FAULT, "bigquery_no_credentials")]
    tokens.failure = None
    assert writing.ends(row("a")) == [WRITTEN]
    assert service.written == ["a"]


def test_an_answer_that_does_not_come_is_not_waited_for_beyond_the_deadline(
    service: WriteService, make: Make
) -> None:
    go_on = Event()

    def hang(append: Append, _: grpc.ServicerContext) -> types.AppendRowsResponse:
        go_on.wait()
        return service.keep(append)

    service.script = [hang]
    writing = make()
    ((disposition, _),) = writing.ends(row("a"), within_s=0.2)
    assert disposition is Disposition.RETRY
    go_on.set()
    assert writing.ends(row("b")) == [WRITTEN]
    assert len(service.connections) == 1, "a short deadline is no reason to close the connection of others"


def test_a_hung_connection_is_replaced_within_the_deadline(
    service: WriteService, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ATTEMPT_TIMEOUT_S", 0.1)
    monkeypatch.setattr(client_module, "ATTEMPT_TIMEOUT_S", 0.15)
    closed = Event()

    def hang(_: Append, context: grpc.ServicerContext) -> None:
        context.add_callback(closed.set)
        closed.wait()

    service.script = [hang]
    assert make().ends(row("a")) == [WRITTEN]
    assert closed.is_set()
    assert len(service.connections) == 2


@pytest.mark.parametrize("limit", ["MAX_IDLE_S", "MAX_AGE_S"])
def test_a_connection_that_is_old_or_was_idle_is_replaced_before_it_fails(
    service: WriteService, make: Make, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = make()
    assert writing.ends(row("a")) == [WRITTEN]
    monkeypatch.setattr(connection, limit, 0.0)
    assert writing.ends(row("b")) == [WRITTEN]
    assert len(service.connections) == 2
    assert [append.request.write_stream for append in service.appends] == [f"{PATH}/streams/_default"] * 2


def test_a_kept_connection_that_was_closed_meanwhile_is_no_concern_of_an_event(
    service: WriteService, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails the next append, which goes again at once: without the pause of an outage."""
    monkeypatch.setattr(client_module, "retry_delays_s", lambda: iter(()))
    writing = make()
    assert writing.ends(row("a")) == [WRITTEN]
    service.script = [end("UNKNOWN")]
    assert writing.ends(row("b")) == [WRITTEN]
    assert len(service.connections) == 2


def test_a_row_whose_deadline_passes_while_credentials_are_sought_is_not_sent(
    service: WriteService, make: Make
) -> None:
    may_go_on = Event()

    class SlowTokens(Tokens):
        async def atoken(self) -> AccessToken:
            await asyncio.to_thread(may_go_on.wait)
            return await super().atoken()

    writing = make(tokens=SlowTokens())
    ((disposition, _),) = writing.ends(row("a"), within_s=0.05)
    may_go_on.set()
    writing.go_on(0.05)
    assert disposition is Disposition.RETRY
    assert service.appends == []


def test_warming_up_gets_the_token_that_the_first_write_takes(service: WriteService, make: Make) -> None:
    tokens = Tokens()
    writing = make(tokens=tokens)
    writing.warm_up()
    writing.warm_up()
    writing.go_on(0.05)
    assert tokens.asked == 1
    assert writing.ends(row("a")) == [WRITTEN]


def test_the_time_of_creation_is_that_of_the_default_stream(service: WriteService, make: Make) -> None:
    writing = make()
    deadline = meshpass.Deadline.after(20)
    assert writing.runner.run(writing.client.created_s(TABLE, deadline)) == service.created_s
    elsewhere = StorageWriteClient({}, host="127.0.0.1:1", tokens=Tokens())
    with closing(Writing(elsewhere)) as writing:
        assert writing.runner.run(elsewhere.created_s(TABLE, deadline)) is None


@pytest.mark.parametrize(
    ("host", "takes"),
    [
        ("bigquery.invalid:9060", False),
        ("203.0.113.7:9060", False),
        ("192.168.7.255:9060", True),
        ("[::1]:9", True),
        ("localhost:9", True),
    ],
)
def test_no_token_is_sent_in_plaintext_beyond_this_machines_network(host: str, takes: bool) -> None:
    """The rule of insertAll's emulators."""
    tokens = Tokens()
    writer = StorageWriteClient({TABLE: FIELDS.values()}, host=host, tokens=tokens)
    with closing(Writing(writer)) as writing:
        metadata = writing.runner.run(writer._transport.metadata("", 20.0))
    assert isinstance(metadata, tuple)
    assert ("authorization", "Bearer token-0") in metadata or not takes
    assert tokens.asked == int(takes)


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "grpc_proxy"])
def test_no_proxy_is_between_the_function_and_bigquery_as_with_insert_all(
    service: WriteService, make: Make, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """gRPC would send a token in plaintext to the proxy of an emulator."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert make().ends(row("a"), within_s=5.0) == [WRITTEN]


def test_neither_an_error_nor_its_frames_hold_the_token(service: WriteService, make: Make) -> None:
    service.script = [end("PERMISSION_DENIED")]
    service.otherwise = end("UNAVAILABLE")
    writing = make()
    errors = [*writing.write(row("a")), *writing.write(row("b"), within_s=0.05)]
    assert "token-0" not in repr(vars(writing.client))
    for error in errors:
        assert error is not None
        seen: BaseException | None = error
        while seen is not None:
            shown = "".join(TracebackException.from_exception(seen, capture_locals=True).format())
            assert "token-0" not in shown
            seen = seen.__cause__ or seen.__context__


@pytest.mark.parametrize("kind", KINDS)
def test_no_row_is_lost_where_everything_fails_at_random_and_what_is_doubled_is_one_row_after_all(
    service: WriteService, make: Make, kind: WriteStreamKind
) -> None:
    random = Random(13)
    troubles = [
        refusal("UNAVAILABLE"),
        end("UNAVAILABLE"),
        end("UNKNOWN"),
        refusal("RESOURCE_EXHAUSTED"),
        written_without_an_answer(service),
    ]

    def answer(append: Append, context: grpc.ServicerContext) -> Response:
        with service.lock:
            reply = random.choice(troubles) if random.random() < 0.3 else None
        return reply(append, context) if reply else service.keep(append)

    service.script, service.otherwise = [written_without_an_answer(service)], answer
    writing = make(kind, BatchLimits(max_rows=10))
    names = [f"e-{number}" for number in range(400)]
    written: list[str] = []
    left = names
    until_s = time.monotonic() + 60
    while left and time.monotonic() < until_s:  # Pub/Sub delivers what failed again
        errors = writing.write(*map(row, left))
        written += [name for name, error in zip(left, errors, strict=True) if error is None]
        left = [name for name, error in zip(left, errors, strict=True) if error is not None]
    counted = Counter(service.written)
    assert left == []
    assert set(counted) == set(names) == set(written)
    doubled = sum(counted.values()) - len(counted)
    assert (doubled > 0) is (kind is not WriteStreamKind.COMMITTED)
