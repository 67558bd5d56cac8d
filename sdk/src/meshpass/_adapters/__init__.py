"""The mesh for other HTTP and gRPC libraries: transports of httpx, an adapter of requests, channels of grpcio."""
