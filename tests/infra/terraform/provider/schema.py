"""The schema of hashicorp/google as data: where it is, and how it is written as a message of the plugin protocol."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tf.gen import tfplugin_pb2 as pb

__all__ = ["SOURCE", "provider_message", "read_schema", "schema_file"]

SOURCE = "registry.terraform.io/hashicorp/google"

_BUCKET_MEMBER = "google_storage_bucket_iam_member"

_NESTING = {"single": 1, "list": 2, "set": 3}
_WRITE_ONLY = b"\x58\x01"
"""Field 11 of `Schema.Attribute`, a bool, which the messages of `tf` do not know yet."""


def schema_file() -> Path | None:
    """Return the file that GOOGLE_PROVIDER_SCHEMA names; None where it names none."""
    named = os.environ.get("GOOGLE_PROVIDER_SCHEMA", "")
    return Path(named) if named else None


def read_schema(path: Path) -> dict[str, Any]:
    """Return the provider's part of a file in the form of `terraform providers schema -json`."""
    found: dict[str, Any] = json.loads(path.read_text())["provider_schemas"][SOURCE]
    resources = found["resource_schemas"]
    if _BUCKET_MEMBER not in resources:
        resources[_BUCKET_MEMBER] = _bucket_member(resources["google_pubsub_topic_iam_member"])
    return found


def _bucket_member(topic_member: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a grant on a bucket, which the file lacks.

    The provider makes the schemas of all such grants by one function, from the arguments that name the object. A
    bucket is named by `bucket` alone.
    """
    block = topic_member["block"]
    attributes = {name: of for name, of in block["attributes"].items() if name not in ("topic", "project")}
    attributes["bucket"] = block["attributes"]["topic"]
    return {**topic_member, "block": {**block, "attributes": attributes}}


def provider_message(schema: Mapping[str, Any]) -> pb.GetProviderSchema.Response:
    """Return the answer to GetProviderSchema."""
    from tf.gen import tfplugin_pb2 as pb

    return pb.GetProviderSchema.Response(
        provider=_schema(schema["provider"]),
        resource_schemas={name: _schema(found) for name, found in schema["resource_schemas"].items()},
        data_source_schemas={name: _schema(found) for name, found in schema["data_source_schemas"].items()},
    )


def _schema(found: Mapping[str, Any]) -> pb.Schema:
    from tf.gen import tfplugin_pb2 as pb

    return pb.Schema(version=found["version"], block=_block(found["block"]))


def _block(found: Mapping[str, Any]) -> pb.Schema.Block:
    from tf.gen import tfplugin_pb2 as pb

    block = pb.Schema.Block(deprecated=found.get("deprecated", False))
    for name, rules in found.get("attributes", {}).items():
        flags = {
            key: rules.get(key, False)
            for key in ("required", "optional", "computed", "sensitive", "deprecated")
        }
        attribute = pb.Schema.Attribute(name=name, type=json.dumps(rules["type"]).encode(), **flags)
        if rules.get("write_only"):
            attribute.MergeFromString(_WRITE_ONLY)
        block.attributes.append(attribute)
    for name, rules in found.get("block_types", {}).items():
        nested = block.block_types.add(
            type_name=name,
            nesting=_NESTING[rules["nesting_mode"]],
            min_items=rules.get("min_items", 0),
            max_items=rules.get("max_items", 0),
        )
        nested.block.CopyFrom(_block(rules["block"]))
    return block
