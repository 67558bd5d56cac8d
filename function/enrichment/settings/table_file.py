"""The table's columns, `table.json`, as far as rows must fit them."""

import re
from pathlib import Path

import msgspec

from enrichment.row import column_values
from enrichment.settings.model import TableField

_MODES = ("NULLABLE", "REQUIRED", "REPEATED")


def read(path: Path, problems: list[str]) -> dict[str, TableField] | None:
    """Read the columns out of a schema file, as `bq mk --schema` takes it, or of a table resource of BigQuery's API.

    A type that rows cannot be written for is no mistake until a column of it is asked for, so any is taken here.
    Source: https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema

    Args:
        path: The file.
        problems: Where mistakes are noted.

    Returns:
        The columns by name, in their order; None where the file cannot be read.
    """
    content = b""
    try:
        content = path.read_bytes()
        found = msgspec.json.decode(content, type=_Resource | list[_Field])
    except OSError as error:
        problems.append(f"{path.name}: cannot be read from {path}: {error.strerror}.")
    except UnicodeDecodeError:
        problems.append(f"{path.name}: is not UTF-8.")
    except RecursionError:
        problems.append(f"{path.name}: is nested too deeply to be read.")
    except msgspec.DecodeError as error:
        why = str(error) if content.strip() else "it is empty"
        problems.append(
            f"{path.name}: is neither a list of BigQuery's columns nor a table resource of its API: {why}."
        )
    else:
        if found == []:
            problems.append(
                f"{path.name}: is neither a list of BigQuery's columns nor a table resource of its API: it is empty."
            )
            return None
        columns = found if isinstance(found, list) else found.schema.fields
        fields = _fields(columns, "", path.name, problems)
        return {field.name: field for field in fields}
    return None


def of_resource(document: bytes) -> tuple[TableField, ...]:
    """Return the columns in a table resource that BigQuery's API answered with.

    Args:
        document: The answer.

    Raises:
        msgspec.DecodeError: It is none.
    """
    return _fields(msgspec.json.decode(document, type=_Resource).schema.fields, "", "", [])


def _fields(found: list["_Field"], place: str, file: str, problems: list[str]) -> tuple[TableField, ...]:
    fields = []
    for field in found:
        where = place + field.name
        mode = (field.mode or "NULLABLE").upper()
        if mode not in _MODES:
            problems.append(f"{file}: {where} has the mode {mode}; it must be one of {', '.join(_MODES)}.")
        name = field.type.upper()
        fields.append(
            TableField(
                name=field.name,
                type=column_values.ALIASES.get(name, name),
                repeated=mode == "REPEATED",
                required=mode == "REQUIRED",
                fields=_fields(field.fields, f"{where}.", file, problems),
                max_length=_whole(field.max_length, "maxLength", where, file, problems)
                or _whole(field.precision, "precision", where, file, problems),
                scale=_whole(field.scale, "scale", where, file, problems),
            )
        )
    names = [field.name.casefold() for field in fields]
    problems.extend(
        f"{file}: {place}{name} is there twice; BigQuery's names have no case."
        for name in sorted(set(names))
        if names.count(name) > 1
    )
    return tuple(fields)


def _whole(found: int | str | None, key: str, where: str, file: str, problems: list[str]) -> int:
    # BigQuery's API writes integers of 64 bits as text.
    if found is None or re.fullmatch(r"[0-9]{1,19}", str(found), re.ASCII):
        return int(found or 0)
    problems.append(f"{file}: {where} has a {key} that is no whole number.")
    return 0


class _Field(msgspec.Struct, rename="camel"):
    name: str
    type: str
    mode: str | None = None
    max_length: int | str | None = None
    precision: int | str | None = None
    scale: int | str | None = None
    fields: list["_Field"] = []  # msgspec copies it for each


class _Schema(msgspec.Struct):
    fields: list[_Field]


class _Resource(msgspec.Struct):
    schema: _Schema
