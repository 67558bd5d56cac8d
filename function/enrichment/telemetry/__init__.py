"""Logs, counters, spans and traces."""
