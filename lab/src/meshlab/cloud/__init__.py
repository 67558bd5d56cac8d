"""Fakes of Google's services, each used through its official client."""
