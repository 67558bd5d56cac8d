"""Sources of a caller's tokens: the cache, signed JWTs and their keys, Google ID tokens, adapters."""
