"""The provider's process: answers Terraform over the plugin protocol, version 6, from one schema file.

It plans, reads and creates nothing: `terraform validate` does not ask for that, and `terraform test` with a mocked
provider asks its mock.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import msgpack
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

from tests.infra.terraform.provider.argument_rules import UNKNOWN, problems
from tests.infra.terraform.provider.schema import provider_message, read_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Servicer", "serve"]


class Servicer(rpc.ProviderServicer):  # type: ignore[misc]
    """Answers for one provider.

    Args:
        schema: The provider's schema, with the rules between arguments.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema

    # The names are the protocol's.
    def GetMetadata(  # noqa: N802
        self, request: pb.GetMetadata.Request, context: grpc.ServicerContext
    ) -> pb.GetMetadata.Response:
        return pb.GetMetadata.Response(
            resources=[{"type_name": name} for name in self._schema["resource_schemas"]],
            data_sources=[{"type_name": name} for name in self._schema["data_source_schemas"]],
        )

    def GetProviderSchema(  # noqa: N802
        self, request: pb.GetProviderSchema.Request, context: grpc.ServicerContext
    ) -> pb.GetProviderSchema.Response:
        return provider_message(self._schema)

    def ValidateProviderConfig(  # noqa: N802
        self, request: pb.ValidateProviderConfig.Request, context: grpc.ServicerContext
    ) -> pb.ValidateProviderConfig.Response:
        found = _diagnostics("provider", self._schema["provider"], request.config)
        return pb.ValidateProviderConfig.Response(diagnostics=found)

    def ValidateResourceConfig(  # noqa: N802
        self, request: pb.ValidateResourceConfig.Request, context: grpc.ServicerContext
    ) -> pb.ValidateResourceConfig.Response:
        schema = self._schema["resource_schemas"][request.type_name]
        return pb.ValidateResourceConfig.Response(
            diagnostics=_diagnostics(request.type_name, schema, request.config)
        )

    def ValidateDataResourceConfig(  # noqa: N802
        self, request: pb.ValidateDataResourceConfig.Request, context: grpc.ServicerContext
    ) -> pb.ValidateDataResourceConfig.Response:
        schema = self._schema["data_source_schemas"][request.type_name]
        return pb.ValidateDataResourceConfig.Response(
            diagnostics=_diagnostics(request.type_name, schema, request.config)
        )

    def ConfigureProvider(  # noqa: N802
        self, request: pb.ConfigureProvider.Request, context: grpc.ServicerContext
    ) -> pb.ConfigureProvider.Response:
        return pb.ConfigureProvider.Response()

    def StopProvider(  # noqa: N802
        self, request: pb.StopProvider.Request, context: grpc.ServicerContext
    ) -> pb.StopProvider.Response:
        return pb.StopProvider.Response()


def serve(schema_file: str, socket: str) -> None:
    """Serve a schema file at a Unix socket until standard input ends.

    Terraform attaches to a provider that runs already (`TF_REATTACH_PROVIDERS`). Without that it would start one for
    each step of each run, which costs more than the step.
    """
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    rpc.add_ProviderServicer_to_server(Servicer(read_schema(Path(schema_file))), server)
    server.add_insecure_port(f"unix://{socket}")
    server.start()
    print("ready", flush=True)
    sys.stdin.read()
    server.stop(grace=None)


def _diagnostics(name: str, schema: Mapping[str, Any], config: pb.DynamicValue) -> list[pb.Diagnostic]:
    values = msgpack.unpackb(config.msgpack, ext_hook=lambda code, data: UNKNOWN, strict_map_key=False)
    return [
        pb.Diagnostic(
            severity=pb.Diagnostic.ERROR,
            summary="Invalid argument",
            detail=f"{name}: {'.'.join(map(str, problem.path))} {problem.text}",
            attribute=pb.AttributePath(
                steps=[
                    {"element_key_int": step} if isinstance(step, int) else {"attribute_name": step}
                    for step in problem.path
                ]
            ),
        )
        for problem in problems(schema["block"], values or {})
    ]


if __name__ == "__main__":
    serve(*sys.argv[1:])
