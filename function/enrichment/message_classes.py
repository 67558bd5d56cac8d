"""Classes of protobuf messages, made from a table of their fields.

The generated modules of Google's clients load the clients, which take a fifth of a second and 24 to 60 MiB. A table of
the fields that are read and written is enough. Classes are in a pool of their own, so that both can be loaded in one
process.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pool, message_factory  # type: ignore[import-untyped]
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto  # type: ignore[import-untyped]

STRING, BYTES, BOOL = (
    FieldDescriptorProto.TYPE_STRING,
    FieldDescriptorProto.TYPE_BYTES,
    FieldDescriptorProto.TYPE_BOOL,
)
INT32, INT64 = FieldDescriptorProto.TYPE_INT32, FieldDescriptorProto.TYPE_INT64
"""Types of fields. An enum is a varint, as an `INT32` is."""

TEXTS = "map<string, string>"
"""Type of a map of texts to texts, which is repeated."""

Fields = Mapping[str, Mapping[str, tuple[int, Any, bool]]]
"""By message, its fields: number, type or the message that it holds, and whether it is repeated."""


def message_classes(package: str, fields: Fields) -> dict[str, Any]:
    """Return a class for each message.

    Args:
        package: The package of the messages, which shows in their names alone.
        fields: What they hold.
    """
    file = FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, of_message in fields.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, repeated) in of_message.items():
            added = message.field.add(name=field, number=number)
            added.label = (
                FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
            )
            if kind is TEXTS:
                added.type = FieldDescriptorProto.TYPE_MESSAGE
                added.type_name = f".{package}.{name}.{_add_entry_of_texts(message, field)}"
            elif isinstance(kind, str):
                added.type, added.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in fields
    }


def _add_entry_of_texts(message: Any, field: str) -> str:  # noqa: ANN401 - protobuf has no types
    """Add the type of an entry of a map, named as protobuf's compiler names it; return its name."""
    entry = message.nested_type.add(name=f"{field.title()}Entry")
    entry.options.map_entry = True
    for number, name in enumerate(("key", "value"), 1):
        entry.field.add(name=name, number=number, type=STRING, label=FieldDescriptorProto.LABEL_OPTIONAL)
    return str(entry.name)
