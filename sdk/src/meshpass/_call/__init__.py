"""One call, decided without I/O: request, attempts, retries, response."""
