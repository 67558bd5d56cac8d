"""Where a caller's tokens come from: the cache, signed JWTs and their keys, Google ID tokens, adapters."""
