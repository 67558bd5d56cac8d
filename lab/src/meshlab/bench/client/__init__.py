"""Clients of the bench: they send one request exactly as a case writes it, and say how the connection ended."""
