"""Certificates in a case file: those that clients show, and those that applications show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshlab.bench.case import Certificate
from meshlab.bench.case_file import format_words
from meshlab.bench.case_file.read_texts import text_list

if TYPE_CHECKING:
    from meshlab.bench.case_file.nodes import Cursor
    from meshlab.bench.case_file.reader_context import Context

__all__ = ["read_authority", "read_certificate"]


def read_certificate(context: Context, where: Cursor) -> Certificate:
    """Return the certificate that stands there.

    Raises:
        ReadError: It is none.
    """
    fields = where.fields(context.problems, format_words.CERTIFICATE_WORDS, "a certificate")
    if "authority" not in fields:
        raise where.lacks(format_words.CERTIFICATE_WORDS, "`certificate`", "`certificate` needs `authority`")
    return Certificate(
        authority=read_authority(context, fields["authority"]),
        uris=context.problems.attempt(text_list, fields.get("uris"), ()),
        dns=context.problems.attempt(text_list, fields.get("dns"), ()),
    )


def read_authority(context: Context, where: Cursor) -> str:
    """Return the name of a certificate authority of the run.

    One that the case file does not declare may be a gateway's, which is seen once the mesh is known.

    Raises:
        ReadError: It is no name.
    """
    name = where.word()
    if name not in context.authorities:
        context.mention("authority", name, where)
    return name
