"""Adapters for other HTTP and gRPC libraries: transports for httpx, an adapter for requests, channels of grpcio."""
