"""The mesh that the objects describe together."""
