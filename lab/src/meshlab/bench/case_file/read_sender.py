"""`from` and `callers`: who sends a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from meshlab.bench.case import FromBypass, FromForeignMesh, FromOutside, FromWorkload
from meshlab.bench.case_file import format_words
from meshlab.bench.case_file.read_certificate import read_authority, read_certificate
from meshlab.bench.case_file.read_texts import ip_address, matching, port, workload_ref
from meshlab.bench.case_file.reader_context import lookup, use

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshlab.bench.case import Bypass, Sender
    from meshlab.bench.case_file.nodes import Cursor
    from meshlab.bench.case_file.reader_context import Context, Fields
    from meshlab.istio.read.workload_ref import WorkloadRef

__all__ = ["CALLER_WORDS", "read_sender"]

CALLER_WORDS = (
    "use",
    *format_words.CALLER_KINDS,
    "address",
    "certificate",
    "authority",
    "to",
    "port",
    "mode",
)


def read_sender(context: Context, where: Cursor) -> Sender:
    """Return the caller that stands there: a name of `callers`, or the mapping itself.

    Raises:
        ReadError: It is no caller.
    """
    if where.is_text:
        if "/" in where.text() and where.text() not in context.callers:
            raise where.error(
                f"no caller is named {where.text()!r}; write {{workload: {where.text()}}} for a workload,"
                f" {{outside: {where.text()}}} for a client of that gateway",
                "meaning",
            )
        return read_sender(context, lookup(where, context.callers, "caller"))
    if not where.is_mapping:
        raise where.error(f"expected the name of a caller or a mapping, found {where.said}")
    fields = use(context, where, context.callers, CALLER_WORDS, "caller")
    kinds = [word for word in format_words.CALLER_KINDS if word in fields]
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none of them"
        message = f"a caller has exactly one of {', '.join(format_words.CALLER_KINDS)}; here is {found}"
        if "use" in where.by_key():
            raise where.error(message, "meaning")
        raise where.lacks(CALLER_WORDS, "a caller", message)
    (kind,) = kinds
    for word in fields:
        if word != kind and word not in format_words.CALLER_KINDS[kind]:
            known = ", ".join(format_words.CALLER_KINDS[kind]) or "no further word"
            raise fields[word].error(f"`{word}` does not belong to `{kind}`, which takes {known}")
    match kind:
        case "outside":
            return _outside(context, fields)
        case "workload":
            return FromWorkload(_mentioned(context, "workload", fields["workload"]))
        case "bypass":
            return _bypass(context, fields, where)
    return _foreign(context, fields, where)


def _outside(context: Context, fields: Fields) -> FromOutside:
    return FromOutside(
        gateway=_mentioned(context, "gateway", fields["outside"]),
        address=context.problems.attempt(ip_address, fields.get("address"), None),
        certificate=read_certificate(context, fields["certificate"]) if "certificate" in fields else None,
    )


def _bypass(context: Context, fields: Fields, where: Cursor) -> FromBypass:
    _require(fields, where, CALLER_WORDS, "bypass", "to")
    sender = fields["bypass"]
    anonymous = sender.is_text and sender.text() == format_words.NONE
    mode = (
        cast("Bypass", fields["mode"].one_of(format_words.BYPASS_MODES)) if "mode" in fields else "plaintext"
    )
    if anonymous and mode == "mtls":
        message = "`mtls` shows a workload's certificate, and `bypass: none` has none; name the workload"
        raise fields["mode"].error(message, "meaning")
    if "address" in fields and not anonymous:
        message = "`address` is for `bypass: none`; a workload has the address of its pod: state it under `addresses`"
        raise fields["address"].error(message, "meaning")
    return FromBypass(
        workload=None if anonymous else _mentioned(context, "workload", sender),
        to=_mentioned(context, "workload", fields["to"]),
        port=context.problems.attempt(port, fields.get("port"), None),
        mode=mode,
        address=context.problems.attempt(ip_address, fields.get("address"), None),
    )


def _foreign(context: Context, fields: Fields, where: Cursor) -> FromForeignMesh:
    _require(fields, where, CALLER_WORDS, "mesh", "authority", "to")
    return FromForeignMesh(
        identity=matching(
            fields["mesh"], format_words.SPIFFE, "a SPIFFE id; write spiffe://TRUST-DOMAIN/ns/NS/sa/NAME"
        ),
        authority=read_authority(context, fields["authority"]),
        to=_mentioned(context, "workload", fields["to"]),
        port=context.problems.attempt(port, fields.get("port"), None),
        address=context.problems.attempt(ip_address, fields.get("address"), None),
    )


def _mentioned(context: Context, kind: str, where: Cursor) -> WorkloadRef:
    ref = workload_ref(where)
    context.mention(kind, str(ref), where)
    return ref


def _require(fields: Fields, where: Cursor, known: Sequence[str], kind: str, *needed: str) -> None:
    missing = [word for word in needed if word not in fields]
    if missing:
        raise where.lacks(known, f"`{kind}`", f"`{kind}` needs `{'` and `'.join(missing)}`")
